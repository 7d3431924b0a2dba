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
        "words of the site stand in this qualifier: no value leaves",
    ),
    ("SUPPDM", "QVAL"): (
        Role.SENSITIVE,
        Handling.REMOVE,
        "a qualifier that nobody has looked at closely: no value leaves",
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
            columns=tuple(_settled(column, ColumnRef(table.name, column.name), waiting) for column in table.columns),
        )
        for table in study.tables
    )
    file.write_text(columnfile.dumps(replace(study, tables=tables), previous=held), "utf-8")


def _settled(column: Column, ref: ColumnRef, waiting: Sequence[ColumnRef]) -> Column:
    """The column, or the qualifiers in it, as the steward has chosen; what does not wait stays as it is."""
    parts = tuple(_settled(part, replace(ref, qualifier=part.name), waiting) for part in column.qualifiers)
    if ref not in waiting:
        return replace(column, qualifiers=parts)
    role, handling, because = choice(ref)
    return replace(
        column, role=role, handling=handling, certain=True, because=because, by="", qualifiers=(), follows=""
    )
