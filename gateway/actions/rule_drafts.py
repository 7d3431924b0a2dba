"""Changing the rules: one steward drafts a regime anew, sees what differs, a second steward brings it into force.

The files that came with the software are never changed. A draft is checked like a file, as one with all other rules;
nothing in it is evaluated, and nothing of it holds before somebody other than its author activated exactly what they
saw.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gateway.actions import decisions, regimes
from gateway.actions.guard import action, allow
from gateway.catalogue import plainyaml
from gateway.context import Gateway
from gateway.domain.account import Decision
from gateway.domain.actor import Actor
from gateway.domain.event import Event, EventKind
from gateway.domain.rule_draft import DraftState, RuleDraft
from gateway.errors import Invalid, NotPossible
from policies import changes, loader
from policies.decide import decide
from policies.faults import RuleFault
from policies.model import Regime
from policies.rules import Rules

MOST_CHARACTERS = 300_000
MOST_WORDS = 2_000
MOST_DECISIONS = 500
LOOKED_BACK = timedelta(days=90)
FURTHEST = timedelta(days=5 * 366)


@dataclass(frozen=True, slots=True)
class DraftView:
    """A draft with what it changes.

    `seen` stands for the draft and the rules it was compared with: whoever activates it hands it in, so that what is
    activated is what was looked at. `fault`: it does not fit the rules of today.
    """

    draft: RuleDraft
    title: str
    sentences: tuple[str, ...]
    seen: str
    fault: str


@dataclass(frozen=True, slots=True)
class Flip:
    """A decision that would come out otherwise: the verdict then and under the draft, and the demands that change."""

    decision: str
    request: str
    made: datetime
    before: str
    after: str
    demands: tuple[str, ...]

    @property
    def flips(self) -> bool:
        """Whether the verdict itself is another."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Flips:
    """What a draft would change of recent decisions, all decided as of one day.

    `undecided`: how many keep facts that cannot be read any more.
    """

    day: date
    looked_at: int
    found: tuple[Flip, ...]
    undecided: int


@action("policy", "change")
def listing(gateway: Gateway, actor: Actor) -> Sequence[RuleDraft]:
    """All drafts, newest first: those that wait, those in force, those withdrawn."""
    row = allow(gateway, actor, "policy", "change")
    _log(gateway, actor, EventKind.POLICY_READ, None, {"what": "drafts", "allowed_by": row})
    return gateway.store.rule_drafts()


@action("policy", "change")
def text_to_edit(gateway: Gateway, actor: Actor, regime: str) -> tuple[str, str]:
    """The id of a regime (asked by its own id or a rule's) and its text as it is in force now."""
    row = allow(gateway, actor, "policy", "change")
    found = regimes.find(gateway.shipped, regime)
    _log(gateway, actor, EventKind.POLICY_READ, None, {"what": "text", "regime": found.id, "allowed_by": row})
    return found.id, regimes.text_in_force(gateway, found, gateway.now())


@action("policy", "change")
def propose(gateway: Gateway, actor: Actor, regime: str, text: str, reason: str, *, key: str = "") -> RuleDraft:
    """Save a draft of a regime: a new one, or with a `key` the actor's own anew.

    Raises:
        Invalid: the text is no well-formed regime (the line stands in the reason), changes nothing, or has no reason.
        NotPossible: the draft is another's, or was decided already.
    """
    row = allow(gateway, actor, "policy", "change")
    now, found = gateway.now(), regimes.find(gateway.shipped, regime)
    held = gateway.store.rule_draft(key) if key else None
    if held is not None and (held.author != actor.id or held.regime != found.id):
        raise NotPossible("this draft is somebody else's", rule="own-draft", cure="draft the change yourself")
    if held is not None and held.state is not DraftState.DRAFT:
        raise NotPossible(f"this draft is {held.state.value} already", rule="draft-moves", cure="make a new one")
    said = reason.strip()
    if not said or len(said) > MOST_WORDS:
        raise Invalid("no reason is given", place="reason", cure=f"say why in one to {MOST_WORDS} characters")
    plain = text.replace("\r\n", "\n").rstrip() + "\n"
    after = regimes.find(checked(gateway, found, plain), found.id)
    if not changes.between(regimes.find(gateway.rules, found.id), after):
        raise Invalid("this says the same as the rules in force", place="text", cure="change something")
    if held is None and (twin := _twin(gateway, actor, found, plain)) is not None:
        return twin
    fresh = RuleDraft(f"p-{secrets.token_hex(6)}", found.id, plain, actor.id, said, now, now)
    draft = fresh if held is None else replace(held, text=plain, reason=said, updated=now)
    event = _event(actor, EventKind.POLICY_DRAFTED, draft, {"text_sha256": _digest(plain), "allowed_by": row})
    gateway.store.save(draft, event=replace(event, personal={"reason": said}), now=now)
    return replace(draft, revision=draft.revision + 1)


