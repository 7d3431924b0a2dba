"""What the gateway keeps about accounts: how they prove who they are, and the decisions made for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Account:
    """A person or programme that may sign in. The roles stand in grants."""

    id: str
    name: str
    organisation: str
    created: datetime
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """A role of an account in one study, or in all (`*`). `held` is False to take it away."""

    account: str
    study: str
    role: str
    held: bool = True


@dataclass(frozen=True, slots=True)
class Token:
    """An API token as stored: only its SHA-256. `scopes` are `object:action` patterns; empty means all of the roles."""

    id: str
    account: str
    sha256: str
    label: str
    scopes: tuple[str, ...]
    created: datetime
    expires: datetime
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Credential:
    """How an account signs in to the pages: an argon2id hash, and a sealed secret of the second factor if enrolled.

    `must_change`: somebody else chose the password. `last_step`: the last time step whose code was used. `failures`
    in a row, and until when no further try is answered.
    """

    account: str
    password: str
    must_change: bool
    changed: datetime
    code_secret: bytes | None = None
    last_step: int = 0
    failures: int = 0
    locked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in to the pages. `id` is the SHA-256 of what the browser holds.

    `proven`: nothing more is asked; before that the password was right and the code is awaited.
    """

    id: str
    account: str
    created: datetime
    seen: datetime
    proven: bool
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with what it was made from, so that it can be made again: facts, rule bundle, day."""

    id: str
    request: str
    as_of: str
    facts: Mapping[str, Any]
    verdict: Mapping[str, Any]
    bundle: str
    created: datetime
