"""Conditions of rules: data in a small closed form, compiled once into functions of a view.

    {all: [...]}  {any: [...]}  {not: ...}      the three connectives, in Kleene's three-valued logic
    {field: path, OP: value}                    a fact compared with a value; OP is one of OPERATORS
    {given: path}                               whether a fact is stated at all (never unknown)
    {known: ...}                                true only if it is certain (never unknown)
    {instrument: name}                          a paper in hand and not expired; a list means any of them
    {term: name}                                a term that rules define
    {measure: name, ..., OP: number}            a number worked out by named code (policies.measures)
    {test: name, ...}                           a question answered by named code (policies.measures)
    {always: true}                              no condition

A compiled condition answers True, False, or a frozenset with the names of the facts it would need.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from policies.faults import RuleFault
from policies.papers import held
from policies.registry import MEASURES, TESTS, Missing, Truth
from policies.vocabulary import OFFERED, WORD, countries, kind_of

Test = Callable[[dict[str, Any]], Truth]
Lists = Mapping[str, frozenset[str]]


def _has_any(value: Any, wanted: frozenset[str]) -> bool:
    return not wanted.isdisjoint(value)


OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "is": lambda value, wanted: bool(value == wanted),
    "is_not": lambda value, wanted: bool(value != wanted),
    "in": lambda value, wanted: value in wanted,
    "not_in": lambda value, wanted: value not in wanted,
    "has": lambda value, wanted: wanted in value,
    "has_any": _has_any,
    "has_none": lambda value, wanted: not _has_any(value, wanted),
    "only": lambda value, wanted: wanted.issuperset(value),
    "beyond": lambda value, wanted: not wanted.issuperset(value),
    "more_than": lambda value, wanted: bool(value > wanted),
    "at_least": lambda value, wanted: bool(value >= wanted),
    "less_than": lambda value, wanted: bool(value < wanted),
    "at_most": lambda value, wanted: bool(value <= wanted),
    "before": lambda value, wanted: bool(value < wanted),
    "on_or_after": lambda value, wanted: bool(value >= wanted),
}
_MANY = frozenset({"in", "not_in", "has_any", "has_none", "only", "beyond"})
_NUMERIC = frozenset({"more_than", "at_least", "less_than", "at_most"})


class Compiler:
    """Turns conditions into functions, with the lists as they stand on one day and the terms rules define.

    `terms` is filled while regimes are compiled; a term may be used before it is defined.
    """

    def __init__(self, lists: Lists) -> None:
        self._lists = lists
        self.terms: dict[str, list[Test]] = {}

    def compile(self, condition: Mapping[str, Any]) -> Test:
        """A function from a view to a truth.

        Raises:
            RuleFault: an unknown form, field, operator, list, instrument form, measure or test.
        """
        for key, form in self._forms.items():
            if key in condition:
                return form(self, condition)
        raise RuleFault(f"no such condition: {', '.join(condition) or 'empty'}")

    def _all(self, condition: Mapping[str, Any]) -> Test:
        parts = [self.compile(part) for part in condition["all"]]

        def every(view: dict[str, Any]) -> Truth:
            missing: Missing = frozenset()
            for part in parts:
                truth = part(view)
                if truth is False:
                    return False
                if truth is not True:
                    missing |= truth
            return missing or True

        return every

    def _any(self, condition: Mapping[str, Any]) -> Test:
        return any_of([self.compile(part) for part in condition["any"]])

    def _not(self, condition: Mapping[str, Any]) -> Test:
        part = self.compile(condition["not"])

        def opposite(view: dict[str, Any]) -> Truth:
            truth = part(view)
            return not truth if isinstance(truth, bool) else truth

        return opposite

    def _known(self, condition: Mapping[str, Any]) -> Test:
        part = self.compile(condition["known"])
        return lambda view: part(view) is True

    def _given(self, condition: Mapping[str, Any]) -> Test:
        path = self._checked(condition["given"])
        head, _, rest = path.partition(".")
        if head in OFFERED and rest:
            return lambda view: rest in view.get(head, ())
        return lambda view: path in view

    def _always(self, _: Mapping[str, Any]) -> Test:
        return lambda _view: True

    def _term(self, condition: Mapping[str, Any]) -> Test:
        name = condition["term"]
        definitions = self.terms.setdefault(name, [])
        key, whether = f"term {name}", any_of(definitions)

        def defined(view: dict[str, Any]) -> Truth:
            truth: Truth | None = view.get(key)
            if truth is None:
                truth = view[key] = whether(view)
            return truth

        return defined

    def _instrument(self, condition: Mapping[str, Any]) -> Test:
        names = condition["instrument"]
        wanted = frozenset([names] if isinstance(names, str) else names)

        def in_hand(view: dict[str, Any]) -> Truth:
            if "instruments" not in view:
                return wanted
            return not wanted.isdisjoint(held(view))

        return in_hand

    def _field(self, condition: Mapping[str, Any]) -> Test:
        path = self._checked(condition["field"])
        operator, wanted = self._comparison(condition, {"field"})
        kind = kind_of(path)
        if kind is not None and kind.choices:
            for word in wanted if isinstance(wanted, frozenset) else (wanted,):
                if word not in kind.choices:
                    raise RuleFault(f"`{path}` is never `{word}`")
        if (
            kind is not None
            and kind.shape == WORD.shape
            and not all(isinstance(word, str) for word in (wanted if isinstance(wanted, frozenset) else (wanted,)))
        ):
            raise RuleFault(f"`{path}` is compared with words only", cure="quote words that YAML reads as numbers")
        compare, unknown = OPERATORS[operator], frozenset({path})
        head, _, offer = path.partition(".")
        if head in OFFERED and offer:
            return lambda view: compare(view[head].get(offer, False), wanted) if head in view else unknown
        return lambda view: compare(view[path], wanted) if path in view else unknown

    def _measure(self, condition: Mapping[str, Any]) -> Test:
        entry = MEASURES.get(condition["measure"])
        if entry is None:
            raise RuleFault(f"no such measure: `{condition['measure']}`")
        operator, wanted = self._comparison(condition, {"measure", *entry.arguments})
        if operator not in _NUMERIC:
            raise RuleFault(f"a measure is compared by {', '.join(sorted(_NUMERIC))}, not `{operator}`")
        compare = OPERATORS[operator]
        arguments = self._resolved(condition, entry.arguments)
        work_out = entry.work_out

        def measured(view: dict[str, Any]) -> Truth:
            least, most, missing = work_out(view, arguments)
            sure: bool = compare(least, wanted)
            return sure if sure == compare(most, wanted) else missing

        return measured

    def _test(self, condition: Mapping[str, Any]) -> Test:
        entry = TESTS.get(condition["test"])
        if entry is None:
            raise RuleFault(f"no such test: `{condition['test']}`")
        self._only(condition, {"test", *entry.arguments})
        arguments, work_out = self._resolved(condition, entry.arguments), entry.work_out
        return lambda view: work_out(view, arguments)

    def _resolved(self, condition: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        given = {name: condition[name] for name in names if name in condition}
        if "list" in given:
            given["members"] = self.members(given["list"])
        return given

    def members(self, name: str) -> frozenset[str]:
        """The values of a dated list on this compiler's day."""
        if name not in self._lists:
            raise RuleFault(f"no such list: `{name}`", cure=f"known: {', '.join(sorted(self._lists))}")
        return self._lists[name]

    def _listed(self, wanted: Mapping[str, Any]) -> frozenset[str]:
        """The values of one list or of several, and further values beside them: {lists: [a, b], and: [US]}."""
        self._only(wanted, {"list", "lists", "and"})
        names = [wanted["list"]] if "list" in wanted else wanted.get("lists", ())
        return frozenset(wanted.get("and", ())).union(*(self.members(name) for name in names))

    def _comparison(self, condition: Mapping[str, Any], besides: set[str]) -> tuple[str, Any]:
        operators = [key for key in condition if key in OPERATORS]
        if len(operators) != 1:
            raise RuleFault("a comparison has exactly one operator", cure=f"one of {', '.join(OPERATORS)}")
        self._only(condition, besides | {operators[0]})
        wanted = condition[operators[0]]
        if isinstance(wanted, Mapping):
            return operators[0], self._listed(wanted)
        if operators[0] in _MANY:
            if not isinstance(wanted, list | tuple):
                raise RuleFault(f"`{operators[0]}` takes a list")
            return operators[0], frozenset(wanted)
        if operators[0] in _NUMERIC and not isinstance(wanted, int | float):
            raise RuleFault(f"`{operators[0]}` takes a number")
        if operators[0] in ("before", "on_or_after") and not isinstance(wanted, date):
            raise RuleFault(f"`{operators[0]}` takes a date")
        return operators[0], wanted

    @staticmethod
    def _only(condition: Mapping[str, Any], known: set[str]) -> None:
        for key in condition:
            if key not in known:
                raise RuleFault(f"unknown word `{key}` in a condition")

    @staticmethod
    def _checked(path: str) -> str:
        if kind_of(path) is None:
            raise RuleFault(f"no such fact: `{path}`")
        return path

    _forms: Mapping[str, Callable[["Compiler", Mapping[str, Any]], Test]] = {
        "measure": _measure,
        "test": _test,
        "all": _all,
        "any": _any,
        "not": _not,
        "known": _known,
        "given": _given,
        "always": _always,
        "term": _term,
        "instrument": _instrument,
        "field": _field,
    }


