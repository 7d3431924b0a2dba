"""How the log says that it cannot go on: what happened, and what an operator should do."""

from gateway.errors import Broken


class LogBroken(Broken):
    """The log, its files or its database are not what was signed. Nothing is signed until a person has looked.

    `reason` says what was found and where, `cure` what to do. No personal data in either.
    """

    def __init__(self, reason: str, *, cure: str = "") -> None:
        super().__init__(reason)
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.reason}; {self.cure}" if self.cure else self.reason


class LogUnwritable(LogBroken):
    """The disk refused (full, read-only, no right, broken). Nothing signed is lost; try again after the cure."""
