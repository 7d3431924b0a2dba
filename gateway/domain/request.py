"""A request for data: its terms, its states and the table of moves between them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from gateway.errors import NotPossible


class Status(StrEnum):
    """Where a request stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    APPROVED = "approved"
    REFUSED = "refused"
    RELEASING = "releasing"
    RELEASED = "released"
    EXPIRED = "expired"
    REVOKED = "revoked"
    WITHDRAWN = "withdrawn"


class Move(StrEnum):
    """What can be done to a request."""

    SUBMIT = "submit"
    RETURN = "return"
    APPROVE = "approve"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    START = "start"
    STOP = "stop"
    COMPLETE = "complete"
    EXPIRE = "expire"
    REVOKE = "revoke"


MOVES: Mapping[Status, Mapping[Move, Status]] = {
    Status.DRAFT: {Move.SUBMIT: Status.SUBMITTED, Move.WITHDRAW: Status.WITHDRAWN},
    Status.SUBMITTED: {
        Move.RETURN: Status.RETURNED,
        Move.APPROVE: Status.APPROVED,
        Move.REFUSE: Status.REFUSED,
        Move.WITHDRAW: Status.WITHDRAWN,
    },
    Status.RETURNED: {Move.SUBMIT: Status.SUBMITTED, Move.WITHDRAW: Status.WITHDRAWN},
    Status.APPROVED: {
        Move.START: Status.RELEASING,
        Move.RETURN: Status.RETURNED,
        Move.WITHDRAW: Status.WITHDRAWN,
    },
    Status.REFUSED: {},
    Status.RELEASING: {Move.COMPLETE: Status.RELEASED, Move.STOP: Status.APPROVED},
    Status.RELEASED: {Move.EXPIRE: Status.EXPIRED, Move.REVOKE: Status.REVOKED},
    Status.EXPIRED: {},
    Status.REVOKED: {},
    Status.WITHDRAWN: {},
}


def move(status: Status, act: Move) -> Status:
    """The state that follows.

    Raises:
        NotPossible: the table of moves has no such move; says which are possible now.
    """
    after = MOVES[status].get(act)
    if after is None:
        possible = ", ".join(sorted(MOVES[status])) or "nothing: this state is final"
        raise NotPossible(
            f"a request that is {status} cannot be moved by `{act}`",
            rule="request-moves",
            cure=f"possible now: {possible}",
        )
    return after


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Keep only rows of `table` whose `column` holds one of `values` (compared as text)."""

    table: str
    column: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for, by whom, for what: the content of a request file.

    `tables` maps a table to its columns, or to None for all of them; `facts` holds further facts of the decision
    vocabulary (instruments, licences, legal basis …) as given.
    """

    dataset: str
    tables: Mapping[str, tuple[str, ...] | None]
    mode: str
    project: str
    purpose: str
    exporter: Mapping[str, Any]
    recipient: Mapping[str, Any]
    destination: str
    keys: tuple[str, ...]
    format: str = "parquet"
    rows: tuple[RowFilter, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Approval:
    """One approver's yes, with the conditions set.

    `picked` is the alternative this approver chose: its number, in words, levels, and what it demands; else empty.
    """

    approver: str
    at: datetime
    note: str = ""
    picked: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """A request at one moment. `revision` counts its saves: two people cannot overwrite each other."""

    id: str
    requester: str
    terms: Terms
    status: Status
    created: datetime
    updated: datetime
    decision: str = ""
    approvals: tuple[Approval, ...] = ()
    note: str = ""
    release: str = ""
    revision: int = 0
