"""The rules as people read them: all regimes, one with its rules in words, and the changes that were made to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from gateway.actions.guard import action, allow
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.domain.event import Event, EventKind
from gateway.domain.rule_draft import DraftState, RuleDraft
from gateway.errors import NotFound
from policies import loader, wording
from policies.model import Regime, Rule
from policies.rules import Rules


@dataclass(frozen=True, slots=True)
class RegimeLine:
    """A regime in the list. `since`: the first day of its oldest rule in force; `changed`: by an activated change."""

    id: str
    title: str
    jurisdiction: str
    since: date | None
    rules: int
    in_force: int
    verified: int
    changed: bool


@dataclass(frozen=True, slots=True)
class RuleWords:
    """One version of a rule, in words."""

    id: str
    article: str
    sentence: str
    kind: str
    binds: str
    effects: tuple[str, ...]
    cure: str
    since: date
    until: date | None
    in_force: bool
    source: str
    verified: bool
    verified_on: date


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a regime that was activated: who drafted it, who activated it, from when it holds."""

    draft: str
    author: str
    activated_by: str
    starts: datetime | None
    in_force: bool


@dataclass(frozen=True, slots=True)
class RegimeWords:
    """One regime in words, as it is in force now."""

    line: RegimeLine
    binds: str
    rules: tuple[RuleWords, ...]
    history: tuple[Change, ...]
    bundle: str


@action("policy", "read")
def listing(gateway: Gateway, actor: Actor) -> list[RegimeLine]:
    """All regimes as they are in force now."""
    row = allow(gateway, actor, "policy", "read")
    rules, now = gateway.rules, gateway.now()
    changed = gateway.store.overlays(now)
    _log(gateway, actor, {"what": "list", "bundle": rules.bundle, "allowed_by": row})
    return [_line(regime, now.date(), changed=regime.id in changed) for regime in rules.regimes]


@action("policy", "read")
def show(gateway: Gateway, actor: Actor, name: str) -> RegimeWords:
    """One regime, by its own id or by that of one of its rules.

    Raises:
        NotFound: there is none.
    """
    row = allow(gateway, actor, "policy", "read")
    rules, now = gateway.rules, gateway.now()
    regime, changed = find(rules, name), gateway.store.overlays(now)
    _log(gateway, actor, {"what": "one", "regime": regime.id, "bundle": rules.bundle, "allowed_by": row})
    history = tuple(
        Change(one.id, one.author, one.decided_by, one.starts, changed.get(regime.id) == one.id)
        for one in gateway.store.rule_drafts(regime=regime.id)
        if one.state is DraftState.ACTIVATED
    )
    line = _line(regime, now.date(), changed=regime.id in changed)
    told = tuple(_told(rule, now.date()) for rule in regime.rules)
    return RegimeWords(line, wording.condition(regime.binds), told, history, rules.bundle)


def find(rules: Rules, name: str) -> Regime:
    """The regime of this id, or with a rule of this id.

    Raises:
        NotFound: there is none.
    """
    for regime in rules.regimes:
        if name == regime.id or any(rule.id == name for rule in regime.rules):
            return regime
    raise NotFound("there is no such regime or rule", place="rule", cure="choose one from the list of regimes")


def text_in_force(gateway: Gateway, regime: Regime, when: datetime) -> str:
    """The text of a regime as it holds at a moment."""
    draft = gateway.store.overlays(when).get(regime.id)
    return gateway.store.rule_draft(draft).text if draft else loader.text_of(regime.file)


def pending(drafts: Sequence[RuleDraft], now: datetime) -> RuleDraft | None:
    """The change of a regime that was activated and starts later, if there is one."""
    return next((one for one in drafts if one.state is DraftState.ACTIVATED and one.starts and one.starts > now), None)


def _line(regime: Regime, day: date, *, changed: bool) -> RegimeLine:
    return RegimeLine(
        regime.id,
        regime.title,
        regime.jurisdiction,
        wording.since(regime, day),
        len(regime.rules),
        sum(rule.applies_on(day) for rule in regime.rules),
        sum(rule.verified for rule in regime.rules),
        changed,
    )


def _told(rule: Rule, day: date) -> RuleWords:
    return RuleWords(
        rule.id,
        rule.ref.article,
        rule.ref.sentence,
        rule.kind,
        wording.condition(rule.when),
        tuple(wording.effects(rule)),
        rule.otherwise.cure if rule.otherwise else "",
        rule.effective_from,
        rule.effective_to,
        rule.applies_on(day),
        rule.source,
        rule.verified,
        rule.verified_on,
    )


def _log(gateway: Gateway, actor: Actor, facts: dict[str, str | int | float | bool | list[str] | None]) -> None:
    gateway.store.record(Event(EventKind.POLICY_READ, actor.id, facts=facts), now=gateway.now())
