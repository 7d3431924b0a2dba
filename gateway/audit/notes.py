"""Signed notes, verifier keys and checkpoints as c2sp.org/signed-note and c2sp.org/tlog-checkpoint define them.

A note is text, an empty line, and signature lines: an em dash, the key's name, and base64 of four bytes key id
followed by the signature. Reading is strict: one byte differently written is another note, and is refused.
"""

import base64
import binascii
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.audit.merkle import HASH_BYTES
from gateway.errors import Invalid

ED25519 = 0x01
"""Signature type of a log's own signature (c2sp.org/signed-note)."""
COSIGNATURE = 0x04
"""Signature type of a witness: Ed25519 over the note with a time (c2sp.org/tlog-cosignature)."""

MAX_NOTE_BYTES = 64 * 1024
MAX_SIGNATURES = 64
_DASH = "— "


class NoteRefused(Invalid):
    """A note, key or checkpoint that is malformed, or carries no good signature of a trusted key."""


def encode64(data: bytes) -> str:
    """Standard base64 (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode64(text: str, what: str) -> bytes:
    """Bytes of standard base64, refusing every spelling but the canonical one."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data or encode64(data) != text:
        raise NoteRefused(f"{what} is not canonical base64")
    return data


def decimal(text: str, what: str) -> int:
    """A number in ASCII decimal without leading zeros, below 2**63."""
    if not (text.isascii() and text.isdigit()) or (len(text) > 1 and text[0] == "0") or len(text) > 19:
        raise NoteRefused(f"{what} is not a plain decimal number")
    number = int(text)
    if number >= 1 << 63:
        raise NoteRefused(f"{what} is too large")
    return number


def _check_name(name: str) -> str:
    if not name or "+" in name or any(letter.isspace() or unicodedata.category(letter) == "Cc" for letter in name):
        raise NoteRefused("a key name must not be empty and must not hold spaces or `+`")
    return name


def key_id(name: str, algorithm: int, public: bytes) -> bytes:
    """First four bytes of SHA-256(name || newline || type || public key)."""
    return sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]


