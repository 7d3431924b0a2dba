"""The words that rules for variables are written in: how far a variable identifies, and what is done about it.

The rules are those of the PHUSE De-Identification Standard for SDTM 3.2 (v1.01, 2015), sheet Rules.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from pseudonymization.columns import Handling, Role


class Class(StrEnum):
    """How far a variable identifies: PHUSE's classes, with the quasi-identifiers in two levels."""

    DIRECT = "direct"
    QUASI1 = "quasi1"
    QUASI2 = "quasi2"
    SENSITIVE = "sensitive"
    NONE = "none"


class Treatment(StrEnum):
    """A rule of the standard: what is done to a variable."""

    RECODE_SUBJECT = "recode_subject"
    RECODE_ID = "recode_id"
    OFFSET = "offset"
    DERIVE_AGE = "derive_age"
    AGGREGATE_AGE = "aggregate_age"
    ELEVATE = "elevate"
    KEEP = "keep"
    NO_FURTHER = "no_further"
    REVIEW_AND_REDACT = "review_and_redact"
    REMOVE = "remove"
    REMOVE_DATASET = "remove_dataset"


MEANING: Mapping[Treatment, str] = MappingProxyType(
    {
        Treatment.RECODE_SUBJECT: "a pseudonym for each subject, the same in all tables",
        Treatment.RECODE_ID: "a code for each value, the same for the same value",
        Treatment.OFFSET: "dates are moved as the policy says, all of one subject together",
        Treatment.DERIVE_AGE: "the age leaves as far as the policy lets it; high ages as one class",
        Treatment.AGGREGATE_AGE: "ages leave in bands",
        Treatment.ELEVATE: "a wider area stands for the place",
        Treatment.KEEP: "left as it is; where it helps to identify, it counts in the risk",
        Treatment.NO_FURTHER: "relative time: left as it is",
        Treatment.REVIEW_AND_REDACT: "words: nothing leaves until a steward says so, and then only redacted",
        Treatment.REMOVE: "the variable is removed",
        Treatment.REMOVE_DATASET: "the whole table is removed",
    }
)

_IMPLIED: Mapping[Treatment, tuple[Role, Handling | None]] = MappingProxyType(
    {
        Treatment.RECODE_SUBJECT: (Role.SUBJECT_KEY, None),
        Treatment.RECODE_ID: (Role.DIRECT, Handling.RECODE),
        Treatment.OFFSET: (Role.DATE, None),
        Treatment.DERIVE_AGE: (Role.QUASI, None),
        Treatment.AGGREGATE_AGE: (Role.QUASI, None),
        Treatment.ELEVATE: (Role.QUASI, None),
        Treatment.KEEP: (Role.KEPT, None),
        Treatment.NO_FURTHER: (Role.KEPT, None),
        Treatment.REVIEW_AND_REDACT: (Role.FREE_TEXT, None),
        Treatment.REMOVE: (Role.DIRECT, Handling.REMOVE),
        Treatment.REMOVE_DATASET: (Role.SENSITIVE, Handling.REMOVE),
    }
)


def implied(treatment: Treatment, identifies: Class) -> tuple[Role, Handling | None]:
    """The role and handling of a column that a rule follows from, where the rule's line says nothing else.

    A quasi-identifier of level 1 stays one, kept or recoded: it is counted. One of level 2 is left out of k. What is
    removed and does not identify is not searched for in the result: its values may well stand elsewhere.
    """
    if identifies is Class.QUASI1 and treatment is Treatment.RECODE_ID:
        return Role.QUASI, Handling.RECODE
    if treatment is Treatment.KEEP and identifies is Class.QUASI1:
        return Role.QUASI, None
    if treatment is Treatment.KEEP and identifies is Class.SENSITIVE:
        return Role.SENSITIVE, None
    if treatment is Treatment.REMOVE and identifies not in {Class.DIRECT, Class.QUASI1}:
        return Role.SENSITIVE, Handling.REMOVE
    return _IMPLIED[treatment]
