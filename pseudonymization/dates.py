"""What happens to dates: a secret shift for each subject, truncation, or days counted from the subject's baseline.

A shifted date lies 130 to 150 years ahead of the true one, as public critical-care databases move theirs into the
22nd century (MIMIC-III, Johnson et al., Scientific Data 2016;3:160035): nobody takes it for a real date, intervals
within a subject stay exact to the day, and since no life is as long (122 years is the longest recorded), no shifted
date can be an original date of the study, be it a birth or a first diagnosis.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pseudonymization import cells, isodates, pseudonyms
from pseudonymization.columns import Epoch, Table
from pseudonymization.faults import Place, Unreadable, Unresolved
from pseudonymization.isodates import NO_DAY, Days, Precision
from pseudonymization.safeguards import DateRule, TimeOfDay

Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

_HOUR = re.compile(r"-*[T ]\d\d")
SHIFT_WINDOW = (47_482, 54_787)
"""The shift's bounds in days, both included: 130 and 150 years of 365.25 days."""


def shifts(key: pseudonyms.ProjectKey, ids: Sequence[str], window: tuple[int, int] = SHIFT_WINDOW) -> Days:
    """The secret shift of each subject in whole days, uniform over the window; the same in every release of a project.

    Raises:
        ValueError: the window is empty or reaches into the past.
    """
    low, high = window
    if not 0 < low <= high:
        raise ValueError("a shift window is two positive numbers of days, the smaller first")
    drawn = pseudonyms.numbers(key, "date shift", ids)
    return np.array([low + number % (high - low + 1) for number in drawn], dtype=np.int64)


EPOCHS_APART = 3653
"""Days from 1960-01-01, where SAS counts from, to 1970-01-01, where Unix does."""
ANCHOR = 65_744
"""The day on which everyone starts whose dates are anchored, 2150-01-01. It is public, the same for every study."""


def to_anchor(baseline: Days) -> Days:
    """Days from each subject's baseline to the common anchor; 0 where a subject has no baseline.

    PHUSE De-Identification Standard for SDTM 3.2, rule Offset, takes the true start of the trial as the anchor. Ours
    lies in the 22nd century, so that no anchored date can be an original one. Nothing here is secret: one known true
    date of a subject tells all of that subject's.
    """
    return np.where(baseline == NO_DAY, 0, ANCHOR - baseline)


@dataclass(frozen=True, slots=True)
class DateFlips:
    """What the imputation of partial dates did to one date column; counted, since it cannot always be avoided.

    partial: partial dates with a year. flipped: of those, how many changed their relation (before, same, after) to
    the subject's baseline. clamped: how many were moved so that a start does not come after its end by our doing.
    """

    partial: int = 0
    flipped: int = 0
    clamped: int = 0

    def __add__(self, other: "DateFlips") -> "DateFlips":
        return DateFlips(self.partial + other.partial, self.flipped + other.flipped, self.clamped + other.clamped)


@dataclass(frozen=True, slots=True)
class Dates:
    """A text column of dates, read. `codes` has one entry per row into `parsed`; -1 is a blank cell."""

    codes: Codes
    texts: pa.Array
    parsed: isodates.Parsed

    @property
    def days(self) -> Days:
        """One day per row (imputed where partial); meaningless where `precision` says there is none."""
        return np.append(self.parsed.days, 0)[self.codes]

    @property
    def precision(self) -> npt.NDArray[np.int8]:
        """One precision per row; 0 is a blank cell."""
        return np.append(self.parsed.precision, np.int8(0))[self.codes]


def read(array: pa.Array, place: Place, first_row: int = 0) -> Dates:
    """A text column of dates, each read once.

    Raises:
        Unreadable: a cell is neither blank nor an ISO 8601 date; names the rows, not the value.
    """
    column = cells.encode(array)
    parsed = isodates.parse(column.values)
    if parsed.bad.any():
        raise unreadable(place, column.rows_of(parsed.bad, first_row))
    return Dates(column.codes, column.values, parsed)


def unreadable(place: Place, rows: tuple[int, ...]) -> Unreadable:
    """The fault of a date that no rule can read."""
    return Unreadable(
        "a date is neither complete nor partial ISO 8601",
        places=(Place(place.table, place.column, rows),),
        cure="correct the source, or give the column another role",
    )


