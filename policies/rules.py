"""The loaded rules, and what they come to on one day: conditions compiled once and kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache
from typing import Any

from policies import spelling
from policies.conditions import Compiler, Test, country_codes, words_of
from policies.faults import RuleFault
from policies.measures import NAMED_CODE
from policies.merge import JoinedPolicy, demands_of
from policies.model import DatedList, Duty, Flag, Regime, Rule


@dataclass(frozen=True, slots=True)
class BoundRule:
    """A rule ready to be asked: its conditions as functions, its demands as a policy."""

    rule: Rule
    when: Test
    requires: Test | None
    instruments: tuple[str, ...]
    duties: tuple[tuple[Duty, Test | None], ...]
    policy: JoinedPolicy
    changes: Callable[[dict[str, Any]], Any] | None


@dataclass(frozen=True, slots=True)
class BoundRegime:
    """A regime on one day: the rules that are law, definitions left out (they stand in the compiler's terms)."""

    regime: Regime
    binds: Test
    rules: tuple[BoundRule, ...]
    publishes: tuple[tuple[str, str, Callable[[dict[str, Any]], Any]], ...]


@dataclass(frozen=True, slots=True)
class RulesOfDay:
    """All regimes as they stand on one day."""

    day: date
    regimes: tuple[BoundRegime, ...]
    flags: tuple[Flag, ...]
    lists: Mapping[str, DatedList]


@dataclass(frozen=True, eq=False)
class Rules:
    """All regimes and lists, with the hash of the files they came from."""

    regimes: tuple[Regime, ...]
    lists: Mapping[str, DatedList] = field(default_factory=dict)
    bundle: str = ""

    @property
    def list_versions(self) -> Mapping[str, str]:
        """The version of each list, by its id."""
        return {name: each.version for name, each in sorted(self.lists.items())}

    @cached_property
    def words(self) -> spelling.Words:
        """The words of open lists that some rule knows."""
        conditions: list[Any] = [regime.binds for regime in self.regimes]
        for rule in (rule for regime in self.regimes for rule in regime.rules):
            conditions += [rule.when, rule.requires, *(duty.evidenced_by for duty in rule.duties)]
        return spelling.gather(conditions)

    def on(self, day: date) -> RulesOfDay:
        """What is law on this day, compiled; kept for the days asked last."""
        return _on(self, day)

    def rule(self, rule_id: str) -> tuple[Rule, ...]:
        """All versions of a rule, in the order of the file."""
        return tuple(rule for regime in self.regimes for rule in regime.rules if rule.id == rule_id)

    def without(self, *rule_ids: str) -> "Rules":
        """The same rules less some: what would hold if they were not law."""
        kept = tuple(
            Regime(
                regime.id, regime.title, regime.jurisdiction, regime.binds,
                tuple(rule for rule in regime.rules if rule.id not in rule_ids),
                regime.flags, regime.publishes, regime.file,
            )
            for regime in self.regimes
        )  # fmt: skip
        return Rules(kept, self.lists, f"{self.bundle} without {', '.join(rule_ids)}")

    def check(self, regime: Regime, defined: set[str]) -> None:
        """Compile every rule of a regime, whatever its dates.

        Raises:
            RuleFault: a condition that cannot be compiled, a term nobody defines, a flag nobody declares.
        """
        compiler = Compiler({name: each.on(date.max) for name, each in self.lists.items()})
        flags = {flag.name: flag for each in self.regimes for flag in each.flags}
        for rule in regime.rules:
            place = f"{rule.file}:{rule.line}"
            try:
                _bound_rule(rule, compiler)
            except RuleFault as wrong:
                raise RuleFault(f"rule `{rule.id}`: {wrong.reason}", place=place, cure=wrong.cure) from None
            published = [*rule.sets.items(), *(rule.otherwise.sets.items() if rule.otherwise else ())]
            for name, value in published:
                if name not in flags or not (flags[name].collects or value in flags[name].order):
                    raise RuleFault(f"rule `{rule.id}` sets `{name}` to a value it cannot have", place=place)
            conditions = [rule.when, rule.requires, *(duty.evidenced_by for duty in rule.duties)]
            for term in sorted(words_of(conditions, "term") - defined):
                raise RuleFault(f"rule `{rule.id}` uses the term `{term}`, which no rule defines", place=place)
            for code in sorted(country_codes(conditions)):
                raise RuleFault(f"rule `{rule.id}`: `{code}` is no ISO 3166-1 alpha-2 country code", place=place)
        try:
            _bound_regime(regime, compiler, date.max)
        except RuleFault as wrong:
            raise RuleFault(wrong.reason, place=f"{regime.file}:1", cure=wrong.cure) from None


@lru_cache(maxsize=256)
def _on(rules: Rules, day: date) -> RulesOfDay:
    compiler = Compiler({name: each.on(day) for name, each in rules.lists.items()})
    for regime in rules.regimes:
        for rule in regime.rules:
            if rule.defines and rule.applies_on(day):
                scope = compiler.compile(regime.binds)
                compiler.terms.setdefault(rule.defines, []).append(_both(scope, compiler.compile(rule.when)))
    return RulesOfDay(
        day=day,
        regimes=tuple(_bound_regime(regime, compiler, day) for regime in rules.regimes),
        flags=tuple(flag for regime in rules.regimes for flag in regime.flags),
        lists=rules.lists,
    )


def _both(one: Test, other: Test) -> Test:
    def both(view: dict[str, Any]) -> Any:
        first = one(view)
        if first is False:
            return False
        second = other(view)
        if first is True or second is False:
            return second
        return first if second is True else first | second

    return both


def _bound_regime(regime: Regime, compiler: Compiler, day: date) -> BoundRegime:
    publishes = []
    for flag, how in regime.publishes.items():
        if "term" in how:
            publishes.append((flag, "term", compiler.compile({"term": how["term"]})))
            continue
        publishes.append((flag, "finding", _finding_of(how, compiler)))
    return BoundRegime(
        regime=regime,
        binds=compiler.compile(regime.binds),
        rules=tuple(_bound_rule(rule, compiler) for rule in regime.rules if rule.applies_on(day) and not rule.defines),
        publishes=tuple(publishes),
    )


def _finding_of(how: Mapping[str, Any], compiler: Compiler) -> Callable[[dict[str, Any]], Any]:
    """A finding with the arguments that a file gives it.

    Raises:
        RuleFault: no such finding, or it takes other arguments.
    """
    entry = NAMED_CODE.findings.get(how.get("finding", ""))
    if entry is None:
        raise RuleFault(f"no such finding: `{how.get('finding')}`")
    arguments = {name: value for name, value in how.items() if name != "finding"}
    if entry.arguments != set(arguments):
        raise RuleFault(f"finding `{entry.name}` takes {', '.join(sorted(entry.arguments)) or 'no arguments'}")
    if "list" in arguments:
        arguments["members"] = compiler.members(arguments["list"])
    return lambda view: entry.work_out(view, arguments)


def _bound_rule(rule: Rule, compiler: Compiler) -> BoundRule:
    changes = _finding_of(rule.transforms_by, compiler) if rule.transforms_by else None
    return BoundRule(
        rule=rule,
        when=compiler.compile(rule.when),
        requires=compiler.compile(rule.requires) if rule.requires is not None else None,
        instruments=tuple(sorted(words_of(rule.requires, "instrument"))),
        duties=tuple(
            (duty, compiler.compile(duty.evidenced_by) if duty.evidenced_by is not None else None)
            for duty in rule.duties
        ),
        policy=JoinedPolicy(frozenset(demands_of(rule.data, rule.ref))),
        changes=changes,
    )
