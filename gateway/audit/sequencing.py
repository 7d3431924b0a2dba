"""The one sequencer: gives events their places, grows the tree, publishes tiles and a signed checkpoint.

Three words with promises. *Sequenced*: the event has an index and it is final. *Integrated*: the root kept in the
database covers it. *Published*: tiles and a signed checkpoint that cover it are on disk. The first two happen in
one transaction; publishing follows, and is repeated after a crash until it is done. See README.md.

The signature is never ahead of the database: only a committed root is signed, and a signed size never goes back.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, func, insert, select, text, update

from gateway.audit import files, journal, seals, tables
from gateway.audit.faults import LogBroken
from gateway.audit.leaves import Fact, as_bytes, timestamp
from gateway.audit.merkle import EMPTY_ROOT, Frontier, leaf_hash
from gateway.audit.notes import Checkpoint, NoteRefused, Signer, VerifierKey, open_checkpoint, sign_checkpoint
from gateway.audit.tiles import Edge, TileReader
from gateway.domain.actor import SYSTEM
from gateway.domain.event import Event, EventKind, Outcome

BATCH = 2000
"""Events sequenced by one transaction, at most."""
FIRST_BATCH, SMALLEST_BATCH = 250, 50
LONGEST_SECONDS = 0.02
"""What one transaction of the sequencer should take; batches grow and shrink towards it."""
PUBLISHED_AT_ONCE = 20_000
"""Leaves held in memory before their tiles are written."""
NAMED = 200
"""Events named by one alarm."""
FILES_AT_ONCE = 200
"""Tiles and bundles held in memory while a lost folder is written again."""
_ADVISORY_LOCK = 0x7472_6961_6C6C_6F67  # "triallog"; one sequencer per PostgreSQL database


def sequence(engine: Engine, signer: Signer, log_dir: Path, now: datetime, *, batch: int = BATCH) -> Checkpoint | None:
    """Sequence, integrate and publish all events committed so far; the newest checkpoint, None for an empty log.

    Safe to call from any process at any time: callers wait for one another. Raises LogBroken when database and log
    folder contradict each other (nothing is signed then), LogUnwritable when the disk refuses (nothing is lost).
    """
    with files.locked(log_dir), _only_sequencer(engine) as connection:
        files.discard_temporary(log_dir)
        published = published_checkpoint(log_dir, signer.verifier)
        size, root = _head(connection)
        check_not_behind(size, root, published)
        if size > (published.size if published else 0):
            published = _publish(connection, signer, log_dir, published, [])
        reach, more = min(batch, FIRST_BATCH), True
        while more:
            leaves: list[bytes] = []
            while more and len(leaves) < PUBLISHED_AT_ONCE:
                began = time.monotonic()
                fresh = _integrate(connection, reach, now)
                more = len(fresh) == reach
                reach = _next_reach(reach, time.monotonic() - began, batch)
                leaves += fresh
            if leaves:
                published = _publish(connection, signer, log_dir, published, leaves)
        return published


def _next_reach(reach: int, seconds: float, most: int) -> int:
    """How many events the next transaction takes, so that it is short: on SQLite, writers wait for it."""
    if seconds > LONGEST_SECONDS:
        return max(reach // 2, min(most, SMALLEST_BATCH))
    return min(2 * reach, most) if seconds < LONGEST_SECONDS / 2 else reach


def published_checkpoint(log_dir: Path, key: VerifierKey) -> Checkpoint | None:
    """The checkpoint in the folder, verified; None when the log has none yet. Raises LogBroken for a bad one."""
    note = files.read(log_dir, files.CHECKPOINT)
    if note is None:
        return None
    try:
        return open_checkpoint(note.decode(), key)
    except (NoteRefused, UnicodeDecodeError) as fault:
        reason = fault.reason if isinstance(fault, NoteRefused) else "it is not text"
        raise LogBroken(
            f"the checkpoint in the log folder is not one that {key.name} signed: {reason}",
            cure="find out who changed it, or which signing key and log folder belong together; then restore it",
        ) from fault


def check_not_behind(size: int, root: bytes, published: Checkpoint | None) -> None:
    """Refuse to go on when the database knows less than was signed: that would show two histories."""
    if published is None:
        return
    if size < published.size:
        raise LogBroken(
            f"the database holds {size} sequenced events but a checkpoint of {published.size} is already signed: "
            "an older backup of the database was restored, or events were removed",
            cure="restore the newest database, or end this log and start one under a new name and folder; "
            "the old folder stays as evidence",
        )
    if size == published.size and root != published.root:
        raise LogBroken(
            f"the database and the signed checkpoint of size {size} have different roots: "
            "the database was changed, or belongs to another log",
            cure="run the audit verification to locate the difference, then restore the right database",
        )


@contextmanager
def _only_sequencer(engine: Engine) -> Iterator[Connection]:
    """A connection that alone may sequence. PostgreSQL: an advisory lock of the session, which dies with it.

    SQLite needs none: every sequencing transaction begins with a write and thereby holds the database's one lock.
    """
    if engine.dialect.name != "postgresql":
        with engine.connect() as connection:
            yield connection
        return
    # READ COMMITTED, so that each statement sees what was committed while the lock was waited for.
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
        connection.commit()
        try:
            yield connection
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
            connection.commit()


def _head(connection: Connection) -> tuple[int, bytes]:
    """Size and root that the database has integrated."""
    connection.execution_options(**{tables.READING: True})
    row = connection.execute(select(tables.head.c.size, tables.head.c.root)).one_or_none()
    connection.rollback()
    return (row.size, bytes(row.root)) if row is not None else (0, EMPTY_ROOT)


def _integrate(connection: Connection, batch: int, now: datetime) -> list[bytes]:
    """One transaction: the next indexes for up to `batch` waiting events, and the root that covers them.

    Taken by `idx IS NULL`, never by `id` above the last: on PostgreSQL a lower id can become visible later.
    """
    event, head = tables.event, tables.head
    connection.execution_options(**{tables.READING: False})
    with connection.begin():
        # A write first: on SQLite this takes the lock before anything is read (as BEGIN IMMEDIATE would).
        connection.execute(update(head).values(id=1))
        stored = connection.execute(select(head.c.size, head.c.frontier)).one_or_none()
        frontier = Frontier.from_bytes(stored.size, bytes(stored.frontier)) if stored else Frontier()
        start = frontier.size
        last = connection.execute(select(func.max(event.c.idx))).scalar()
        if (-1 if last is None else last) != start - 1:
            raise LogBroken(
                f"the database has integrated {start} events but its highest index is {last}: "
                "rows were removed from the end, or put there by hand",
                cure="run the audit verification to locate them, then restore the right database",
            )
        waiting = (
            select(event.c.id, (func.row_number().over(order_by=event.c.id) - 1).label("place"))
            .where(event.c.idx.is_(None))
            .order_by(event.c.id)
            .limit(batch)
            .subquery()
        )
        placed = update(event).values(idx=start + waiting.c.place).where(event.c.id == waiting.c.id)
        taken = sorted(map(tuple, connection.execute(placed.returning(event.c.idx, event.c.event_id, event.c.leaf))))
        rows = [(event_id, as_bytes(leaf)) for _, event_id, leaf in taken]
        leaves = [leaf for _, leaf in rows]
        if leaves:
            _look_closely(connection, rows, now)
            _grow(connection, frontier, leaves, now, first=stored is None)
    return leaves


def _look_closely(connection: Connection, rows: list[tuple[str, bytes]], now: datetime) -> None:
    """Events that were touched while they waited get their place like all others, and an alarm stands behind them."""
    writer = seals.writer_of(connection)
    if writer is None:
        return
    found = seals.suspicion(connection, writer.key, rows)
    for what, ids in (
        ("events were changed while they waited, or put there by hand (or by an older version)", found.unsealed),
        ("events were removed while they waited for their place", found.missing),
    ):
        if ids:
            facts: dict[str, Fact] = {"what": what, "events": ids[:NAMED], "count": len(ids)}
            journal.append(connection, Event(EventKind.LOG_ALARM, SYSTEM.id, Outcome.FAILED, facts=facts), now)


def _grow(connection: Connection, frontier: Frontier, leaves: list[bytes], now: datetime, *, first: bool) -> None:
    for leaf in leaves:
        frontier.append(leaf_hash(leaf))
    values = {
        "size": frontier.size,
        "root": frontier.root(),
        "frontier": bytes(frontier),
        "time": timestamp(now),
    }
    if first:
        connection.execute(insert(tables.head).values(id=1, **values))
    else:
        connection.execute(update(tables.head).values(values))


def _publish(
    connection: Connection, signer: Signer, log_dir: Path, published: Checkpoint | None, leaves: list[bytes]
) -> Checkpoint:
    """Tiles first, checkpoint last. Two computations of the root, database's and tiles', must agree before signing.

    `leaves` are those just integrated. What else the database has integrated (by a sequencer that was killed
    before it could publish) is read from there; with no folder at all, that is the whole log.
    """
    edge = _edge(log_dir, published)
    for leaf in leaves:
        edge.append(leaf)
    size, root = _head(connection)
    for leaf in _integrated(connection, edge.size, size):
        edge.append(leaf)
        if len(edge.files) > FILES_AT_ONCE:
            files.write_once(log_dir, edge.files)
            edge.files.clear()
    if (edge.size, edge.root()) != (size, root):
        raise LogBroken(
            f"the tiles of {edge.size} events and the database's head of {size} do not have the same root",
            cure="run the audit verification to locate the difference; nothing was signed",
        )
    files.write_once(log_dir, edge.files | edge.partials())
    checkpoint = sign_checkpoint(signer, size, root)
    files.replace(log_dir, files.CHECKPOINT, checkpoint.note.encode())
    files.discard_partials(log_dir, edge.full)
    return checkpoint


def _integrated(connection: Connection, start: int, end: int) -> Iterator[bytes]:
    """Leaves at the indexes from `start` up to `end`, in order."""
    if start >= end:
        return
    connection.execution_options(**{tables.READING: True})
    event = tables.event
    query = select(event.c.leaf).where(event.c.idx >= start, event.c.idx < end).order_by(event.c.idx)
    with connection.execute(query, execution_options={"yield_per": BATCH}) as rows:
        for (leaf,) in rows:
            yield as_bytes(leaf)
    connection.rollback()


def _edge(log_dir: Path, published: Checkpoint | None) -> Edge:
    """Where the published tree ends, read from its tiles and checked against its signed root."""
    if published is None:
        return Edge()
    return TileReader(lambda path: files.read(log_dir, path), published.size, published.root).resume()
