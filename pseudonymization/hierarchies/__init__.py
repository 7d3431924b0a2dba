"""Ladders of generalization: which one a column climbs, and how each kind is built."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pseudonymization.columns import Column, Handling
from pseudonymization.faults import Unresolved
from pseudonymization.hierarchies import builders
from pseudonymization.hierarchies.ladder import MISSING, SET_SIGN, TOP, Ladder, of_labels, relabelled
from pseudonymization.safeguards import Safeguards

__all__ = ["MISSING", "SET_SIGN", "TOP", "Ladder", "ladder_for", "of_labels", "relabelled"]

FILES = (".csv", ".txt")


def ladder_for(
    column: Column,
    domain: Sequence[str],
    counts: Sequence[int],
    safeguards: Safeguards,
    regions: Mapping[str, str] | None = None,
    *,
    relabel: Callable[[str], str] | None = None,
    folder: Path | None = None,
) -> Ladder:
    """The ladder that `column.hierarchy` names, over the values that occur; proposed from the data if it names none.

    counts: subjects per domain value. regions: for a recoded place (a site), value → its country, if known.
    relabel: for a recoded quasi-identifier, value → its keyed code, which level 0 then shows. folder: where a
    steward's CSV file stands, if its path is relative.

    Raises:
        Unresolved: no such hierarchy, or one that does not fit the values. Unreadable: a value no band can hold.
    """
    kind, _, detail = column.hierarchy.partition(":")
    recoded = column.handling is Handling.RECODE
    if recoded and kind not in {"", "site", "flat", "pool"} and not kind.lower().endswith(FILES):
        cure = "use site, flat, pool or a CSV file for a recoded column"
        raise Unresolved(f"the hierarchy of `{column.name}` would show parts of what is recoded", cure=cure)
    if kind.lower().endswith(FILES):
        path = Path(column.hierarchy)
        ladder = builders.from_file(column.name, folder / path if folder else path, domain)
    elif kind == "site" or (recoded and kind == ""):
        ladder = builders.site(column.name, domain, regions or {}, geography=safeguards.geography)
    elif kind in _WITH_DETAIL:
        ladder = _WITH_DETAIL[kind](column.name, domain, counts, detail)
    else:
        ladder = _by_kind(kind, column.name, domain, counts, safeguards)
    return relabelled(ladder, relabel) if relabel is not None else ladder


def _by_kind(kind: str, name: str, domain: Sequence[str], counts: Sequence[int], safeguards: Safeguards) -> Ladder:
    if kind == "age":
        return builders.age(name, domain, top=safeguards.age_top)
    if kind == "country":
        return builders.country(name, domain, geography=safeguards.geography)
    if kind == "date":
        return builders.date(name, domain)
    if kind == "flat":
        return builders.flat(name, domain)
    if kind == "pool":
        return builders.pool(name, domain, counts, least=max(builders.SMALL, safeguards.k))
    if kind == "":
        return builders.proposed(name, domain, counts, safeguards)
    cure = "use age, country, site, date, flat, pool, interval:WIDTH, quantile:N, cuts:A,B, prefix:N,M or a CSV file"
    raise Unresolved(f"`{name}` names a hierarchy that does not exist", cure=cure)


def _interval(name: str, domain: Sequence[str], _: Sequence[int], detail: str) -> Ladder:
    width, start = detail.partition(",")[::2]
    return builders.interval(name, domain, _number(name, width), start=_number(name, start or "0"))


def _quantiles(name: str, domain: Sequence[str], counts: Sequence[int], detail: str) -> Ladder:
    return builders.quantiles(name, domain, counts, bands=max(2, int(_number(name, detail or "8"))))


def _cuts(name: str, domain: Sequence[str], _: Sequence[int], detail: str) -> Ladder:
    return builders.cuts(
        name, domain, [[_number(name, mark) for mark in part.split(",")] for part in detail.split("/")]
    )


def _prefix(name: str, domain: Sequence[str], _: Sequence[int], detail: str) -> Ladder:
    return builders.prefix(name, domain, [int(_number(name, length)) for length in detail.split(",") if length])


_WITH_DETAIL: Mapping[str, Callable[[str, Sequence[str], Sequence[int], str], Ladder]] = {
    "interval": _interval,
    "quantile": _quantiles,
    "cuts": _cuts,
    "prefix": _prefix,
}


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Unresolved(f"the hierarchy of `{name}` needs a number", cure="write `interval:5`, for instance")
    return value
