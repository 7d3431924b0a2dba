"""Recipients: whom an extract is sealed to (age X25519 public keys), and identities that open it."""

from collections.abc import Sequence
from pathlib import Path

import pyrage

from gateway.errors import Invalid

MOST_RECIPIENTS = 20


def parse(keys: Sequence[str]) -> list[pyrage.x25519.Recipient]:
    """Read `age1…` public keys.

    Raises:
        Invalid: no key, too many, or one that is no X25519 recipient. The key itself is not repeated.
    """
    if not keys:
        raise Invalid("no recipient key is given", place="keys", cure="make one with `gateway keys new`")
    if len(keys) > MOST_RECIPIENTS:
        raise Invalid("too many recipient keys", place="keys", cure=f"at most {MOST_RECIPIENTS} for one release")
    found = []
    for number, key in enumerate(keys, start=1):
        if key.strip().upper().startswith("AGE-SECRET-KEY"):
            raise Invalid(
                "this is a secret key: it must never leave your machine",
                place=f"keys[{number}]",
                cure="make a new pair with `gateway keys new`, and send only the line that begins with age1",
            )
        try:
            found.append(pyrage.x25519.Recipient.from_str(key.strip()))
        except pyrage.RecipientError:
            raise Invalid(
                "this is no age recipient key",
                place=f"keys[{number}]",
                cure="send the public line that `gateway keys new` (or age-keygen) printed; it begins with age1",
            ) from None
    return found


def generate() -> tuple[str, str]:
    """A new pair: (secret identity, public recipient), both as text."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def read_identity(path: Path) -> list[pyrage.x25519.Identity]:
    """The identities of a key file, as `age-keygen` and `gateway keys new` write it (`#` lines are comments).

    Raises:
        Invalid: the file cannot be read or holds no identity.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise Invalid(
            "the identity file cannot be read", place=str(path), cure="name the file with your secret key"
        ) from None
    found = []
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            found.append(pyrage.x25519.Identity.from_str(text))
        except pyrage.IdentityError:
            raise Invalid(
                "the identity file holds a line that is no age identity",
                place=str(path),
                cure="a secret key begins with AGE-SECRET-KEY-1",
            ) from None
    if not found:
        raise Invalid("the identity file holds no key", place=str(path), cure="name the file with your secret key")
    return found
