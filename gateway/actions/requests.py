"""Requests: drafted and submitted by researchers, decided by rules, returned, approved or refused by stewards."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.actions import decisions
from gateway.actions.guard import action, allow, within_scope
from gateway.actions.terms import read_terms
from gateway.context import Gateway
from gateway.crypto import recipients
from gateway.domain.account import Decision
from gateway.domain.actor import Actor
from gateway.domain.dataset import Dataset
from gateway.domain.event import Event, EventKind
from gateway.domain.release import Release, Step
from gateway.domain.request import Approval, Move, Request, Status, Terms, move
from gateway.errors import Invalid, NotFound, NotPossible
from gateway.release import weighing
from gateway.release.extract import requested_study
from gateway.storage.jobs import Enqueue
from pseudonymization.frontier import Alternative

# Headline verdicts that approval can pass; a review passes only with the approver's written reason.
PASSABLE = frozenset({"permit", "permit_with_conditions", "needs_review"})


@action("request", "draft")
def draft(gateway: Gateway, actor: Actor, content: object, *, key: str = "") -> Request:
    """A new request from a document (see `actions/terms.py` for its fields).

    With a `key` of the actor's choice, saying it twice drafts it once: the second time, the first is returned.

    Raises:
        Invalid: a field is wrong, a table, column or key does not exist.
    """
    terms = read_terms(content)
    row = allow(gateway, actor, "request", "draft", study=terms.dataset)
    _check(gateway.store.dataset(terms.dataset), terms)
    if key and (twin := _drafted(gateway, actor, key)):
        return twin
    now = gateway.now()
    request = Request(key or f"q-{secrets.token_hex(6)}", actor.id, terms, Status.DRAFT, now, now)
    _save(gateway, actor, request, EventKind.REQUEST_DRAFTED, {"allowed_by": row, "mode": terms.mode})
    return replace(request, revision=1)


def _drafted(gateway: Gateway, actor: Actor, key: str) -> Request | None:
    """The request that stands under a chosen key, if it is this actor's.

    Raises:
        Invalid: the key is of another form, or taken by somebody else.
    """
    if not re.fullmatch(r"q-[0-9a-f]{12}", key):
        raise Invalid("this is no key of a request", place="key", cure="q- and twelve hexadecimal digits")
    try:
        held = gateway.store.request(key, seen_by=actor)
    except NotFound:
        return None
    if held.requester != actor.id:
        raise Invalid("this key is taken", place="key", cure="choose another")
    return held


@action("request", "amend")
def amend(gateway: Gateway, actor: Actor, key: str, content: object) -> Request:
    """Replace the terms of a draft or returned request."""
    terms = read_terms(content)
    request = gateway.store.request(key, seen_by=actor)
    row = allow(gateway, actor, "request", "draft", study=terms.dataset, env={"requester": request.requester})
    if request.requester != actor.id or request.status not in {Status.DRAFT, Status.RETURNED}:
        raise NotPossible("only your own draft or returned request can be amended", rule="request-moves")
    _check(gateway.store.dataset(terms.dataset), terms)
    changed = replace(request, terms=terms, updated=gateway.now())
    _save(gateway, actor, changed, EventKind.REQUEST_DRAFTED, {"allowed_by": row, "mode": terms.mode})
    return replace(changed, revision=request.revision + 1)


@action("request", "submit")
def submit(gateway: Gateway, actor: Actor, key: str) -> tuple[Request, Decision]:
    """Hand a draft in: it is decided by the rules at once, and waits for a steward.

    Raises:
        Invalid: a requested column is unresolved.
        NotPossible: not a draft or returned request.
    """
    request = gateway.store.request(key, seen_by=actor)
    row = allow(gateway, actor, "request", "submit", study=request.terms.dataset, env={"requester": request.requester})
    status = move(request.status, Move.SUBMIT)
    _check(gateway.store.dataset(request.terms.dataset), request.terms)
    decision = decisions.decide_request(gateway, request)
    changed = replace(request, status=status, updated=gateway.now(), decision=decision.id, approvals=(), note="")
    facts = decisions.event_facts(decision) | {"allowed_by": row}
    gateway.store.save(
        changed, decision, event=_event(actor, request, EventKind.REQUEST_SUBMITTED, facts), now=gateway.now()
    )
    return replace(changed, revision=request.revision + 1), decision


@action("request", "approve")
def approve(gateway: Gateway, actor: Actor, key: str, *, note: str = "", alternative: int | None = None) -> Request:
    """One approver's yes. With the last yes that is needed the release is queued, in the same transaction.

    The request is decided again as of today, so that what changed since submission counts. `alternative` is the number
    of the one to release, as `alternatives` lists them; without it the search chooses, or whoever approved before.

    Raises:
        NotAllowed: not a steward of the study, or the requester.
        NotPossible: the rules say no, hold it for a licence, or ask for a reason that is not given.
    """
    request = gateway.store.request(key, seen_by=actor)
    row = allow(gateway, actor, "request", "approve", study=request.terms.dataset, env={"requester": request.requester})
    move(request.status, Move.APPROVE)
    if any(approval.approver == actor.id for approval in request.approvals):
        raise NotPossible("you have approved this request already", rule="four-eyes", cure="someone else must look too")
    decision = decisions.decide_request(gateway, request)
    _passable(decision, note)
    now = gateway.now()
    picked = _picked(gateway, request, decision, alternative)
    approvals = (*request.approvals, Approval(actor.id, now, note, picked))
    needed = approvals_needed(gateway, request, decision)
    facts = decisions.event_facts(decision) | {"allowed_by": row, "approvals": len(approvals), "needed": needed}
    facts |= {"alternative": alternative} if alternative is not None else {}
    changed = replace(request, approvals=approvals, decision=decision.id, updated=now)
    event = _event(actor, request, EventKind.REQUEST_APPROVED, facts)
    if len(approvals) < needed:
        gateway.store.save(changed, decision, event=event, now=now)
        return replace(changed, revision=request.revision + 1)
    version = gateway.store.dataset(request.terms.dataset).version
    release = Release(f"r-{secrets.token_hex(6)}", request.id, request.terms.dataset, version.id, Step.QUEUED, now)
    changed = replace(changed, status=move(request.status, Move.APPROVE), release=release.id)
    gateway.store.save(changed, decision, release, event=event, now=now, job=Enqueue(release.id))
    return replace(changed, revision=request.revision + 1)


@action("request", "compare")
def alternatives(gateway: Gateway, actor: Actor, key: str) -> list[Alternative]:
    """What else could be released for a request, each with its risk and its utility; none weaker than the rules.

    Raises:
        NotPossible: it was not handed in yet, or nothing meets the safeguards.
    """
    request = gateway.store.request(key, seen_by=actor)
    row = allow(gateway, actor, "request", "compare", study=request.terms.dataset, env={"requester": request.requester})
    if not request.decision:
        raise NotPossible("this request was not handed in yet", rule="request-moves", cure="it needs to be submitted")
    version = gateway.store.dataset(request.terms.dataset).version
    found = weighing.alternatives(gateway, request, version, gateway.store.decision(request.decision))
    facts: dict[str, object] = {"shown": len(found), "allowed_by": row}
    gateway.store.record(_event(actor, request, EventKind.REQUEST_COMPARED, facts), now=gateway.now())
    return found


def _picked(gateway: Gateway, request: Request, decision: Decision, number: int | None) -> dict[str, Any]:
    """The alternative of this number; approvers who come later may not put another in its place."""
    if number is None:
        return {}
    version = gateway.store.dataset(request.terms.dataset).version
    found = weighing.alternatives(gateway, request, version, decision)
    if not 1 <= number <= len(found):
        raise Invalid(
            "there is no such alternative",
            place="alternative",
            cure=f"one of 1 to {len(found)}: see them with `gateway requests alternatives {request.id}`",
        )
    one = found[number - 1].to_dict()
    picked = {"number": number} | {name: one[name] for name in ("why", "k", "blank_limit", "levels")}
    before = weighing.picked(request)
    if before and before["levels"] != picked["levels"]:
        raise NotPossible(
            "another alternative was picked by who approved before",
            rule="four-eyes",
            cure="approve what they picked, or return the request",
        )
    return picked


def approvals_needed(gateway: Gateway, request: Request, decision: Decision) -> int:
    """How many different people must approve: the most that the study or any rule demands."""
    demanded = decision.verdict["policy"].get("approvers", {}).get("value", 1)
    return max(1, int(demanded), gateway.store.dataset(request.terms.dataset).approvers)


def _passable(decision: Decision, note: str) -> None:
    headline = decision.verdict["decision"]
    if headline not in PASSABLE:
        first = (decision.verdict["denials"] or decision.verdict["licences"] or [{}])[0]
        raise NotPossible(
            f"the rules say {headline}: {first.get('sentence', 'see the decision')}",
            rule=first.get("rule", headline),
            cure=first.get("cure", "") or "read the decision; refuse or return the request",
        )
    if headline == "needs_review" and not note.strip():
        reviews = ", ".join(sorted({review["rule"] for review in decision.verdict["reviews"]}))
        raise NotPossible(
            "the rules hold this request for a person's judgement, and no reason is given",
            rule="needs-review",
            cure=f"approve with a note that settles: {reviews or 'the missing facts'}",
        )


@action("request", "return")
def give_back(gateway: Gateway, actor: Actor, key: str, *, note: str) -> Request:
    """Give a request back with a question."""
    return _answer(gateway, actor, key, Move.RETURN, EventKind.REQUEST_RETURNED, note)


@action("request", "refuse")
def refuse(gateway: Gateway, actor: Actor, key: str, *, note: str) -> Request:
    """Refuse a request with a reason and, if there is one, a cure."""
    return _answer(gateway, actor, key, Move.REFUSE, EventKind.REQUEST_REFUSED, note)


@action("request", "withdraw")
def withdraw(gateway: Gateway, actor: Actor, key: str) -> Request:
    """Take one's own request back."""
    return _answer(gateway, actor, key, Move.WITHDRAW, EventKind.REQUEST_WITHDRAWN, "withdrawn")


