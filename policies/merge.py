"""The join of what several rules demand of the data: on each field the strictest wins, and it is known whose it was.

A policy is a set of demands, and to join two is to unite the sets. So the join is commutative, associative and
idempotent by construction; the value of a field is the join, on that field's own scale, of all demands for it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property, reduce
from typing import Any

from policies.faults import RuleFault
from policies.model import RuleRef
from pseudonymization.safeguards import DateRule, GeographyRule, Safeguards, TextRule, TimeOfDay, join_dates

ACCESS_MODES = ("download", "remote", "secure_environment", "no_access")


def _by_order(order: Iterable[Any]) -> Callable[[Any, Any], Any]:
    rank = {value: place for place, value in enumerate(order)}
    return lambda one, other: one if rank[one] >= rank[other] else other


@dataclass(frozen=True, slots=True)
class Scale:
    """How one field is read from a rule file and joined: `bottom` demands nothing, `join` is the stricter of two."""

    bottom: Any
    join: Callable[[Any, Any], Any]
    read: Callable[[Any], Any]


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")
    return value


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("must lie between 0 and 1")
    return float(value)


def _words(value: Any) -> frozenset[str]:
    if not isinstance(value, list | tuple | frozenset) or not all(isinstance(word, str) for word in value):
        raise ValueError("must be a list of words")
    return frozenset(value)


def _clock(value: Any) -> TimeOfDay:
    """`keep`, `hour` or `drop`; true and false stand for the first and the last."""
    if isinstance(value, bool):
        return TimeOfDay.KEEP if value else TimeOfDay.DROP
    return TimeOfDay(value)


def _mode(value: Any) -> str:
    if value not in ACCESS_MODES:
        raise ValueError(f"must be one of {', '.join(ACCESS_MODES)}")
    return str(value)


def _least(one: Any, other: Any) -> Any:
    """The smaller of two limits, where None is no limit."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _meet(one: Any, other: Any) -> Any:
    """The common part of two lists of what is allowed, where None allows all."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


_union: Callable[[Any, Any], Any] = frozenset.union

SCALES: Mapping[str, Scale] = {
    "k": Scale(1, max, _whole),
    "average_risk": Scale(1.0, min, _share),
    "attempt": Scale(None, lambda a, b: b if a is None else a if b is None else max(a, b), _share),
    "uniques": Scale(1.0, min, _share),
    "blank_limit": Scale(1.0, min, _share),
    "dates": Scale(DateRule.KEEP, join_dates, DateRule),
    "text": Scale(TextRule.KEEP, _by_order(TextRule), TextRule),
    "geography": Scale(GeographyRule.SITE, _by_order(GeographyRule), GeographyRule),
    "age_top": Scale(None, _least, _whole),
    "time_of_day": Scale(TimeOfDay.KEEP, _by_order(TimeOfDay), _clock),
    "max_risk": Scale(1.0, min, _share),
    "min_cell": Scale(0, max, _whole),
    "zip_digits": Scale(None, _least, _whole),
    "removed": Scale(frozenset(), _union, _words),
    "approvers": Scale(0, max, _whole),
    "expiry_days": Scale(None, _least, _whole),
    "records_years": Scale(0, max, _whole),
    "data_retention_days": Scale(None, _least, _whole),
    "breach_notice_hours": Scale(None, _least, _whole),
    "access_mode": Scale("download", _by_order(ACCESS_MODES), _mode),
    "destinations": Scale(None, _meet, _words),
    "recipients": Scale(None, _meet, _words),
    "purposes": Scale(None, _meet, _words),
    "instruments": Scale(frozenset(), _union, _words),
    "conditions": Scale(frozenset(), _union, _words),
}
SAFEGUARD_FIELDS = tuple(each.name for each in fields(Safeguards))


@dataclass(frozen=True, slots=True)
class Demand:
    """One demand of one rule: a field of the policy, the value asked for, and whose it is."""

    field: str
    value: Any
    ref: RuleRef


def demands_of(data: Mapping[str, Any], ref: RuleRef) -> tuple[Demand, ...]:
    """The demands a rule's `data` makes, read on their scales.

    Raises:
        RuleFault: an unknown field, or a value that is not on its scale.
    """
    made = []
    if "attempt" in data and "average_risk" not in data:
        raise RuleFault("demand `attempt` says nothing without `average_risk`")
    if "average_risk" in data:
        data = {"attempt": 1, **data}  # no probability stated: the attack is assumed
    for name, value in data.items():
        if name not in SCALES:
            raise RuleFault(f"unknown demand `{name}`", cure=f"known: {', '.join(sorted(SCALES))}")
        try:
            made.append(Demand(name, SCALES[name].read(value), ref))
        except ValueError as wrong:
            raise RuleFault(f"demand `{name}` {wrong}") from None
    return tuple(made)


@dataclass(frozen=True)
class JoinedPolicy:
    """All demands that bind, joined. Two policies with the same demands are equal."""

    demands: frozenset[Demand] = frozenset()

    def join(self, other: "JoinedPolicy") -> "JoinedPolicy":
        """The policy that meets both."""
        return JoinedPolicy(self.demands | other.demands)

    @cached_property
    def _by_field(self) -> Mapping[str, tuple[Demand, ...]]:
        found: dict[str, list[Demand]] = {}
        for demand in self.demands:
            found.setdefault(demand.field, []).append(demand)
        return {name: tuple(made) for name, made in found.items()}

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """Every field with its joined value; fields nobody asked for stand at their bottom."""
        return {
            name: reduce(scale.join, (demand.value for demand in self._by_field.get(name, ())), scale.bottom)
            for name, scale in SCALES.items()
        }

    @cached_property
    def winners(self) -> Mapping[str, tuple[RuleRef, ...]]:
        """For each field that somebody asked for, the rules that made it as strict as it is, in order of their id.

        Where one rule alone asks for the joined value it is the winner; where the value is stricter than each
        (shift joined with month is study_day) or a set of parts, all that cannot be left out are named.
        """
        found = {}
        for name, made in self._by_field.items():
            alone = [demand.ref for demand in made if demand.value == self.values[name]]
            found[name] = tuple(sorted(set(alone or [demand.ref for demand in made])))
        return found

    @cached_property
    def provenance(self) -> Mapping[str, RuleRef]:
        """For each field that somebody asked for, the first of its winners."""
        return {name: refs[0] for name, refs in self.winners.items()}

    @cached_property
    def safeguards(self) -> Safeguards:
        """The part of the policy that the engine must meet."""
        asked = {name: value for name, value in self.values.items() if name in SAFEGUARD_FIELDS}
        if asked["attempt"] is None:  # nobody stated a probability of attempt: an attack is assumed
            asked["attempt"] = 1.0
        return Safeguards(**asked)

    def weaker_than(self, other: "JoinedPolicy") -> tuple[str, ...]:
        """The fields on which this policy demands less than the other."""
        return tuple(
            name
            for name, scale in SCALES.items()
            if scale.join(self.values[name], other.values[name]) != self.values[name]
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form: each field that is demanded with its value and its winners."""
        return {
            name: {"value": _plain(self.values[name]), "rules": [ref.rule for ref in self.winners[name]]}
            for name in sorted(self.winners)
        }


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value


NOTHING = JoinedPolicy()


def joined(policies: Iterable[JoinedPolicy]) -> JoinedPolicy:
    """The join of any number of policies."""
    return reduce(JoinedPolicy.join, policies, NOTHING)
