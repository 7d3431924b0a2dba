"""Small secrets that must rest on the gateway's own disk between two steps, sealed to the gateway itself."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import Broken

_NONCE = 12


def seal(content: bytes, key: bytes, context: str) -> bytes:
    """AES-256-GCM with a random nonce; `context` binds the bytes to the place they belong."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, content, context.encode())


def unseal(sealed: bytes, key: bytes, context: str) -> bytes:
    """What `seal` sealed.

    Raises:
        Broken: the bytes were altered or belong elsewhere.
    """
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], context.encode())
    except InvalidTag:
        raise Broken("sealed working data was altered") from None
