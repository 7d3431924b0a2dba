"""Events into the database and out of it: the outbox written in the caller's transaction, and the auditor's search.

Nothing here gives an event its place in the log; see `sequencing`.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, RowMapping, Select, select, update

from gateway.audit import seals, tables
from gateway.audit.leaves import SALT_BYTES, Fact, moment_of, read_leaf, timestamp, write_leaf
from gateway.domain.event import Event, EventKind
from gateway.errors import Invalid, NotFound

ERASED_AT_ONCE = 1000
"""Events named by one leaf about an erasure: 1000 ids of 35 bytes fit the leaf's 65,535."""


def append(connection: Connection, event: Event, now: datetime) -> str:
    """Write one event inside the caller's transaction and return its id. It lasts when that transaction does.

    Raises Invalid for a fact that is not JSON, a leaf over 65,535 bytes, a time without zone. Whatever raises, the
    caller must not let the access happen.
    """
    return append_all(connection, [event], now)[0]


def append_all(connection: Connection, events: Sequence[Event], now: datetime) -> list[str]:
    """Write several events inside the caller's transaction, in this order, and return their ids."""
    time, writer = timestamp(now), seals.writer_of(connection)
    rows: list[tuple[str, bytes, str, str, str, str]] = []
    abouts: list[tuple[str, str, str]] = []
    personals: list[tuple[str, bytes, str]] = []
    for event in events:
        _check_columns(event)
        event_id = new_id(now)
        salt = secrets.token_bytes(SALT_BYTES)
        leaf = write_leaf(event, event_id, time, salt)
        if writer is not None:
            leaf = seals.seal(writer, leaf, event_id)
        rows.append((event_id, leaf, time, event.kind.value, event.outcome.value, event.actor))
        abouts += [(event_id, role, thing) for role, thing in event.about.items()]
        if event.personal:
            personals.append((event_id, salt, json.dumps(dict(event.personal), ensure_ascii=False)))
    if rows:
        _insert(connection, rows, abouts, personals)
    return [row[0] for row in rows]


def new_id(now: datetime) -> str:
    """32 hexadecimal digits: 48 bits of milliseconds since 1970, then 80 random bits (as UUIDv7, RFC 9562).

    Random, so that a public leaf hash cannot be guessed from what is known about an event; in order of time, so
    that neighbours in the log are neighbours in every index of the database.
    """
    return f"{max(0, int(now.timestamp() * 1000)) & (1 << 48) - 1:012x}{secrets.token_hex(10)}"


def _check_columns(event: Event) -> None:
    """Refuse what one database would cut, the other refuse. Names the field, never what it holds."""
    fields = [("actor", event.actor, tables.event.c.actor)]
    for role, thing in event.about.items():
        fields += [("about", role, tables.about.c.role), (f"about `{role}`", thing, tables.about.c.thing)]
    for place, value, column in fields:
        longest = column.type.length  # type: ignore[attr-defined]
        if not value or len(value) > longest or "\0" in value:
            raise Invalid(
                f"an id in event `{event.kind.value}` is empty, longer than {longest} characters, or holds NUL",
                place=place,
                cure="name people and things by their opaque ids",
            )


_INTO = (
    "INSERT INTO audit_event (event_id, leaf, time, kind, outcome, actor) VALUES (?, ?, ?, ?, ?, ?)",
    "INSERT INTO audit_about (event_id, role, thing) VALUES (?, ?, ?)",
    "INSERT INTO audit_personal (event_id, salt, texts) VALUES (?, ?, ?)",
)
_INTO_ALL = """
WITH abouts AS (
  INSERT INTO audit_about (event_id, role, thing) SELECT * FROM unnest(%s::text[], %s::text[], %s::text[])
), personals AS (
  INSERT INTO audit_personal (event_id, salt, texts) SELECT * FROM unnest(%s::text[], %s::bytea[], %s::text[])
)
INSERT INTO audit_event (event_id, leaf, time, kind, outcome, actor)
SELECT * FROM unnest(%s::text[], %s::bytea[], %s::text[], %s::text[], %s::text[], %s::text[])"""


def _insert(
    connection: Connection,
    rows: Sequence[tuple[object, ...]],
    abouts: Sequence[tuple[object, ...]],
    personals: Sequence[tuple[object, ...]],
) -> None:
    """Insert the three parts of events, in order.

    The statements are written out: building them costs more than all else. PostgreSQL gets one statement, whatever
    the number of rows, with an array for each column; foreign keys are checked at its end.
    """
    if connection.dialect.name == "postgresql":
        columns = [*_columns(abouts, 3), *_columns(personals, 3), *_columns(rows, 6)]
        connection.exec_driver_sql(_INTO_ALL, tuple(columns))
        return
    for statement, values in zip(_INTO, (rows, abouts, personals), strict=True):
        if values:
            connection.exec_driver_sql(statement, values)


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


