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
    SIGN_OUT = "sign_out"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - the name of an event, not a secret
    SECOND_FACTOR_SET = "second_factor.set"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    KEY_USED = "key.used"
    KEY_CHANGED = "key.changed"
    POLICY_CHANGED = "policy.changed"
    POLICY_READ = "policy.read"
    POLICY_DRAFTED = "policy.drafted"
    POLICY_ACTIVATED = "policy.activated"
    POLICY_WITHDRAWN = "policy.withdrawn"
    DATASET_ADDED = "dataset.added"
    DATASET_ACCEPTED = "dataset.accepted"
    DATASET_CHECKED = "dataset.checked"
    DATASET_CIRCLED = "dataset.circled"
    DATASET_OVERRIDDEN = "dataset.overridden"
    DATASET_READ = "dataset.read"
    REQUEST_DRAFTED = "request.drafted"
    REQUEST_SUBMITTED = "request.submitted"
    REQUEST_RETURNED = "request.returned"
    REQUEST_COMPARED = "request.compared"
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
    OBLIGATION_MET = "obligation.met"
    TERMS_WAITING = "terms.waiting"
    TERMS_READ = "terms.read"
    TERM_DECIDED = "term.decided"
    DOWNLOAD_STARTED = "download.started"
    DOWNLOAD_ENDED = "download.ended"
    AUDIT_READ = "audit.read"
    AUDIT_VERIFIED = "audit.verified"
    AUDIT_EXPORTED = "audit.exported"
    LOG_ANCHORED = "log.anchored"
    LOG_ALARM = "log.alarm"
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


MEANING: Mapping[EventKind, str] = {
    EventKind.GATEWAY_INITIALISED: "the first accounts were made",
    EventKind.USER_ADDED: "an account was added",
    EventKind.ROLE_GRANTED: "a role was given, in one study or in all",
    EventKind.ROLE_REVOKED: "a role was taken away",
    EventKind.TOKEN_ISSUED: "an API token was issued; its scopes and end",
    EventKind.TOKEN_REVOKED: "an API token was ended early",
    EventKind.SIGN_IN: "someone came in, by token, password or command line; or was turned away",
    EventKind.SIGN_OUT: "a session of the pages was ended by its owner",
    EventKind.PASSWORD_CHANGED: "a password was set, by its owner or by an operator; the account's sessions ended",
    EventKind.SECOND_FACTOR_SET: "a second factor was enrolled",
    EventKind.USER_DISABLED: "an account was disabled; its tokens and sessions hold no more",
    EventKind.USER_ENABLED: "a disabled account was let in again",
    EventKind.KEY_USED: "a key of the gateway was used; its fingerprint and what for",
    EventKind.KEY_CHANGED: "a signing key is new, or another than before; the fingerprints of all",
    EventKind.POLICY_CHANGED: "the rules, or who may do what, are others than before; digests of both",
    EventKind.POLICY_READ: "the rules or a change of them were looked at",
    EventKind.POLICY_DRAFTED: "a steward drafted a change of a regime; digest of its text",
    EventKind.POLICY_ACTIVATED: "a second steward brought a change into force; from when, the bundle that follows",
    EventKind.POLICY_WITHDRAWN: "a change of the rules was withdrawn before it was in force",
    EventKind.DATASET_ADDED: "a study or its new content was registered; version and content digest",
    EventKind.DATASET_ACCEPTED: "the certain proposals of a column file were taken",
    EventKind.DATASET_CHECKED: "a column file was read again; the version that follows",
    EventKind.DATASET_CIRCLED: "projects were taken for one circle of readers, or no longer; which ones",
    EventKind.DATASET_OVERRIDDEN: "a steward treats one variable by another rule; which, and what it was before",
    EventKind.DATASET_READ: "the catalogue or one study was looked at",
    EventKind.REQUEST_DRAFTED: "a request was drafted or amended",
    EventKind.REQUEST_SUBMITTED: "a request was handed in; the verdict, its rules, digest of the facts",
    EventKind.REQUEST_RETURNED: "a request was given back with a question",
    EventKind.REQUEST_COMPARED: "alternatives of a request were worked out; how many",
    EventKind.REQUEST_APPROVED: "one approver said yes; the verdict as of that day, how many were needed",
    EventKind.REQUEST_REFUSED: "a request was refused",
    EventKind.REQUEST_WITHDRAWN: "a request was taken back by who made it",
    EventKind.REQUEST_READ: "a request, its decision or the list was looked at",
    EventKind.DECISION_MADE: "the rules were tried on facts, or a decision was made again",
    EventKind.RELEASE_STARTED: "a worker began a release, or a steward queued it again",
    EventKind.RELEASE_STEP: "a step or a table of a release was stored; digests",
    EventKind.RELEASE_FAILED: "a release stopped; at which step, by which rule or kind of fault",
    EventKind.RELEASE_COMPLETED: "a release is complete; its manifest's digest. Written before anything can be fetched",
    EventKind.RELEASE_REVOKED: "a release was ended early",
    EventKind.RELEASE_EXPIRED: "a release came to its end",
    EventKind.RELEASE_READ: "the state or the list of files of a release was looked at",
    EventKind.OBLIGATION_MET: "a condition of a release was shown to be met; which rule asked for it",
    EventKind.TERMS_WAITING: "rare or sensitive terms of a release entered a review queue; never the terms",
    EventKind.TERMS_READ: "a steward looked at the review queue of a dataset",
    EventKind.TERM_DECIDED: "a steward decided what becomes of terms; ids and the choice, never the terms",
    EventKind.DOWNLOAD_STARTED: "a file is about to be served. Written before the first byte",
    EventKind.DOWNLOAD_ENDED: "which bytes really left, from where and how many",
    EventKind.AUDIT_READ: "events or accounts were looked at",
    EventKind.AUDIT_VERIFIED: "the whole log was read again; size, root, number of findings",
    EventKind.AUDIT_EXPORTED: "the files of the log were copied out; size and root",
    EventKind.LOG_ANCHORED: "a time-stamping authority dated a checkpoint; its size and time, the digest of the reply",
    EventKind.LOG_ALARM: "what somebody must look at: a witness saw another history, or waiting events were touched",
    EventKind.ACCESS_DENIED: "the access rules said no; which row or scope",
    EventKind.INPUT_REFUSED: "a rule about data or the form of the input said no",
    EventKind.PERSONAL_ERASED: "the personal text of events was erased; of which ones",
    EventKind.FAILURE: "something of the gateway's own failed; the incident's id",
}
"""What each kind means and what its facts tell. The table in the log's README is made from this."""
