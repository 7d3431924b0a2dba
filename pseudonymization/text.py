"""Free text: dropped by default, kept, or with what identifies a person taken out.

What is taken out is found by `recognizers`: the study's own dictionary (subject ids and their parts, sites,
investigators, names), dates in words, names that a title or a relation announces, and patterns (mail, phone, address,
national numbers). What none of these knows, such as a bare name that no list holds, stays: hence the default.
"""

import importlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pseudonymization import isodates
from pseudonymization.subjects import Subjects
from pseudonymization.surrogates import Surrogates
from pseudonymization.tokens import Found, Tokens, spelling
from pseudonymization.worddates import DateWords
from pseudonymization.wordings import Replacement

__all__ = ["FINDING", "MOST_CHARACTERS", "REDACTED", "SHORTEST", "STAND_INS", "DateWords", "Redactor", "is_date"]

REDACTED = "--redacted--"
"""The mark the PHUSE standard leaves where personal text stood."""

SHORTEST = 3
"""A known value with fewer letters and digits is no token: it would be found everywhere."""

MOST_CHARACTERS = 20_000
"""A longer text is no remark but a document: it is redacted whole."""

MOST_REMEMBERED = 20_000
"""Distinct texts whose redaction is remembered: the same remark in another batch costs nothing."""

FINDING = (
    r"^(?:[<>=~ ]*[-+]?[0-9]+(?:[.,][0-9]+)?(?:[eE][-+]?[0-9]+)?"
    r"|(?:[0-9]{4}|-)(?:-(?:[0-9]{2}|-)){0,2}(?:[T ][-0-9:.,+Z]*)?(?:/[-0-9T:PYMDHS.,+Z]+)?)$"
)
"""A cell that is, as a whole, a number or an ISO 8601 date: what stands in it is no id, however it looks."""

STAND_INS: Mapping[str, str] = {
    "person": "name",
    "identifier": "name",
    "email": "email",
    "phone": "phone",
    "address": "street",
    "organisation": "organisation",
}
"""Kinds that a realistic stand-in may replace, and what is made for them; all others get the mark."""

_RANK = ("subject id", "identifier", "ip", "date", "email", "url", "record number", "national number", "account number")


def is_date(text: str) -> bool:
    """Whether the text as a whole is a date, complete or partial, but not a year alone."""
    return len(text) > 4 and isodates.readable(text)


class Redactor:
    """Takes out of a text what identifies; says how many of each kind."""

    def __init__(
        self,
        known: Mapping[str, str],
        *,
        replacement: Replacement = Replacement.MARK,
        stand_ins: Mapping[str, Surrogates] | None = None,
    ) -> None:
        """`known`: each value, and its kind (`subject id`, `identifier`). `stand_ins`: per kind of `STAND_INS`."""
        self._tokens = Tokens(known)
        self._replacement, self._stand_ins = replacement, stand_ins or {}
        self._finder: Any = None
        self._done: dict[tuple[str, frozenset[str]], tuple[str, Counter[str]]] = {}

    @classmethod
    def of(
        cls,
        subjects: Subjects,
        *,
        replacement: Replacement = Replacement.MARK,
        stand_ins: Mapping[str, Surrogates] | None = None,
    ) -> "Redactor":
        """A redactor that knows the ids and the identifying values of a study."""
        known = dict.fromkeys(subjects.ids.to_pylist(), "subject id")
        known |= {alias: "subject id" for alias in subjects.aliases if len(spelling(alias)) >= SHORTEST}
        for values in subjects.identifying.values():
            for value in values:
                for piece in (value, *_name_parts(value)):
                    if len(spelling(piece)) >= SHORTEST and not is_date(piece):
                        known.setdefault(piece, "identifier")
        return cls(known, replacement=replacement, stand_ins=stand_ins)

    def redact(self, text: str, allowed: frozenset[str] = frozenset()) -> tuple[str, Counter[str]]:
        """The text with a mark or a stand-in for what was found, and the number found of each kind.

        `allowed` holds what a steward lets stand, as `tokens.spelling` writes it; a subject id is never let stand.
        """
        if (text, allowed) not in self._done:
            if len(self._done) >= MOST_REMEMBERED:
                self._done.clear()
            self._done[text, allowed] = self._redacted(text, allowed)
        return self._done[text, allowed]

    def _redacted(self, text: str, allowed: frozenset[str]) -> tuple[str, Counter[str]]:
        if len(text) > MOST_CHARACTERS:
            return self._instead("text too long", text), Counter({"text too long": 1})
        found = [
            one
            for one in self._find(text)
            if one.entry == "subject id" or spelling(text[one.start : one.end]) not in allowed
        ]
        pieces, done, kinds = [], 0, Counter[str]()
        for one in _joined(found):
            pieces += [text[done : one.start], self._instead(one.entry, text[one.start : one.end])]
            done = one.end
            kinds[one.entry] += 1
        return "".join([*pieces, text[done:]]), kinds

    def _find(self, text: str) -> list[Found]:
        if not any(sign.isalnum() for sign in text):
            return []
        if self._finder is None:
            # Presidio brings spaCy, a second and a hundred megabytes: only a release that redacts pays for it.
            self._finder = importlib.import_module("pseudonymization.recognizers").Finder(self._tokens)
        found: list[Found] = self._finder.find(text)
        return found

    def _instead(self, kind: str, original: str) -> str:
        if self._replacement is Replacement.KIND:
            return f"[{kind}]"
        named = kind != "identifier" or all(sign.isalpha() or sign in " .,'-" for sign in original)
        if self._replacement is Replacement.SURROGATE and kind in self._stand_ins and named:
            return self._stand_ins[kind].stand_ins([spelling(original)])[0]
        return REDACTED


def _joined(found: list[Found]) -> list[Found]:
    """Finds that overlap as one, of the kind that tells most; in the order of the text."""
    joined: list[Found] = []
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if joined and one.start < joined[-1].end:
            last = joined.pop()
            kind = min(last.entry, one.entry, key=lambda kind: _RANK.index(kind) if kind in _RANK else len(_RANK))
            one = Found(last.start, max(last.end, one.end), kind)  # noqa: PLW2901 - the two become one
        joined.append(one)
    return joined


def _name_parts(value: str) -> list[str]:
    """The longer words of a name: a person is also known by the last name alone."""
    words = value.replace(",", " ").split()
    if not 2 <= len(words) <= 4:
        return []
    return [word for word in words if len(word) >= 4 and word.isalpha()]
