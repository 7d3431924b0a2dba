"""The rule file of variables: which names mean what in SDTM and ADaM, read and checked once."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from ruamel.yaml import YAML

from gateway.catalogue.profile import ColumnProfile, TableProfile
from gateway.errors import Broken
from pseudonymization.columns import Handling, Kind, Role

RISKY_QUALIFIERS = re.compile(
    r"RACE|ETHN|^(..)?AGE$|BIRTH|BRTH|DOB|SEX$|COUNTRY|REGION|STATE$|(?<!I)CITY|ZIP|POSTC|POSTAL|ADDR|SITE|CENT(ER|RE)"
    r"|INV(ID|NAM)|NAME?$|INITIAL|INITS?$|SUBJ|PATI|PHON|MAIL|DTC?$|DTM$|DAT$|DATE|OTH|SPEC$|SP$|TXT|TEXT|COMM|COM$|CMT"
    r"|DESC|REAS|VERB|NOTE|NARR|OCCUP|EDUC|MARI|RELIG|EMPL|LANG|TRIBE|INCOME|IDNUM|HOSP|CAUSE"
)
"""QNAMs whose values are about who the subject is, or may be words somebody wrote."""

_TESTS: Mapping[str, Callable[[TableProfile, ColumnProfile], bool]] = MappingProxyType(
    {
        "text": lambda _, c: c.kind is Kind.TEXT,
        "number": lambda _, c: c.kind is Kind.NUMBER,
        "date": lambda _, c: c.kind in {Kind.DATE, Kind.TIMESTAMP},
        "dated": lambda _, c: c.iso >= 0.999 and c.dated >= 0.5,
        "holds-dates": lambda _, c: c.dated > 0 or c.kind in {Kind.DATE, Kind.TIMESTAMP},
        "coded": lambda _, c: c.coded,
        "coded-or-prose": lambda _, c: not (c.ids or c.dated or c.email or c.phone),
        "short-list": lambda _, c: c.short_list,
        "prose": lambda _, c: c.prose >= 0.2,
        "ids": lambda _, c: c.ids > 0,
        "no-ids": lambda _, c: c.ids == 0,
        "empty": lambda _, c: c.empty,
        "numbers": lambda _, c: c.kind is Kind.NUMBER or c.number >= 0.999,
        "risky": lambda t, _: any(RISKY_QUALIFIERS.search(name.upper()) for name in t.qualifiers),
        "subject": lambda t, _: t.subject_key is not None,
        "no-subject": lambda t, _: t.subject_key is None,
    }
)
_FIELDS = frozenset(
    {"match", "domains", "when", "role", "handling", "hierarchy", "namespace", "certain", "because", "source"}
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the rule file. `number` is its place, from 1."""

    number: int
    names: tuple[re.Pattern[str], ...]
    domains: tuple[str, ...]
    when: tuple[str, ...]
    role: Role
    handling: Handling | None
    hierarchy: str
    namespace: str
    certain: bool
    because: str
    source: str

    def fits(self, table: TableProfile, column: ColumnProfile) -> bool:
        """Whether this rule speaks of the column."""
        name = column.name.upper()
        return (
            any(pattern.fullmatch(name) for pattern in self.names)
            and (not self.domains or any(fnmatchcase(table.domain, domain) for domain in self.domains))
            and all(_holds(word, table, column) for word in self.when)
        )


def _holds(word: str, table: TableProfile, column: ColumnProfile) -> bool:
    """Whether a word of `when` is true of a column."""
    if word in _TESTS:
        return _TESTS[word](table, column)
    return not _TESTS[word.removeprefix("not-")](table, column)


def _pattern(text: str) -> re.Pattern[str]:
    """`--X` as any two characters of a domain before X; `*` and `?` as in file names."""
    start, rest = ("[A-Z][A-Z0-9]", text[2:]) if text.startswith("--") else ("", text)
    return re.compile(start + re.escape(rest).replace(r"\*", ".*").replace(r"\?", "."))


@cache
def variable_rules() -> tuple[Rule, ...]:
    """The rules of `variables.yaml`, in order.

    Raises:
        Broken: the file that is shipped with the gateway has a fault.
    """
    text = resources.files("gateway.catalogue").joinpath("variables.yaml").read_text(encoding="utf-8")
    return parse(text)


def parse(text: str) -> tuple[Rule, ...]:
    """Rules from YAML text.

    Raises:
        Broken: a fault, naming the rule by its number.
    """
    content = YAML(typ="safe").load(text)
    return tuple(_rule(number, line) for number, line in enumerate(content["rules"], start=1))


def _rule(number: int, line: Mapping[str, Any]) -> Rule:
    unknown = set(line) - _FIELDS
    words = [word for word in line.get("when", ()) if word.removeprefix("not-") not in _TESTS and word not in _TESTS]
    if unknown or words or not line.get("because") or not line.get("source") or not line.get("match"):
        raise Broken(
            f"rule {number} of the variable rules has a fault: {sorted(unknown) or words or 'a field is missing'}"
        )
    return Rule(
        number=number,
        names=tuple(_pattern(name) for name in line["match"]),
        domains=tuple(line.get("domains", ())),
        when=tuple(line.get("when", ())),
        role=Role(line["role"]),
        handling=Handling(line["handling"]) if "handling" in line else None,
        hierarchy=line.get("hierarchy", ""),
        namespace=line.get("namespace", ""),
        certain=line.get("certain", True),
        because=line["because"],
        source=line["source"],
    )
