"""Who is in a study: every subject once, with country and baseline; and what of them must not be seen in a result."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pycountry

from pseudonymization import cells, dates, isodates
from pseudonymization.columns import Column, ColumnRef, Handling, Role, Source, Study, Table
from pseudonymization.faults import Place, Unresolved
from pseudonymization.isodates import NO_DAY, Days
from pseudonymization.tokens import spelling

Positions = npt.NDArray[np.int32]

MOST_VALUES = 200_000
"""A column of identifying values is held in memory up to this many; beyond it, it is listed as not held."""

ONE_ROW_EACH = ("DM", "ADSL")
"""SDTM and ADaM domains that hold one row for each subject, the one that decides first."""
_HISTORY = ("MH", "CM")
_EU_STYLE = {"UK": "GB", "EL": "GR"}
"""Codes of the EU institutions' style guide that differ from ISO 3166-1."""

_SAYS_ANYTHING = frozenset({"QVAL", "COVAL", "IDVARVAL"})
"""SDTM columns whose cells are of many kinds: a value of theirs is not what identifies, wherever else it stands."""

AMBIGUOUS = -1


@dataclass(frozen=True, slots=True, eq=False)
class Subjects:
    """The subjects of a study in a fixed order (by id). Arrays have one entry per subject.

    ids: original ids. countries: ISO 3166-1 alpha-2, "" where unknown. baseline: reference start, days since 1970-01-01
      (`NO_DAY` where there is none). stated: whether the baseline is the study's own (else the earliest complete date).
    aliases: other ids of a subject (SUBJID) and its position; -1 where several subjects share it.
    identifying: distinct values of direct identifiers and recoded columns; not_held: such columns with too many values.
    days: distinct original days of all date columns and of dates among direct identifiers, ascending.
    """

    ids: pa.Array
    countries: npt.NDArray[np.str_]
    baseline: Days
    stated: npt.NDArray[np.bool_]
    aliases: Mapping[str, int] = field(repr=False)
    identifying: Mapping[ColumnRef, tuple[str, ...]] = field(repr=False)
    days: Days = field(repr=False)
    not_held: tuple[ColumnRef, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self, values: pa.Array) -> Positions:
        """Each id's position; -1 where it is none of these subjects."""
        found = pc.fill_null(pc.index_in(values, value_set=self.ids), AMBIGUOUS)
        places: Positions = found.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
        return places


def country_code(text: str) -> str:
    """ISO 3166-1 alpha-2 of a code (alpha-2, alpha-3, numeric) or an English name; "" where there is none."""
    plain = text.strip()
    if not plain:
        return ""
    try:
        found = pycountry.countries.lookup(_EU_STYLE.get(plain.upper(), plain))
    except LookupError:
        return ""
    return str(found.alpha_2)


def collect(study: Study, source: Source) -> Subjects:
    """Every subject id in any table, by one streamed pass over the id, date and identifying columns of each.

    Where the study has a table with one row per subject (domain DM, else ADSL), that table says who the subjects are.
    Without the study's own baseline, a subject's is the earliest complete date of that table; failing this, of the
    others but medical history and medication; failing this, of any.

    Raises:
        Unresolved: a subject stands in a table but not in DM, or twice in DM, or in two countries; a table names a
            column it lacks. Names table, column and rows.
        Unreadable: a date cell that does not parse.
    """
    gathering = _Gathering(study)
    for table in sorted(study.tables, key=lambda table: table.name != gathering.roster):
        for batch, first_row in _numbered(source, table, gathering.needed(table)):
            gathering.take(table, batch, first_row)
    return gathering.finish()


def roster_of(study: Study) -> str:
    """The name of the table DM, which lists every subject of a study that `collect` has accepted; empty without one."""
    found = [table.name for table in study.tables if table.domain == ONE_ROW_EACH[0] and table.subject_key]
    return found[0] if found else ""


def _numbered(source: Source, table: Table, columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, int]]:
    if not columns:
        return
    first_row = 0
    for batch in source.batches(table.name, columns):
        missing = [name for name in columns if name not in batch.schema.names]
        if missing:
            raise Unresolved("a column is missing from its table", places=(Place(table.name, missing[0]),))
        yield batch, first_row
        first_row += batch.num_rows


