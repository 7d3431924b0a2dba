"""Rows that do not fit together: subjects that the subject table lacks or has twice, qualifiers without their record.

Nothing is repaired. A release stops at such rows and names them, unless the steward chose in the column file's options
that they are left out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pseudonymization import cells, dates
from pseudonymization.columns import Role, Source, Study, Table
from pseudonymization.faults import Place, Unreadable, Unresolved
from pseudonymization.options import MixedIds, Unfit
from pseudonymization.subjects import ONE_ROW_EACH

_JOIN = "\x1f"
_RELATES = ("RDOMAIN", "IDVAR", "IDVARVAL")
_ROWS = 20
ROW = "\x1frow"


@dataclass(frozen=True, slots=True)
class Fault:
    """What does not fit where. `choices` is the option by which a steward decides; empty: only the data can."""

    kind: str
    place: Place
    choices: str = ""


class Childless(Unresolved):
    """Qualifiers without their record; their rows are those of the source."""


class _Numbered:
    """A source with one column more: the number of each row, from 1."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def batches(self, table: str, columns: Sequence[str] | None = None) -> Iterator[Any]:
        first = 1
        wanted = None if columns is None else [name for name in columns if name != ROW]
        for batch in self._source.batches(table, wanted):
            numbers = pa.array(np.arange(first, first + batch.num_rows))
            yield batch.append_column(ROW, numbers)
            first += batch.num_rows


def as_in_source(place: Place, whole: Study, source: Source) -> Place:
    """A place among the rows that were not left out, with the row numbers of the source itself."""
    key = next((table.subject_key for table in whole.tables if table.name == place.table), None)
    if not place.rows or key is None:
        return place
    left = SoundSource(_Numbered(source), whole).batches(place.table, [key, ROW])
    numbers = pa.concat_arrays([batch.column(1) for batch in left] or [pa.array([], pa.int64())])
    return replace(place, rows=tuple(numbers[row - 1].as_py() for row in place.rows if row <= len(numbers)))


