"""Facts in, verdict out: pure, explained, as of a day. Unknown holds; it never permits.

Each partition is asked of every rule, then the answers are joined. A rule that does not bind says nothing. One
that binds and whose requirement fails says what follows. One that may bind, or whose requirement cannot be told,
holds the request and names the facts that would settle it. Data demands and duties of a rule that may bind are
taken as if it did: that is the safe side, and nobody need be asked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from policies import facts as fact_views
from policies import spelling
from policies.facts import Facts
from policies.faults import FactFault, RuleFault
from policies.flags import joined_flags, published
from policies.licences import faults_of
from policies.merge import JoinedPolicy, demands_of, joined
from policies.model import Decision, Rule, RuleRef, listed_until
from policies.papers import held, paper_end, papers, thresholds
from policies.registry import Missing, Truth
from policies.rules import BoundRule, Rules, RulesOfDay
from policies.verdict import Condition, PartVerdict, Reason, Verdict


@dataclass
class _Found:
    """What the rules said of one partition, as it is gathered."""

    label: str
    reasons: dict[Decision, list[Reason]] = field(default_factory=dict)
    conditions: list[Condition] = field(default_factory=list)
    transforms: list[Mapping[str, Any]] = field(default_factory=list)
    flags: dict[str, Any] = field(default_factory=dict)
    policies: list[JoinedPolicy] = field(default_factory=list)
    ends: list[date] = field(default_factory=list)

    def object(self, decision: Decision, ref: RuleRef, cure: str, missing: Iterable[str] = ()) -> None:
        asked = {fact_views.ASKED_AS.get(name, name) for name in missing}
        reason = Reason(ref, cure, tuple(sorted(asked)), (self.label,))
        self.reasons.setdefault(decision, []).append(reason)

    @property
    def decision(self) -> Decision:
        lightest = Decision.CONDITIONS if self.conditions or self.transforms else Decision.PERMIT
        return max([lightest, *self.reasons], key=lambda decision: decision.rank)


def decide(facts: Facts | Mapping[str, Any], rules: Rules, as_of: date) -> Verdict:
    """The verdict on facts under rules, as of a day.

    Raises:
        FactFault: the facts are not in the vocabulary.
    """
    settled = facts if isinstance(facts, Facts) else fact_views.read(facts)
    spelling.check(settled.shared, rules.words)
    day = rules.on(as_of)
    found = [_asked(view, label, day) for view, label in zip(settled.views(), settled.labels, strict=True)]
    parts = tuple(PartVerdict(each.label, each.decision, _rules_behind(each), joined(each.policies)) for each in found)
    decision = max((part.decision for part in parts), key=lambda each: each.rank)
    clean = [part.label for part in parts if part.decision.rank <= Decision.CONDITIONS.rank]
    policy = joined(part.policy for part in parts)
    ends = [end for each in found for end in each.ends]
    reasons = {rank: _united(found, rank) for rank in (Decision.DENY, Decision.LICENCE, Decision.REVIEW)}
    return Verdict(
        decision=decision,
        as_of=as_of,
        bundle=rules.bundle,
        lists=rules.list_versions,
        denials=reasons[Decision.DENY],
        licences=reasons[Decision.LICENCE],
        reviews=reasons[Decision.REVIEW],
        conditions=_conditions(found),
        missing=tuple(sorted({name for group in reasons.values() for each in group for name in each.missing})),
        transforms=_transforms(found),
        flags=_flags(found, day, policy),
        partitions=parts,
        partial_release_allowed=tuple(clean) if 0 < len(clean) < len(parts) else (),
        expires_at=min(ends) if ends else None,
        records_kept_years=policy.values["records_years"],
        policy=policy,
    )


def _asked(view: dict[str, Any], label: str, day: RulesOfDay) -> _Found:
    """One partition, asked of every rule that is law on the day."""
    view["as_of"] = day.day
    view["held"] = held(view)
    found = _Found(label)
    for regime in day.regimes:
        binds = regime.binds(view)
        published(regime, view, found.flags)
        if binds is False:
            continue
        for bound in regime.rules:
            scope = _and(binds, bound.when(view))
            if scope is not False:
                _ask(bound, scope, view, found, day)
    _check_allowed(view, found)
    _check_ends(view, found)
    return found


def _and(one: Truth, other: Truth) -> Truth:
    if one is False or other is False:
        return False
    if one is True:
        return other
    return one if other is True else one | other


def _ask(bound: BoundRule, scope: Truth, view: dict[str, Any], found: _Found, day: RulesOfDay) -> None:
    rule = bound.rule
    if rule.data:
        found.policies.append(bound.policy)
    if rule.data_from:
        found.policies.extend(_carried(rule, view))
    if scope is True:
        _publish(rule.sets, view, found)
        _note_end(bound, view, found, day)
    if rule.otherwise is not None:
        met: Truth = bound.requires(view) if bound.requires is not None else False
        if met is not True:
            _object(bound, scope, met, found)
            if scope is True and met is False:
                _publish(rule.otherwise.sets, view, found)
            return
    for change in (bound.changes(view) or ()) if bound.changes is not None and scope is True else ():
        found.transforms.append({**change, "rule": rule.id})
    for duty, evidenced_by in bound.duties:
        evidenced = evidenced_by is not None and evidenced_by(view) is True
        found.conditions.append(Condition(rule.ref, duty.id, duty.says, duty.due, evidenced, (found.label,)))


def _object(bound: BoundRule, scope: Truth, met: Truth, found: _Found) -> None:
    """What follows from a rule whose requirement is not known to be met."""
    otherwise = bound.rule.otherwise
    if otherwise is None:  # a rule without consequence cannot object
        return
    unknown: Missing = frozenset()
    for truth in (scope, met):
        if not isinstance(truth, bool):
            unknown |= truth
    if otherwise.missing and scope is True:
        unknown -= set(bound.instruments)  # the rule has a name of its own for what these papers would give
    decision = otherwise.decision
    if decision.rank > Decision.REVIEW.rank and not (scope is True and met is False):
        found.object(Decision.REVIEW, bound.rule.ref, otherwise.cure, {*unknown, *_named(bound, scope)})
        return
    if decision is Decision.CONDITIONS:
        found.conditions.append(Condition(bound.rule.ref, bound.rule.id, otherwise.cure, partitions=(found.label,)))
    else:
        found.object(decision, bound.rule.ref, otherwise.cure, {*unknown, *_named(bound, scope)})
    found.transforms.extend({**change, "rule": bound.rule.id} for change in otherwise.transforms)


def _named(bound: BoundRule, scope: Truth) -> tuple[str, ...]:
    """The papers a rule asks for by name; none while it is not even known to bind."""
    if scope is not True or bound.rule.otherwise is None:
        return ()
    return bound.rule.otherwise.missing or bound.instruments


def _carried(rule: Rule, view: Mapping[str, Any]) -> Iterable[JoinedPolicy]:
    """The thresholds that instruments in hand carry, demanded in the name of the rule that says so."""
    for paper in papers(view, rule.data_from):
        try:
            yield JoinedPolicy(frozenset(demands_of(thresholds(paper), rule.ref)))
        except RuleFault as wrong:
            raise FactFault(wrong.reason, place=f"instruments.{rule.data_from}") from None


def _publish(flags: Mapping[str, Any], view: Mapping[str, Any], found: _Found) -> None:
    for name, value in flags.items():
        found.flags.setdefault(name, set()).add(_filled(value, view))


def _filled(value: Any, view: Mapping[str, Any]) -> Any:
    if not isinstance(value, str) or "{" not in value:
        return value
    places = view.get("third_places") or view.get("places") or ("unknown",)
    return value.replace("{destination}", places[0])


def _note_end(bound: BoundRule, view: Mapping[str, Any], found: _Found, day: RulesOfDay) -> None:
    expires = bound.rule.expires
    if not expires:
        return
    if "on" in expires:
        found.ends.append(expires["on"])
    if "list" in expires:
        ends = [listed_until(day.lists[expires["list"]], place, day.day) for place in view.get("places", ())]
        found.ends.extend(end for end in ends if end is not None)


def _check_ends(view: Mapping[str, Any], found: _Found) -> None:
    """Papers in hand, licences in force and the asked-for end limit how long a grant can run."""
    for paper in view.get("instruments", ()):
        end = paper_end(view, paper)
        if end is not None and end >= view["as_of"]:
            found.ends.append(end)
    for licence in view.get("licences", ()):
        if not faults_of(licence, view, None):
            found.ends.append(licence["valid_to"])
    if "transfer.requested_end" in view:
        found.ends.append(view["transfer.requested_end"])


def _check_allowed(view: Mapping[str, Any], found: _Found) -> None:
    """Where several rules allow only some destinations, recipients or purposes, only their common part is allowed."""
    policy = joined(found.policies)
    asked = {
        "destinations": frozenset(view.get("places", ())),
        "recipients": frozenset({view["recipient.org"]} if "recipient.org" in view else ()),
        "purposes": frozenset({view["purpose"]} if "purpose" in view else ()),
    }
    for name, wanted in asked.items():
        allowed = policy.values[name]
        if allowed is None:
            continue
        ref = policy.provenance[name]
        if not allowed or not wanted <= allowed:
            found.object(Decision.DENY, ref, f"choose among the allowed {name}, if the rules leave any")
        elif not wanted:
            found.object(Decision.REVIEW, ref, f"state the {name}", (name,))


def _rules_behind(found: _Found) -> tuple[str, ...]:
    refs = [reason.ref for reasons in found.reasons.values() for reason in reasons]
    return tuple(sorted({ref.rule for ref in refs} | {condition.ref.rule for condition in found.conditions}))


def _united(found: Iterable[_Found], decision: Decision) -> tuple[Reason, ...]:
    """The reasons of all partitions for one decision; the same rule's are told once."""
    united: dict[RuleRef, Reason] = {}
    for each in found:
        for reason in each.reasons.get(decision, ()):
            known = united.get(reason.ref)
            united[reason.ref] = (
                replace(
                    known,
                    missing=tuple(sorted({*known.missing, *reason.missing})),
                    partitions=tuple(dict.fromkeys([*known.partitions, *reason.partitions])),
                )
                if known
                else reason
            )
    return tuple(united[ref] for ref in sorted(united))


def _flags(found: Iterable[_Found], day: RulesOfDay, policy: JoinedPolicy) -> dict[str, Any]:
    flags = joined_flags([each.flags for each in found], day.flags)
    if policy.values["k"] > 1:
        flags["required_k"] = policy.values["k"]
    return flags


def _conditions(found: Iterable[_Found]) -> tuple[Condition, ...]:
    united: dict[tuple[RuleRef, str], Condition] = {}
    for each in found:
        for condition in each.conditions:
            key = (condition.ref, condition.id)
            known = united.get(key)
            united[key] = (
                replace(
                    known,
                    evidenced=known.evidenced and condition.evidenced,
                    partitions=tuple(dict.fromkeys([*known.partitions, *condition.partitions])),
                )
                if known
                else condition
            )
    return tuple(united[key] for key in sorted(united))


def _transforms(found: Iterable[_Found]) -> tuple[Mapping[str, Any], ...]:
    unique: dict[str, Mapping[str, Any]] = {}
    for each in found:
        for change in each.transforms:
            unique.setdefault("|".join(f"{name}={change[name]}" for name in sorted(change)), change)
    return tuple(unique[key] for key in sorted(unique))
