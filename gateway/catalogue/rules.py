"""The rule table of variables: which names mean what in SDTM (IG 3.1.2 to 3.4) and ADaM, read and checked once.

It stands in `variables/`, one file for each section. The first rule that fits decides, in the order of `SECTIONS` and
of the lines, so exceptions stand before patterns. A line says:

  match        names; `--X` stands for two characters of a domain and X (AETERM), `*` and `?` as in file names
  domains      values of DOMAIN (`SUPPAE` for the qualifiers of AE); without it the rule holds everywhere
  when         what the column's profile must show, one of `_TESTS`; `not-` before a word denies it
  class, rule  how far it identifies, and what is done: the words of `vocabulary`
  alternative  the rule for another audience or a poorer column, where the standard names one
  role, handling, hierarchy, namespace, follows   of the column file, where the rule does not imply them
  certain      false: proposed, but a steward must settle it
  source       PHUSE: De-Identification Standard for SDTM 3.2, v1.01 (2015); SDTMIG, ADaMIG = CDISC guides; own: ours
  verified     true: the rule was read in its source, or in a text that quotes it; else it is the field's custom
"""

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
from gateway.catalogue.vocabulary import Class, Treatment, implied
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
        "risky": lambda _, c: RISKY_QUALIFIERS.search(c.name.upper()) is not None,
        "subject": lambda t, _: t.subject_key is not None,
        "no-subject": lambda t, _: t.subject_key is None,
    }
)
SECTIONS = (
    "comments", "relations", "design", "identifiers", "demographics",
    "dates", "words", "terms", "findings", "structure",
)  # fmt: skip
"""The files of the rule table, in the order in which they are asked."""
QUALIFIERS = ("qualifiers", *SECTIONS, "unnamed")
"""The same for what a supplemental qualifier names: its own rules stand around them."""
_NEEDED = ("match", "class", "rule", "because", "source")
_FIELDS = frozenset(
    {
        *_NEEDED,
        "domains",
        "when",
        "alternative",
        "role",
        "handling",
        "hierarchy",
        "namespace",
        "follows",
        "certain",
        "verified",
    }
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the rule table. `number` is its place in the file of its section, from 1."""

    section: str
    number: int
    match: tuple[str, ...]
    domains: tuple[str, ...]
    when: tuple[str, ...]
    identifies: Class
    treatment: Treatment
    alternative: Treatment | None
    role: Role
    handling: Handling | None
    hierarchy: str
    namespace: str
    follows: str
    certain: bool
    because: str
    source: str
    verified: bool

    def names(self, name: str) -> bool:
        """Whether the rule speaks of variables of this name."""
        return any(pattern(text).fullmatch(name.upper()) for text in self.match)

    def holds_in(self, domain: str) -> bool:
        """Whether the rule holds in a domain."""
        return not self.domains or any(fnmatchcase(domain, pattern) for pattern in self.domains)

    def fits(self, table: TableProfile, column: ColumnProfile) -> bool:
        """Whether this rule speaks of the column."""
        return (
            self.names(column.name)
            and self.holds_in(table.domain)
            and all(_holds(word, table, column) for word in self.when)
        )


def _holds(word: str, table: TableProfile, column: ColumnProfile) -> bool:
    """Whether a word of `when` is true of a column."""
    if word in _TESTS:
        return _TESTS[word](table, column)
    return not _TESTS[word.removeprefix("not-")](table, column)


@cache
def pattern(text: str) -> re.Pattern[str]:
    """`--X` as any two characters of a domain before X; `*` and `?` as in file names."""
    start, rest = ("[A-Z][A-Z0-9]", text[2:]) if text.startswith("--") else ("", text)
    return re.compile(start + re.escape(rest).replace(r"\*", ".*").replace(r"\?", "."))


@cache
def variable_rules(sections: tuple[str, ...] = SECTIONS) -> tuple[Rule, ...]:
    """The rule table, in order.

    Raises:
        Broken: a file that is shipped with the gateway has a fault.
    """
    folder = resources.files("gateway.catalogue").joinpath("variables")
    return tuple(
        rule
        for section in sections
        for rule in parse(folder.joinpath(f"{section}.yaml").read_text(encoding="utf-8"), section)
    )


def rules_for(domain: str = "") -> tuple[Rule, ...]:
    """The rules that can decide in a domain, in order; all without one."""
    sections = QUALIFIERS if not domain or domain.startswith("SUPP") else SECTIONS
    return tuple(rule for rule in variable_rules(sections) if not domain or rule.holds_in(domain))


def parse(text: str, section: str = "") -> tuple[Rule, ...]:
    """The rules of one section from YAML text.

    Raises:
        Broken: a fault, naming the rule by its number.
    """
    content = YAML(typ="safe").load(text)
    return tuple(_rule(section, number, line) for number, line in enumerate(content["rules"], start=1))


def _rule(section: str, number: int, line: Mapping[str, Any]) -> Rule:
    unknown = set(line) - _FIELDS
    words = [word for word in line.get("when", ()) if word.removeprefix("not-") not in _TESTS and word not in _TESTS]
    if unknown or words or not all(line.get(field) for field in _NEEDED):
        what = sorted(unknown) or words or "a field is missing"
        raise Broken(f"rule {number} of the variable rules ({section}) has a fault: {what}")
    treatment, identifies = Treatment(line["rule"]), Class(line["class"])
    role, handling = implied(treatment, identifies)
    if "role" in line:
        role, handling = Role(line["role"]), None
    return Rule(
        section=section,
        number=number,
        match=tuple(line["match"]),
        domains=tuple(line.get("domains", ())),
        when=tuple(line.get("when", ())),
        identifies=identifies,
        treatment=treatment,
        alternative=Treatment(line["alternative"]) if "alternative" in line else None,
        role=role,
        handling=Handling(line["handling"]) if "handling" in line else handling,
        hierarchy=line.get("hierarchy", ""),
        namespace=line.get("namespace", ""),
        follows=line.get("follows", ""),
        certain=line.get("certain", True),
        because=line["because"],
        source=line["source"],
        verified=line.get("verified", False),
    )