class _Gathering:
    """What has been seen so far."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.roster = self._roster_of(study)
        self.order: dict[str, int] = {}
        self.country: dict[int, str] = {}
        self.stated: dict[int, int] = {}
        self.earliest = [np.zeros(0, dtype=np.int64) for _ in range(3)]
        self.values: dict[ColumnRef, set[str]] = {}
        self.not_held: list[ColumnRef] = []
        self.pairs: dict[str, dict[str, int]] = {}
        self.days: set[int] = set()

    @staticmethod
    def _roster_of(study: Study) -> str:
        for domain in ONE_ROW_EACH:
            for table in study.tables:
                if table.domain == domain and table.subject_key:
                    return table.name
        return ""

    def _is_identifying(self, table: Table, column: Column) -> bool:
        """Whether a column's values are themselves what must be gone; a text that only holds ids is not."""
        if column.role is Role.DIRECT:
            return column.handling is not Handling.EMBEDDED or table.name == self.roster
        return column.role is Role.QUASI and column.handling is Handling.RECODE

    def _told(self, table: Table, column: Column) -> tuple[Column, ...]:
        """The qualifiers in a column whose values are dates, or are themselves what must be gone."""
        parts = column.qualifiers
        return tuple(part for part in parts if part.role is Role.DATE or self._is_identifying(table, part))

    def needed(self, table: Table) -> list[str]:
        """The columns of a table that this pass reads."""
        wanted = {table.subject_key} if table.subject_key else set()
        wanted |= {column.name for column in table.with_role(Role.DATE)}
        wanted |= {column.name for column in table.columns if self._is_identifying(table, column)}
        wanted |= {name for column in table.columns if self._told(table, column) for name in (column.by, column.name)}
        for ref in (self.study.country, self.study.baseline):
            if isinstance(ref, ColumnRef) and ref.table == table.name:
                wanted.add(ref.column)
        return [column.name for column in table.columns if column.name in wanted]

    def take(self, table: Table, batch: pa.RecordBatch, first_row: int) -> None:
        """One batch: whose rows, then where they live, when they began, what identifies them."""
        who = _Rows(np.full(batch.num_rows, AMBIGUOUS, dtype=np.int32), np.zeros(0, dtype=np.int32))
        if table.subject_key:
            who = self._subjects(table, batch, first_row)
        if isinstance(self.study.country, ColumnRef) and self.study.country.table == table.name:
            self._countries(self.study.country, batch, who.positions, first_row)
        for column in table.columns:
            if column.name not in batch.schema.names:
                continue
            if column.role is Role.DATE or ColumnRef(table.name, column.name) == self.study.baseline:
                self._dates(table, column, batch.column(column.name), who, first_row)
            elif self._is_identifying(table, column):
                self._identify(table, column, ColumnRef(table.name, column.name), batch.column(column.name), who)
            for part in self._told(table, column):
                values = cells.where_named(batch.column(column.by), part.name, batch.column(column.name))
                if part.role is Role.DATE:
                    self._dates(table, column, values, who, first_row)
                else:
                    self._identify(table, part, ColumnRef(table.name, column.name, part.name), values, who)

    def _subjects(self, table: Table, batch: pa.RecordBatch, first_row: int) -> "_Rows":
        key = table.subject_key or ""
        ids = cells.encode(batch.column(key))
        is_roster = table.name == self.roster
        if (ids.codes < 0).any():
            rows = cells.rows_where(ids.codes < 0, first_row)
            raise Unresolved(
                "a row has no subject id",
                places=(Place(table.name, key, rows),),
                cure="give each row its subject, or leave the table out",
            )
        if self.roster and not is_roster:
            known = np.array([self.order.get(text, AMBIGUOUS) for text in ids.texts()], dtype=np.int32)
            if (known == AMBIGUOUS).any():
                place = Place(table.name, key, ids.rows_of(known == AMBIGUOUS, first_row))
                raise Unresolved(
                    f"a subject is missing from `{self.roster}`",
                    places=(place,),
                    cure=f"add the subject to `{self.roster}` or take its rows out of the study",
                )
        else:
            before = len(self.order)
            places = [self.order.setdefault(text, len(self.order)) for text in ids.texts()]
            known = np.array(places, dtype=np.int32)
            if is_roster:
                self._one_row_each(Place(table.name, key), ids, known, before, first_row)
        self._grow()
        return _Rows(ids.codes, known)

    def _one_row_each(self, place: Place, ids: cells.Coded, known: Positions, before: int, first_row: int) -> None:
        places = known[ids.codes]
        repeat = (known < before)[ids.codes]
        repeat[np.setdiff1d(np.arange(len(places)), np.unique(places, return_index=True)[1])] = True
        if repeat.any():
            rows = cells.rows_where(repeat, first_row)
            raise Unresolved(
                "two rows carry one subject id",
                places=(Place(place.table, place.column, rows),),
                cure="say which row is the subject's; nothing is merged",
            )

    def _grow(self) -> None:
        self.earliest = [
            np.append(known, np.full(len(self.order) - len(known), np.iinfo(np.int64).max)) for known in self.earliest
        ]

    def _countries(self, ref: ColumnRef, batch: pa.RecordBatch, who: Positions, first_row: int) -> None:
        column = cells.encode(batch.column(ref.column))
        codes = [country_code(text) for text in column.texts()]
        pairs, rows = np.unique(np.stack([who, column.codes]), axis=1, return_index=True)
        for subject, value, row in zip(*pairs.tolist(), rows.tolist(), strict=True):
            if subject < 0 or value < 0 or not codes[value]:
                continue
            if self.country.setdefault(subject, codes[value]) != codes[value]:
                place = Place(ref.table, ref.column, (first_row + row + 1,))
                raise Unresolved("a subject stands in two countries", places=(place,))

    def _dates(self, table: Table, column: Column, array: pa.Array, rows: "_Rows", first_row: int) -> None:
        place = Place(table.name, column.name)
        found = complete_days(dates.counted(array, column.epoch) if column.epoch else array, place, first_row)
        self.days.update(found.distinct.tolist())
        if table.name != self.roster and len(self.stated) == len(self.order):
            return
        who, (days, complete) = rows.positions, found.by_row()
        at = np.flatnonzero(complete & (who >= 0))
        if ColumnRef(place.table, place.column) == self.study.baseline:
            self.stated.update(zip(who[at].tolist(), days[at].tolist(), strict=True))
        rank = 0 if table.name == self.roster else 2 if table.domain in _HISTORY else 1
        np.minimum.at(self.earliest[rank], who[at], days[at])

    def _identify(self, table: Table, column: Column, ref: ColumnRef, array: pa.Array, rows: "_Rows") -> None:
        coded = cells.encode(array)
        days, complete = isodates.complete_days(coded.values)
        self.days.update(days[complete].tolist())
        if column.name in _SAYS_ANYTHING:
            return
        held = self.values.setdefault(ref, set())
        if ref not in self.not_held:
            held.update(coded.texts())
            if len(held) > MOST_VALUES:
                self.not_held.append(ref)
                held.clear()
        if table.name != self.roster or column.role is not Role.DIRECT:
            return
        pairs = self.pairs.setdefault(column.name, {})
        texts = coded.texts()
        for subject, value in zip(rows.positions.tolist(), coded.codes.tolist(), strict=True):
            if value >= 0 and pairs.setdefault(texts[value], subject) != subject:
                pairs[texts[value]] = AMBIGUOUS

    def finish(self) -> Subjects:
        """All that was seen, in the order of the ids."""
        ids = sorted(self.order)
        old = np.array([self.order[text] for text in ids], dtype=np.int64)
        new = np.empty(len(ids), dtype=np.int64)
        new[old] = np.arange(len(ids))
        never = np.iinfo(np.int64).max
        earliest = np.full(len(ids), never)
        for rank in reversed(range(3)):
            found = self.earliest[rank]
            earliest = np.where(found != never, found, earliest)
        baseline = np.where(earliest == never, NO_DAY, earliest)
        stated = np.zeros(len(ids), dtype=np.bool_)
        for subject, day in self.stated.items():
            baseline[subject], stated[subject] = day, True
        constant = country_code(self.study.country) if isinstance(self.study.country, str) else ""
        countries = np.array([self.country.get(int(at), constant) for at in old], dtype="U2")
        return Subjects(
            ids=pa.array(ids, pa.string()),
            countries=countries,
            baseline=baseline[old],
            stated=stated[old],
            aliases=self._aliases(ids, new),
            identifying={ref: tuple(sorted(held)) for ref, held in self.values.items()},
            days=np.array(sorted(self.days), dtype=np.int64),
            not_held=tuple(self.not_held),
        )

    def _aliases(self, ids: Sequence[str], new: npt.NDArray[np.int64]) -> dict[str, int]:
        """Direct identifiers of the roster that are a piece of the subject's own id, and nearly one to one with it."""
        aliases: dict[str, int] = {}
        for pairs in self.pairs.values():
            places = {text: AMBIGUOUS if at < 0 else int(new[at]) for text, at in pairs.items()}
            own = [f" {spelling(text)} " in f" {spelling(ids[at])} " for text, at in places.items() if at >= 0]
            if 2 * len(places) > len(ids) and own and all(own):
                aliases |= places
        return aliases


