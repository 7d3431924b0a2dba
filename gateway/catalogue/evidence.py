"""What a proposal rests on, told to whoever settles it: the rule that speaks of a column, and what the column holds.

Facts come from the profile: no value stands in them, and no count below 11.
"""

from dataclasses import dataclass

from gateway.catalogue.profile import ColumnProfile, TableProfile
from gateway.catalogue.rules import QUALIFIERS, Rule, rules_for, variable_rules

_FORMS = (
    ("iso", "are ISO 8601 dates"),
    ("dated", "hold a date"),
    ("ids", "hold a subject's id"),
    ("is_id", "are nothing but a subject's id"),
    ("email", "hold an e-mail address"),
    ("phone", "hold a phone number"),
    ("titled", "hold a person with a title"),
    ("person", "look like a person's name"),
    ("country", "are a country"),
    ("prose", "read like prose"),
)


@dataclass(frozen=True, slots=True)
class Grounds:
    """Why a column is proposed as it is: its profile in sentences, and the rule of the table that speaks of it."""

    facts: tuple[str, ...]
    rule: Rule | None


def grounds(table: TableProfile, column: str, qualifier: str = "") -> Grounds | None:
    """The grounds for one column, or one variable that a column of qualifier values holds; None without a profile."""
    held = table.qualified if qualifier else table.columns
    found = next((one for one in held if one.name == (qualifier or column)), None)
    if found is None:
        return None
    return Grounds(facts(found), _rule(table, found, qualified=bool(qualifier)))


def _rule(table: TableProfile, column: ColumnProfile, *, qualified: bool) -> Rule | None:
    """The first rule that fits, as the proposal took it."""
    if not qualified:
        return next((rule for rule in variable_rules() if rule.fits(table, column)), None)
    parent = table.domain.removeprefix("SUPP")
    within = [rule for rule in rules_for(table.domain) if rule.section == "qualifiers" and rule.fits(table, column)]
    return next(iter(within), None) or next(
        (rule for rule in variable_rules(QUALIFIERS) if rule.names(column.name) and rule.holds_in(parent)), None
    )


def facts(column: ColumnProfile) -> tuple[str, ...]:
    """What a column holds, in sentences: shares in words, distinctness, whether it is one value for each subject."""
    if column.empty:
        return ("it holds no value",)
    shown = column.shown()
    told = [f"stored as {shown['kind']}, {shown['distinct']} distinct values"]
    if "missing" in shown:
        told.append(f"empty in {shown['missing']} rows" if shown["missing"] != "all" else "nearly always empty")
    told += [f"{shown[name]} of its values {words}" for name, words in _FORMS if name in shown]
    if column.kind == "text" and not column.telling:
        told.append("no value holds a subject's id, a date, an address or a phone number")
    if "per_subject" in shown:
        told.append("one value for each subject" if shown["per_subject"] else "differs within a subject")
    if column.coded:
        told.append("looks like a code list, flags or plain numbers")
    return tuple(told)
