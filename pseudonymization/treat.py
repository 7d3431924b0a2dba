"""(lookups, Arrow batch) → Arrow batch: the one kernel that every engine runs.

Work is done on distinct values; a row costs gathers. A treated text column comes back as a dictionary that lists only
what its rows use, and a blank cell of it is null.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pseudonymization import ages, cells, copies, dates, elders, isodates, pseudonyms, visits
from pseudonymization.columns import Column, Kind, Role
from pseudonymization.dates import DateFlips, Dates
from pseudonymization.faults import Place, Unresolved
from pseudonymization.isodates import LAST_DAY, NO_DAY, Days, Precision
from pseudonymization.lookups import LabelMap, Lookups, look_up, namespace
from pseudonymization.plan import Act, ColumnPlan
from pseudonymization.schemas import labels_of, schema
from pseudonymization.tallies import DayChecks, Tally, checked_days, day_column
from pseudonymization.text import FINDING

__all__ = ["LabelMap", "Lookups", "Tally", "Treated", "look_up", "schema", "treat", "treat_counted"]

_CUT = {Act.TRUNCATE_MONTH: Precision.MONTH, Act.TRUNCATE_YEAR: Precision.YEAR}
_MOVED = frozenset({Act.SHIFT, Act.ANCHOR})
_FINDING = re.compile(FINDING)


@dataclass(frozen=True, slots=True)
class Treated:
    """A treated batch and what was counted in it."""

    batch: pa.RecordBatch
    tally: Tally


def treat(lookups: Lookups, table: str, batch: pa.RecordBatch, first_row: int = 0) -> pa.RecordBatch:
    """The batch as the plan wants it; rows in their order. See `treat_counted`."""
    return treat_counted(lookups, table, batch, first_row).batch


def treat_counted(lookups: Lookups, table: str, batch: pa.RecordBatch, first_row: int = 0) -> Treated:
    """The batch as the plan wants it, and what was counted. `first_row` rows of the table stood before this batch.

    Raises:
        Unresolved: a column nobody planned, a subject or a value nobody looked up, a date of no subject.
        Unreadable: a date that does not parse. Both name table, column and rows, never a value.
    """
    return _Batch(lookups, table, batch, first_row).treated()


class _Batch:
    """One batch on its way: who each row is about, and the date columns read once."""

    def __init__(self, lookups: Lookups, table: str, batch: pa.RecordBatch, first_row: int) -> None:
        self.lookups, self.table, self.first_row = lookups, table, first_row
        self.schema = schema(lookups, table, batch.schema)
        self.batch = dates.dated(batch, lookups.study[table])
        self.key = lookups.study[table].subject_key
        self.who = self._who()
        self.blank = self._blanked()
        self.flips: dict[tuple[str, str], DateFlips] = {}
        self.study_days: dict[tuple[str, str], DayChecks] = {}
        self.redacted: Counter[tuple[str, str, str]] = Counter()
        self.by = lookups.shifts[self.who]
        self.read: dict[str, Dates] = {}
        self.moved: dict[str, Days] = {}
        self.clamped: dict[str, int] = {}
        self.planned = visits.planned_days(lookups.visits, table, batch)

    def treated(self) -> Treated:
        self._move_dates()
        arrays = [
            self._column(name).cast(kind) for name, kind in zip(self.schema.names, self.schema.types, strict=True)
        ]
        batch = self._leaving(pa.RecordBatch.from_arrays(arrays, schema=self.schema))
        return Treated(batch, Tally(self.flips, dict(self.redacted), self.study_days))

    def _leaving(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that leave: not those of a removed qualifier, nor a blanked subject's own of a quasi-identifier."""
        gone = np.zeros(batch.num_rows, dtype=np.bool_)
        for planned in self.lookups.plan[self.table].values():
            acts = {part.column: part.act for part in planned.parts}
            if not {Act.REMOVE, Act.GENERALIZE}.isdisjoint(acts.values()):
                named = cells.encode(self.batch.column(self.lookups.study[self.table][planned.column].by))
                done = [acts.get(name) for name in [*named.texts(), ""]]
                gone |= np.array([act is Act.REMOVE for act in done])[named.codes]
                gone |= np.array([act is Act.GENERALIZE for act in done])[named.codes] & self.blank
        kept = [cells.pruned(a) for a in batch.filter(pa.array(~gone)).columns] if gone.any() else batch.columns
        return pa.RecordBatch.from_arrays(kept, schema=batch.schema)

    def _who(self) -> npt.NDArray[np.int32]:
        if self.key is None:
            return np.full(self.batch.num_rows, -1, dtype=np.int32)
        ids = cells.encode(self.batch.column(self.key))
        places = self.lookups.subjects.positions(ids.values)
        if (places < 0).any():
            rows = ids.rows_of(places < 0, self.first_row)
            raise Unresolved("a subject is not in the study", places=(Place(self.table, self.key, rows),))
        return np.append(places, np.int32(-1))[ids.codes]

    def _blanked(self) -> npt.NDArray[np.bool_]:
        """Rows whose quasi-identifier cells are emptied: of blanked subjects, and of nobody in a table of subjects."""
        nobody_blank = self.key is None or not self.lookups.blanked[:-1].any()
        if nobody_blank:
            return (self.who < 0) & (self.key is not None)
        flags: npt.NDArray[np.bool_] = self.lookups.blanked[self.who]
        return flags

    def _column(self, name: str) -> pa.Array:
        planned = self.lookups.planned(self.table, name)
        array = self.original(name)
        match planned.act:
            case Act.PSEUDONYM:
                return cells.dictionary(self.lookups.ranks[self.who], self.lookups.ranked)
            case Act.KEEP:
                return self._kept(planned, array)
            case Act.GENERALIZE:
                return self._generalized(name, labels_of(self.lookups, planned), array)
            case Act.SHIFT | Act.ANCHOR:
                return self._shifted(name, array)
            case Act.TRUNCATE_MONTH | Act.TRUNCATE_YEAR:
                return self._truncated(name, array, _CUT[planned.act])
            case Act.STUDY_DAY:
                return self._study_day(name, array)
            case Act.BY_QUALIFIER:
                return self._qualified(planned, array)
            case _:
                return self._reworded(self.lookups.study[self.table][name], planned.act, array)

    def original(self, name: str) -> pa.Array:
        """The column as the source has it; what repeats the subject table agrees with it."""
        array, at = self.batch.column(name), (self.table, name)
        if at in self.lookups.expected.days:
            copies.right_epoch(self.lookups.expected.days[at], self._place(name), array, self.who, self.first_row)
        copied, choice = self.lookups.expected.copied.get(at), self.lookups.expected.choice
        if copied is not None:
            array = copies.agreed(copied, choice, self._place(name), array, self.who, self.first_row)
        if self.lookups.study[self.table][name].role is not Role.DATE:
            return array
        start = self.lookups.baseline[self.who]
        return elders.hidden(array, self._place(name), start, self.lookups.age_top, self.first_row)

    def _kept(self, planned: ColumnPlan, array: pa.Array) -> pa.Array:
        if planned.role == Role.QUASI and self.blank.any():
            places = np.arange(len(array))
            array = array.take(pa.array(places, mask=self.blank))
        if ages.is_unit(planned.column):
            return self._units(planned.column, array)
        if planned.column in self.lookups.visits.days.get(self.table, ()):
            return visits.study_days(self.planned, array)
        if self.key is None and self.lookups.study[self.table][planned.column].kind is Kind.TEXT:
            coded = cells.encode(array)
            rule = self.lookups.date_rule
            return cells.relabel(coded, [dates.of_the_trial(text, rule) for text in coded.texts()])
        return cells.pruned(array)

    def _units(self, name: str, array: pa.Array) -> pa.Array:
        """The units of the ages beside them."""
        planned = self.lookups.plan[self.table].get(name[:-1])
        if planned is None or planned.act is not Act.GENERALIZE:
            return ages.left_units(array, None, (), self.blank)
        beside = self.batch.column(planned.column)
        return ages.left_units(array, beside, labels_of(self.lookups, planned).exact, self.blank)

    def _qualified(self, planned: ColumnPlan, array: pa.Array) -> pa.Array:
        """Each value as the qualifier of its row wants it. A qualifier that nobody has planned stops the release."""
        column = self.lookups.study[self.table][planned.column]
        names = self.batch.column(column.by)
        named, filled = cells.encode(names), cells.encode(array).codes >= 0
        known = {part.column for part in planned.parts}
        strange = np.append(np.array([name not in known for name in named.texts()], dtype=np.bool_), True)
        if (filled & strange[named.codes]).any():
            rows = cells.rows_where(filled & strange[named.codes], self.first_row)
            raise Unresolved(
                f"the column file does not say what a qualifier in `{column.by}` is",
                places=(Place(self.table, planned.column, rows),),
                cure="register the study again with `gateway datasets add`, and settle the qualifier",
            )
        pieces = [pa.nulls(len(array), pa.string())]
        for part in planned.parts:
            values = cells.where_named(names, part.column, array)
            if part.act is not Act.REMOVE and values.null_count < len(values):
                pieces.append(self._part(planned, part, values))
        return pc.coalesce(*pieces).dictionary_encode()

    def _part(self, planned: ColumnPlan, part: ColumnPlan, values: pa.Array) -> pa.Array:
        """The values of one qualifier, treated as a table's only column would be; all other rows are empty."""
        alone = self.lookups.of_qualifier(planned, part)
        columns = {part.column: values, **({self.key: self.batch.column(self.key)} if self.key else {})}
        result = _Batch(alone, self.table, pa.RecordBatch.from_pydict(columns), self.first_row).treated()
        self.flips |= result.tally.flips
        self.redacted += Counter(result.tally.redacted)
        texts = result.batch.column(part.column).cast(pa.string())
        return pc.if_else(values.is_valid(), texts, pa.scalar(None, pa.string()))

    def _generalized(self, name: str, wanted: LabelMap, array: pa.Array) -> pa.Array:
        column = cells.encode(array)
        labels = [wanted.labels.get(text) for text in column.texts()]
        unknown = np.array([label is None for label in labels], dtype=np.bool_)
        if unknown.any():
            place = Place(self.table, name, column.rows_of(unknown, self.first_row))
            raise Unresolved("a value has no label in its hierarchy", places=(place,))
        missing = wanted.labels.get("", "")
        codes = np.where(column.codes < 0, np.int32(len(labels)), column.codes)
        codes[self.blank] = cells.MISSING
        labels.append(missing)
        if wanted.kind is Kind.NUMBER:
            numbers = np.array([float(label) if label else np.nan for label in labels] + [np.nan])
            values = numbers[codes]
            absent = np.isnan(values)
            whole = pa.types.is_integer(self.schema.field(name).type)
            return pa.array(np.where(absent, 0, values).astype(np.int64 if whole else np.float64), mask=absent)
        return cells.relabel(cells.Coded(codes, pa.nulls(0)), labels)

    def _place(self, name: str) -> Place:
        return Place(self.table, name)

    def _is_text(self, name: str) -> bool:
        kind = self.batch.schema.field(name).type
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        if pa.types.is_temporal(plain):
            return False
        if pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_null(plain):
            return True
        raise dates.without_epoch(self._place(name))

    def _move_dates(self) -> None:
        """Text dates that are shifted, read and moved: both ends of an interval before either is spelled."""
        for planned in self.lookups.plan[self.table].values():
            name = planned.column
            if planned.act in _MOVED and self._is_text(name):
                self.read[name] = dates.read(self.original(name), self._place(name), self.first_row)
                self._needs_subject(name, self.read[name].codes >= 0)
                days, complete = self.read[name].days, self.read[name].precision == Precision.DAY
                self.moved[name] = days + self.by + self._to_visit(name, days, complete)
        for start, end in self.lookups.pairs[self.table].items():
            if start in self.read and end in self.read:
                self._clamp(start, end)
        for name, read in self.read.items():
            self._count_flips(name, read)
            self._check_days(name, read)

    def _to_visit(self, name: str, days: Days, complete: npt.NDArray[np.bool_]) -> Days:
        """Days from each date to the planned day of its visit, where the steward wants dates moved there."""
        if name not in self.lookups.visits.dates.get(self.table, ()):
            return np.zeros(len(days), dtype=np.int64)
        return visits.steps(self.planned, days, complete, self.lookups.baseline[self.who])

    def _clamp(self, start: str, end: str) -> None:
        new_start, new_end, starts, ends = dates.clamp(
            self.read[start], self.read[end], self.moved[start], self.moved[end]
        )
        self.moved[start], self.moved[end] = new_start, new_end
        self.clamped[start], self.clamped[end] = int(starts.sum()), int(ends.sum())

    def _count_flips(self, name: str, read: Dates) -> None:
        coarse = (read.parsed.precision == Precision.YEAR) | (read.parsed.precision == Precision.MONTH)
        if not coarse.any():
            return
        partial = int(np.append(coarse, False)[read.codes].sum())
        flipped = dates.flips(read, self.moved[name], self.lookups.baseline[self.who], self.by)
        self.flips[self.table, name] = DateFlips(partial, flipped, self.clamped.get(name, 0))

    def _check_days(self, name: str, read: Dates) -> None:
        """Whether the source's study days are counted from its own reference start; where it has one."""
        day = day_column(name)
        if day in self.batch.schema.names:
            start = np.where(self.lookups.stated, self.lookups.baseline, NO_DAY)[self.who]
            self.study_days[self.table, day] = checked_days(read, self.batch.column(day), start)

    def _needs_subject(self, name: str, present: npt.NDArray[np.bool_]) -> None:
        lost = present & (self.who < 0)
        if lost.any():
            rows = cells.rows_where(lost, self.first_row)
            raise Unresolved("a date stands in a row without a subject", places=(Place(self.table, name, rows),))
        if self.lookups.planned(self.table, name).act is Act.ANCHOR:
            loose = present & (self.lookups.baseline[self.who] == NO_DAY)
            if loose.any():
                rows = cells.rows_where(loose, self.first_row)
                raise dates.without_start(Place(self.table, name, rows))

    def _shifted(self, name: str, array: pa.Array) -> pa.Array:
        if name in self.read:
            moved = self.moved[name]
            self._in_time(name, moved)
            return dates.shift(self.read[name], self.by, moved, time_of_day=self.lookups.time_of_day)
        array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        days, present = dates.arrow_days(array)
        self._needs_subject(name, present)
        by = self.by + self._to_visit(name, days, present)
        self._in_time(name, np.where(present, days + by, 0))
        return dates.shift_arrow(array, by, time_of_day=self.lookups.time_of_day)

    def _in_time(self, name: str, moved: Days) -> None:
        late = moved > LAST_DAY
        if late.any():
            raise dates.unreadable(self._place(name), cells.rows_where(late, self.first_row))

    def _truncated(self, name: str, array: pa.Array, precision: Precision) -> pa.Array:
        if self._is_text(name):
            return dates.truncate(dates.read(array, self._place(name), self.first_row), precision)
        array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        return dates.truncate_arrow(array, precision)

    def _study_day(self, name: str, array: pa.Array) -> pa.Array:
        if self._is_text(name):
            read = dates.read(array, self._place(name), self.first_row)
            days, complete = read.days, read.precision == isodates.Precision.DAY
        else:
            array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
            days, complete = dates.arrow_days(array)
        days = days + self._to_visit(name, days, complete)
        return dates.study_days(days, complete, self.lookups.baseline[self.who])

    def _reworded(self, column: Column, act: Act, array: pa.Array) -> pa.Array:
        coded = cells.encode(array)
        texts = coded.texts()
        if act is Act.RECODE:
            return cells.relabel(coded, self._recoded(namespace(column), texts))
        if act is Act.SURROGATE:
            return cells.relabel(coded, self.lookups.surrogates[column.surrogate or "name"].stand_ins(texts))
        if act is Act.EMBEDDED:
            replace = self._replacer(column)
            return cells.relabel(coded, [replace(text) for text in texts])
        if act is not Act.REDACT:
            raise Unresolved("a treatment that nobody knows", places=(self._place(column.name),))
        allowed = self.lookups.study.options.allowed(self.table, column.name)
        redacted = [self.lookups.redactor.redact(text, allowed) for text in texts]
        uses = np.bincount(coded.codes[coded.codes >= 0], minlength=len(texts))
        for (_, kinds), times in zip(redacted, uses.tolist(), strict=True):
            for kind, found in kinds.items():
                self.redacted[self.table, column.name, kind] += found * times
        return cells.relabel(coded, [text for text, _ in redacted])

    def _replacer(self, column: Column) -> Callable[[str], str]:
        """Ids in text. In a column of findings, a cell that is a number or a date as a whole is a finding and no id."""
        known = self.lookups.embedded
        if column.role is Role.DIRECT:
            return known.replace
        return lambda text: text if _FINDING.match(text) else known.replace(text)

    def _recoded(self, group: str, texts: list[str]) -> list[str]:
        held = self.lookups.codes.get(group, {})
        rest = [text for text in texts if text not in held]
        fresh = dict(zip(rest, pseudonyms.recode(self.lookups.key, group, rest), strict=True))
        return [held.get(text) or fresh[text] for text in texts]
