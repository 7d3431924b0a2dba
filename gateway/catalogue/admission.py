"""What no column file may say, whoever wrote it: that true dates of subjects leave as they are."""

from pathlib import Path

from gateway.catalogue.rules import rules_for
from gateway.catalogue.vocabulary import Treatment
from gateway.errors import NotPossible
from pseudonymization.columns import Column, Handling, Kind, Role, Study, Table

_OPEN = frozenset({Role.KEPT, Role.SENSITIVE, Role.QUASI})


def admit(study: Study, file: Path) -> None:
    """Nothing, if the column file may be taken.

    Raises:
        NotPossible: a column of dates would leave as it is. A policy that lets dates leave is met by the role `date`.
    """
    for table in study.tables:
        for column in table.columns:
            if table.subject_key and _leaves(column) and _is_dated(table, column):
                raise NotPossible(
                    f"`{table.name}.{column.name}` holds dates of subjects, which may not leave as they are",
                    rule="true-dates",
                    cure=f"give it the role `date` in {file.name}, or remove it",
                )


def _leaves(column: Column) -> bool:
    return column.role in _OPEN and column.handling in {None, Handling.KEEP}


def _is_dated(table: Table, column: Column) -> bool:
    """Whether a column is stored as dates, or named like a variable that holds a date and nothing else."""
    if column.kind in {Kind.DATE, Kind.TIMESTAMP}:
        return True
    named = (rule for rule in rules_for(table.domain) if rule.names(column.name) and rule.section == "dates")
    rule = next((rule for rule in named if not rule.when), None)
    return rule is not None and rule.treatment is Treatment.OFFSET and column.kind is Kind.TEXT
