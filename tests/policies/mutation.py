"""Would the cases notice? Each rule is left out, each number and date moved by one, and some case must fail.

Run `python -m tests.policies.mutation` for all files, or name some: `python -m tests.policies.mutation us-doj duo`.
Numbers move by one up and down (shares by a hundredth); days by one. A mutant that does not load is noticed too.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from typing import Any

from ruamel.yaml import YAML

from policies.decide import decide
from policies.faults import RuleFault
from policies.loader import load
from policies.model import DatedList, Listed, Regime, Rule
from policies.rules import Rules
from tests.policies.cases import FOLDER, Case, misses, read

NAMED = (
    "us-doj", "us-hipaa-safe-harbor", "us-hipaa-expert-determination", "us-hipaa-claims", "eu-gdpr-transfer",
    "eu-ema-policy-0070", "ca-prci", "cn-pipl-cac", "cn-hgr", "sanctions", "duo",
)  # fmt: skip
CALENDAR = FOLDER / "calendar" / "effective-dates.yaml"
LISTS = ("eu-adequacy", "us-countries-of-concern", "br-adequacy")


@dataclass(frozen=True)
class Mutant:
    rule: Rule
    what: str
    rules: Rules


Span = tuple[date | None, date | None]


@cache
def calendar() -> Mapping[str, Mapping[str, list[Span]]]:
    """The first and last day of each version of a rule, and of each entry of a list, as the sources say."""
    content = YAML(typ="safe", pure=True).load(CALENDAR.read_text(encoding="utf-8"))
    return {
        part: {name: [(span.get("from"), span.get("to")) for span in spans] for name, spans in content[part].items()}
        for part in ("rules", "lists")
    }


def out_of_calendar(rules: Rules) -> list[str]:
    """The names of rules and list entries whose dates are not those of the calendar."""
    wanted = calendar()
    found: dict[str, dict[str, list[Span]]] = {"rules": {}, "lists": {}}
    for rule in (rule for regime in rules.regimes for rule in regime.rules):
        found["rules"].setdefault(rule.id, []).append((rule.effective_from, rule.effective_to))
    for name, entry in ((name, entry) for name, dated in rules.lists.items() for entry in dated.entries):
        if entry.since or entry.until:
            found["lists"].setdefault(f"{name} {entry.value}", []).append((entry.since, entry.until))
    return sorted(
        name
        for part in ("rules", "lists")
        for name in set(wanted[part]) | set(found[part])
        if wanted[part].get(name) != found[part].get(name)
    )


def _numbers(node: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _numbers(value, (*way, key))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from _numbers(value, (*way, index))
    elif isinstance(node, int | float | date) and not isinstance(node, bool):
        yield way


def _moved(value: Any, step: int) -> Any:
    if isinstance(value, date):
        return value + timedelta(days=step)
    return round(value + step / 100, 6) if isinstance(value, float) else value + step


def _at(node: Any, way: tuple[Any, ...], step: int) -> Any:
    if not way:
        return _moved(node, step)
    if isinstance(node, Mapping):
        return {key: _at(value, way[1:], step) if key == way[0] else value for key, value in node.items()}
    return type(node)(_at(value, way[1:], step) if index == way[0] else value for index, value in enumerate(node))


def mutants(rules: Rules, regime: Regime) -> Iterator[Mutant]:
    for place, rule in enumerate(regime.rules):
        yield Mutant(rule, "left out", _with(rules, regime, place, None))
        for name in ("when", "requires", "data", "transforms_by"):
            content = getattr(rule, name)
            for way in _numbers(content or {}):
                for step in (-1, 1):
                    changed = replace(rule, **{name: _at(content, way, step)})
                    words = f"{name} {'.'.join(map(str, way))} {step:+d}"
                    yield Mutant(rule, words, _with(rules, regime, place, changed))
        for name in ("effective_from", "effective_to"):
            for step in (-1, 1) if getattr(rule, name) else ():
                changed = replace(rule, **{name: _moved(getattr(rule, name), step)})
                yield Mutant(rule, f"{name} {step:+d}", _with(rules, regime, place, changed))


def _with(rules: Rules, regime: Regime, place: int, changed: Rule | None) -> Rules:
    kept = list(regime.rules)
    kept[place : place + 1] = [changed] if changed else []
    regimes = tuple(replace(regime, rules=tuple(kept)) if each is regime else each for each in rules.regimes)
    return Rules(regimes, rules.lists, "mutant")


def list_mutants(rules: Rules, name: str) -> Iterator[tuple[str, Rules]]:
    """Each dated entry of a list moved by a day."""
    dated = rules.lists[name]
    for place, entry in enumerate(dated.entries):
        for end in ("since", "until"):
            for step in (-1, 1) if getattr(entry, end) else ():
                entries: list[Listed] = list(dated.entries)
                entries[place] = replace(entry, **{end: _moved(getattr(entry, end), step)})
                changed: DatedList = replace(dated, entries=tuple(entries))
                yield (
                    f"{name} {entry.value} {end} {step:+d}",
                    Rules(rules.regimes, {**rules.lists, name: changed}, "mutant"),
                )


def noticed(rules: Rules, cases: list[Case], *, by_calendar: bool = True) -> str:
    """The first case that fails under these rules, `calendar`, `loader`, or nothing."""
    if by_calendar and out_of_calendar(rules):
        return "calendar"
    try:
        for case in cases:
            if misses(case.expected, decide(case.facts, rules, case.as_of)):
                return case.id
    except (RuleFault, ValueError):
        return "loader"
    return ""


def ordered(cases: list[Case], rule: Rule) -> list[Case]:
    """Cases most likely to notice first: those that name the rule, then those of the same words."""

    def far(case: Case) -> int:
        text = str(case.expected)
        return 0 if rule.id in text else 1 if rule.ref.regime[:6] in case.file else 2

    return sorted(cases, key=far)


def main(names: list[str]) -> int:
    rules, cases = load(), read()
    if noticed(rules, cases):  # a case that fails anyhow would notice everything
        print("the cases fail before anything is changed:", noticed(rules, cases))
        return 2
    started, total, survivors = time.perf_counter(), 0, []
    for regime in rules.regimes:
        if regime.id not in (names or [each.id for each in rules.regimes]):
            continue
        for mutant in mutants(rules, regime):
            total += 1
            if not noticed(mutant.rules, ordered(cases, mutant.rule)):
                survivors.append(f"{mutant.rule.id}: {mutant.what}")
    for name in LISTS:
        for what, changed in list_mutants(rules, name):
            total += 1
            if not noticed(changed, cases):
                survivors.append(what)
    for survivor in survivors:
        print("not noticed:", survivor)
    print(f"{total} mutants, {len(survivors)} not noticed, {time.perf_counter() - started:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    named = sys.argv[1:]
    sys.exit(main(list(NAMED) if named == ["named"] else named))
