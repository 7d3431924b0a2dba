"""From profiles to a proposed column file: the variable rules by name, then content for the rest.

What is kept is checked against its content: a rule by name never lets an id, a date or an address through.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from gateway.catalogue.profile import ColumnProfile, TableProfile
from gateway.catalogue.rules import QUALIFIERS, Rule, rules_for, variable_rules
from gateway.catalogue.vocabulary import Treatment
from pseudonymization.columns import Column, ColumnRef, Handling, Kind, Role, Study, Table
from pseudonymization.options import Options
from pseudonymization.wordings import Uncoded

PROPOSED = Options(uncoded=Uncoded.LOSE)
"""What a proposal chooses in the open, so that the steward may choose otherwise: words without a code are lost."""
_SUBJECT_TABLES = ("DM", "ADSL")
_LEAVES_AS_IS = frozenset({Role.KEPT, Role.SENSITIVE})
_DOUBTFUL_KEYS = frozenset({"ID", "SCRNUM"})
_CODED_MOST = 50
"""Distinct values that a code list has at most."""

_DIRECT = re.compile(
    r"(^|_)(SUR|FIRST|LAST|MIDDLE|FULL|MAIDEN|PATIENT|SUBJECT|INVESTIGATOR|DOCTOR|PHYSICIAN)?_?NAMES?($|_)|INITIALS?($|_)"
    r"|ADDRESS|STREET|PHONE|(^|_)TEL($|_)|(^|_)FAX($|_)|E?MAIL|(^|_)(SSN|MRN|NHS|NIN|IBAN|URL|IP)($|_|NO|NUM)|PASSPORT"
    r"|LICEN[CS]E|ACCOUNT|RECORD_?(NO|NUM|ID)|BIRTH|(^|_)DOB($|_)|PHOTO|BIOMETR|INSURANCE|POLICY_?(NO|NUM)"
)
_QUASI: tuple[tuple[re.Pattern[str], str, Handling | None, str], ...] = tuple(
    (re.compile(pattern), hierarchy, handling, because)
    for pattern, hierarchy, handling, because in (
        (r"(^|_)AGE($|_(AT|YEARS?|YRS?)|YRS?$)", "age", None, "an age"),
        (r"(^|_)(SEX|GENDER)($|_)", "flat", None, "known to anyone who knows the subject"),
        (r"(^|_)(RACE|ETHNIC\w*)($|_)", "pool", None, "visible and often rare at a site"),
        (r"(^|_)(COUNTRY|NATION)($|_|CODE)", "country", None, "where the subject lives"),
        (r"(^|_)(SITE|CENT(ER|RE)|HOSPITAL|CLINIC)($|_|ID|NO)", "site", Handling.RECODE, "where a subject was seen"),
        (r"EDUC|MARITAL|OCCUPATION|EMPLOY|RELIGION|INCOME", "pool", None,
         "social circumstances known to acquaintances"),
        (r"(^|_)(CITY|TOWN|COUNTY|REGION|STATE|PROVINCE|ZIP|POST_?CODE|POSTAL\w*)($|_|CODE)", "pool", None, "a place"),
    )
)  # fmt: skip


def propose(profiles: Sequence[TableProfile], *, name: str, country: ColumnRef | str = "") -> Study:
    """A study whose columns carry proposed roles, `certain` or not, each with a reason.

    `country` is where each subject's country stands, or one ISO 3166-1 code for all; without it, COUNTRY of the
    subject table is taken, and if there is none the study's country stays empty (`unresolved` says so).
    """
    tables = tuple(_table(profile) for profile in profiles)
    return Study(name, tables, country or _country(tables), _baseline(tables), PROPOSED)


def _table(table: TableProfile) -> Table:
    columns = tuple(
        replace(_column(table, column), label=label) for column, label in zip(table.columns, table.labels, strict=True)
    )
    if len(table.domains) > 1:
        why = "the table holds rows of several domains, and rules go by domain: split it, or settle each column"
        columns = tuple(replace(column, certain=False, because=f"{why} ({column.because})") for column in columns)
    return Table(table.name, columns, table.domain, table.label)


def _column(table: TableProfile, column: ColumnProfile) -> Column:
    """The proposal for one column: by name, else by content; then checked by content."""
    if column.name == table.subject_key and not _dropped(table):
        certain = column.name.upper() not in _DOUBTFUL_KEYS
        return _says(column, Role.SUBJECT_KEY, "says whose row it is", certain=certain)
    if column.name == "QVAL" and table.qualified:
        return _qualifiers(table)
    for rule in variable_rules():
        if rule.fits(table, column):
            return _checked(table, column, _ruled(column, rule))
    return _checked(table, column, _by_content(table, column))


def _ruled(column: ColumnProfile, rule: Rule) -> Column:
    """What a rule proposes for a column."""
    return Column(
        column.name,
        rule.role,
        column.kind,
        handling=rule.handling,
        hierarchy=rule.hierarchy,
        namespace=rule.namespace,
        certain=rule.certain,
        because=f"{rule.because} ({rule.source})",
        follows=rule.follows,
    )


def _qualifiers(table: TableProfile) -> Column:
    """QVAL of a SUPP-- table: one proposal for each variable that QNAM names, by the rules of the parent domain."""
    parent = replace(table, domain=table.domain.removeprefix("SUPP") or table.domain)
    parts = []
    for part in table.qualified:
        fitting = (
            rule
            for rule in variable_rules(QUALIFIERS)
            if rule.fits(table if rule.section == "qualifiers" else parent, part)
        )
        parts.append(_checked(table, part, _ruled(part, next(fitting))))
    because = "each value by the variable that QNAM names (PHUSE)"
    return Column("QVAL", Role.QUALIFIER, because=because, by="QNAM", qualifiers=tuple(parts))


def _dropped(table: TableProfile) -> bool:
    """Whether the rules remove the whole table, and so its subject key too."""
    return any(rule.treatment is Treatment.REMOVE_DATASET for rule in rules_for(table.domain) if rule.domains)


def _says(column: ColumnProfile, role: Role, because: str, *, certain: bool = True, **choice: object) -> Column:
    proposed = Column(column.name, role, column.kind, certain=certain, because=because)
    return replace(proposed, **choice)  # type: ignore[arg-type]


def _checked(table: TableProfile, column: ColumnProfile, proposed: Column) -> Column:
    """The proposal, changed where the content speaks against letting the column out as it is."""
    if proposed.role is Role.DATE and table.subject_key is None:
        return _says(column, Role.DIRECT, "a date in a table without subjects cannot be shifted",
                     certain=False, handling=Handling.REMOVE)  # fmt: skip
    if proposed.handling is Handling.REMOVE:
        return proposed
    plain = proposed.role is Role.QUASI and proposed.handling is None
    if proposed.handling is Handling.EMBEDDED or not (plain or proposed.role in _LEAVES_AS_IS):
        return proposed
    if column.email > 0 or column.phone > 0:
        return replace(proposed, certain=False, because=f"holds addresses or phone numbers; else {proposed.because}")
    if column.ids > 0 and table.subject_key is not None:
        certain = proposed.certain and column.dated == 0 and proposed.role is not Role.QUASI
        return _says(column, Role.DIRECT, "holds subject ids", certain=certain, handling=Handling.EMBEDDED)
    if column.dated > 0 and table.subject_key is not None:
        return replace(proposed, certain=False, because=f"holds dates; else {proposed.because}")
    return proposed


def _by_content(table: TableProfile, column: ColumnProfile) -> Column:
    """The proposal for a column that no variable rule knows."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.name).upper()
    if _DIRECT.search(name):
        return _says(column, Role.DIRECT, "named like a direct identifier", handling=Handling.REMOVE)
    if column.empty:
        return _says(column, Role.KEPT, "holds no value")
    if column.kind in {Kind.DATE, Kind.TIMESTAMP}:
        return _says(column, Role.DATE, "a stored calendar date")
    for pattern, hierarchy, handling, because in _QUASI:
        if pattern.search(name) and table.subject_key is not None:
            return _says(column, Role.QUASI, because, hierarchy=hierarchy, handling=handling)
    return _text_by_content(table, column) if column.kind is Kind.TEXT else _number_by_content(column)