class SoundSource:
    """A source that leaves out the rows that the steward wants left out, and stops at what does not fit otherwise.

    `roster` is the table with one row for each subject, if the study has one.
    """

    def __init__(self, source: Source, whole: Study) -> None:
        self._source, self._whole = source, whole
        self.roster = next(
            (t for domain in ONE_ROW_EACH for t in whole.tables if t.domain == domain and t.subject_key), None
        )
        self._known: pa.Array | None = None
        self._parents: dict[str, pa.Array] = {}
        self._sound: set[str] = set()

    def batches(self, table: str, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """Stream one table without the rows that are left out.

        Raises:
            Unresolved: qualifiers without the record that they belong to; names table and rows.
        """
        described = self._whole[table]
        drops = self._drops_subjects and described.subject_key is not None
        related = _relates(described) and table not in self._sound
        if not drops and not related:
            yield from self._source.batches(table, columns)
            return
        needed = [*_RELATES] if related else []
        key = described.subject_key
        asked = None if columns is None else [*dict.fromkeys([*columns, *([key] if key else []), *needed])]
        first = 0
        for batch in self._source.batches(table, asked):
            kept = np.ones(batch.num_rows, dtype=np.bool_)
            if drops and key:
                kept &= pc.is_in(_texts(batch.column(key)), value_set=self._subjects()).to_numpy(zero_copy_only=False)
            if related:
                lost = kept & self._childless(described, batch)
                if lost.any() and self._whole.options.parents is Unfit.STOP:
                    place = Place(table, "IDVARVAL", cells.rows_where(lost, first))
                    cure = "mend the data, or choose `parents: drop` in the options of the column file"
                    raise Childless("a qualifier has no record that it belongs to", places=(place,), cure=cure)
                kept &= ~lost
            first += batch.num_rows
            shown = batch if columns is None else batch.select(list(columns))
            yield shown if kept.all() else shown.filter(pa.array(kept))
        if related and self._whole.options.parents is Unfit.STOP:
            self._sound.add(table)

    @property
    def _drops_subjects(self) -> bool:
        chosen = self._whole.options
        return self.roster is not None and Unfit.DROP in {chosen.orphans, chosen.duplicates}

    def _subjects(self) -> pa.Array:
        """The ids that may leave; one that is missing or twice stays in where the steward did not drop it."""
        if self._known is None:
            ids = _ids(self._source, self.roster) if self.roster else pa.array([], pa.string())
            counts = ids.value_counts()
            listed, often = counts.field("values"), counts.field("counts")
            if self._whole.options.duplicates is Unfit.DROP:
                listed = listed.filter(pc.equal(often, 1))
            if self._whole.options.orphans is Unfit.STOP:
                everyone = [_ids(self._source, table).unique() for table in self._whole.tables if table.subject_key]
                twice = counts.field("values").filter(pc.greater(often, 1))
                rest = pa.concat_arrays(everyone).unique()
                listed = rest.filter(pc.invert(pc.is_in(rest, value_set=twice)))
            self._known = listed
        return self._known

    def _childless(self, table: Table, batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Rows that name a record which is not there. Without IDVAR, a qualifier belongs to its subject."""
        named = pc.not_equal(pc.fill_null(_texts(batch.column("IDVAR")), ""), "").to_numpy(zero_copy_only=False)
        if not named.any():
            return np.zeros(batch.num_rows, dtype=np.bool_)
        parts = [_texts(batch.column(name)) for name in (table.subject_key or "RDOMAIN", *_RELATES)]
        wanted = pc.binary_join_element_wise(*[pc.fill_null(part, "") for part in parts], _JOIN)
        there = np.zeros(batch.num_rows, dtype=np.bool_)
        domains, variables = parts[1], parts[2]
        for domain, variable in sorted({*zip(domains.to_pylist(), variables.to_pylist(), strict=True)}, key=str):
            if domain and variable:
                known = self._records(domain, variable)
                there |= pc.is_in(wanted, value_set=known).to_numpy(zero_copy_only=False)
        lost: npt.NDArray[np.bool_] = named & ~there
        return lost

    def _records(self, domain: str, variable: str) -> pa.Array:
        """What a qualifier may name: subject, domain, variable and value of every record of a domain."""
        at = f"{domain}{_JOIN}{variable}"
        if at not in self._parents:
            found = [pa.array([], pa.string())]
            for table in self._whole.tables:
                if table.domain != domain or not table.subject_key or variable not in {c.name for c in table.columns}:
                    continue
                for batch in self._source.batches(table.name, [table.subject_key, variable]):
                    ids, values = (_texts(batch.column(name)) for name in (table.subject_key, variable))
                    fixed = [pa.array([word] * batch.num_rows, pa.string()) for word in (domain, variable)]
                    found.append(pc.binary_join_element_wise(ids, *fixed, values, _JOIN))
            self._parents[at] = pa.concat_arrays(found)
        return self._parents[at]


def _relates(table: Table) -> bool:
    """Whether a table's rows belong to records of another: SUPP-- tables, by IDVAR and IDVARVAL."""
    names = {column.name for column in table.columns}
    return names.issuperset({*_RELATES, "QNAM"})


def _texts(array: pa.Array) -> pa.Array:
    """Cells as texts with one spelling for a number."""
    coded = cells.encode(array)
    trimmed = pc.utf8_trim_whitespace(coded.values)
    return trimmed.take(pa.array(coded.codes, mask=coded.codes < 0))


def _ids(source: Source, table: Table) -> pa.Array:
    key = table.subject_key or ""
    found = [_texts(batch.column(key)) for batch in source.batches(table.name, [key])]
    return pa.concat_arrays(found).drop_null() if found else pa.array([], pa.string())


def faults(whole: Study, source: Source, encodings: Sequence[tuple[str, str]] = ()) -> tuple[Fault, ...]:
    """Everything in a study that a release would stop at or that had to be guessed, each with its place; no values.

    `encodings`: how each table's bytes were read.
    """
    found = [
        Fault(f"not UTF-8: read as {encoding}", Place(table), "encodings")
        for table, encoding in encodings
        if encoding.lower() not in PLAIN
    ]
    roster = SoundSource(source, whole).roster
    known = _ids(source, roster) if roster else pa.array([], pa.string())
    for table in whole.tables:
        found += _subject_faults(table, roster, known, source)
        found += _unreadable(table, source)
        if _relates(table):
            try:
                for _ in SoundSource(source, whole).batches(table.name, list(_RELATES)):
                    pass
            except Unresolved as fault:
                found += [Fault("a qualifier without its record", place, "parents") for place in fault.places]
    return tuple(found)


PLAIN = frozenset({"utf-8", "utf-8-sig", "utf8", "ascii", "us-ascii", ""})
"""Encodings that leave no doubt."""


def check_encodings(whole: Study, tables: Iterable[tuple[str, str]]) -> None:
    """Nothing, if every table (name, encoding) is read in UTF-8 or in an encoding that the steward chose.

    Raises:
        Unresolved: one is not; names the tables and how they would be read.
    """
    doubtful = [(n, e) for n, e in tables if e.lower() not in PLAIN and not whole.options.reads(n, e)]
    if doubtful:
        listed = ", ".join(f"{name}={encoding}" for name, encoding in doubtful)
        raise Unresolved(
            "the text of a table is not UTF-8",
            places=tuple(Place(name) for name, _ in doubtful),
            cure=f"save it as UTF-8, or choose `encodings: [{listed}]` in the options of the column file",
        )


def check_ids(whole: Study, source: Source, ids: pa.Array) -> None:
    """Nothing, if all subject ids are numbers or none is, or the steward chose to take each as the text that it is.

    Raises:
        Unresolved: they are mixed; names the rows of the rarer form.
    """
    if whole.options.mixed_ids is MixedIds.AS_TEXT or not 0.0 < _numeric_share(ids) < 1.0:
        return
    places = [
        fault.place
        for table in whole.tables
        if table.subject_key
        for fault in _mixed(table, pa.concat_arrays([_ids(source, table), pa.array([], pa.string())]))
    ]
    cure = "correct the ids, or choose `mixed_ids: as_text` in the options of the column file"
    raise Unresolved("some subject ids are numbers and others are not", places=tuple(places), cure=cure)


def _subject_faults(table: Table, roster: Table | None, known: pa.Array, source: Source) -> list[Fault]:
    """Ids that the subject table lacks or has twice, and ids of two forms in one column."""
    key = table.subject_key
    if key is None:
        return []
    ids = pa.concat_arrays(
        [_texts(b.column(key)) for b in source.batches(table.name, [key])] or [pa.nulls(0, "string")]
    )
    found = []
    if roster is not None and table.name == roster.name:
        counts = known.value_counts()
        twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
        rows = _rows(pc.is_in(ids, value_set=twice)) if len(twice) else ()
        found += [Fault("two rows of one subject", Place(table.name, key, rows), "duplicates")] if rows else []
    elif roster is not None:
        rows = _rows(pc.invert(pc.is_in(ids, value_set=known)))
        found += [Fault(f"a subject that {roster.name} lacks", Place(table.name, key, rows), "orphans")] if rows else []
    return found + _mixed(table, ids)


def _numbers(ids: pa.Array) -> pa.Array:
    return pc.fill_null(pc.match_substring_regex(ids, r"^[0-9]+(\.[0-9]+)?$"), False)  # noqa: FBT003 - a value


def _numeric_share(ids: pa.Array) -> float:
    return pc.mean(_numbers(ids)).as_py() or 0.0


def _mixed(table: Table, ids: pa.Array) -> list[Fault]:
    share = _numeric_share(ids)
    if not 0.0 < share < 1.0:
        return []
    rows = _rows(_numbers(ids) if share < 0.5 else pc.invert(_numbers(ids)))
    return [Fault("ids of mixed types", Place(table.name, table.subject_key or "", rows), "mixed_ids")]


def _unreadable(table: Table, source: Source) -> list[Fault]:
    """Date columns with cells that no rule can read; the first such rows of each."""
    names = [column.name for column in table.with_role(Role.DATE)]
    found: dict[str, list[Fault]] = {}
    first = 0
    for batch in source.batches(table.name, names) if names else ():
        for name in names:
            array = batch.column(name)
            kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
            if name in found or not pa.types.is_string(kind):
                continue
            try:
                dates.read(array, Place(table.name, name), first)
            except Unreadable as fault:
                found[name] = [Fault("a date that no rule can read", place) for place in fault.places]
        first += batch.num_rows
    return [fault for faults_of in found.values() for fault in faults_of]


def _rows(flags: pa.Array) -> tuple[int, ...]:
    flagged = pc.fill_null(flags, False).to_numpy(zero_copy_only=False)  # noqa: FBT003 - a value
    return cells.rows_where(flagged, limit=_ROWS)