@dataclass(frozen=True, slots=True)
class _Rows:
    """Whose rows a batch holds: one code per row into positions. Spelled out per row only for those who ask."""

    codes: Positions
    known: Positions

    @property
    def positions(self) -> Positions:
        """One position per row; -1 where the row is nobody's."""
        places: Positions = np.append(self.known, np.int32(AMBIGUOUS))[self.codes]
        return places


@dataclass(frozen=True, slots=True)
class CompleteDays:
    """The complete dates of a column: its distinct days, and `by_row` one day per row and whether the row holds one."""

    distinct: Days
    by_row: Callable[[], tuple[Days, npt.NDArray[np.bool_]]]


def complete_days(array: pa.Array, place: Place, first_row: int = 0) -> CompleteDays:
    """The complete dates of a date column of any kind.

    Raises:
        Unreadable: a text that is no date. Unresolved: a column of plain numbers, whose epoch nobody has stated.
    """
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if pa.types.is_temporal(kind):
        days, present = dates.arrow_days(array)
        return CompleteDays(pa.array(days[present]).unique().to_numpy(), lambda: (days, present))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        read = dates.read(array, place, first_row)
        distinct = np.unique(read.parsed.days[read.parsed.complete])
        return CompleteDays(distinct, lambda: (read.days, read.precision == isodates.Precision.DAY))
    raise dates.without_epoch(place)