def _text_by_content(table: TableProfile, column: ColumnProfile) -> Column:
    if column.email >= 0.5 or column.phone >= 0.5:
        return _says(column, Role.DIRECT, "holds addresses or phone numbers", handling=Handling.REMOVE)
    if column.is_id >= 0.9 and column.distinct > 1:
        return _says(column, Role.DIRECT, "holds subject ids", handling=Handling.REMOVE)
    if column.iso >= 0.999 and column.dated >= 0.5:
        return _says(column, Role.DATE, "every value is an ISO 8601 date")
    if column.prose >= 0.2:
        return _says(column, Role.FREE_TEXT, "reads like words someone wrote")
    if column.person >= 0.5 and column.distinct > _CODED_MOST:
        return _says(column, Role.DIRECT, "reads like names of persons", certain=False, handling=Handling.REMOVE)
    if column.coded and column.distinct <= _CODED_MOST:
        return _code_list(table, column)
    return _says(column, Role.UNRESOLVED, "neither its name nor its content tells what it is", certain=False)


def _code_list(table: TableProfile, column: ColumnProfile) -> Column:
    if column.country >= 0.9 and column.longest >= 2 and table.subject_key is not None:
        return _says(column, Role.QUASI, "reads like countries", certain=False, hierarchy="country")
    if column.per_subject:
        return _says(column, Role.QUASI, "one coded value for each subject", certain=False, hierarchy="pool")
    return _says(column, Role.SENSITIVE, "a code list nobody has named", certain=False)


def _number_by_content(column: ColumnProfile) -> Column:
    if column.compact:
        return _says(column, Role.DATE, "whole numbers that read like YYYYMMDD", certain=False)
    if column.years:
        return _says(column, Role.QUASI, "whole numbers that read like years", certain=False, hierarchy="interval:5")
    if column.whole and column.distinct > _CODED_MOST and column.per_subject:
        return _says(column, Role.DIRECT, "one number for each subject, perhaps an id", certain=False)
    return _says(column, Role.KEPT, "a number nobody has named", certain=False)


def _country(tables: Sequence[Table]) -> ColumnRef | str:
    """COUNTRY of the subject table, else of the first table that has one for its subjects."""
    ranked = sorted(tables, key=lambda table: _rank(table.domain))
    for table in ranked:
        for column in table.columns:
            if column.name.upper() == "COUNTRY" and table.subject_key:
                return ColumnRef(table.name, column.name)
    return ""


def _baseline(tables: Sequence[Table]) -> ColumnRef | None:
    """RFSTDTC of DM, else the start of treatment in ADSL."""
    for table in sorted(tables, key=lambda table: _rank(table.domain)):
        for name in ("RFSTDTC", "RFSTDT", "TRTSDT", "TRTSDTM"):
            for column in table.columns:
                if column.name == name and column.role is Role.DATE and table.domain in _SUBJECT_TABLES:
                    return ColumnRef(table.name, name)
    return None


def _rank(domain: str) -> int:
    return _SUBJECT_TABLES.index(domain) if domain in _SUBJECT_TABLES else len(_SUBJECT_TABLES)
