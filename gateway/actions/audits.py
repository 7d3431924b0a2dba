"""The auditor's actions: read events, verify the log. Reading the log is itself logged."""

from dataclasses import replace
from datetime import datetime

from gateway import audit, logs
from gateway.actions.guard import action, allow
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.domain.event import Event, EventKind, Outcome
from gateway.errors import Invalid


@action("audit", "list")
def events(
    gateway: Gateway,
    actor: Actor,
    *,
    kind: str | None = None,
    who: str | None = None,
    about: str | None = None,
    outcome: str | None = None,
    after: datetime | None = None,
    before: datetime | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> audit.Page:
    """Events newest first, narrowed by what is given, with their personal texts where they are not erased."""
    row = allow(gateway, actor, "audit", "list")
    facts = {"kind": kind, "about": about, "limit": limit, "allowed_by": row}
    gateway.store.record(Event(EventKind.AUDIT_READ, actor.id, facts=facts), now=gateway.now())
    with gateway.store.reading() as connection:
        return audit.events(
            connection,
            kind=kind,
            actor=who,
            about=about,
            outcome=outcome,
            after=after,
            before=before,
            limit=limit,
            cursor=cursor,
            personal=True,
        )


@action("audit", "verify")
def verify(gateway: Gateway, actor: Actor) -> audit.Soundness:
    """Read database and log again from the first event, and say whether they are sound."""
    row = allow(gateway, actor, "audit", "verify")
    stuck = _published(gateway)
    found = audit.verify(gateway.store.engine, gateway.settings.log_folder, [gateway.signer.verifier])
    if stuck:
        found = replace(found, sound=False, findings=(*found.findings, stuck))
    found = _dated(gateway, found)
    event = Event(
        EventKind.AUDIT_VERIFIED,
        actor.id,
        Outcome.DONE if found.sound else Outcome.FAILED,
        facts={"size": found.size, "root": found.root.hex(), "findings": len(found.findings), "allowed_by": row},
    )
    gateway.store.record(event, now=gateway.now())
    return found


def _dated(gateway: Gateway, found: audit.Soundness) -> audit.Soundness:
    """The verdict with what the stored timestamps say."""
    settings = gateway.settings
    trusted = audit.read_authorities(settings.tsa_certificates)
    anchors = audit.check_anchors(settings.log_folder, gateway.signer.verifier, trusted)
    notes = list(found.notes)
    if anchors.newest is not None:
        stamp = anchors.newest.stamp
        notes.append(
            f"{anchors.good} checkpoints are dated; the newest, of {anchors.newest.checkpoint.size} events, "
            f"{stamp.time:%Y-%m-%d %H:%M:%S} UTC by {stamp.authority}"
        )
    findings = anchors.findings
    if anchors.untrusted and trusted:
        findings = (*findings, f"{anchors.untrusted} timestamps do not lead to the authority's certificates")
    elif anchors.untrusted:
        notes.append("no certificate of the authority is configured: who dated them was not checked")
    return replace(found, sound=found.sound and not findings, findings=(*found.findings, *findings), notes=tuple(notes))


def _published(gateway: Gateway) -> str:
    """Publish what waits, so that it is verified too; why not, if database and log contradict each other.

    A log that cannot go on is exactly the one that somebody must be able to verify.
    """
    try:
        gateway.publish()
    except audit.LogUnwritable:
        raise
    except audit.LogBroken as fault:
        return f"nothing more is published: {fault.reason}"
    except Exception as error:  # noqa: BLE001 - altered rows can break the sequencer in many ways
        return f"nothing more is published: the sequencer failed (incident {logs.incident('audit', error)})"
    return ""


@action("audit", "erase")
def erase(gateway: Gateway, actor: Actor, *, events: tuple[str, ...], reason: str) -> int:
    """Erase the personal text of events (GDPR Art. 17); the erasure is an event itself. Returns how many.

    Raises:
        Invalid: no reason is given.
    """
    allow(gateway, actor, "audit", "erase")
    if not reason.strip():
        raise Invalid("a reason is needed", place="reason", cure="say whose request it is, without naming them")
    with gateway.store.engine.begin() as connection:
        return audit.erase(connection, events, by=actor.id, reason=reason, now=gateway.now())
