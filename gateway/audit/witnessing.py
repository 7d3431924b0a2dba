"""Being a witness for a partner's log: c2sp.org/tlog-witness, the call `add-checkpoint`, without the HTTP.

A witness remembers, for each log it knows, the newest tree head it has cosigned, and cosigns only what continues
it. A log that shows two histories to two people needs two witnesses that both break this promise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from gateway.audit import tables
from gateway.audit.leaves import as_bytes
from gateway.audit.merkle import EMPTY_ROOT, HASH_BYTES, proves_consistency
from gateway.audit.notes import (
    Checkpoint,
    Cosigner,
    NoteRefused,
    VerifierKey,
    decimal,
    decode64,
    encode64,
    open_note,
    parse_checkpoint_text,
    split_note,
)

MAX_PROOF_HASHES = 63
SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Submission:
    """A parsed request: from which size, the consistency proof, and the checkpoint (not verified yet)."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send back: HTTP status, body, content type."""

    status: int
    body: str
    content_type: str = TEXT_TYPE


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The newest tree head this witness has cosigned for a log; size 0 for none."""

    size: int
    root: bytes
    note: str


NOTHING = Witnessed(0, EMPTY_ROOT, "")


def write_submission(old: int, proof: list[bytes], note: str) -> str:
    """The body of an add-checkpoint request."""
    return f"old {old}\n" + "".join(f"{encode64(digest)}\n" for digest in proof) + "\n" + note


def read_submission(body: str) -> Submission:
    """The parts of a request. Raises NoteRefused when it is malformed."""
    head, empty, note = body.partition("\n\n")
    first, *rest = head.split("\n")
    if not empty or not first.startswith("old "):
        raise NoteRefused("the request does not begin with an old size, a proof and an empty line")
    proof = tuple(decode64(line, "a hash of the proof") for line in rest)
    if len(proof) > MAX_PROOF_HASHES or any(len(digest) != HASH_BYTES for digest in proof):
        raise NoteRefused("the consistency proof does not consist of at most 63 SHA-256 hashes")
    return Submission(decimal(first[4:], "the old size"), proof, parse_checkpoint_text(split_note(note)[0], note))


def judge(submission: Submission, key: VerifierKey, known: Witnessed) -> Answer | None:
    """Why the checkpoint must not be cosigned, or None when it may. The order and statuses are the specification's."""
    checkpoint = submission.checkpoint
    try:
        open_note(checkpoint.note, [key])
    except NoteRefused as fault:
        return Answer(403, f"{fault.reason}\n")
    if submission.old > checkpoint.size:
        return Answer(400, "the old size is larger than the checkpoint's\n")
    if submission.old != known.size:
        return Answer(409, f"{known.size}\n", SIZE_TYPE)
    if known.size == checkpoint.size and known.root != checkpoint.root:
        return Answer(409, f"{known.size}\n", SIZE_TYPE)
    if not proves_consistency(
        old=known.size, old_root=known.root, size=checkpoint.size, root=checkpoint.root, proof=submission.proof
    ):
        return Answer(
            422,
            f"the log of size {checkpoint.size} is not shown to continue the one of size {known.size} "
            "that this witness has cosigned: its history may have been rewritten\n",
        )
    return None


def add_checkpoint(
    engine: Engine, body: bytes, *, logs: Mapping[str, VerifierKey], signer: Cosigner, now: datetime
) -> Answer:
    """Answer one add-checkpoint request. logs: the keys of the logs we are witness for, by origin.

    Check and record happen in one transaction, which is committed before the answer exists: two requests at once
    cannot roll the record back, and what was cosigned is never forgotten.
    """
    try:
        submission = read_submission(body.decode())
    except NoteRefused as fault:
        return Answer(400, f"{fault.reason}\n")
    except UnicodeDecodeError:
        return Answer(400, "the request is not text\n")
    origin = submission.checkpoint.origin
    if origin not in logs:
        return Answer(404, "this witness does not know the log\n")
    _ensure(engine, origin)
    with engine.begin() as connection:
        # A write first, so that the row is ours until the end of the transaction, on either database.
        connection.execute(update(tables.witnessed).where(tables.witnessed.c.origin == origin).values(origin=origin))
        known = witnessed(connection, origin)
        refusal = judge(submission, logs[origin], known)
        if refusal is not None:
            _keep_contradiction(connection, submission, logs[origin], known)
            return refusal
        checkpoint = submission.checkpoint
        connection.execute(
            update(tables.witnessed)
            .where(tables.witnessed.c.origin == origin)
            .values(size=checkpoint.size, root=checkpoint.root, note=checkpoint.note)
        )
    return Answer(200, signer.line(checkpoint.text, int(now.timestamp())))


def witnessed(connection: Connection, origin: str) -> Witnessed:
    """What this witness has cosigned for a log."""
    row = tables.witnessed.c
    found = connection.execute(select(row.size, row.root, row.note).where(row.origin == origin)).one_or_none()
    return NOTHING if found is None else Witnessed(found.size, as_bytes(found.root), found.note)


def contradictions(connection: Connection) -> dict[str, str]:
    """Logs caught with two histories, by origin: the two signed checkpoints of one size, one after the other."""
    row = tables.witnessed.c
    found = connection.execute(
        select(row.origin, row.contradiction).where(row.contradiction.is_not(None)).order_by(row.origin)
    )
    return {origin: str(contradiction) for origin, contradiction in found}


def _ensure(engine: Engine, origin: str) -> None:
    """The row of the log, made at its first request; a second first request finds it made."""
    with tables.reading(engine) as connection:
        if connection.execute(select(tables.witnessed.c.size).where(tables.witnessed.c.origin == origin)).first():
            return
    try:
        with engine.begin() as connection:
            connection.execute(insert(tables.witnessed).values(origin=origin, size=0, root=EMPTY_ROOT, note=""))
    except IntegrityError:
        return


def _keep_contradiction(connection: Connection, submission: Submission, key: VerifierKey, known: Witnessed) -> None:
    """Two checkpoints of one size with different roots, both signed by the log: no honest log has ever made these."""
    checkpoint = submission.checkpoint
    if checkpoint.size != known.size or checkpoint.root == known.root:
        return
    try:
        open_note(checkpoint.note, [key])
    except NoteRefused:
        return
    connection.execute(
        update(tables.witnessed)
        .where(tables.witnessed.c.origin == checkpoint.origin, tables.witnessed.c.contradiction.is_(None))
        .values(contradiction=known.note + checkpoint.note)
    )
