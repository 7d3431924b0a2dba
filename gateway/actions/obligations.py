"""Obligations: what releases oblige someone to do, and the showing that it was done."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.actions.guard import action, allow
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.domain.event import Event, EventKind
from gateway.domain.release import Obligation
from gateway.errors import Invalid, NotFound


@action("request", "list")
def listing(gateway: Gateway, actor: Actor, *, open_only: bool = True) -> Sequence[Obligation]:
    """The obligations of releases the actor may see, soonest first."""
    event = Event(EventKind.REQUEST_READ, actor.id, facts={"what": "obligations"})
    gateway.store.record(event, now=gateway.now())
    return gateway.store.obligations(seen_by=actor, open_only=open_only)


@action("release", "start")
def meet(gateway: Gateway, actor: Actor, key: str, *, evidence: str) -> Obligation:
    """Note that an obligation was met, with where the evidence is. The steward who may start releases may note it.

    Raises:
        NotFound: there is no such open obligation.
        Invalid: no evidence is named.
    """
    found = next((one for one in gateway.store.obligations(seen_by=actor) if one.id == key), None)
    if found is None:
        raise NotFound(
            "no such open obligation", place="obligation", cure="list them with `gateway requests obligations`"
        )
    row = allow(gateway, actor, "release", "start", study=found.dataset)
    if not evidence.strip():
        raise Invalid("no evidence is named", place="evidence", cure="say where it can be found")
    met = replace(found, met=gateway.now(), evidence=evidence)
    about = {"obligation": key, "release": found.release, "dataset": found.dataset}
    event = Event(EventKind.OBLIGATION_MET, actor.id, about=about, facts={"rule": found.rule, "allowed_by": row})
    gateway.store.save(met, event=event, now=gateway.now())
    return met
