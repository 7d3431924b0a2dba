"""The auditor's actions: read events, verify the log. Reading the log is itself logged."""

from datetime import datetime

from gateway import audit
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
    gateway.publish()
    found = audit.verify(gateway.store.engine, gateway.settings.log_folder, [gateway.signer.verifier])
    event = Event(
        EventKind.AUDIT_VERIFIED,
        actor.id,
        Outcome.DONE if found.sound else Outcome.FAILED,
        facts={"size": found.size, "root": found.root.hex(), "findings": len(found.findings), "allowed_by": row},
    )
    gateway.store.record(event, now=gateway.now())
    return found


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
