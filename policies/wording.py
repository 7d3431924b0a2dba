"""Conditions and effects of rules in plain words, for people who do not read YAML. Nothing is decided here."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from policies.model import Regime, Rule

_OPERATORS: Mapping[str, str] = {
    "is": "is",
    "is_not": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "has": "includes",
    "has_any": "includes one of",
    "has_none": "includes none of",
    "only": "is nothing beyond",
    "beyond": "goes beyond",
    "more_than": "is more than",
    "at_least": "is at least",
    "less_than": "is less than",
    "at_most": "is at most",
    "before": "is before",
    "on_or_after": "is on or after",
}
_DECISIONS: Mapping[str, str] = {
    "deny": "the request is refused",
    "needs_licence": "a licence is needed",
    "needs_review": "a person must judge",
    "permit_with_conditions": "a condition is set",
}


def value(given: Any) -> str:
    """A value of a rule file in words."""
    if given is True or given is False:
        return "yes" if given else "no"
    if given is None:
        return "not stated"
    if isinstance(given, date):
        return given.isoformat()
    if isinstance(given, Mapping):
        if "list" in given:
            return f"the list {given['list']}"
        if "lists" in given:
            more = f" and {', '.join(map(str, given['and']))}" if given.get("and") else ""
            return f"the lists {', '.join(given['lists'])}{more}"
        return ", ".join(f"{name} {value(part)}" for name, part in given.items())
    if isinstance(given, list | tuple | set | frozenset):
        parts = [value(part) for part in (given if isinstance(given, list | tuple) else sorted(given, key=str))]
        return ", ".join(parts) or "nothing"
    return str(given).replace("_", " ")


def condition(given: Mapping[str, Any] | None, *, inner: bool = False) -> str:
    """A condition in words; facts keep their own names between backticks."""
    if not given:
        return "always"
    for word, between in (("all", " and "), ("any", " or ")):
        if word in given:
            told = between.join(condition(part, inner=True) for part in given[word])
            return f"({told})" if inner and len(given[word]) > 1 else told
    if "not" in given:
        return f"not ({condition(given['not'])})"
    if "known" in given:
        return f"it is certain that {condition(given['known'], inner=True)}"
    return _plain(given)


def _plain(given: Mapping[str, Any]) -> str:
    if "always" in given:
        return "always"
    if "given" in given:
        return f"`{given['given']}` is stated"
    if "term" in given:
        return f"“{value(given['term'])}” holds"
    if "instrument" in given:
        named = given["instrument"] if isinstance(given["instrument"], list) else [given["instrument"]]
        return f"{' or '.join(map(value, named))} is in hand"
    kind = next(kind for kind in ("field", "measure", "test") if kind in given)
    rest = {name: part for name, part in given.items() if name != kind}
    operator = next((name for name in rest if name in _OPERATORS), "")
    wanted = rest.pop(operator, None)
    subject = f"`{given[kind]}`" if kind == "field" else value(given[kind])
    details = f" ({', '.join(f'{name}: {value(part)}' for name, part in rest.items())})" if rest else ""
    if not operator:
        return f"{subject}{details}"
    return f"{subject}{details} {_OPERATORS[operator]} {value(wanted)}"


def demand(name: str, wanted: Any) -> str:
    """One demand of the data in words: `k 11`."""
    return f"{name.replace('_', ' ')} {value(wanted)}"


def effects(rule: Rule) -> list[str]:
    """What follows while a rule binds, one sentence each."""
    told: list[str] = []
    if rule.defines:
        told.append(f"“{value(rule.defines)}” then holds")
    if rule.otherwise is not None:
        unless = f"Unless {condition(rule.requires)}, " if rule.requires is not None else ""
        told.append(f"{unless}{_DECISIONS.get(rule.otherwise.decision.value, rule.otherwise.decision.value)}")
    if rule.data:
        told.append("of the data is demanded: " + ", ".join(demand(*item) for item in sorted(rule.data.items())))
    if rule.data_from:
        told.append(f"of the data is demanded what the paper {value(rule.data_from)} says")
    told += [f"a duty goes with the release: {each.says}{f', within {each.due}' if each.due else ''}"
             for each in rule.duties]  # fmt: skip
    told += [f"{value(name)} becomes {value(wanted)}" for name, wanted in rule.sets.items()]
    if rule.transforms_by:
        told.append("the changes to the data that would help are named")
    return told


def span(rule: Rule) -> str:
    """The days on which a rule is law."""
    return f"from {rule.effective_from}" + (f" to {rule.effective_to}" if rule.effective_to else "")


def since(regime: Regime, day: date) -> date | None:
    """The first day of the earliest rule of a regime that is law on a day; None if none is."""
    return min((rule.effective_from for rule in regime.rules if rule.applies_on(day)), default=None)
