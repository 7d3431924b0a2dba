"""The second before an event has its place: each waiting row is sealed, and names the one its writer wrote before.

Until the sequencer has taken it, an event stands in the database alone, and its administrator could change or remove
it unseen. So a gateway ends each leaf with two fields: `~prev`, the id of the event written before on the same
connection (zeros for the first), and `~seal`, a MAC over all before it with a key the database never holds. The
sequencer checks both: a changed or foreign row has no good seal, a removed one is missed by the next.

What stays open: the last events of a connection that never writes again can be removed before they are sequenced.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, Engine, ExceptionContext, event, select

from gateway.audit import tables
from gateway.audit.leaves import MAX_LEAF_BYTES
from gateway.errors import Invalid

_PREV, _SEAL, _END = b',"~prev":"', b',"~seal":"', b'"}'
ID_LENGTH, SEAL_LENGTH = 32, 32
_SEAL_PART = len(_SEAL) + SEAL_LENGTH + len(_END)
_PREV_PART = len(_PREV) + ID_LENGTH + 1
NOBODY = "0" * ID_LENGTH
_WRITER = "audit-writer"


@dataclass(slots=True)
class Writer:
    """One connection as a writer of events. last: id of the newest; before: that when its transaction began."""

    key: bytes
    last: str = NOBODY
    before: str = NOBODY


class Suspicion(NamedTuple):
    """What is wrong with waiting events: ids without a good seal, ids that were removed. Empty when all is well."""

    unsealed: list[str]
    missing: list[str]


def guard(engine: Engine, key: bytes) -> None:
    """Seal every event that is written over this engine, and check every one that is sequenced over it.

    key: 32 secret bytes, the same for all processes of a gateway.
    """

    @event.listens_for(engine, "connect")
    def _connected(_raw: object, record: object) -> None:
        record.info[_WRITER] = Writer(key)  # type: ignore[attr-defined]

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        writer = writer_of(connection)
        if writer is not None:
            writer.before = writer.last

    @event.listens_for(engine, "rollback")
    def _undone(connection: Connection) -> None:
        writer = writer_of(connection)
        if writer is not None:
            writer.last = writer.before

    @event.listens_for(engine, "handle_error")
    def _failed(context: ExceptionContext) -> None:
        # A commit that failed: nothing of the transaction lasts. A failed statement is followed by a rollback.
        if context.connection is not None and context.statement is None and not context.connection.invalidated:
            _undone(context.connection)


def writer_of(connection: Connection) -> Writer | None:
    """The writer that a connection is, None without a guard."""
    found = connection.info.get(_WRITER)
    return found if isinstance(found, Writer) else None


def seal(writer: Writer, leaf: bytes, event_id: str) -> bytes:
    """The leaf with its two last fields; the writer remembers it. Raises Invalid for a leaf that gets too long."""
    body = leaf[:-1] + _PREV + writer.last.encode() + b'"'
    sealed = body + _SEAL + _mac(writer.key, body) + _END
    if len(sealed) > MAX_LEAF_BYTES:
        raise Invalid(
            f"an event makes a leaf of {len(sealed)} bytes, over {MAX_LEAF_BYTES}",
            place="facts",
            cure="log a digest of the long fact instead of the fact",
        )
    writer.last = event_id
    return sealed


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, "sha256").hex()[:SEAL_LENGTH].encode()


def _predecessor(leaf: bytes, key: bytes) -> str | None:
    """The id a sealed leaf names as the one before; None when the seal is not good."""
    body, rest = leaf[:-_SEAL_PART], leaf[-_SEAL_PART:]
    if rest[: len(_SEAL)] != _SEAL or rest[-len(_END) :] != _END or body[-_PREV_PART:][: len(_PREV)] != _PREV:
        return None
    if not hmac.compare_digest(rest[len(_SEAL) : -len(_END)], _mac(key, body)):
        return None
    return body[-ID_LENGTH - 1 : -1].decode()


def suspicion(connection: Connection, key: bytes, rows: Sequence[tuple[str, bytes]]) -> Suspicion:
    """What is wrong with these events (id, leaf), in the order in which they are sequenced."""
    unsealed: list[str] = []
    known, asked = {NOBODY}, dict[str, None]()
    for event_id, leaf in rows:
        before = _predecessor(leaf, key)
        # The seal covers the leaf, whose `id` must be that of the row: else a good leaf stands under another name.
        if before is None or f'"id":"{event_id}"'.encode() not in leaf:
            unsealed.append(event_id)
        elif before not in known:
            asked[before] = None
        known.add(event_id)
    found: set[str] = set()
    row = tables.event.c
    wanted = list(asked)
    for start in range(0, len(wanted), 500):
        query = select(row.event_id).where(row.event_id.in_(wanted[start : start + 500]), row.idx.is_not(None))
        found |= set(connection.execute(query).scalars())
    return Suspicion(unsealed, [event_id for event_id in wanted if event_id not in found])