def without_epoch(place: Place) -> Unresolved:
    """The fault of a date column that holds plain numbers."""
    return Unresolved(
        "a date column holds plain numbers, and nothing says from which day they count",
        places=(place,),
        cure="say `epoch: sas_days` (or sas_seconds, unix_days, unix_seconds) in its line of the column file",
    )


def without_start(place: Place) -> Unresolved:
    """The fault of a subject whose dates have nothing to be anchored at."""
    return Unresolved(
        "a subject has no complete date from which it could be anchored",
        places=(place,),
        cure="add the subject's reference start, or let dates be shifted instead",
    )


def shift(dates: Dates, by: Days, moved: Days, *, time_of_day: TimeOfDay = TimeOfDay.KEEP) -> pa.DictionaryArray:
    """The column with each row's date moved, spelled at the precision it had.

    by: days to add, per row (for the halves of an interval). moved: the new day per row, clamped or not. Of the time of
    day, as much stays as `time_of_day` says.
    """
    parsed = dates.parsed
    tails = [left_of(suffix, time_of_day) for suffix in parsed.suffixes]
    suffixes = sorted(set(tails))
    absent = dates.codes < 0
    grade: Any = np.int64(Precision.DAY)
    if not parsed.complete.all():
        grade = dates.precision
        moved = _representative(moved, grade)
        absent |= grade == Precision.INTERVAL
    keys = moved * (16 * len(suffixes))
    keys += grade * len(suffixes)
    if len(suffixes) > 1:
        place = {suffix: at for at, suffix in enumerate(suffixes)}
        rank = np.array([place[tail] for tail in tails])
        keys += np.append(rank[parsed.suffix], 0)[dates.codes]
    codes, found = cells.distinct(keys, absent if absent.any() else None)
    labels = _spelled(found, suffixes)
    if parsed.intervals:
        at = np.flatnonzero(dates.precision == Precision.INTERVAL)
        pairs, which = np.unique(np.stack([dates.codes[at], by[at]]), axis=1, return_inverse=True)
        moved_halves = [_moved_interval(parsed.intervals[int(c)], int(b), time_of_day) for c, b in pairs.T]
        codes = codes.copy()
        codes[at] = len(labels) + which.ravel()
        labels = pa.concat_arrays([labels, pa.array(moved_halves, pa.string())])
    return cells.dictionary(codes, labels, all_used=True)


def _representative(days: Days, grade: npt.NDArray[np.int8]) -> Days:
    """Days such that those that are spelled alike at their precision are one."""
    days = np.where(grade == Precision.TIME, 0, days)
    for coarse in (Precision.YEAR, Precision.MONTH):
        at = np.flatnonzero(grade == coarse)
        days[at] = _first_day(days[at], coarse)
    return days


def _first_day(days: Days, precision: Precision) -> Days:
    """The first day of the year or month: days that are spelled alike become one."""
    year, month, day = isodates.civil(days)
    if precision is Precision.MONTH:
        return days - day + 1
    first: Days = isodates.day_number(year, np.ones_like(month), 1)
    return first


def _spelled(keys: Days, suffixes: Sequence[str]) -> pa.Array:
    """Distinct keys (day · 16 + precision) · number of suffixes + suffix, as text."""
    rest, behind = np.divmod(keys, len(suffixes))
    days, grades = rest >> 4, rest & 15
    order, parts = [], []
    for grade in np.unique(grades):
        order.append(np.flatnonzero(grades == grade))
        parts.append(isodates.spell(days[order[-1]], int(grade)))
    if not parts:
        return pa.array([], pa.string())
    texts = parts[0]
    if len(parts) > 1:
        texts = pa.concat_arrays(parts).take(pa.array(np.argsort(np.concatenate(order))))
    if len(suffixes) == 1:
        return texts
    return pc.binary_join_element_wise(texts, pa.array(suffixes, pa.string()).take(pa.array(behind)), "")


def _moved_interval(halves: tuple[str, str], by: int, time_of_day: TimeOfDay) -> str:
    return "/".join(_moved_one(half, by, time_of_day) for half in halves)


def _moved_one(text: str, by: int, time_of_day: TimeOfDay) -> str:
    if text.startswith("P"):
        return text
    parsed = isodates.parse(pa.array([text]))
    grade = int(parsed.precision[0])
    day = parsed.days if grade == Precision.TIME else parsed.days + by
    spelled: str = isodates.spell(day, grade)[0].as_py()
    return spelled + left_of(parsed.suffixes[int(parsed.suffix[0])], time_of_day)


