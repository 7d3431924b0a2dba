"""Anchoring a checkpoint in time with RFC 3161: a time-stamping authority signs its digest and the hour.

Whoever holds log, database and all keys can still not say that a rewritten history is old: the authority dates what it
was shown. Notes and replies stay in `anchors/`, as an auditor's own tool wants them:

    openssl ts -verify -in <size>.tsr -data <size>.note -CAfile <authority's certificates>
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from cryptography import x509

from gateway.audit import files
from gateway.audit.faults import LogBroken
from gateway.audit.merkle import consistency_proof, proves_consistency
from gateway.audit.notes import Checkpoint, NoteRefused, VerifierKey, open_checkpoint
from gateway.audit.sequencing import published_checkpoint
from gateway.audit.tiles import TileReader
from gateway.audit.timestamps import INTEGER, OCTETS, SEQUENCE, Stamp, StampRefused, check

REQUEST_TYPE = "application/timestamp-query"
REPLY_TYPE = "application/timestamp-reply"
FOLDER = "anchors"
BOOLEAN = 0x01

Ask = Callable[[bytes], bytes]
"""Posts a request of `REQUEST_TYPE` to the authority and gives back the reply; may raise OSError."""

_SHA256 = bytes.fromhex("300d06096086480165030402010500")  # AlgorithmIdentifier: SHA-256, NULL parameters


@dataclass(frozen=True, slots=True)
class Anchor:
    """A timestamped checkpoint: the note that was stamped, the authority's reply (both files), and what it says."""

    checkpoint: Checkpoint
    note: Path
    reply: Path
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Anchors:
    """All stored timestamps, checked. findings: a sentence for each that does not hold. newest: the last that does."""

    good: int
    findings: tuple[str, ...]
    newest: Anchor | None
    untrusted: int = 0


def _der(tag: int, *inside: bytes) -> bytes:
    """One DER element; lengths here stay below 128 bytes."""
    body = b"".join(inside)
    return bytes([tag, len(body)]) + body


def timestamp_request(data: bytes, nonce: bytes) -> bytes:
    """TimeStampReq of RFC 3161 section 2.4.1: version 1, SHA-256 of `data`, nonce, certificates asked for.

    nonce: 8 bytes, the first between 0x01 and 0x7f so that it is a positive DER integer as it stands.
    """
    imprint = _der(SEQUENCE, _SHA256, _der(OCTETS, sha256(data).digest()))
    return _der(SEQUENCE, _der(INTEGER, b"\x01"), imprint, _der(INTEGER, nonce), _der(BOOLEAN, b"\xff"))


def anchor(log_dir: Path, key: VerifierKey, ask: Ask, trusted: Sequence[x509.Certificate] = ()) -> Anchor | None:
    """Have the newest checkpoint timestamped, once; None for an empty log.

    trusted: the authority's certificates; with any, a stamp that does not lead to one is not taken.

    Raises LogBroken when the authority's reply does not hold for this request; OSError from `ask` passes.
    """
    checkpoint = published_checkpoint(log_dir, key)
    if checkpoint is None:
        return None
    held = _anchor(log_dir, checkpoint.size, key, trusted) if _reply(log_dir, checkpoint.size).is_file() else None
    if held is not None:
        return held
    # What is stamped is kept beside the reply: cosignatures may still be added to the checkpoint itself.
    stamped = checkpoint.note.encode()
    nonce = bytes([1 + secrets.randbelow(0x7F)]) + secrets.token_bytes(7)
    reply = ask(timestamp_request(stamped, nonce))
    try:
        stamp = check(reply, stamped, trusted, nonce)
        if trusted and not stamp.trusted:
            raise StampRefused("the signer's certificate does not lead to a trusted one")
    except StampRefused as fault:
        raise LogBroken(
            f"the time-stamping authority refused, or its answer does not hold: {fault.reason}",
            cure="ask its operator, or configure another authority; the log itself is not affected",
        ) from None
    files.replace(log_dir, f"{FOLDER}/{checkpoint.size}.note", stamped)
    files.replace(log_dir, f"{FOLDER}/{checkpoint.size}.tsr", reply)
    return Anchor(checkpoint, _note(log_dir, checkpoint.size), _reply(log_dir, checkpoint.size), stamp)


def check_anchors(log_dir: Path, key: VerifierKey, trusted: Sequence[x509.Certificate] = ()) -> Anchors:
    """Check every stored timestamp: the stamp, the note it is of, and that the log of today continues that note.

    Never raises for what is wrong in the files; it says so.
    """
    findings, good, newest, untrusted = list[str](), 0, None, 0
    try:
        published = published_checkpoint(log_dir, key)
        tree = TileReader(lambda path: files.read(log_dir, path), published.size, published.root) if published else None
    except LogBroken as fault:
        return Anchors(0, (f"`{FOLDER}`: not checked, for {fault.reason}",) if _sizes(log_dir) else (), None)
    for size in _sizes(log_dir):
        try:
            found = _anchor(log_dir, size, key, trusted)
            _continued(found.checkpoint, tree)
        except (StampRefused, NoteRefused, LogBroken) as fault:
            findings.append(f"`{FOLDER}/{size}.tsr`: {fault.reason}")
            continue
        good, newest = good + 1, found
        untrusted += not found.stamp.trusted
    return Anchors(good, tuple(findings), newest, untrusted)


def last_anchored(log_dir: Path, key: VerifierKey) -> tuple[int, datetime] | None:
    """Size and time of the newest stored timestamp that holds, None without one."""
    for size in reversed(_sizes(log_dir)):
        try:
            return size, _anchor(log_dir, size, key, ()).stamp.time
        except (StampRefused, NoteRefused):
            continue
    return None


def _note(log_dir: Path, size: int) -> Path:
    return log_dir / FOLDER / f"{size}.note"


def _reply(log_dir: Path, size: int) -> Path:
    return log_dir / FOLDER / f"{size}.tsr"


def _sizes(log_dir: Path) -> list[int]:
    """The sizes of the log at which a timestamp is stored, smallest first."""
    return sorted(int(path.stem) for path in (log_dir / FOLDER).glob("*.tsr") if path.stem.isdecimal())


def _anchor(log_dir: Path, size: int, key: VerifierKey, trusted: Sequence[x509.Certificate]) -> Anchor:
    """A stored timestamp, checked. Raises StampRefused or NoteRefused."""
    note, reply = _note(log_dir, size), _reply(log_dir, size)
    stamped = files.read(log_dir, f"{FOLDER}/{size}.note")
    if stamped is None:
        raise StampRefused("the note that was stamped is gone")
    stamp = check(files.read(log_dir, f"{FOLDER}/{size}.tsr") or b"", stamped, trusted)
    try:
        checkpoint = open_checkpoint(stamped.decode(), key)
    except UnicodeDecodeError:
        raise StampRefused("the note that was stamped is not text") from None
    if checkpoint.size != size:
        raise StampRefused(f"the note that was stamped is of size {checkpoint.size}")
    return Anchor(checkpoint, note, reply, stamp)


def _continued(anchored: Checkpoint, tree: TileReader | None) -> None:
    """The log of today must hold the anchored one as its beginning. Raises LogBroken."""
    if tree is None or tree.size < anchored.size:
        raise LogBroken(
            f"a checkpoint of {anchored.size} events was anchored and the log has fewer: an older backup was restored"
        )
    proof = consistency_proof(tree.node, anchored.size, tree.size)
    if not proves_consistency(old=anchored.size, old_root=anchored.root, size=tree.size, root=tree.root, proof=proof):
        raise LogBroken(f"the log does not continue the anchored one of {anchored.size} events: history was rewritten")
