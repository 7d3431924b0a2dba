"""Errors as a drawn family. Never a cell value, never a count below k, in any of them.

    GatewayError
    ├── Refused          a rule said no: rule id, reason, cure
    │   ├── NotAllowed   the person may not (access rules)
    │   │   └── TooMany  not so often
    │   └── NotPossible  not in this state, or not under these rules
    ├── Invalid          the input is wrong: place, reason, cure
    │   └── NotFound     no such thing (or not one this person may know of)
    └── Broken           our fault, or the disk's: nothing to the outside but an incident id

`STATUS` maps each to HTTP and `EXIT` to the exit code of the command line, here and nowhere else.
"""

from collections.abc import Mapping


class GatewayError(Exception):
    """Root of all errors the gateway raises on purpose."""

    def __init__(self, reason: str, *, cure: str = "") -> None:
        super().__init__(reason)
        self.reason, self.cure = reason, cure


class Refused(GatewayError):
    """A rule said no. `rule` is its id, `reason` one sentence, `cure` what would change the answer."""

    def __init__(self, reason: str, *, rule: str, cure: str = "") -> None:
        super().__init__(reason, cure=cure)
        self.rule = rule


class NotAllowed(Refused):
    """The access rules do not let this person do this."""


class TooMany(NotAllowed):
    """Allowed, but not so often."""


class NotPossible(Refused):
    """The thing is not in a state that allows it, or a rule about data forbids it."""


class Invalid(GatewayError):
    """The input is wrong. `place` says where: a field, a file and line, a table and column."""

    def __init__(self, reason: str, *, place: str = "", cure: str = "") -> None:
        super().__init__(reason, cure=cure)
        self.place = place


class NotFound(Invalid):
    """No such thing, or not one that this person may know of: the two look the same from outside."""


class Broken(GatewayError):
    """Something of ours failed. `reason` stays inside; the outside sees the incident id."""

    def __init__(self, reason: str, *, incident: str = "") -> None:
        super().__init__(reason)
        self.incident = incident


STATUS: Mapping[type[GatewayError], int] = {
    TooMany: 429,
    NotAllowed: 403,
    NotPossible: 409,
    Refused: 403,
    NotFound: 404,
    Invalid: 422,
    Broken: 500,
}

EXIT: Mapping[type[GatewayError], int] = {
    TooMany: 3,
    NotAllowed: 3,
    NotPossible: 4,
    Refused: 3,
    NotFound: 5,
    Invalid: 2,
    Broken: 1,
}