def _answer(gateway: Gateway, actor: Actor, key: str, act: Move, kind: EventKind, note: str) -> Request:
    request = gateway.store.request(key, seen_by=actor)
    row = allow(gateway, actor, "request", act.value, study=request.terms.dataset, env={"requester": request.requester})
    if not note.strip():
        raise Invalid("a reason is needed", place="note", cure="say in one sentence what is missing or why not")
    changed = replace(request, status=move(request.status, act), updated=gateway.now(), note=note)
    _save(gateway, actor, changed, kind, {"allowed_by": row})
    return replace(changed, revision=request.revision + 1)


@action("request", "read")
def read(gateway: Gateway, actor: Actor, key: str) -> Request:
    """A request the actor may see."""
    request = gateway.store.request(key, seen_by=actor)
    row = allow(gateway, actor, "request", "read", study=request.terms.dataset, env={"requester": request.requester})
    gateway.store.record(_event(actor, request, EventKind.REQUEST_READ, {"allowed_by": row}), now=gateway.now())
    return request


@action("request", "read")
def decision_of(gateway: Gateway, actor: Actor, key: str) -> Decision | None:
    """The latest decision of a request the actor may see; None before it was submitted."""
    request = gateway.store.request(key, seen_by=actor)
    row = allow(gateway, actor, "request", "read", study=request.terms.dataset, env={"requester": request.requester})
    about = {"request": request.id, "dataset": request.terms.dataset}
    gateway.store.record(
        Event(EventKind.REQUEST_READ, actor.id, about=about, facts={"what": "decision", "allowed_by": row}),
        now=gateway.now(),
    )
    return gateway.store.decision(request.decision) if request.decision else None


