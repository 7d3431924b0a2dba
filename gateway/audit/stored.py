"""Rows of the log as the database holds them, with all their parts, for whoever reads the whole log."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Select, select

from gateway.audit import tables
from gateway.audit.leaves import as_bytes
from gateway.audit.tiles import WIDTH

ROWS_AT_ONCE = 4 * WIDTH
_USUAL_THRESHOLDS = gc.get_threshold()


@contextmanager
def little_garbage() -> Iterator[None]:
    """Look for cycles seldom: of the millions of small objects that come and go none is in one; a tenth quicker."""
    gc.set_threshold(200_000)
    try:
        yield
    finally:
        gc.set_threshold(*_USUAL_THRESHOLDS)


class Row:
    """One event as stored, nothing believed. copies: time, kind, outcome, actor. personal: salt and texts."""

    __slots__ = ("about", "copies", "event_id", "index", "leaf", "personal")

    def __init__(self, index: int, event_id: str, leaf: bytes, copies: tuple[str, str, str, str]) -> None:
        self.index, self.event_id, self.leaf, self.copies = index, event_id, leaf, copies
        self.about: dict[str, str] = {}
        self.personal: tuple[bytes | None, str | None] | None = None


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
    query = (
        select(event.idx, event.event_id, event.leaf, event.time, event.kind, event.outcome, event.actor)
        .add_columns(personal.event_id, personal.salt, personal.texts)
        .outerjoin_from(tables.event, tables.personal)
        .where(within)
        .order_by(event.idx)
    )
    rows, by_id = [], {}
    for index, event_id, leaf, time, kind, outcome, actor, has_personal, salt, texts in _fetched(connection, query):
        row = Row(index, event_id, leaf if type(leaf) is bytes else as_bytes(leaf), (time, kind, outcome, actor))
        if has_personal is not None:
            row.personal = (None if salt is None else as_bytes(salt), texts)
        rows.append(row)
        by_id[event_id] = row
    joined = select(about.event_id, about.role, about.thing).join(tables.event).where(within)
    for event_id, role, thing in _fetched(connection, joined):
        by_id[event_id].about[role] = thing
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