def left_of(suffix: str, time_of_day: TimeOfDay) -> str:
    """What stays of the text behind a date. Cut to the hour, a time zone goes too: it tells a place."""
    if time_of_day is TimeOfDay.KEEP or not suffix:
        return suffix
    hour = _HOUR.match(suffix) if time_of_day is TimeOfDay.HOUR else None
    return hour[0] if hour else ""


def truncate(dates: Dates, precision: Precision) -> pa.DictionaryArray:
    """The column cut to month or year; what was coarser stays coarser, what has no year becomes blank."""
    parsed = dates.parsed
    labels = [
        _cut(text, int(grade), precision) for text, grade in zip(dates.texts.to_pylist(), parsed.precision, strict=True)
    ]
    return cells.relabel(cells.Coded(dates.codes, dates.texts), labels)


def _cut(text: str, grade: int, precision: Precision) -> str:
    if grade == Precision.INTERVAL:
        halves = [half if half.startswith("P") else _cut_one(half, precision) for half in text.split("/")]
        return "/".join(halves) if all(halves) else ""
    return _cut_one(text, precision)


def _cut_one(text: str, precision: Precision) -> str:
    if not text[:4].isdigit():
        return ""
    return text[:7] if precision is Precision.MONTH and text[5:7].isdigit() else text[:4]


def of_the_trial(text: str, rule: DateRule) -> str:
    """A text of a table without subjects (TS.TSVAL): a date in it leaves as its year, if the rule lets a year leave.

    Such a table mixes dates (first subject in, last subject out, data cut) with texts, which stay as they are.
    """
    halves = text.split("/")
    if rule is DateRule.KEEP or len(text) <= len("yyyy") or not all(isodates.readable(half) for half in halves):
        return text
    return "" if rule in {DateRule.STUDY_DAY, DateRule.DROP} else _cut(text, _grade(halves), Precision.YEAR)


def _grade(halves: Sequence[str]) -> int:
    return int(Precision.INTERVAL if len(halves) > 1 else Precision.DAY)


def clamp(start: Dates, end: Dates, new_start: Days, new_end: Days) -> tuple[Days, Days, Flags, Flags]:
    """New days such that no start comes after its end by our doing, and which starts and ends were moved for it.

    A shift keeps the order of two complete dates, and of two dates equally precise. Only where one is coarser can its
    imputed day overtake the other; then the coarser one takes the day of the finer. A start that came after its end
    in the source still does: it is not ours to repair.
    """
    left, right = start.precision, end.precision
    both = (left >= 1) & (left <= Precision.DAY) & (right >= 1) & (right <= Precision.DAY) & (left != right)
    at = np.flatnonzero(both)
    common = np.minimum(left[at], right[at])
    wrong = _after(new_start[at], new_end[at], common) & ~_after(start.days[at], end.days[at], common)
    moved_start, moved_end = np.zeros(len(left), dtype=np.bool_), np.zeros(len(left), dtype=np.bool_)
    moved_start[at] = wrong & (left[at] < right[at])
    moved_end[at] = wrong & (right[at] < left[at])
    return (
        np.where(moved_start, new_end, new_start),
        np.where(moved_end, new_start, new_end),
        moved_start,
        moved_end,
    )


def _after(first: Days, second: Days, common: npt.NDArray[np.int8]) -> Flags:
    flags = np.zeros(len(first), dtype=np.bool_)
    for grade in (Precision.YEAR, Precision.MONTH):
        at = np.flatnonzero(common == grade)
        flags[at] = isodates.truncated(first[at], grade) > isodates.truncated(second[at], grade)
    return flags


def flips(dates: Dates, moved: Days, baseline: Days, by: Days) -> int:
    """How many partial dates stand otherwise to the subject's baseline than before: before, in the same, after.

    All arrays have one entry per row; rows without a baseline are not counted.
    """
    count = 0
    for grade in (Precision.YEAR, Precision.MONTH):
        at = np.flatnonzero((dates.precision == grade) & (baseline != NO_DAY))
        if not len(at):
            continue
        before = _relation(dates.days[at], baseline[at], grade)
        after = _relation(moved[at], baseline[at] + by[at], grade)
        count += int((before != after).sum())
    return count


