"""The tables of the log, in their own `MetaData`: the store and its migrations take them from here.

`audit_event` is outbox and log at once: a row enters with `idx` NULL in the transaction of the change it records,
and the sequencer alone gives it its index. Of an event's personal text only `audit_personal` knows, and forgets.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

READING = "reading"
"""Execution option of a connection that only reads: on SQLite the store then takes no write lock for it."""

event = Table(
    "audit_event",
    metadata,
    # The order of arrival. Not the index: on PostgreSQL a lower id can become visible after a higher one.
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", String(32), nullable=False, unique=True),
    Column("idx", BigInteger, nullable=True, unique=True),
    Column("leaf", LargeBinary, nullable=False),
    # Copies of what the leaf says, to search by; verification compares them with it.
    Column("time", String(27), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("actor", String(128), nullable=False),
)
Index("audit_event_pending", event.c.id, sqlite_where=event.c.idx.is_(None), postgresql_where=event.c.idx.is_(None))
Index("audit_event_actor", event.c.actor, event.c.id)
Index("audit_event_kind", event.c.kind, event.c.id)
Index("audit_event_time", event.c.time)

about = Table(
    "audit_about",
    metadata,
    Column("event_id", String(32), ForeignKey(event.c.event_id), primary_key=True),
    Column("role", String(64), primary_key=True),
    Column("thing", String(256), nullable=False),
)
Index("audit_about_thing", about.c.thing)

personal = Table(
    "audit_personal",
    metadata,
    Column("event_id", String(32), ForeignKey(event.c.event_id), primary_key=True),
    # Both NULL: erased. The commitments in the leaf stay and can no longer be opened.
    Column("salt", LargeBinary, nullable=True),
    Column("texts", Text, nullable=True),  # JSON: field → text
)

head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("time", String(27), nullable=False),
    CheckConstraint("id = 1", name="audit_head_is_one_row"),
)

# Of other gateways' logs: the newest tree head this gateway has cosigned as their witness, one row per log.
witnessed = Table(
    "audit_witnessed",
    metadata,
    Column("origin", String(256), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    # Two signed checkpoints of one size and different roots: evidence of two histories, kept for ever.
    Column("contradiction", Text, nullable=True),
)


def reading(engine: Engine) -> Connection:
    """A connection that only reads, and so never waits for writers nor makes them wait."""
    return engine.connect().execution_options(**{READING: True})
