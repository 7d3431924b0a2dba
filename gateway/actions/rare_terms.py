"""The review queue of a dataset: rare and sensitive medical terms, looked at and decided by a steward."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.actions.guard import action, allow
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.domain.event import Event, EventKind
from gateway.domain.rare_term import WORDS, RareTerm
from gateway.errors import Invalid, NotFound


@action("terms", "read")
def listing(gateway: Gateway, actor: Actor, dataset: str, *, open_only: bool = True) -> Sequence[RareTerm]:
    """The terms of a dataset that wait, or all that ever did. Each look is an event, logged before the answer."""
    gateway.store.dataset(dataset)
    row = allow(gateway, actor, "terms", "read", study=dataset)
    found = gateway.store.rare_terms(dataset, open_only=open_only)
    facts: dict[str, str | int | float | bool | list[str] | None] = {"open_only": open_only, "allowed_by": row}
    gateway.store.record(
        Event(EventKind.TERMS_READ, actor.id, about={"dataset": dataset}, facts=facts), now=gateway.now()
    )
    return found


@action("terms", "decide")
def decide(
    gateway: Gateway, actor: Actor, dataset: str, keys: Sequence[str], *, choice: str, reason: str
) -> Sequence[RareTerm]:
    """Decide terms of the queue, those named or (with none named) all that are open; may be decided anew later.

    The event names ids, the choice and whether a reason was given; term and reason stay in the database.

    Raises:
        Invalid: no such choice, or no reason.
        NotFound: a term that is not in this dataset's queue, or nothing is open.
    """
    gateway.store.dataset(dataset)
    row = allow(gateway, actor, "terms", "decide", study=dataset)
    if choice not in WORDS:
        raise Invalid("there is no such choice", place="choice", cure=f"one of {', '.join(WORDS)}")
    if not reason.strip():
        raise Invalid("no reason is given", place="reason", cure="say why, for whoever reviews it later")
    held = {one.id: one for one in gateway.store.rare_terms(dataset)}
    wanted = list(dict.fromkeys(keys)) or [one.id for one in held.values() if not one.choice]
    if not wanted or any(key not in held for key in wanted):
        raise NotFound(
            "no such term in the queue", place="term", cure=f"list what waits with `gateway terms list {dataset}`"
        )
    now = gateway.now()
    decided = [replace(held[key], choice=choice, reason=reason, decided_by=actor.id, decided=now) for key in wanted]
    facts: dict[str, str | int | float | bool | list[str] | None] = {
        "terms": list(wanted), "choice": choice, "allowed_by": row,
    }  # fmt: skip
    event = Event(EventKind.TERM_DECIDED, actor.id, about={"dataset": dataset}, facts=facts)
    gateway.store.save(*decided, event=event, now=now)
    return decided