def _twin(gateway: Gateway, actor: Actor, regime: Regime, text: str) -> RuleDraft | None:
    """The actor's own waiting draft with this very text: a form that was sent twice makes one."""
    waiting = (one for one in gateway.store.rule_drafts(regime=regime.id) if one.state is DraftState.DRAFT)
    return next((one for one in waiting if one.author == actor.id and one.text == text), None)


def checked(gateway: Gateway, regime: Regime, text: str, when: datetime | None = None) -> Rules:
    """The rules in force now, or at a moment, with another text of one regime, if it and all together are well formed.

    Raises:
        Invalid: it does not; `place` is `text`, and the reason names the line.
    """
    plainyaml.check(text, place="text", most=MOST_CHARACTERS)
    in_force = gateway.store.overlays(when or gateway.now())
    files = {one.id: one.file for one in gateway.shipped.regimes}
    others = {files[name]: gateway.store.rule_draft(key).text for name, key in in_force.items() if name in files}
    try:
        return loader.load(replaced={**others, regime.file: text})
    except RuleFault as wrong:
        file, _, line = wrong.place.partition(":")
        where = f"line {line}: " if file == regime.file and line else f"{wrong.place}: " if wrong.place else ""
        raise Invalid(f"{where}{wrong.reason}", place="text", cure=wrong.cure or "correct the line") from None
    except RecursionError:
        raise Invalid("the text is nested too deep", place="text", cure="write it flatter") from None


@action("policy", "change")
def show(gateway: Gateway, actor: Actor, key: str) -> DraftView:
    """One draft, with what it changes of the rules in force in plain sentences."""
    row = allow(gateway, actor, "policy", "change")
    draft = gateway.store.rule_draft(key)
    _log(gateway, actor, EventKind.POLICY_READ, draft, {"what": "draft", "allowed_by": row})
    return _view(gateway, draft)


def _view(gateway: Gateway, draft: RuleDraft) -> DraftView:
    """A draft beside what it changes; one that is decided, beside the rules as they were just before."""
    before = gateway.shipped if draft.state is DraftState.ACTIVATED else gateway.rules
    regime, sentences, fault = regimes.find(gateway.shipped, draft.regime), (), ""
    if draft.state is DraftState.ACTIVATED and draft.starts:
        before = gateway.rules_at(draft.starts - timedelta(microseconds=1))
    try:
        after = regimes.find(checked(gateway, regime, draft.text), draft.regime)
        told: tuple[str, ...] = tuple(changes.between(regimes.find(before, draft.regime), after))
    except Invalid as error:
        told, fault = sentences, error.reason
    return DraftView(draft, regime.title, told, _seen(gateway, regime, draft), fault)


def _seen(gateway: Gateway, regime: Regime, draft: RuleDraft) -> str:
    """What stands for this text and for the rules that it changes."""
    return _digest(f"{_digest(draft.text)} {gateway.rules.bundle} {regime.id}")


@action("policy", "change")
def flips(gateway: Gateway, actor: Actor, key: str, *, day: date | None = None) -> Flips:
    """Which decisions of the last ninety days (the newest five hundred) would come out otherwise under a draft.

    Each is decided twice on the facts it kept, as of one day (today, unless another is asked for): under the rules in
    force and under the draft. So what differs is the draft's doing alone.
    """
    row = allow(gateway, actor, "policy", "change")
    draft, now = gateway.store.rule_draft(key), gateway.now()
    rules = gateway.rules
    after = checked(gateway, regimes.find(gateway.shipped, draft.regime), draft.text)
    recent, on = gateway.store.recent_decisions(now - LOOKED_BACK, MOST_DECISIONS), day or now.date()
    known: dict[str, tuple[str, str, tuple[str, ...]] | None] = {}
    found, undecided = [], 0
    for one in recent:
        facts = decisions.digest(one.facts)
        if facts not in known:
            known[facts] = _both(one, rules, after, on)
        told = known[facts]
        if told is None:
            undecided += 1
        elif told[0] != told[1] or told[2]:
            found.append(Flip(one.id, one.request, one.created, *told))
    facts_told = {"what": "flips", "looked_at": len(recent), "found": len(found), "allowed_by": row}
    _log(gateway, actor, EventKind.POLICY_READ, draft, facts_told)
    ordered = tuple(sorted(found, key=lambda flip: not flip.flips))
    return Flips(on, len(recent), ordered, undecided)


