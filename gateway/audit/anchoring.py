"""Anchoring a checkpoint in time with RFC 3161: a time-stamping authority signs its digest and the hour.

Only the seam: the request is made here, the reply is kept after a check that it answers this request. Its signature
is for an auditor's own tool, which needs nothing of ours and no new dependency:

    openssl ts -verify -in <size>.tsr -data <size>.note -CAfile <authority's certificates>
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from gateway.audit import files
from gateway.audit.faults import LogBroken
from gateway.audit.notes import Checkpoint, VerifierKey
from gateway.audit.sequencing import published_checkpoint

REQUEST_TYPE = "application/timestamp-query"
REPLY_TYPE = "application/timestamp-reply"
FOLDER = "anchors"

Ask = Callable[[bytes], bytes]
"""Posts a request of `REQUEST_TYPE` to the authority and gives back the reply; may raise OSError."""

_SHA256 = bytes.fromhex("300d06096086480165030402010500")  # AlgorithmIdentifier: SHA-256, NULL parameters
_GRANTED = (bytes.fromhex("020100"), bytes.fromhex("020101"))  # PKIStatus granted, grantedWithMods


@dataclass(frozen=True, slots=True)
class Anchor:
    """A timestamped checkpoint: the note that was stamped and the authority's reply, as files in the log folder."""

    checkpoint: Checkpoint
    note: Path
    reply: Path


def _der(tag: int, *parts: bytes) -> bytes:
    """One DER element; lengths here stay below 128 bytes."""
    body = b"".join(parts)
    return bytes([tag, len(body)]) + body


def timestamp_request(data: bytes, nonce: bytes) -> bytes:
    """TimeStampReq of RFC 3161 section 2.4.1: version 1, SHA-256 of `data`, nonce, certificates asked for.

    nonce: 8 bytes, the first between 0x01 and 0x7f so that it is a positive DER integer as it stands.
    """
    imprint = _der(0x30, _SHA256, _der(0x04, sha256(data).digest()))
    return _der(0x30, _der(0x02, b"\x01"), imprint, _der(0x02, nonce), _der(0x01, b"\xff"))


def answers(reply: bytes, data: bytes, nonce: bytes) -> bool:
    """Whether the reply grants a timestamp of this digest and this nonce. Says nothing about its signature."""
    at = 2 + (reply[1] & 0x7F if len(reply) > 1 and reply[1] & 0x80 else 0)  # past the outer SEQUENCE
    at += 2  # past PKIStatusInfo's, which is short when a timestamp is granted
    granted = reply[:1] == b"\x30" and reply[at : at + 3] in _GRANTED
    return granted and _der(0x04, sha256(data).digest()) in reply and _der(0x02, nonce) in reply


def anchor(log_dir: Path, key: VerifierKey, ask: Ask) -> Anchor | None:
    """Have the newest checkpoint timestamped, once; None for an empty log.

    Raises LogBroken when the authority's reply is not for this request; OSError from `ask` passes.
    """
    checkpoint = published_checkpoint(log_dir, key)
    if checkpoint is None:
        return None
    names = f"{FOLDER}/{checkpoint.size}.note", f"{FOLDER}/{checkpoint.size}.tsr"
    found = Anchor(checkpoint, log_dir / names[0], log_dir / names[1])
    if found.reply.is_file():
        return found
    # What is stamped is kept beside the reply: cosignatures may still be added to the checkpoint itself.
    stamped = checkpoint.note.encode()
    nonce = bytes([1 + secrets.randbelow(0x7F)]) + secrets.token_bytes(7)
    reply = ask(timestamp_request(stamped, nonce))
    if not answers(reply, stamped, nonce):
        raise LogBroken(
            "the time-stamping authority refused, or answered another request",
            cure="ask its operator, or configure another authority; the log itself is not affected",
        )
    files.replace(log_dir, names[0], stamped)
    files.replace(log_dir, names[1], reply)
    return found
