"""Following a log from outside, checkpoint to checkpoint: that it only grows, is fresh, and has all its entries.

Needs the log's key and a way to fetch files below its prefix; no database, no trust in who serves them.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gateway.audit.faults import LogBroken
from gateway.audit.leaves import read_leaf
from gateway.audit.merkle import EMPTY_ROOT, consistency_proof, proves_consistency
from gateway.audit.notes import (
    COSIGNATURE,
    Checkpoint,
    NoteRefused,
    VerifierKey,
    open_checkpoint,
    open_note,
    parse_checkpoint_text,
)
from gateway.audit.tiles import WIDTH, Fetch, TileReader

FUTURE_ALLOWED = timedelta(minutes=5)
"""Clocks of honest witnesses differ by less."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a watcher remembers between visits: the last good checkpoint, and when it was first seen."""

    note: str
    since: datetime

    def __str__(self) -> str:
        return json.dumps({"note": self.note, "since": self.since.isoformat()})

    @classmethod
    def parse(cls, text: str) -> "Seen":
        """From its stored form. Raises ValueError."""
        stored = json.loads(text)
        return cls(str(stored["note"]), datetime.fromisoformat(stored["since"]))


@dataclass(frozen=True, slots=True)
class Sighting:
    """One visit. alarms: sentences for a person, empty when all is well. seen: to keep for the next visit.

    kinds: how many of each kind of event are new, when entries were read. evidence: a signed checkpoint that
    contradicts `seen`; keep both.
    """

    alarms: tuple[str, ...]
    seen: Seen | None
    size: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    evidence: str = ""


def watch(
    fetch: Fetch,
    key: VerifierKey,
    before: Seen | None,
    now: datetime,
    *,
    max_age: timedelta = timedelta(days=1),
    witnesses: Sequence[VerifierKey] = (),
    quorum: int = 0,
    entries: bool = True,
) -> Sighting:
    """Visit the log once.

    fetch: bytes at a path below the log's prefix, None where there is none; may raise OSError. max_age: how old the
    newest cosignature may be or, without witnesses, how long the log may stand still. An alarm keeps the old
    checkpoint in `seen`: what contradicts it is evidence and must not take its place.
    """
    checkpoint: Checkpoint | None = None
    try:
        checkpoint = _fetch_checkpoint(fetch, key)
        known = open_checkpoint(before.note, key) if before is not None else None
        alarms = _freshness(checkpoint, before, now, max_age, witnesses, quorum)
        kinds = _growth(fetch, checkpoint, known, entries=entries)
    except (NoteRefused, LogBroken) as fault:
        return Sighting((fault.reason,), before, evidence=checkpoint.note if checkpoint is not None else "")
    except OSError as fault:
        return Sighting((f"the log cannot be reached ({type(fault).__name__})",), before)
    grown = before is None or known is None or checkpoint.size > known.size
    seen = Seen(checkpoint.note, now) if grown or before is None else before
    return Sighting(tuple(alarms), seen, checkpoint.size, kinds)


def _fetch_checkpoint(fetch: Fetch, key: VerifierKey) -> Checkpoint:
    note = fetch("checkpoint")
    if note is None:
        raise LogBroken("the log shows no checkpoint")
    try:
        return open_checkpoint(note.decode(), key)
    except UnicodeDecodeError as fault:
        raise LogBroken("the checkpoint is not text") from fault


def _growth(fetch: Fetch, checkpoint: Checkpoint, known: Checkpoint | None, *, entries: bool) -> Counter[str]:
    """Is the new tree a continuation of the known one? Then its new entries, each against its hash."""
    old_size, old_root = (known.size, known.root) if known is not None else (0, EMPTY_ROOT)
    if checkpoint.size < old_size:
        raise LogBroken(
            f"the log went back from {old_size} to {checkpoint.size} entries: keep both checkpoints as evidence"
        )
    if checkpoint.size == old_size:
        if checkpoint.root != old_root:
            raise LogBroken(f"two histories: two roots at the same size {old_size}: keep both checkpoints as evidence")
        return Counter()
    tree = TileReader(fetch, checkpoint.size, checkpoint.root)
    proof = consistency_proof(tree.node, old_size, checkpoint.size)
    if not proves_consistency(old=old_size, old_root=old_root, size=checkpoint.size, root=checkpoint.root, proof=proof):
        raise LogBroken(
            f"two histories: the log of {checkpoint.size} entries does not continue the one of {old_size} seen before: "
            "keep both checkpoints as evidence"
        )
    return _new_entries(tree, old_size) if entries else Counter()


def _new_entries(tree: TileReader, start: int) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for number in range(start // WIDTH, -(-tree.size // WIDTH)):
        for place, leaf in enumerate(tree.entries(number)):
            if number * WIDTH + place >= start:
                kinds[_kind(leaf)] += 1
        tree.forget(0, number)
    return kinds


def _kind(leaf: bytes) -> str:
    try:
        return read_leaf(leaf).kind
    except ValueError:
        return "unreadable"


def _freshness(
    checkpoint: Checkpoint,
    before: Seen | None,
    now: datetime,
    max_age: timedelta,
    witnesses: Sequence[VerifierKey],
    quorum: int,
) -> list[str]:
    alarms: list[str] = []
    if witnesses:
        times = _cosigned_at(checkpoint, witnesses)
        if len(times) < quorum:
            alarms.append(f"{len(times)} of the {quorum} witnesses needed have cosigned the checkpoint")
        newest = max(times, default=None)
        if newest is not None and newest > now + FUTURE_ALLOWED:
            alarms.append("a cosignature is dated in the future: a witness's clock is wrong, or ours")
        if newest is not None and now - newest > max_age:
            alarms.append(f"the checkpoint is stale: last cosigned {newest.isoformat()}")
    elif before is not None and before.note.startswith(checkpoint.text) and now - before.since > max_age:
        alarms.append(f"the log stands still since {before.since.isoformat()}: events may be withheld")
    return alarms


def _cosigned_at(checkpoint: Checkpoint, witnesses: Sequence[VerifierKey]) -> list[datetime]:
    """When each of the witnesses last cosigned this checkpoint."""
    trusted = [key for key in witnesses if key.algorithm == COSIGNATURE]
    try:
        text, good = open_note(checkpoint.note, trusted)
    except NoteRefused:
        return []
    parse_checkpoint_text(text, checkpoint.note)
    latest: dict[VerifierKey, int] = {}
    for key, signature in good:
        latest[key] = max(latest.get(key, 0), signature.timestamp)
    return [datetime.fromtimestamp(seconds, UTC) for seconds in latest.values()]
