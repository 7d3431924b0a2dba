"""How the steward of the demo settles the columns that no profile can be certain about."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gateway.catalogue import columnfile
from pseudonymization.columns import Column, ColumnRef, Handling, Role

_Choice = tuple[Role, Handling, str]

CHOICES: Mapping[tuple[str, str], _Choice] = {
    ("SUPPAE", "QVAL"): (
        Role.FREE_TEXT,
        Handling.REMOVE,
        "comments of the site and dates of admission stand among the flags: no value leaves",
    ),
    ("SUPPDM", "QVAL"): (
        Role.DIRECT,
        Handling.REMOVE,
        "the races behind MULTIPLE stand among population flags: rare combinations single people out",
    ),
}
_UNSEEN: _Choice = (Role.DIRECT, Handling.REMOVE, "nobody has looked at it closely: it does not leave")


def choice(ref: ColumnRef) -> _Choice:
    """Role, handling and reason for a column that waits; what nobody foresaw does not leave."""
    return CHOICES.get((ref.table, ref.column), _UNSEEN)


def settle(file: Path, waiting: Sequence[ColumnRef]) -> None:
    """Write the choices into the column file, as a steward would with an editor; all other lines stay."""
    held = file.read_text("utf-8")
    study = columnfile.loads(held, place=str(file), proposals=True)
    tables = tuple(
        replace(
            table,
            columns=tuple(
                _settled(column, ColumnRef(table.name, column.name))
                if ColumnRef(table.name, column.name) in waiting
                else column
                for column in table.columns
            ),
        )
        for table in study.tables
    )
    file.write_text(columnfile.dumps(replace(study, tables=tables), previous=held), "utf-8")


def _settled(column: Column, ref: ColumnRef) -> Column:
    role, handling, because = choice(ref)
    return replace(column, role=role, handling=handling, certain=True, because=because)