def _relation(days: Days, baseline: Days, grade: int) -> Any:
    return np.sign(isodates.truncated(days, grade) - isodates.truncated(baseline, grade))


def study_days(days: Days, complete: Flags, baseline: Days) -> pa.Array:
    """Days from the baseline, per row; null where the date is not complete or the subject has no baseline.

    The baseline is day 1, the day before it day -1; there is no day 0 (SDTMIG 3.2 §4.1.4.4).
    """
    known = complete & (baseline != NO_DAY)
    apart = np.where(known, days - np.where(known, baseline, 0), 0)
    return pa.array(apart + (apart >= 0), pa.int64(), mask=~known)


def dated(batch: pa.RecordBatch, table: Table) -> pa.RecordBatch:
    """The batch with its columns of counted dates as dates; other columns are untouched."""
    for column in table.columns:
        if column.epoch is not None and column.name in batch.schema.names:
            array = counted(batch.column(column.name), column.epoch)
            held = batch.schema.field(column.name).with_type(array.type)
            batch = batch.set_column(batch.schema.get_field_index(column.name), held, array)
    return batch


def counted(array: pa.Array, epoch: Epoch) -> pa.Array:
    """Numbers counted from an epoch as dates (days) or timestamps (seconds); fractions are cut. Others stay."""
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        return array
    numbers = pc.fill_null(array.cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False)
    absent = np.isnan(numbers)
    whole = np.floor(np.where(absent, 0.0, numbers)).astype(np.int64)
    in_days = epoch in {Epoch.SAS_DAYS, Epoch.UNIX_DAYS}
    if epoch in {Epoch.SAS_DAYS, Epoch.SAS_SECONDS}:
        whole -= EPOCHS_APART * (1 if in_days else 86_400)
    if in_days:
        return pa.array(whole.astype(np.int32), pa.int32(), mask=absent).cast(pa.date32())
    return pa.array(whole, pa.int64(), mask=absent).cast(pa.timestamp("s"))


def counted_as(epoch: Epoch) -> pa.DataType:
    """The type of what `counted` makes."""
    return pa.date32() if epoch in {Epoch.SAS_DAYS, Epoch.UNIX_DAYS} else pa.timestamp("s")


def arrow_days(array: pa.Array) -> tuple[Days, Flags]:
    """Days since 1970-01-01 of a date32, date64 or timestamp column, and which rows hold one."""
    present = array.is_valid().to_numpy(zero_copy_only=False)
    ticks = ticks_of(array)
    return ticks // per_day(array.type), present


def ticks_of(array: pa.Array) -> Days:
    """The stored integers of a date or timestamp column; 0 where null."""
    whole = array.cast(pa.int32()).cast(pa.int64()) if pa.types.is_date32(array.type) else array.cast(pa.int64())
    ticks: Days = pc.fill_null(whole, 0).to_numpy(zero_copy_only=False)
    return ticks


def per_day(kind: pa.DataType) -> int:
    """How many stored units make a day."""
    if pa.types.is_date32(kind):
        return 1
    unit = "ms" if pa.types.is_date64(kind) else kind.unit
    return 86_400 * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]


def shift_arrow(array: pa.Array, by: Days, *, time_of_day: TimeOfDay = TimeOfDay.KEEP) -> pa.Array:
    """A date32, date64 or timestamp column moved by `by` days per row; the type stays."""
    ticks, unit = ticks_of(array), per_day(array.type)
    if time_of_day is not TimeOfDay.KEEP:
        grain = unit if time_of_day is TimeOfDay.DROP or unit == 1 else unit // 24
        ticks = ticks // grain * grain
    present = array.is_valid().to_numpy(zero_copy_only=False)
    moved = np.where(present, ticks + by * unit, 0)
    mask = ~present if array.null_count else None
    if pa.types.is_date32(array.type):
        return pa.array(moved.astype(np.int32), pa.int32(), mask=mask).cast(array.type)
    return pa.array(moved, pa.int64(), mask=mask).cast(array.type)


def truncate_arrow(array: pa.Array, precision: Precision) -> pa.DictionaryArray:
    """A date or timestamp column as text `YYYY-MM` or `YYYY`."""
    days, present = arrow_days(array)
    codes, found = cells.distinct(_first_day(days, precision), ~present)
    return cells.dictionary(codes, isodates.spell(found, int(precision)), all_used=True)
