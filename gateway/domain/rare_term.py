"""A rare or sensitive medical term that waits for a steward, and what was decided of it."""

from dataclasses import dataclass, field
from datetime import datetime

WORDS = ("keep", "up", "blank")
"""What a steward may decide: it leaves as it is, its next higher term leaves in its place, or it is emptied."""


@dataclass(frozen=True, slots=True)
class RareTerm:
    """One item of a dataset's review queue. The term stands here and in no event, log line or error.

    prefix: of the variables that hold it (`AE`); empty for the deaths of a study. places: where, as `ae.AEDECOD`.
    listed: why it is here (`few subjects`, `sensitive: …`). choice: one of `WORDS`; empty while it is open.
    """

    id: str
    dataset: str
    prefix: str
    term: str = field(repr=False)
    places: str
    listed: str
    opened: datetime
    choice: str = ""
    reason: str = field(default="", repr=False)
    decided_by: str = ""
    decided: datetime | None = None
