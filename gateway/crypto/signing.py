"""Signatures on manifests: detached Ed25519, in one canonical text form so that no byte can change unseen."""

import base64
import binascii
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.errors import Invalid

_SIGNATURE_HEAD = "trial-data-gateway/manifest-signature/v1"
_KEY_HEAD = "trial-data-gateway/manifest-key/v1"


def public_text(key: Ed25519PublicKey) -> str:
    """The public key as a one-line text: head, fingerprint, base64 of the 32 bytes."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"{_KEY_HEAD} {fingerprint(key)} {base64.b64encode(raw).decode()}\n"


def fingerprint(key: Ed25519PublicKey) -> str:
    """The first 16 bytes of SHA-256 over the raw public key, in hex."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:32]


def read_public(text: str) -> Ed25519PublicKey:
    """The key that `public_text` wrote; any other byte is refused.

    Raises:
        Invalid: the text is not in canonical form.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text.removesuffix("\n").split(" ")[2], validate=True))
    except (IndexError, ValueError, binascii.Error):
        key = None
    if key is None or public_text(key) != text:
        raise Invalid("the public key file is damaged", place="manifest.pub", cure="get the release again")
    return key


def sign(content: bytes, key: Ed25519PrivateKey) -> str:
    """A detached signature over `content` as a one-line text."""
    signature = key.sign(_SIGNATURE_HEAD.encode() + b"\n" + content)
    return f"{_SIGNATURE_HEAD} {fingerprint(key.public_key())} {base64.b64encode(signature).decode()}\n"


def check(content: bytes, signature: str, key: Ed25519PublicKey) -> None:
    """Check a detached signature.

    Raises:
        Invalid: the signature is not in canonical form, of another key, or not over this content.
    """
    try:
        head, signer, text = signature.removesuffix("\n").split(" ")
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise _damaged("the signature is damaged") from None
    if f"{head} {signer} {base64.b64encode(raw).decode()}\n" != signature or head != _SIGNATURE_HEAD:
        raise _damaged("the signature is damaged")
    if signer != fingerprint(key):
        raise _damaged("the signature is of another key than the one in manifest.pub")
    try:
        key.verify(raw, _SIGNATURE_HEAD.encode() + b"\n" + content)
    except InvalidSignature:
        raise Invalid(
            "the signature in manifest.sig does not fit the manifest: one of the two was altered",
            place="manifest.json",
            cure="do not trust this release; get it again",
        ) from None


def _damaged(reason: str) -> Invalid:
    return Invalid(reason, place="manifest.sig", cure="get the release again")