def erase(connection: Connection, event_ids: Sequence[str], *, by: str, reason: str, now: datetime) -> int:
    """Erase the personal texts of events inside the caller's transaction; returns how many events had any.

    by: opaque id of who erases; reason: a non-identifying word or rule id, public for ever. The erasure is itself
    an event, and verification takes text that is gone without one for a manipulation.
    """
    erased = 0
    for start in range(0, len(event_ids), ERASED_AT_ONCE):
        chosen = list(event_ids[start : start + ERASED_AT_ONCE])
        gone = update(tables.personal).where(
            tables.personal.c.event_id.in_(chosen), tables.personal.c.salt.is_not(None)
        )
        erased += connection.execute(gone.values(salt=None, texts=None)).rowcount
        append(
            connection,
            Event(EventKind.PERSONAL_ERASED, by, facts={"events": chosen, "reason": reason}),
            now,
        )
    return erased


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as it stands in the log. index: its place, None until sequenced. personal: None where erased."""

    event_id: str
    index: int | None
    time: datetime
    kind: str
    outcome: str
    actor: str
    about: Mapping[str, str]
    facts: Mapping[str, Fact]
    personal: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Events, newest first, and the cursor of the next page (None at the end)."""

    events: tuple[LoggedEvent, ...]
    cursor: str | None


def events(
    connection: Connection,
    *,
    kind: str | None = None,
    actor: str | None = None,
    about: str | None = None,
    outcome: str | None = None,
    after: datetime | None = None,
    before: datetime | None = None,
    limit: int = 100,
    cursor: str | None = None,
    personal: bool = False,
) -> Page:
    """Events newest first, narrowed by what is given.

    about: the id of a thing (request, release, dataset, study). after: inclusive; before: exclusive. personal: also
    read the personal text, for a reader who may. cursor: from the page before. Raises Invalid for a bad cursor.
    """
    if not 1 <= limit <= 1000:
        raise Invalid("a page holds 1 to 1000 events", place="limit")
    row = tables.event.c
    query = select(row.id, row.idx, row.leaf).order_by(row.id.desc()).limit(limit + 1)
    for column, wanted in ((row.kind, kind), (row.actor, actor), (row.outcome, outcome)):
        if wanted is not None:
            query = query.where(column == str(wanted))
    if about is not None:
        things = select(tables.about.c.event_id).where(tables.about.c.thing == about)
        query = query.where(row.event_id.in_(things))
    if after is not None:
        query = query.where(row.time >= timestamp(after))
    if before is not None:
        query = query.where(row.time < timestamp(before))
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdigit()) or len(cursor) > 18:
            raise Invalid("not a cursor of this log", place="cursor", cure="take it from the page before")
        query = query.where(row.id < int(cursor))
    found = connection.execute(query).mappings().all()
    shown = found[:limit]
    texts = _personal_texts(connection, query.limit(limit)) if personal else {}
    return Page(
        tuple(_logged(entry, texts) for entry in shown),
        str(shown[-1]["id"]) if len(found) > limit else None,
    )


def event_of(connection: Connection, event_id: str, *, personal: bool = False) -> LoggedEvent:
    """One event by its id. Raises NotFound."""
    row = tables.event.c
    query = select(row.id, row.idx, row.leaf).where(row.event_id == event_id)
    entry = connection.execute(query).mappings().one_or_none()
    if entry is None:
        raise NotFound("no such event in the log", place="event")
    return _logged(entry, _personal_texts(connection, query) if personal else {})


def _personal_texts(connection: Connection, page: Select[tuple[int, int | None, bytes]]) -> dict[str, dict[str, str]]:
    chosen = page.with_only_columns(tables.event.c.event_id).subquery()
    rows = connection.execute(
        select(tables.personal.c.event_id, tables.personal.c.texts).join(
            chosen, chosen.c.event_id == tables.personal.c.event_id
        )
    )
    return {event_id: {} if texts is None else json.loads(texts) for event_id, texts in rows}


def _logged(entry: RowMapping, texts: Mapping[str, Mapping[str, str]]) -> LoggedEvent:
    """What the leaf says, not its searchable copies: those could have been edited."""
    leaf = read_leaf(bytes(entry["leaf"]))
    return LoggedEvent(
        leaf.event_id,
        entry["idx"],
        moment_of(leaf.time),
        leaf.kind,
        leaf.outcome,
        leaf.actor,
        leaf.about,
        leaf.facts,
        {name: texts[leaf.event_id].get(name) for name in leaf.personal} if leaf.event_id in texts else {},
    )
