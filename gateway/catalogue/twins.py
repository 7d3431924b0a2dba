"""Derived twins: variables that tell of each other fall together, or a steward decides each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

from ruamel.yaml import YAML

from gateway.catalogue.rules import pattern
from pseudonymization.columns import Column, Handling, Role, Study


@dataclass(frozen=True, slots=True)
class Twins:
    """Names of variables, and of those that tell what they tell."""

    one: tuple[str, ...]
    others: tuple[str, ...]
    because: str


@cache
def twins() -> tuple[Twins, ...]:
    """The table of twins that is shipped with the gateway."""
    text = resources.files("gateway.catalogue").joinpath("variables", "twins.yaml").read_text(encoding="utf-8")
    return tuple(_twins(line) for line in YAML(typ="safe").load(text)["twins"])


def _twins(line: Mapping[str, Any]) -> Twins:
    return Twins(tuple(line["one"]), tuple(line["others"]), line["because"])


def _named(names: tuple[str, ...], column: Column) -> bool:
    return any(pattern(name).fullmatch(column.name.upper()) for name in names)


def fall_together(study: Study) -> Study:
    """The study with every undecided twin of an overridden variable unresolved.

    A twin is decided where a steward overrode it too, or where it is removed. Settling is once for each variable: one
    that stands in several tables waits in each that has not been decided.
    """
    overridden = [column for column in _all(study) if column.override]
    asked = {(twin, column.name.upper()) for twin in twins() for column in overridden if _named(twin.one, column)}
    if not asked:
        return study

    def settled(column: Column) -> Column:
        parts = tuple(map(settled, column.qualifiers))
        if column.override or column.handling is Handling.REMOVE or column.role is Role.UNRESOLVED:
            return replace(column, qualifiers=parts)
        for twin, name in sorted(asked, key=lambda found: found[1]):
            if name != column.name.upper() and _named(twin.others, column):
                why = f"`{name}` was overridden, and {twin.because}: override `{column.name}` too ({column.because})"
                return Column(column.name, Role.UNRESOLVED, column.kind, column.label, certain=False, because=why)
        return replace(column, qualifiers=parts)

    tables = tuple(replace(table, columns=tuple(map(settled, table.columns))) for table in study.tables)
    return replace(study, tables=tables)


def _all(study: Study) -> Iterator[Column]:
    for table in study.tables:
        for column in table.columns:
            yield column
            yield from column.qualifiers
