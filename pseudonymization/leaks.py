"""Searches the finished result for what should be gone: original ids, names and dates, by content, wherever they stand.

Known limits, kept small and stated. A short id (`701`, `1015`) is also a plausible finding, so a cell of findings that
is a number or a date as a whole is not taken for one; short ids that are so many that any number of their length would
be one (more than a twentieth of them) are not searched for at all and listed in `unsearched`. A name of one word
(White, Chad, May) is searched for in free text and among ids only, where it cannot be a term, a race or a country.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pseudonymization import dates, isodates
from pseudonymization.columns import Column, ColumnRef, Handling, Role, Study
from pseudonymization.faults import Leak, Place
from pseudonymization.plan import Act, Plan
from pseudonymization.safeguards import DateRule
from pseudonymization.subjects import Subjects
from pseudonymization.text import FINDING, SHORTEST, DateWords, is_date
from pseudonymization.tokens import Tokens, spelling

_LONG = 6
_CROWDED = 0.05
_MOST_SHAPES = 100
_EDGE = ("(?:^|[^0-9A-Za-z])", "(?:$|[^0-9A-Za-z])")
_DATE_LIKE = (
    r"(?i)[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}[a-z]{0,2}[-/. ]{0,2}(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[-. ]{0,2}[0-9]"
    r"|[0-9]{1,2}([/.]|-)[0-9]{1,2}([/.]|-)[0-9]{2}|(?:19|20)[0-9]{2}[/.]?[0-9]{2}[/.]?[0-9]{2}"
)
_REWRITTEN = frozenset({Act.PSEUDONYM, Act.RECODE, Act.SURROGATE, Act.REDACT})


@dataclass(frozen=True, slots=True)
class Hit:
    """What kind of original stands where. Never the value."""

    kind: str
    place: Place


class Scanner:
    """Fed with the treated batches of a release as they stream out; remembers kinds and places of what it finds."""

    def __init__(
        self, study: Study, subjects: Subjects, plan: Plan, *, allowed: Collection[ColumnRef] = frozenset()
    ) -> None:
        """`allowed`: columns that a steward has looked at and cleared; they are not searched."""
        self._study = study
        self._plan = {(planned.table, planned.column): planned for planned in plan.columns}
        self._allowed = frozenset(allowed)
        self._dates_leave = plan.safeguards.dates is DateRule.KEEP
        self._days = subjects.days
        long, short, words = _kinds(subjects, study)
        self.unsearched = _crowded(short)
        short = {spelled: kind for spelled, kind in short.items() if len(spelled) not in self.unsearched}
        self._long, self._short, self._words = map(Tokens.of_spelled, (long, short, words))
        self._long_shape, self._short_shape = _shapes(long), _shapes(short)
        self._hits: dict[Hit, None] = {}

    @property
    def hits(self) -> tuple[Hit, ...]:
        """What was found so far, each kind and place once."""
        return tuple(self._hits)

    def verdict(self) -> None:
        """Nothing, if nothing was found.

        Raises:
            Leak: something was; names kinds and places.
        """
        if not self._hits:
            return
        kinds = ", ".join(sorted({hit.kind for hit in self._hits}))
        raise Leak(
            f"the result still holds what should be gone: {kinds}",
            places=tuple(dict.fromkeys(hit.place for hit in self._hits)),
            cure="give the column a stricter treatment, or clear it if what was found is no identifier",
        )

    def scan(self, table: str, batch: pa.RecordBatch) -> None:
        """Search one treated batch: distinct texts, days of date columns, labels, and which columns there are."""
        for field, array in zip(batch.schema, batch.columns, strict=True):
            place = Place(table, field.name)
            planned = self._plan.get((table, field.name))
            if planned is None or planned.act is Act.REMOVE:
                self._hit("a column that the plan does not let through", place)
                continue
            for value in (field.metadata or {}).values():
                self.scan_text(value.decode("utf-8", "replace"), place)
            if ColumnRef(table, field.name) in self._allowed:
                continue
            kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
            if pa.types.is_string(kind) or pa.types.is_large_string(kind):
                self._texts(_distinct(array), place, self._study[table][field.name], planned.act)
            elif pa.types.is_temporal(kind) and not self._dates_leave:
                days, present = dates.arrow_days(array)
                if np.isin(pa.array(days[present]).unique().to_numpy(), self._days).any():
                    self._hit("date", place)

    def scan_text(self, text: str, place: Place) -> None:
        """Search one text that is no cell: a label, a file name, a line of a report."""
        for known in (self._long, self._short):
            for found in known.find(text, loose=True):
                self._hit(found.entry, place)
        if not self._dates_leave:
            self._search_dates([text], place)

    def _texts(self, values: pa.Array, place: Place, column: Column, act: Act) -> None:
        if len(self._long):
            self._search(_matching(values, self._long_shape), self._long, place)
        is_id = act in _REWRITTEN or column.role is Role.DIRECT or column.handling is Handling.RECODE
        if len(self._words) and (is_id or column.role is Role.FREE_TEXT):
            self._search(values.to_pylist(), self._words, place)
        if len(self._short):
            candidates = _picked(values, self._short_shape)
            if len(candidates) and not is_id:
                candidates = candidates.filter(pc.invert(pc.match_substring_regex(candidates, FINDING)))
            self._search(candidates.to_pylist(), self._short, place)
        if not self._dates_leave:
            days, complete = isodates.complete_days(values)
            if np.isin(days[complete], self._days).any():
                self._hit("date", place)
            self._search_dates(_matching(values.filter(pa.array(~complete)), _DATE_LIKE), place)

    def _search(self, texts: Iterable[str], known: Tokens, place: Place) -> None:
        for text in texts:
            for found in known.find(text):
                self._hit(found.entry, place)

    def _search_dates(self, texts: Iterable[str], place: Place) -> None:
        if not len(self._days):
            return
        meant = {day for text in texts for _, _, days in DateWords.find(text) for day in days}
        if meant and np.isin(np.array(sorted(meant)), self._days).any():
            self._hit("date", place)

    def _hit(self, kind: str, place: Place) -> None:
        self._hits.setdefault(Hit(kind, place))


def _kinds(subjects: Subjects, study: Study) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Every value to search for, as spelled, and its kind: telling by itself, short, or a name of one word."""
    known = dict.fromkeys(subjects.ids.to_pylist(), "subject id")
    for alias in subjects.aliases:
        known.setdefault(alias, "part of a subject id")
    for ref, values in subjects.identifying.items():
        column = study.at(ref)
        kind = "recoded id" if column.handling is Handling.RECODE else "direct identifier"
        for value in values:
            if not is_date(value):
                known.setdefault(value, kind)
    long: dict[str, str] = {}
    short: dict[str, str] = {}
    words: dict[str, str] = {}
    for value, kind in known.items():
        spelled = spelling(value)
        letters = spelled.replace(" ", "")
        if len(letters) < SHORTEST:
            continue
        if kind == "direct identifier" and spelled.isalpha():
            words.setdefault(spelled, kind)
        elif len(letters) >= _LONG or (len(letters) > SHORTEST and not letters.isdecimal()):
            long.setdefault(spelled, kind)
        else:
            short.setdefault(spelled, kind)
    return long, short, words


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


def _distinct(array: pa.Array) -> pa.Array:
    """The values a column lists, also those that no row uses."""
    values = array.dictionary if pa.types.is_dictionary(array.type) else array.unique()
    return values.drop_null().cast(pa.string())


def _picked(values: pa.Array, shape: str) -> pa.Array:
    return values.filter(pc.match_substring_regex(values, shape)) if shape else values


def _matching(values: pa.Array, shape: str) -> list[str]:
    texts: list[str] = _picked(values, shape).to_pylist()
    return texts
