"""Words that are almost a known word: an open list of papers, roles or clauses still catches a slip of the pen.

A misspelt role could loosen a verdict, since no rule would bind; so a near miss is an error, never a new word.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from policies.faults import FactFault

NEAR = 0.9
Words = Mapping[str, frozenset[str]]


def check(shared: Mapping[str, Any], known: Words) -> None:
    """Compare the open words of facts with those that rules use.

    Raises:
        FactFault: a word is nearly, but not quite, one that a rule knows.
    """
    for place, word in _open_words(shared, known):
        if word in known[place]:
            continue
        near = get_close_matches(word, known[place], n=1, cutoff=NEAR)
        if near:
            raise FactFault(
                f"unknown word `{word}`, almost `{near[0]}`", place=place, cure=f"write `{near[0]}`, or another word"
            )


def _open_words(shared: Mapping[str, Any], known: Words) -> Iterable[tuple[str, str]]:
    for place in known:
        value = shared.get(place, ())
        for item in (value,) if isinstance(value, str) else value:
            yield place, str(item["type"] if isinstance(item, Mapping) else item)


def gather(conditions: Iterable[Any]) -> Words:
    """The words that rules compare open facts with: papers, roles, purposes, and the names of clauses and proofs."""
    found: dict[str, set[str]] = {"instruments": set(), "exporter.roles": set(), "purpose": set()}
    for condition in conditions:
        _collect(condition, found)
    return {place: frozenset(words) for place, words in found.items()}


def _collect(condition: Any, found: dict[str, set[str]]) -> None:
    if isinstance(condition, list | tuple):
        for item in condition:
            _collect(item, found)
    if not isinstance(condition, Mapping):
        return
    if "instrument" in condition:
        named = condition["instrument"]
        found["instruments"] |= {named} if isinstance(named, str) else set(named)
    path = str(condition.get("field", condition.get("given", "")))
    head, _, rest = path.partition(".")
    if path in found:
        for key in ("has", "is", "is_not", "in", "not_in", "has_any", "has_none"):
            words = condition.get(key, ())
            found[path] |= {words} if isinstance(words, str) else set(words)
    elif head in ("contract_terms", "evidence", "legal_basis", "upstream") and rest:
        found.setdefault(head, set()).add(rest)
    for value in condition.values():
        _collect(value, found)
