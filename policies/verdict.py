"""The answer of a decision: a headline, and behind it every reason with its rule, its article and its cure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from policies.merge import NOTHING, JoinedPolicy
from policies.model import Decision, RuleRef


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule's objection: what it says, what would change the answer, and which partitions it concerns."""

    ref: RuleRef
    cure: str = ""
    missing: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            **_cited(self.ref),
            "cure": self.cure,
            "missing": list(self.missing),
            "partitions": list(self.partitions),
        }


@dataclass(frozen=True, slots=True)
class Condition:
    """One duty that goes with the release; `evidenced` if the facts already show it is met."""

    ref: RuleRef
    id: str
    says: str
    due: str = ""
    evidenced: bool = False
    partitions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            **_cited(self.ref), "id": self.id, "says": self.says, "due": self.due, "evidenced": self.evidenced,
            "partitions": list(self.partitions),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class PartVerdict:
    """The answer for one partition: its own headline and the rules behind it."""

    label: str
    decision: Decision
    rules: tuple[str, ...]
    policy: JoinedPolicy

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            "partition": self.label, "decision": self.decision.value, "rules": list(self.rules),
            "policy": self.policy.to_dict(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for a request as of a day.

    `policy` is what the engine must meet if the request goes on. `partial_release_allowed` names the partitions
    that could leave alone while others are held. Equal facts, rules and day give equal verdicts, to the byte.
    """

    decision: Decision
    as_of: date
    bundle: str
    lists: Mapping[str, str] = field(default_factory=dict)
    denials: tuple[Reason, ...] = ()
    licences: tuple[Reason, ...] = ()
    reviews: tuple[Reason, ...] = ()
    conditions: tuple[Condition, ...] = ()
    missing: tuple[str, ...] = ()
    transforms: tuple[Mapping[str, Any], ...] = ()
    flags: Mapping[str, Any] = field(default_factory=dict)
    partitions: tuple[PartVerdict, ...] = ()
    partial_release_allowed: tuple[str, ...] = ()
    expires_at: date | None = None
    records_kept_years: int = 0
    policy: JoinedPolicy = NOTHING

    @property
    def may_go_on(self) -> bool:
        """Whether nothing holds the request: permitted, or permitted with conditions."""
        return self.decision in (Decision.PERMIT, Decision.CONDITIONS)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            "decision": self.decision.value,
            "as_of": self.as_of.isoformat(),
            "bundle": self.bundle,
            "lists": dict(self.lists),
            "denials": [reason.to_dict() for reason in self.denials],
            "licences": [reason.to_dict() for reason in self.licences],
            "reviews": [reason.to_dict() for reason in self.reviews],
            "conditions": [condition.to_dict() for condition in self.conditions],
            "missing": list(self.missing),
            "transforms": [dict(change) for change in self.transforms],
            "flags": {name: _plain(value) for name, value in sorted(self.flags.items())},
            "partitions": [part.to_dict() for part in self.partitions],
            "partial_release_allowed": list(self.partial_release_allowed),
            "expires_at": self.expires_at.isoformat() if self.expires_at else None,
            "records_kept_years": self.records_kept_years,
            "policy": self.policy.to_dict(),
        }

    def to_json(self) -> str:
        """The canonical JSON: sorted keys, no spaces; what a replay is compared with."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _cited(ref: RuleRef) -> dict[str, Any]:
    return {"rule": ref.rule, "regime": ref.regime, "article": ref.article, "sentence": ref.sentence}


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset | set | tuple):
        return sorted(value) if not isinstance(value, tuple) else list(value)
    return value
