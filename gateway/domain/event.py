"""An event: who did what to which thing, and how it ended. Every access becomes one, also those refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class EventKind(StrEnum):
    """What happened. Each kind is named like the action that records it."""

    GATEWAY_INITIALISED = "gateway.initialised"
    USER_ADDED = "user.added"
    ROLE_GRANTED = "role.granted"
    ROLE_REVOKED = "role.revoked"
    TOKEN_ISSUED = "token.issued"  # noqa: S105 - the name of an event, not a secret
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - the name of an event, not a secret
    SIGN_IN = "sign_in"
    KEY_USED = "key.used"
    DATASET_ADDED = "dataset.added"
    DATASET_ACCEPTED = "dataset.accepted"
    DATASET_CHECKED = "dataset.checked"
    DATASET_READ = "dataset.read"
    POLICY_READ = "policy.read"
    POLICY_CHANGED = "policy.changed"
    REQUEST_DRAFTED = "request.drafted"
    REQUEST_SUBMITTED = "request.submitted"
    REQUEST_RETURNED = "request.returned"
    REQUEST_APPROVED = "request.approved"
    REQUEST_REFUSED = "request.refused"
    REQUEST_WITHDRAWN = "request.withdrawn"
    REQUEST_READ = "request.read"
    DECISION_MADE = "decision.made"
    RELEASE_STARTED = "release.started"
    RELEASE_STEP = "release.step"
    RELEASE_FAILED = "release.failed"
    RELEASE_COMPLETED = "release.completed"
    RELEASE_REVOKED = "release.revoked"
    RELEASE_EXPIRED = "release.expired"
    RELEASE_READ = "release.read"
    DOWNLOAD_STARTED = "download.started"
    DOWNLOAD_ENDED = "download.ended"
    AUDIT_READ = "audit.read"
    AUDIT_VERIFIED = "audit.verified"
    ACCESS_DENIED = "access.denied"
    INPUT_REFUSED = "input.refused"
    PERSONAL_ERASED = "personal.erased"
    FAILURE = "failure"


class Outcome(StrEnum):
    """How it ended."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Event:
    """One event, before the log gives it a place.

    actor: the opaque id of who acted (never a name). about: ids of the things concerned (`request`, `release`,
    `dataset`, `study`). facts: non-identifying, JSON-ready, public for ever (rule ids, digests, byte ranges).
    personal: what identifies a person (name, organisation, address): only a salted commitment enters the log,
    the text stays in the database and can be erased.
    """

    kind: EventKind
    actor: str
    outcome: Outcome = Outcome.DONE
    about: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str | int | float | bool | list[str] | None] = field(default_factory=dict)
    personal: Mapping[str, str] = field(default_factory=dict)
