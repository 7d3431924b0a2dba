"""Passwords of local accounts, as argon2id hashes."""

import functools
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

# RFC 9106 section 4, second recommended option: 64 MiB, 3 passes, 4 lanes.
_HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
# Each check takes 64 MiB: more at once would let strangers fill the memory.
_AT_ONCE = threading.BoundedSemaphore(2)


def digest(password: str) -> str:
    """The argon2id hash, with its salt and parameters, as one line."""
    with _AT_ONCE:
        return _HASHER.hash(password)


@functools.cache
def _nobody() -> str:
    """A hash to check against where there is no account."""
    return digest("no account has this password")


def matches(password: str, held: str | None) -> bool:
    """Whether a password belongs to a hash. Without a hash it costs the same time and the answer is no."""
    nobody = _nobody()
    with _AT_ONCE:
        try:
            _HASHER.verify(held or nobody, password)
        except (VerificationError, InvalidHashError):
            return False
    return held is not None


def outdated(held: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(held)