@action("request", "list")
def listing(
    gateway: Gateway,
    actor: Actor,
    *,
    status: Status | None = None,
    own: bool = False,
    limit: int | None = None,
    offset: int = 0,
) -> Sequence[Request]:
    """The requests the actor may see, newest first. Each role lists what it may see, so nobody is turned away.

    `own`: only those the actor made. `limit` and `offset` take one page of them.
    """
    within_scope(actor, "request", "list")
    found = gateway.store.requests(
        seen_by=actor, status=status, requester=actor.id if own else "", limit=limit, offset=offset
    )
    event = Event(EventKind.REQUEST_READ, actor.id, facts={"what": "list", "shown": len(found)})
    gateway.store.record(event, now=gateway.now())
    return found


@dataclass(frozen=True, slots=True)
class Case:
    """A request as a steward's queue shows it: with the verdict it got, the first reason, the approvals it needs."""

    request: Request
    verdict: Mapping[str, Any] | None
    first_reason: str
    needed: int


@action("request", "list")
def cases(gateway: Gateway, actor: Actor, *, status: Status, limit: int, offset: int = 0) -> list[Case]:
    """One page of the requests in one state, with what the rules said of each when it was handed in."""
    found = listing(gateway, actor, status=status, limit=limit, offset=offset)
    decisions_held = gateway.store.decisions([one.decision for one in found if one.decision])
    return [_case(gateway, one, decisions_held.get(one.decision)) for one in found]


def _case(gateway: Gateway, request: Request, decision: Decision | None) -> Case:
    if decision is None:
        return Case(request, None, "", 1)
    verdict = decision.verdict
    reasons = [*verdict["denials"], *verdict["licences"], *verdict["reviews"]]
    first = str(reasons[0]["sentence"]) if reasons else ""
    return Case(request, verdict, first, approvals_needed(gateway, request, decision))


def _check(dataset: Dataset, terms: Terms) -> None:
    """Tables, columns and keys of the terms must exist; columns must be resolved."""
    requested_study(dataset.version, terms)
    recipients.parse(terms.keys)


def _event(actor: Actor, request: Request, kind: EventKind, facts: dict[str, object]) -> Event:
    about = {"request": request.id, "dataset": request.terms.dataset}
    return Event(kind, actor.id, about=about, facts=facts)  # type: ignore[arg-type]


def _save(gateway: Gateway, actor: Actor, request: Request, kind: EventKind, facts: dict[str, object]) -> None:
    gateway.store.save(request, event=_event(actor, request, kind, facts), now=gateway.now())
