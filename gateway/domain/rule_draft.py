"""A change of one regime's rules: drafted by one steward, brought into force by another, or withdrawn."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class DraftState(StrEnum):
    """Where a change stands. What was activated stays as it is: a later change follows it."""

    DRAFT = "draft"
    ACTIVATED = "activated"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """The whole text of a regime as it shall read. The file that came with the software is never changed.

    `starts`: the first moment at which decisions follow it, once a second person activated it. `decided_by` and
    `decided`: who activated or withdrew it, and when. `revision` counts what was saved; 0 is not saved yet.
    """

    id: str
    regime: str
    text: str
    author: str
    reason: str = field(repr=False)
    created: datetime
    updated: datetime
    state: DraftState = DraftState.DRAFT
    starts: datetime | None = None
    decided_by: str = ""
    decided: datetime | None = None
    revision: int = 0