def any_of(parts: list[Test]) -> Test:
    """True if one is true; else unknown if one is unknown; else False."""

    def some(view: dict[str, Any]) -> Truth:
        missing: Missing = frozenset()
        for part in parts:
            truth = part(view)
            if truth is True:
                return True
            if truth is not False:
                missing |= truth
        return missing or False

    return some


def words_of(condition: Any, key: str) -> frozenset[str]:
    """Every word that stands under a key anywhere in a condition: the terms or instruments it turns on."""
    found: set[str] = set()
    if isinstance(condition, Mapping):
        for name, value in condition.items():
            if name == key:
                found |= {value} if isinstance(value, str) else set(value)
            else:
                found |= words_of(value, key)
    elif isinstance(condition, list | tuple):
        for item in condition:
            found |= words_of(item, key)
    return frozenset(found)


def country_codes(condition: Any) -> frozenset[str]:
    """Words compared with country fields that are no ISO code."""
    found: set[str] = set()
    if isinstance(condition, Mapping):
        path = condition.get("field")
        kind = kind_of(path) if isinstance(path, str) else None
        if kind is not None and "country" in kind.shape:
            for key, value in condition.items():
                if key in OPERATORS and not isinstance(value, Mapping):
                    found |= set(value) if isinstance(value, list | tuple) else {value}
            found -= countries()
        for value in condition.values():
            found |= country_codes(value) if isinstance(value, Mapping | list | tuple) else set()
    elif isinstance(condition, list | tuple):
        for item in condition:
            found |= country_codes(item)
    return frozenset(found)
