"""Making a decision again from what it kept: facts, rule bundle, lists, day. Bit for bit, or what differs."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway.actions.guard import action, allow
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.domain.event import Event, EventKind, Outcome
from policies.decide import decide


@dataclass(frozen=True, slots=True)
class Replayed:
    """A decision made again. `differences` is empty if it came out the same, to the byte."""

    decision: str
    as_of: str
    same_rules: bool
    differences: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


@action("policy", "decide")
def replay(gateway: Gateway, actor: Actor, key: str) -> Replayed:
    """Decide again with the rules that were in force here when it was made, as of the decision's own day.

    Raises:
        NotFound: there is no such decision.
    """
    row = allow(gateway, actor, "policy", "decide")
    kept = gateway.store.decision(key)
    rules = gateway.rules_at(kept.created)
    fresh = decide(kept.facts, rules, date.fromisoformat(kept.as_of)).to_dict()
    same_rules = kept.bundle == rules.bundle
    found = tuple(differences(dict(kept.verdict), fresh))
    told = found if same_rules or not found else ("the rule bundle differs from the one it was made with", *found)
    event = Event(
        EventKind.DECISION_MADE,
        actor.id,
        Outcome.DONE if not told else Outcome.FAILED,
        about={"decision": key, "request": kept.request},
        facts={"replay": True, "same": not told, "bundle": rules.bundle, "allowed_by": row},
    )
    gateway.store.record(event, now=gateway.now())
    return Replayed(key, kept.as_of, same_rules, told)


def differences(before: Any, after: Any, place: str = "verdict") -> list[str]:
    """Where two JSON values differ, by path; the values themselves are not repeated."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for name in sorted({*before, *after}):
            if name not in before or name not in after:
                found.append(f"`{place}.{name}` is only in the {'new' if name in after else 'kept'} one")
            else:
                found += differences(before[name], after[name], f"{place}.{name}")
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            d for at, (b, a) in enumerate(zip(before, after, strict=True)) for d in differences(b, a, f"{place}[{at}]")
        ]
    return [] if before == after else [f"`{place}` differs"]
