"""What the gateway keeps about accounts: their tokens and the decisions made for them."""

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
class Decision:
    """A verdict with what it was made from, so that it can be made again: facts, rule bundle, day."""

    id: str
    request: str
    as_of: str
    facts: Mapping[str, Any]
    verdict: Mapping[str, Any]
    bundle: str
    created: datetime