def cosigned_message(text: str, timestamp: int) -> bytes:
    """What a witness signs: header, time in POSIX seconds, note text (c2sp.org/tlog-cosignature)."""
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key by name; printed and parsed as a vkey: `name+hash+base64(type || key)`.

    algorithm: `ED25519` for a log, `COSIGNATURE` for a witness. public: 32 bytes.
    """

    name: str
    public: bytes
    algorithm: int = ED25519

    @classmethod
    def parse(cls, vkey: str) -> "VerifierKey":
        """The key a vkey names. Raises NoteRefused when it is malformed or its hash does not fit."""
        parts = vkey.strip().split("+", 2)
        if len(parts) != 3 or len(parts[1]) != 8:
            raise NoteRefused("a verifier key is written `name+hash+key`")
        name, digest = _check_name(parts[0]), parts[1]
        material = decode64(parts[2], "the key of a verifier key")
        key = cls(name, material[1:], material[0])
        if key.algorithm not in (ED25519, COSIGNATURE) or len(key.public) != 32:
            raise NoteRefused("a verifier key must be Ed25519, of a log (type 1) or of a witness (type 4)")
        if key.id.hex() != digest:
            raise NoteRefused("the hash in the verifier key does not fit its name and key")
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{encode64(bytes([self.algorithm]) + self.public)}"

    @property
    def id(self) -> bytes:
        """The four bytes that name this key in a signature line."""
        return key_id(self.name, self.algorithm, self.public)

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether `signature` (without the key id) is this key's over the note text."""
        message = text.encode()
        if self.algorithm == COSIGNATURE:
            message = cosigned_message(text, int.from_bytes(signature[:8], "big"))
            signature = signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A log's signing key. Its name is also the log's origin (c2sp.org/tlog-checkpoint, Signatures)."""

    name: str
    key: Ed25519PrivateKey

    def __post_init__(self) -> None:
        _check_name(self.name)

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self.key.public_key().public_bytes_raw())

    def line(self, text: str) -> str:
        """The signature line over `text`, with its newline."""
        return f"{_DASH}{self.name} {encode64(self.verifier.id + self.key.sign(text.encode()))}\n"


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness's signing key. It must not be the key of a log: the messages must never be mistaken."""

    name: str
    key: Ed25519PrivateKey

    def __post_init__(self) -> None:
        _check_name(self.name)

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self.key.public_key().public_bytes_raw(), COSIGNATURE)

    def line(self, text: str, timestamp: int) -> str:
        """The cosignature line over the checkpoint `text` at `timestamp` (POSIX seconds), with its newline."""
        signature = self.key.sign(cosigned_message(text, timestamp))
        return f"{_DASH}{self.name} {encode64(self.verifier.id + timestamp.to_bytes(8, 'big') + signature)}\n"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: whose it claims to be, and its bytes after the key id."""

    name: str
    id: bytes
    value: bytes
    line: str

    def by(self, key: VerifierKey) -> bool:
        """Whether this line claims to be of `key`: name and id both fit."""
        return (self.name, self.id) == (key.name, key.id)

    @property
    def timestamp(self) -> int:
        """POSIX seconds of a cosignature; only meaningful after its key has verified it."""
        return int.from_bytes(self.value[:8], "big")


def parse_signature(line: str) -> Signature:
    """One signature line, given with its newline."""
    if not line.startswith(_DASH) or not line.endswith("\n"):
        raise NoteRefused("a signature line starts with an em dash and ends with a newline")
    name, _, encoded = line[len(_DASH) : -1].partition(" ")
    data = decode64(encoded, "a signature")
    if len(data) < 5:
        raise NoteRefused("a signature is too short")
    return Signature(_check_name(name), data[:4], data[4:], line)


def split_note(note: str) -> tuple[str, tuple[Signature, ...]]:
    """Text (with its last newline) and signature lines of a note, nothing verified yet."""
    if len(note.encode()) > MAX_NOTE_BYTES:
        raise NoteRefused("the note is too long")
    if any(letter < " " and letter != "\n" for letter in note):
        raise NoteRefused("the note holds control characters")
    at = note.rfind("\n\n")
    if at < 0:
        raise NoteRefused("the note has no empty line before its signatures")
    text, tail = note[: at + 1], note[at + 2 :]
    lines = tail.splitlines(keepends=True) if "\n" in tail else []
    if not lines or len(lines) > MAX_SIGNATURES or tail.count("\n") != len(lines):
        raise NoteRefused("the note has no signature, or too many")
    return text, tuple(parse_signature(line) for line in lines)


def open_note(note: str, keys: Sequence[VerifierKey]) -> tuple[str, tuple[tuple[VerifierKey, Signature], ...]]:
    """Text of a note and who of `keys` signed it.

    Unknown keys are ignored; a known key with a bad signature, or no known key at all, refuses the note.
    """
    text, signatures = split_note(note)
    good: list[tuple[VerifierKey, Signature]] = []
    for signature in signatures:
        for key in keys:
            if signature.by(key):
                if not key.verifies(text, signature.value):
                    raise NoteRefused(f"the signature of {key.name} does not verify")
                good.append((key, signature))
    if not good:
        raise NoteRefused("no trusted key signed the note")
    return text, tuple(good)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed tree head. size: number of leaves; root: 32 bytes; note: the whole signed text."""

    origin: str
    size: int
    root: bytes
    note: str

    @property
    def text(self) -> str:
        """The note's text: what is signed."""
        return checkpoint_text(self.origin, self.size, self.root)


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """Origin, size and root, a line each. No extension lines: nobody could audit them."""
    return f"{origin}\n{size}\n{encode64(root)}\n"


def parse_checkpoint_text(text: str, note: str) -> Checkpoint:
    """The checkpoint in a note's text; extension lines are refused, as this log never writes any."""
    lines = text.split("\n")
    if len(lines) != 4 or not lines[0] or lines[3]:
        raise NoteRefused("a checkpoint has three lines: origin, size, root")
    root = decode64(lines[2], "the root of the checkpoint")
    if len(root) != HASH_BYTES:
        raise NoteRefused("the root of the checkpoint is not a SHA-256 hash")
    return Checkpoint(lines[0], decimal(lines[1], "the size of the checkpoint"), root, note)


def sign_checkpoint(signer: Signer, size: int, root: bytes) -> Checkpoint:
    """A checkpoint of the signer's log."""
    text = checkpoint_text(signer.name, size, root)
    return Checkpoint(signer.name, size, root, text + "\n" + signer.line(text))


def open_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """The checkpoint in `note`, if `key`'s log signed it. Raises NoteRefused for any other."""
    text, _ = open_note(note, [key])
    checkpoint = parse_checkpoint_text(text, note)
    if checkpoint.origin != key.name:
        raise NoteRefused(f"the checkpoint is of another log than {key.name}")
    return checkpoint
