"""From an event to the bytes that enter the tree, and back. Pure: salts, ids and time come from the caller.

A leaf is canonical JSON (sorted keys, no spaces, UTF-8) and is public for ever, so it holds no personal text: for
each personal field it holds a commitment, SHA-256 over a random salt, the field's name and the text. Whoever has
salt and text can show that they are what was logged; once both are erased, nobody can tell what they were.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from gateway.domain.event import Event
from gateway.errors import Invalid

LEAF_VERSION = 1
MAX_LEAF_BYTES = 65_535
"""An entry bundle prefixes each leaf with its length in 16 bits (c2sp.org/tlog-tiles)."""
SALT_BYTES = 32

Fact = str | int | float | bool | None | list[str]


_DECODER = json.JSONDecoder()


class Leaf(NamedTuple):
    """What a leaf says. personal: commitments by field, in hexadecimal."""

    event_id: str
    time: str
    kind: str
    outcome: str
    actor: str
    about: Mapping[str, str]
    facts: Mapping[str, Fact]
    personal: Mapping[str, str]


def timestamp(moment: datetime) -> str:
    """UTC to the microsecond, always 27 characters, so that text order is time order."""
    if moment.tzinfo is None:
        raise Invalid("a time without a zone", place="now", cure="pass a time in UTC")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_of(time: str) -> datetime:
    """The moment a leaf's time names."""
    return datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def field_salt(salt: bytes, field: str) -> bytes:
    """The salt of one field, SHA-256(event's salt || name): one field can be disclosed without opening the others.

    No HMAC is needed: what SHA-256 lets one compute from this for longer inputs continues the name with the byte
    0x80, which is not UTF-8 there, so it is the salt of no field.
    """
    return sha256(salt + field.encode()).digest()


def commitment(field: str, text: str, salt: bytes) -> str:
    """SHA-256(field's salt || 16-bit length of its name || name || text), in hexadecimal.

    The salt has a fixed length of 32 bytes and the name its length before it, so no two pairs share an input.
    """
    name = field.encode()
    return sha256(salt + len(name).to_bytes(2, "big") + name + text.encode()).hexdigest()


def opens(committed: str, field: str, text: str, salt: bytes) -> bool:
    """Whether text and field's salt are those of the commitment."""
    return len(salt) == SALT_BYTES and commitment(field, text, salt) == committed


def all_open(committed: Mapping[str, str], texts: Mapping[str, object], salt: bytes) -> bool:
    """Whether the texts are those of all the commitments: `opens` for each field, written out for speed."""
    if len(salt) != SALT_BYTES or texts.keys() != committed.keys():
        return False
    for field, text in texts.items():
        name = field.encode()
        start = sha256(salt + name).digest() + len(name).to_bytes(2, "big") + name
        if not isinstance(text, str) or sha256(start + text.encode()).hexdigest() != committed[field]:
            return False
    return True


def write_leaf(event: Event, event_id: str, time: str, salt: bytes) -> bytes:
    """The bytes of the leaf; `salt` is the event's, 32 random bytes.

    Raises Invalid when a fact is not JSON, a text is not Unicode, or the leaf is over 65,535 bytes.
    """
    try:
        record = {
            "v": LEAF_VERSION,
            "id": event_id,
            "time": time,
            "kind": event.kind.value,
            "outcome": event.outcome.value,
            "actor": event.actor,
            "about": dict(event.about),
            "facts": dict(event.facts),
            "personal": {
                field: commitment(field, text, field_salt(salt, field)) for field, text in event.personal.items()
            },
        }
        written = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        leaf = written.encode()
    except (TypeError, ValueError, AttributeError):
        # The cause is not kept: its text would quote the fact.
        raise Invalid(
            f"a fact of event `{event.kind.value}` cannot be written as JSON",
            place="facts",
            cure="facts are text, numbers, truth values or lists of text",
        ) from None
    if len(leaf) > MAX_LEAF_BYTES:
        raise Invalid(
            f"event `{event.kind.value}` makes a leaf of {len(leaf)} bytes, over {MAX_LEAF_BYTES}",
            place="facts",
            cure="log a digest of the long fact instead of the fact",
        )
    return leaf


def read_leaf(leaf: bytes) -> Leaf:
    """What the bytes say. Raises ValueError when they are no leaf of this log."""
    text = str(leaf, "utf-8")
    record, end = _DECODER.raw_decode(text)  # a third of the time of json.loads, which looks for white space around
    if end != len(text):
        raise ValueError("the bytes are not a leaf of this log")
    return _leaf(record)


def read_leaves(leaves: Sequence[bytes]) -> list[Leaf] | None:
    """What many leaves say, parsed in one go, a fifth faster; None when that does not work: then read them singly."""
    try:
        records = json.loads(b"[" + b",".join(leaves) + b"]")
        return [_leaf(record) for record in records] if len(records) == len(leaves) else None
    except ValueError:
        return None


def read_texts(stored: str) -> Any:
    """The personal texts as `append` wrote them: JSON without anything around. Raises ValueError otherwise."""
    try:
        texts, end = _DECODER.scan_once(stored, 0)  # type: ignore[attr-defined] # raw_decode without its wrapping
    except (StopIteration, TypeError):
        texts, end = None, -1
    if texts is None or end != len(stored):
        raise ValueError("the personal texts are not as they were written")
    return texts


def _leaf(record: dict[str, Any]) -> Leaf:
    try:
        found = Leaf(
            record["id"],
            record["time"],
            record["kind"],
            record["outcome"],
            record["actor"],
            record["about"],
            record["facts"],
            record["personal"],
        )
    except (KeyError, TypeError) as fault:
        raise ValueError("the bytes are not a leaf of this log") from fault
    if not (isinstance(found.time, str) and type(found.about) is type(found.facts) is type(found.personal) is dict):
        raise ValueError("the bytes are not a leaf of this log")
    return found


def as_bytes(stored: object) -> bytes:
    """Bytes as the database gives them. SQLite lets an editor put text where bytes belong; that is a difference."""
    return stored.encode() if isinstance(stored, str) else bytes(stored)  # type: ignore[call-overload]
