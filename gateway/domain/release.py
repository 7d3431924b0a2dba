"""A release: an approved request on its way to a sealed, signed, logged extract."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Step(StrEnum):
    """The steps of a release, in order. Each is stored when done; to resume is to read the last one."""

    QUEUED = "queued"
    PREPARED = "prepared"
    TREATED = "treated"
    JUDGED = "judged"
    PACKED = "packed"
    LOGGED = "logged"
    DELIVERED = "delivered"


STEPS: tuple[Step, ...] = tuple(Step)


@dataclass(frozen=True, slots=True)
class Release:
    """A release at one moment.

    `values` holds what each finished step produced, by step name; `fault` is the sentence of the last stop.
    """

    id: str
    request: str
    dataset: str
    version: str
    step: Step
    created: datetime
    expires: datetime | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""
    progress: float = 0.0
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseTable:
    """A table of a release that stands sealed in the staging folder.

    `value` holds digests, sizes and counts; `contribution` what the judge needs of it, sealed to the gateway.
    """

    release: str
    name: str
    value: Mapping[str, Any]
    contribution: bytes


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """A file of a delivered release, as it lies there. Sizes in bytes."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Obligation:
    """A condition of a release that somebody must meet: what, by when, and whether it was shown to be met."""

    id: str
    release: str
    dataset: str
    rule: str
    says: str
    due: datetime | None
    met: datetime | None = None
    evidence: str = ""