def _both(decision: Decision, rules: Rules, after: Rules, day: date) -> tuple[str, str, tuple[str, ...]] | None:
    """The verdict under both, and the demands that differ; None if the facts cannot be read."""
    try:
        one, other = (decide(decision.facts, each, day).to_dict() for each in (rules, after))
    except RuleFault:
        return None
    was, now = _demands(one), _demands(other)
    differing = sorted(name for name in {*was, *now} if was.get(name) != now.get(name))
    told = tuple(f"{name.replace('_', ' ')} {_said(was.get(name))} → {_said(now.get(name))}" for name in differing)
    return one["decision"], other["decision"], told


def _demands(verdict: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry["value"] for name, entry in verdict["policy"].items()}


def _said(value: Any) -> str:
    if value is None:
        return "nothing"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value).replace("_", " ")


@action("policy", "activate")
def activate(gateway: Gateway, actor: Actor, key: str, *, seen: str, starts: str = "") -> RuleDraft:
    """Bring another steward's draft into force: now, or from `starts` (UTC, as 2027-01-31T09:00).

    Raises:
        NotAllowed: the author, or no steward of all studies.
        NotPossible: decided already; the draft or the rules changed since it was looked at; a later change waits.
        Invalid: no such time, one that has passed, or the text does not fit the rules any more.
    """
    draft = gateway.store.rule_draft(key)
    row = allow(gateway, actor, "policy", "activate", env={"author": draft.author})
    now, regime = gateway.now(), regimes.find(gateway.shipped, draft.regime)
    _undecided(draft)
    if seen != _seen(gateway, regime, draft):
        cure = "look at what it changes now, then activate it"
        raise NotPossible("the draft or the rules changed since you looked", rule="seen-as-activated", cure=cure)
    if (later := regimes.pending(gateway.store.rule_drafts(regime=regime.id), now)) is not None:
        cure = f"withdraw {later.id} first, or wait until it is in force"
        raise NotPossible("a change of this regime already waits for its day", rule="one-change-waits", cure=cure)
    begins = _begins(starts, now)
    rules = checked(gateway, regime, draft.text)
    checked(gateway, regime, draft.text, now + FURTHEST)  # and with what waits for its day, or nothing would hold then
    done = replace(draft, state=DraftState.ACTIVATED, starts=begins, decided_by=actor.id, decided=now, updated=now)
    facts = {
        "text_sha256": _digest(draft.text), "starts": begins.isoformat(), "before": gateway.rules.bundle,
        "bundle": rules.bundle, "author": draft.author, "allowed_by": row,
    }  # fmt: skip
    gateway.store.save(done, event=_event(actor, EventKind.POLICY_ACTIVATED, draft, facts), now=now)
    return replace(done, revision=done.revision + 1)


def _undecided(draft: RuleDraft) -> None:
    if draft.state is not DraftState.DRAFT:
        raise NotPossible(f"this draft is {draft.state.value} already", rule="draft-moves", cure="make a new one")


def _begins(text: str, now: datetime) -> datetime:
    """The first moment at which a change holds."""
    if not text.strip():
        return now
    try:
        begins = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Invalid("this is no time", place="starts", cure="write it as 2027-01-31T09:00, in UTC") from None
    begins = begins.replace(tzinfo=UTC) if begins.tzinfo is None else begins.astimezone(UTC)
    if not now <= begins <= now + FURTHEST:
        raise Invalid("this time has passed, or is years away", place="starts", cure="leave it empty for now")
    return begins


@action("policy", "change")
def withdraw(gateway: Gateway, actor: Actor, key: str) -> RuleDraft:
    """Take back a draft, or a change that was activated and has not started.

    Raises:
        NotPossible: it is in force, or was withdrawn already.
    """
    row = allow(gateway, actor, "policy", "change")
    draft, now = gateway.store.rule_draft(key), gateway.now()
    waits = draft.state is DraftState.ACTIVATED and draft.starts is not None and draft.starts > now
    if draft.state is not DraftState.DRAFT and not waits:
        cure = "draft the earlier text again: a change in force is ended by another"
        raise NotPossible("this change is in force or was withdrawn", rule="draft-moves", cure=cure)
    done = replace(draft, state=DraftState.WITHDRAWN, decided_by=actor.id, decided=now, updated=now)
    event = _event(actor, EventKind.POLICY_WITHDRAWN, draft, {"was": draft.state.value, "allowed_by": row})
    gateway.store.save(done, event=event, now=now)
    return replace(done, revision=done.revision + 1)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _event(actor: Actor, kind: EventKind, draft: RuleDraft, facts: Mapping[str, Any]) -> Event:
    return Event(kind, actor.id, about={"draft": draft.id}, facts={"regime": draft.regime, **facts})


def _log(gateway: Gateway, actor: Actor, kind: EventKind, draft: RuleDraft | None, facts: Mapping[str, Any]) -> None:
    event = _event(actor, kind, draft, facts) if draft else Event(kind, actor.id, facts=dict(facts))
    gateway.store.record(event, now=gateway.now())
