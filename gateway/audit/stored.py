"""Rows of the log as the database holds them, with all their parts, for whoever reads the whole log."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from sqlalchemy import Connection, select

from gateway.audit import tables
from gateway.audit.leaves import as_bytes
from gateway.audit.tiles import WIDTH

ROWS_AT_ONCE = 4 * WIDTH


@dataclass(slots=True)
class Row:
    """One event as stored, nothing believed. copies: time, kind, outcome, actor. personal: salt and texts."""

    index: int
    event_id: str
    leaf: bytes
    copies: list[str]
    about: dict[str, str] = field(default_factory=dict)
    personal: tuple[bytes | None, str | None] | None = None


def by_tile(connection: Connection, end: int) -> Iterator[tuple[int, list[Row]]]:
    """Rows with an index below `end`, by the tile their index falls into, each tile once, also without rows."""
    for start in range(0, end, ROWS_AT_ONCE):
        rows = _rows(connection, start, min(start + ROWS_AT_ONCE, end))
        grouped = {number: list(group) for number, group in groupby(rows, key=lambda row: row.index // WIDTH)}
        for number in range(start // WIDTH, -(-min(start + ROWS_AT_ONCE, end) // WIDTH)):
            yield number, grouped.get(number, [])


def _rows(connection: Connection, start: int, end: int) -> list[Row]:
    event, about, personal = tables.event.c, tables.about.c, tables.personal.c
    within = (event.idx >= start) & (event.idx < end)
    query = select(event.idx, event.event_id, event.leaf, event.time, event.kind, event.outcome, event.actor).where(
        within
    )
    rows = [
        Row(index, event_id, as_bytes(leaf), copies)
        for index, event_id, leaf, *copies in connection.execute(query.order_by(event.idx)).all()
    ]
    by_id = {row.event_id: row for row in rows}
    joined = select(about.event_id, about.role, about.thing).join(tables.event).where(within)
    for event_id, role, thing in connection.execute(joined).all():
        by_id[event_id].about[role] = thing
    texts = select(personal.event_id, personal.salt, personal.texts).join(tables.event).where(within)
    for event_id, salt, text in connection.execute(texts).all():
        by_id[event_id].personal = (None if salt is None else as_bytes(salt), text)
    return rows
