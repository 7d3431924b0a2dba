"""Rows of the log as the database holds them, with all their parts, for whoever reads the whole log."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Select, select

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
        for index, event_id, leaf, *copies in _fetched(connection, query.order_by(event.idx))
    ]
    by_id = {row.event_id: row for row in rows}
    joined = select(about.event_id, about.role, about.thing).join(tables.event).where(within)
    for event_id, role, thing in _fetched(connection, joined):
        by_id[event_id].about[role] = thing
    texts = select(personal.event_id, personal.salt, personal.texts).join(tables.event).where(within)
    for event_id, salt, text in _fetched(connection, texts):
        by_id[event_id].personal = (None if salt is None else as_bytes(salt), text)
    return rows


def _fetched(connection: Connection, query: Select[Any]) -> list[tuple[Any, ...]]:
    """The rows as the driver gives them: with a million events, wrapping each costs as much as hashing it."""
    statement = str(query.compile(connection.engine, compile_kwargs={"literal_binds": True}))
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement)
        return list(cursor.fetchall())
    finally:
        cursor.close()
