"""What may happen to words and terms, as a steward chooses it: the vocabulary of the options about them."""

from enum import StrEnum


class Replacement(StrEnum):
    """What stands where something was taken out of a text.

    `mark`: the PHUSE standard's `--redacted--`. `kind`: what it was (`[person]`). `surrogate`: a realistic stand-in,
    keyed: the same original has the same one throughout a project, so that what redaction missed hides among them.
    """

    MARK = "mark"
    KIND = "kind"
    SURROGATE = "surrogate"


class RareTerms(StrEnum):
    """What happens to a medical term that few subjects hold, or that a list calls sensitive; from weakest to strictest.

    `keep` leaves it (its rarity is told in the report). `review` stops the release until a steward has decided each
    term. `up` replaces it by the next higher term of its hierarchy that is common enough. `blank` empties it.
    `by_mode` is `up` in a public release and `keep` in a controlled one.
    """

    BY_MODE = "by_mode"
    KEEP = "keep"
    REVIEW = "review"
    UP = "up"
    BLANK = "blank"


class Uncoded(StrEnum):
    """What happens to a reported term whose coded twin leaves too many rows uncoded, so that removing it loses data.

    `stop`: the release stops, and says the share. `redact`: the reported words leave, redacted. `lose`: they are
    removed, and the loss is accepted.
    """

    STOP = "stop"
    REDACT = "redact"
    LOSE = "lose"
