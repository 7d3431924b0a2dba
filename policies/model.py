"""The nouns of the rule files: regime, rule, dated list, and the references a verdict gives. Frozen, plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any


class Decision(StrEnum):
    """The headline of a verdict. A display order only: the full sets of reasons are always kept."""

    PERMIT = "permit"
    CONDITIONS = "permit_with_conditions"
    REVIEW = "needs_review"
    LICENCE = "needs_licence"
    DENY = "deny"

    @property
    def rank(self) -> int:
        """0 for permit to 4 for deny."""
        return list(Decision).index(self)


@dataclass(frozen=True, slots=True, order=True)
class RuleRef:
    """Which rule said so: its regime, id, article and one plain sentence."""

    regime: str
    rule: str
    article: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Otherwise:
    """What follows when a rule binds and what it requires is not there.

    `missing` names the instruments or facts that would meet it; `transforms` are changes to the data that would;
    `sets` publishes flags when it follows for certain.
    """

    decision: Decision
    cure: str = ""
    missing: tuple[str, ...] = ()
    transforms: tuple[Mapping[str, str], ...] = ()
    sets: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Duty:
    """A condition that goes with a release: done, tracked or evidenced, never a gate.

    `evidenced_by` is a condition under which the duty counts as already met; `due` is a span such as `14 days`.
    """

    id: str
    says: str
    due: str = ""
    evidenced_by: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a regime.

    A rule binds while `when` holds. If it `defines` a term, that is all it does: the term is true where any rule
    that defines it binds. Else, while it binds: `requires` must hold, or `otherwise` follows; `duties` go with the
    release; `data` is demanded of the engine; `sets` publishes flags. `effective_to` is the last day it applies.
    """

    ref: RuleRef
    kind: str
    verified: bool
    source: str
    verified_on: date
    effective_from: date
    effective_to: date | None
    when: Mapping[str, Any]
    defines: str = ""
    requires: Mapping[str, Any] | None = None
    otherwise: Otherwise | None = None
    duties: tuple[Duty, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    sets: Mapping[str, Any] = field(default_factory=dict)
    expires: Mapping[str, Any] | None = None
    transforms_by: Mapping[str, Any] | None = None
    data_from: str = ""
    file: str = ""
    line: int = 0

    @property
    def id(self) -> str:
        """The rule's own id, unique over all regimes."""
        return self.ref.rule

    def applies_on(self, day: date) -> bool:
        """Whether the rule is law on this day."""
        return self.effective_from <= day and (self.effective_to is None or day <= self.effective_to)


@dataclass(frozen=True, slots=True)
class Flag:
    """A published finding with few values, from the strictest to the loosest; `default` when no rule sets it.

    A flag that `collects` shows all values that rules set, sorted, in place of the strictest.
    """

    name: str
    order: tuple[Any, ...]
    default: Any
    collects: bool = False


@dataclass(frozen=True, slots=True)
class Regime:
    """One regime: a file of rules under one law. `binds` is checked before any of its rules."""

    id: str
    title: str
    jurisdiction: str
    binds: Mapping[str, Any]
    rules: tuple[Rule, ...]
    flags: tuple[Flag, ...] = ()
    publishes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    file: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a dated list: a value and the days on which it stands there (`until` is the last day)."""

    value: str
    since: date | None = None
    until: date | None = None

    def stands_on(self, day: date) -> bool:
        """Whether the entry stands on this day."""
        return (self.since is None or self.since <= day) and (self.until is None or day <= self.until)


@dataclass(frozen=True, slots=True)
class DatedList:
    """A list that changes by law or by notice, with its version and source."""

    id: str
    title: str
    version: str
    source: str
    verified_on: date
    entries: tuple[Listed, ...]
    file: str = ""

    def on(self, day: date) -> frozenset[str]:
        """The values that stand on this day."""
        return frozenset(entry.value for entry in self.entries if entry.stands_on(day))


def listed_until(dated: DatedList, value: str, day: date) -> date | None:
    """The last day on which a value that stands on `day` is sure to stand; None if no end is set."""
    ends = [entry.until for entry in dated.entries if entry.value == value and entry.stands_on(day)]
    return None if not ends or None in ends else max(end for end in ends if end)
