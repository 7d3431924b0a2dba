"""Which treatment a column gets: what its role leaves open, the column file and the safeguards decide together."""

from collections.abc import Mapping

from pseudonymization.columns import Column, Handling, Kind, Role, Table
from pseudonymization.faults import Place, Unresolved
from pseudonymization.hierarchies import Ladder
from pseudonymization.plan import DATE_ACTS, Act, ColumnPlan
from pseudonymization.safeguards import DateRule, Safeguards, TextRule

_DATE_WORDS: Mapping[Act, str] = {
    Act.KEEP: "as it is",
    Act.SHIFT: "moved by a secret number of days, the same for all dates of a subject; intervals are exact",
    Act.ANCHOR: (
        "moved so that everyone's reference start is one day; intervals are exact; the day is public, and one known "
        "date of a subject tells all of that subject's"
    ),
    Act.TRUNCATE_MONTH: "cut to the month",
    Act.TRUNCATE_YEAR: "cut to the year",
    Act.STUDY_DAY: "days from the subject's reference start; the first day is 1 and there is no day 0",
    Act.REMOVE: "removed",
}


def plan_of(
    table: Table,
    column: Column,
    safeguards: Safeguards,
    ladders: Mapping[str, Ladder],
    levels: Mapping[str, int],
) -> ColumnPlan:
    """The treatment of one column; of a column of qualifier values, one for each qualifier.

    Raises:
        Unresolved: nobody has settled the column, or its handling does not go with its role.
    """
    if column.role is Role.UNRESOLVED:
        place = (Place(table.name, column.name),)
        raise Unresolved("a column has no settled role", places=place, cure="settle it in the column file")
    stored = column.kind in {Kind.DATE, Kind.TIMESTAMP} and column.role in {Role.KEPT, Role.SENSITIVE, Role.QUASI}
    if stored and table.subject_key and safeguards.dates is not DateRule.KEEP:
        place = (Place(table.name, column.name),)
        raise Unresolved("true dates of subjects may not be kept", places=place, cure="give the column the role `date`")
    if column.role is Role.QUASI:
        ladder, level = ladders[column.attribute], levels[column.attribute]
        return ColumnPlan(
            table.name,
            column.name,
            Act.GENERALIZE,
            column.role.value,
            why=column.because,
            detail=ladder.titles[level],
            level=level,
            levels=ladder.height + 1,
        )
    if column.role is Role.QUALIFIER:
        parts = tuple(plan_of(table, part, safeguards, ladders, levels) for part in column.qualifiers)
        role, detail = column.role.value, _WORDS[Act.BY_QUALIFIER]
        return ColumnPlan(table.name, column.name, Act.BY_QUALIFIER, role, column.because, detail, parts=parts)
    act, detail = _act(table, column, safeguards)
    return ColumnPlan(table.name, column.name, act, column.role.value, why=column.because, detail=detail)


_DIRECT: Mapping[Handling | None, Act] = {
    None: Act.REMOVE,
    Handling.REMOVE: Act.REMOVE,
    Handling.RECODE: Act.RECODE,
    Handling.EMBEDDED: Act.EMBEDDED,
    Handling.SURROGATE: Act.SURROGATE,
}
_OPEN: Mapping[Handling | None, Act] = {
    None: Act.KEEP,
    Handling.KEEP: Act.KEEP,
    Handling.EMBEDDED: Act.EMBEDDED,
    Handling.REMOVE: Act.REMOVE,
    Handling.RECODE: Act.RECODE,
}
_WORDS: Mapping[Act, str] = {
    Act.BY_QUALIFIER: "each value by its qualifier; the rows of a qualifier that is removed leave with it",
    Act.KEEP: "as it is",
    Act.REMOVE: "removed",
    Act.PSEUDONYM: "replaced by the subject's pseudonym of this project",
    Act.EMBEDDED: "subject ids inside the text replaced by pseudonyms",
    Act.RECODE: "replaced by a code of this project",
    Act.SURROGATE: "replaced by an invented stand-in, the same for the same value",
    Act.REDACT: "ids, names and dates of the study replaced by --redacted--",
}


def _act(table: Table, column: Column, safeguards: Safeguards) -> tuple[Act, str]:
    """The treatment of a column that is no quasi-identifier, and what it does in words."""
    if column.role is Role.SUBJECT_KEY:
        return Act.PSEUDONYM, _WORDS[Act.PSEUDONYM]
    if column.role is Role.DATE:
        act = _date_act(table, column, safeguards.dates)
        return act, _DATE_WORDS[act]
    if column.role is Role.FREE_TEXT:
        act = _text_act(column, safeguards.text)
        return act, _WORDS[act]
    choices = _DIRECT if column.role is Role.DIRECT else _OPEN
    if column.handling not in choices:
        place = (Place(table.name, column.name),)
        allowed = ", ".join(sorted(handling for handling in choices if handling))
        raise Unresolved(
            f"a {column.role.value} column cannot be handled by `{column.handling}`",
            places=place,
            cure=f"use one of {allowed}",
        )
    act = choices[column.handling]
    if (
        act is Act.KEEP
        and table.subject_key is None
        and column.kind is Kind.TEXT
        and safeguards.dates is not DateRule.KEEP
    ):
        return act, "as it is; a date of the trial leaves as its year"
    return act, _WORDS[act]


def _date_act(table: Table, column: Column, rule: DateRule) -> Act:
    """A date in a table without subjects has nobody to be shifted with, so the year is all that may stay."""
    if column.handling is Handling.REMOVE:
        return Act.REMOVE
    if table.subject_key is None and rule in {DateRule.SHIFT, DateRule.ANCHOR, DateRule.MONTH, DateRule.YEAR}:
        return Act.TRUNCATE_YEAR
    if table.subject_key is None and rule is DateRule.STUDY_DAY:
        return Act.REMOVE
    return DATE_ACTS[rule]


def _text_act(column: Column, rule: TextRule) -> Act:
    """Default deny: text stays only if both the column file and the policy say so."""
    if column.handling is Handling.KEEP and rule is TextRule.KEEP:
        return Act.KEEP
    if column.handling in {Handling.KEEP, Handling.REDACT} and rule is not TextRule.DROP:
        return Act.REDACT
    return Act.REMOVE
