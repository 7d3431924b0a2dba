"""Key files of this gateway: one root key (all secrets are derived from it), three Ed25519 signing keys."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import Invalid

ROOT_BYTES = 32
_ROOT = "root.key"
_MANIFEST, _LOG, _WITNESS = "manifest-signing.pem", "log-signing.pem", "witness-signing.pem"


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The keys of one gateway. Never printed, never logged."""

    root: bytes
    manifest: Ed25519PrivateKey
    log: Ed25519PrivateKey
    witness: Ed25519PrivateKey

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose (HKDF-SHA-256, RFC 5869); different purposes share nothing."""
        return HKDF(
            algorithm=hashes.SHA256(), length=32, salt=None, info=f"trial-data-gateway/{purpose}".encode()
        ).derive(self.root)


def make(folder: Path) -> None:
    """Make the key files that do not exist yet, readable by this user alone.

    Raises:
        Invalid: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_once(folder / _ROOT, secrets.token_bytes(ROOT_BYTES))
        for name in (_MANIFEST, _LOG, _WITNESS):
            pem = Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            _write_once(folder / name, pem)
    except OSError:
        raise Invalid(
            "the key folder cannot be written",
            place=str(folder),
            cure="name a writable folder in GATEWAY_KEYS",
        ) from None


def _write_once(path: Path, content: bytes) -> None:
    """Write a key file whole or not at all; an existing one is left as it is."""
    if path.exists():
        return
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(part, path)
    except FileExistsError:
        return
    finally:
        part.unlink()


def load(folder: Path, *, strict: bool) -> Keys:
    """Read the key files.

    With `strict` (production), files that other users can read are refused.

    Raises:
        Invalid: a key file is missing, damaged or readable by others.
    """
    root = _read(folder / _ROOT, strict=strict)
    if len(root) != ROOT_BYTES:
        raise Invalid("the root key does not have 32 bytes", place=str(folder / _ROOT), cure="restore it from backup")
    return Keys(root, *(_signing(folder / name, strict=strict) for name in (_MANIFEST, _LOG, _WITNESS)))


def _read(path: Path, *, strict: bool) -> bytes:
    try:
        if strict and path.stat().st_mode & 0o077:
            raise Invalid("a key file is readable by other users", place=str(path), cure="chmod 600 on the file")
        return path.read_bytes()
    except OSError:
        raise Invalid(
            "a key file is missing", place=str(path), cure="run `gateway init`, or restore the file"
        ) from None


def _signing(path: Path, *, strict: bool) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(path, strict=strict), password=None)
    except ValueError:
        raise Invalid("a signing key is damaged", place=str(path), cure="restore it from backup") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise Invalid("a signing key is not Ed25519", place=str(path), cure="restore it from backup")
    return key
