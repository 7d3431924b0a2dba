"""Why the engine stopped: the faults a caller must tell apart. None carries a cell value or a small count.

DataFault
├── Unreadable     a cell that no rule can read (a date that does not parse)
├── Unresolved     a column without a role, or a study without what its treatment needs
├── Unreachable    thresholds that no recoding meets; says the nearest that can be met
└── Leak           the finished result still holds what should be gone
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fault is: a table, a column, 1-based row numbers. Never a value."""

    table: str
    column: str = ""
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = f"`{self.table}.{self.column}`" if self.column else f"`{self.table}`"
        if not self.rows:
            return where
        shown = ", ".join(str(row) for row in self.rows[:5])
        return f"{where} row{'s' if len(self.rows) > 1 else ''} {shown}{' …' if len(self.rows) > 5 else ''}"


class DataFault(Exception):
    """A fault of the data or of what is asked of it.

    `reason` is one lower-case sentence, `places` say where, `cure` says what to do.
    """

    def __init__(self, reason: str, *, places: tuple[Place, ...] = (), cure: str = "") -> None:
        self.reason, self.places, self.cure = reason, places, cure
        where = "; ".join(str(place) for place in places)
        super().__init__(f"{reason}{f' ({where})' if where else ''}")


class Unreadable(DataFault):
    """A cell that no rule can read, such as a date that does not parse: the release stops."""


class Unresolved(DataFault):
    """A column without a settled role, or a study that lacks what a treatment needs."""


class Unreachable(DataFault):
    """Thresholds that no allowed recoding meets. `nearest` names what can be met."""

    def __init__(self, reason: str, *, nearest: dict[str, float] | None = None, cure: str = "") -> None:
        super().__init__(reason, cure=cure)
        self.nearest = nearest or {}


class Leak(DataFault):
    """The finished result still holds what should be gone. Places and kinds only, never values."""
