"""What is searched for: every original id, part of an id and name of a study, as spelled; and a sieve for each sort.

A short id (`701`, `1015`) is also a plausible finding, so it is looked for with more care than a long one; short ids
that are so many that any number of their length would be one are not looked for in texts at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pseudonymization.columns import Handling, Study
from pseudonymization.subjects import Subjects
from pseudonymization.text import SHORTEST, is_date
from pseudonymization.tokens import Tokens, spelling

SUBJECT, PART, RECODED, NAME = "subject id", "part of a subject id", "recoded id", "direct identifier"

_LONG = 6
_CROWDED = 0.05
_MOST_SHAPES = 100
_SHORTEST_NAME = 4
_EDGE = ("(?:^|[^0-9A-Za-z])", "(?:$|[^0-9A-Za-z])")


@dataclass(frozen=True, slots=True)
class Known:
    """Values by how they are looked for. Shapes are patterns that every value of a sort matches (empty: no sieve).

    long: telling by themselves, searched everywhere. short: may be a finding too. words: names of one word and the
    words of names, searched in free text and among ids. unsearched: lengths of numbers too common to be searched.
    """

    long: Tokens
    short: Tokens
    words: Tokens
    long_shape: str
    short_shape: str
    unsearched: frozenset[int]

    @classmethod
    def of(cls, subjects: Subjects, study: Study) -> "Known":
        """All that identifies in this study."""
        long, short, words = _sorts(subjects, study)
        unsearched = _crowded(short)
        short = {spelled: kind for spelled, kind in short.items() if len(spelled) not in unsearched}
        return cls(
            Tokens.of_spelled(long),
            Tokens.of_spelled(short),
            Tokens.of_spelled(words),
            _shapes(long),
            _shapes(short),
            unsearched,
        )


def picked(values: pa.Array, shape: str) -> pa.Array:
    """The values that a sieve lets through."""
    return values.filter(pc.match_substring_regex(values, shape)) if shape else values


def _sorts(subjects: Subjects, study: Study) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Every value to search for, as spelled, and its kind: telling by itself, short, or a word of a name."""
    known = dict.fromkeys(subjects.ids.to_pylist(), SUBJECT)
    for alias in subjects.aliases:
        known.setdefault(alias, PART)
    words: dict[str, str] = {}
    for ref, values in subjects.identifying.items():
        kind = RECODED if study.at(ref).handling is Handling.RECODE else NAME
        for value in values:
            if not is_date(value):
                known.setdefault(value, kind)
            if kind == NAME:
                words |= dict.fromkeys(_name_words(value), kind)
    long: dict[str, str] = {}
    short: dict[str, str] = {}
    for value, kind in known.items():
        spelled = spelling(value)
        letters = spelled.replace(" ", "")
        if len(letters) < SHORTEST:
            continue
        if kind == NAME and spelled.isalpha():
            words.setdefault(spelled, kind)
        elif len(letters) >= _LONG or (len(letters) > SHORTEST and not letters.isdecimal()):
            long.setdefault(spelled, kind)
        else:
            short.setdefault(spelled, kind)
    return long, short, words


def _name_words(value: str) -> list[str]:
    """The longer words of a person's name: a doctor is written of by the last name alone."""
    words = value.replace(",", " ").split()
    if not 2 <= len(words) <= 4 or not all(word.replace(".", "").replace("-", "").isalpha() for word in words):
        return []
    return [word.casefold() for word in words if len(word) >= _SHORTEST_NAME and word.isalpha()]


def _crowded(short: Iterable[str]) -> frozenset[int]:
    """Lengths at which short numeric ids are too many to tell an id from any other number."""
    lengths = [len(value) for value in short if value.isdecimal()]
    return frozenset(size for size in set(lengths) if lengths.count(size) > _CROWDED * 10**size)


def _shapes(values: Iterable[str]) -> str:
    """One pattern that every one of these values matches, and few other texts do: a sieve before the exact search.

    Where their shapes are too many for a pattern, each is made looser, and at last everything goes through.
    """
    runs = {tuple(map(_run_kind, value.split())) for value in values}
    for letters in ("[A-Za-z]{%d}", "[A-Za-z]+"):
        shapes = {"[^0-9A-Za-z]{1,3}".join(_run_shape(*run, letters) for run in value) for value in runs}
        if len(shapes) <= _MOST_SHAPES:
            return f"{_EDGE[0]}(?:{'|'.join(sorted(shapes))}){_EDGE[1]}"
    return ""


def _run_kind(run: str) -> tuple[str, int]:
    """What a run is made of, and its length. Only ASCII is told apart: classes of all letters are slow to compile."""
    kind = "digits" if run.isascii() and run.isdecimal() else "letters" if run.isascii() and run.isalpha() else "any"
    return kind, len(run)


def _run_shape(kind: str, length: int, letters: str) -> str:
    if kind == "digits":
        return f"[0-9]{{{length}}}"
    if kind == "letters":
        return letters % length if "%" in letters else letters
    return r"[0-9A-Za-z\x{80}-\x{10FFFF}]+"
