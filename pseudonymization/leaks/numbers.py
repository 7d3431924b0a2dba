"""Columns of numbers that hold a subject's own date (in SAS, Unix or spreadsheet days, or as 20130719) or own id.

A number alone tells nothing: 19,558 may be a platelet count. What tells is that it is *this subject's* own date. How
often that happens by chance is measured in the same column: against the dates of other subjects. A column is a hit when
its own coincidences exceed those by more than three standard deviations of a Poisson count; where other subjects' dates
never coincide, one own coincidence is enough. So a date hidden among very many numbers of its size goes unseen; that is
the price of not stopping on findings.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pseudonymization import isodates
from pseudonymization.cells import among, in_order
from pseudonymization.columns import Role, Source, Study
from pseudonymization.faults import Place
from pseudonymization.subjects import Positions, Subjects, complete_days
from pseudonymization.tokens import spelling

Ints = npt.NDArray[np.int64]

_STRANGERS = 7
"""With so many other subjects each one is compared, to see what chance does."""

_DAY = 86_400
_SAS, _UNIX, _SHEET = 3653, 0, 25_569
"""Days from the epoch of SAS (1960-01-01), Unix and spreadsheets (1899-12-30) to 1970-01-01."""

_FIRST_DAY = 7305
"""1990-01-01: counted from their epoch, earlier days are numbers as small as findings and are not looked for."""

PART, DATE = "part of a subject id", "date"
_BITS = 34
_SHORTEST_ID = 3


@dataclass(slots=True)
class _Seen:
    """Coincidences of one column: with the subject's own, and the mean of those with others'."""

    own: int = 0
    others: float = 0.0

    def tells(self) -> bool:
        """Whether there are more than chance explains."""
        return self.own > self.others + 3 * math.sqrt(self.others)


@dataclass(slots=True)
class OwnNumbers:
    """Compares numbers with what is the subject's own. `source` is read only if a column could hold dates."""

    study: Study
    subjects: Subjects
    source: Source | None = None
    _pairs: Ints | None = None
    _ids: Ints | None = None
    _seen: dict[tuple[str, Place], _Seen] = field(default_factory=dict)

    def look(self, array: pa.Array, who: Callable[[], Positions], place: Place, *, dates: bool = True) -> Iterator[str]:
        """The kinds of originals that a column of numbers holds, of all that was seen of it so far.

        array: int64 or double. who: one position per row (-1: nobody). dates: whether dates are looked for too.
        """
        bounds = pc.min_max(array)
        least, most = bounds["min"].as_py(), bounds["max"].as_py()
        if least is None:
            return
        ids = self._own_ids()
        if len(ids):
            at, numbers = _within(array, least, most, int((ids & _LOW_BITS).min()), int((ids & _LOW_BITS).max()))
            yield from self._count(PART, place, at, numbers, who, self._own_ids)
        days = self.subjects.days[self.subjects.days >= _FIRST_DAY]
        if not dates or not len(days):
            return
        for scale, offset in _SCALES:
            at, numbers = _within(
                array, least, most, scale * int(days[0] + offset), scale * int(days[-1] + offset + 1) - 1
            )
            yield from self._among(days, place, at, numbers // scale - offset, who)
        at, numbers = _within(array, least, most, 19900101, 99991231)
        year, month, day = numbers // 10000, numbers // 100 % 100, numbers % 100
        fits = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
        written = isodates.day_number(year[fits], month[fits], day[fits])
        yield from self._among(days, place, at[fits], written, who)

    def _among(self, days: Ints, place: Place, at: Ints, meant: Ints, who: Callable[[], Positions]) -> Iterator[str]:
        """Only rows whose day is somebody's are compared with the subject's own."""
        near = among(meant, days)
        yield from self._count(DATE, place, at[near], meant[near], who, self._own_days)

    def _count(
        self, kind: str, place: Place, at: Ints, values: Ints, who: Callable[[], Positions], own: Callable[[], Ints]
    ) -> Iterator[str]:
        if not len(at):
            return
        here = who()[at]
        cells = in_order(_keys(here[here >= 0], values[here >= 0]))
        subject, value = cells >> _BITS, cells & _LOW_BITS
        strangers = [
            int(among(other << _BITS | value, own()).sum()) for other in _strangers(subject, len(self.subjects))
        ]
        seen = self._seen.setdefault((kind, place), _Seen())
        seen.own += int(among(cells, own()).sum())
        seen.others += sum(strangers) / max(1, len(strangers))
        if seen.tells():
            yield kind

    def _own_days(self) -> Ints:
        """Every subject's own dates, from all date columns of the study; read once, when first asked for."""
        if self._pairs is None:
            found = [np.zeros(0, dtype=np.int64)]
            for table in self.study.tables if self.source is not None else ():
                names = [column.name for column in table.with_role(Role.DATE)]
                if table.subject_key and names:
                    found += _days_of(self.source, self.subjects, table.name, table.subject_key, names)
            self._pairs = np.unique(np.concatenate(found))
        return self._pairs

    def _own_ids(self) -> Ints:
        """The runs of digits in every subject's own id, and its other ids; those too short to tell are left out."""
        if self._ids is None:
            pairs = [
                (at, int(run))
                for at, text in enumerate(self.subjects.ids.to_pylist())
                for run in spelling(text).split()
                if run.isascii() and run.isdecimal() and _SHORTEST_ID <= len(run) <= 9
            ]
            pairs += [
                (at, int(alias))
                for alias, at in self.subjects.aliases.items()
                if at >= 0 and alias.isascii() and alias.isdecimal() and _SHORTEST_ID <= len(alias) <= 9
            ]
            held = np.array(pairs, dtype=np.int64).reshape(-1, 2)
            self._ids = np.unique(_keys(held[:, 0], held[:, 1]))
        return self._ids


_LOW_BITS = (1 << _BITS) - 1
_SCALES = tuple(
    (scale, offset)
    for scale in (1, _DAY, _DAY * 1000)
    for offset in ((_SAS, _UNIX, _SHEET) if scale == 1 else (_SAS, _UNIX))
)


def _within(array: pa.Array, least: float, most: float, low: int, high: int) -> tuple[Ints, Ints]:
    """The rows whose value is a whole number from `low` to `high`, and these numbers; all are from least to most."""
    if not (least <= high and most >= low):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    numbers = pc.fill_null(array, low - 1).to_numpy(zero_copy_only=False)
    at = np.flatnonzero((numbers >= low) & (numbers <= high))
    at = at[numbers[at] == np.floor(numbers[at])]
    return at, numbers[at].astype(np.int64)


def _keys(who: npt.NDArray[Any], values: Ints) -> Ints:
    """A subject and a number as one number; days before 1970 are told from later ones by their low bits."""
    keys: Ints = who.astype(np.int64) << _BITS | values & _LOW_BITS
    return keys


def _days_of(source: Source | None, subjects: Subjects, table: str, key: str, names: list[str]) -> Iterator[Ints]:
    if source is None:
        return
    for batch in source.batches(table, [key, *names]):
        ids = batch.column(batch.schema.get_field_index(key))
        who = subjects.positions(ids.cast(pa.string()))
        for name in names:
            array = batch.column(batch.schema.get_field_index(name))
            days, complete = complete_days(array, Place(table, name)).by_row()
            at = np.flatnonzero(complete & (who >= 0))
            yield np.unique(_keys(who[at], days[at]))


def _strangers(subject: Ints, count: int) -> Iterator[Ints]:
    """For each subject somebody else, several times over, from among those who stand in these very rows.

    Rows come by subject, and neighbours have ids alike: strangers from elsewhere in the study would share less by
    chance than these do among themselves. Where only a few stand here, all `count` of the study serve.
    """
    here = in_order(subject)
    at = np.searchsorted(here, subject)
    if len(here) <= _STRANGERS:
        here, at = np.arange(count), subject
    for step in sorted({step * len(here) // (_STRANGERS + 1) for step in range(1, _STRANGERS + 1)} - {0}):
        yield here[(at + step) % len(here)]
