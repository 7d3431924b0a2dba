"""Variables that other tables repeat from the subject table: each copy says what its source says.

An ADaM table repeats variables of ADSL, and ADSL those of DM, under the same name and with the same values (ADaMIG 1.1
§3.2.1). Where a copy and its source are equal, one treatment makes them equal again; so equality is what is checked,
cell by cell while the rows stream by, and a copy that disagrees is named. Dates are checked for a wrong epoch too: a
date that was counted from 1970 and read from 1960, or the other way round, is 3,653 days off, and every interval
inside its table is still right.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pseudonymization import cells, dates
from pseudonymization.columns import Column, ColumnRef, Kind, Source, Study, Table
from pseudonymization.faults import Place, Unresolved
from pseudonymization.isodates import NO_DAY, Days
from pseudonymization.options import Copies
from pseudonymization.subjects import ONE_ROW_EACH, Positions, Subjects, complete_days

_SAME_DAY: Mapping[str, tuple[str, ...]] = {
    "TRTSDT": ("RFXSTDTC", "RFSTDTC"),
    "TRTEDT": ("RFXENDTC", "RFENDTC"),
}
"""Dates of analysis tables, and those of DM that are mostly the same day (ADaMIG 1.1 §3.2.4). Any XDT also has XDTC."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Copied:
    """What the subject table says: `values` and their spelling `texts` have one entry per subject, null for none."""

    source: ColumnRef
    values: pa.Array = field(repr=False)
    texts: pa.Array = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Per table and column: the source of a copy, and the day per subject (`NO_DAY` for none) that a date should be."""

    choice: Copies = Copies.STOP
    copied: Mapping[tuple[str, str], Copied] = field(default_factory=dict, repr=False)
    days: Mapping[tuple[str, str], Days] = field(default_factory=dict, repr=False)


def expected(whole: Study, asked: Study, source: Source, subjects: Subjects) -> Expected:
    """What the copies in the tables asked for must say, from one pass over the study's subject tables.

    Raises:
        Unresolved: a subject stands in two rows of a subject table. Unreadable: a date of it does not parse.
    """
    rosters = sorted(
        (table for table in whole.tables if table.domain in ONE_ROW_EACH and table.subject_key),
        key=lambda table: ONE_ROW_EACH.index(table.domain),
    )
    links = list(_links(rosters, asked))
    wanted = {ref for _, ref, _ in links}
    held: dict[ColumnRef, pa.Array] = {}
    for table in rosters:
        columns = [column for column in table.columns if ColumnRef(table.name, column.name) in wanted]
        held |= _read(table, columns, source, subjects)
    copied: dict[tuple[str, str], Copied] = {}
    days: dict[tuple[str, str], Days] = {}
    for place, ref, is_copy in links:
        values = held[ref]
        if is_copy:
            texts = pa.array([cells.canonical(value) or None for value in values.to_pylist()], pa.string())
            copied[place] = Copied(ref, values, texts)
        else:
            found = complete_days(values, Place(ref.table, ref.column))
            day, complete = found.by_row()
            days[place] = np.where(complete, day, NO_DAY)
    return Expected(whole.options.copies, copied, days)


def _links(rosters: list[Table], asked: Study) -> Iterator[tuple[tuple[str, str], ColumnRef, bool]]:
    """Each column that has a source, the source, and whether it is a copy (else a date on mostly the same day)."""
    for table in asked.tables:
        if not table.subject_key or any(column.name in {"DOMAIN", "RDOMAIN"} for column in table.columns):
            continue
        above = [roster for roster in rosters if roster.name != table.name]
        if table.domain in ONE_ROW_EACH:
            above = [roster for roster in above if ONE_ROW_EACH.index(roster.domain) < ONE_ROW_EACH.index(table.domain)]
        for column in table.columns:
            place = (table.name, column.name)
            found = [roster for roster in above if _has(roster, column)]
            if found and column.name != table.subject_key:
                yield place, ColumnRef(found[-1].name, column.name), True
            elif column.kind in {Kind.DATE, Kind.TIMESTAMP} or column.epoch is not None:
                names = _SAME_DAY.get(column.name, (f"{column.name}C", f"{column.name.removesuffix('M')}C"))
                same = [(r, n) for r in above for n in names if any(c.name == n for c in r.columns)]
                yield from ((place, ColumnRef(roster.name, name), False) for roster, name in same[:1])


def _has(roster: Table, column: Column) -> bool:
    return any(
        (held.name, held.kind, held.epoch) == (column.name, column.kind, column.epoch) for held in roster.columns
    )


def _read(table: Table, columns: list[Column], source: Source, subjects: Subjects) -> dict[ColumnRef, pa.Array]:
    """Each column with one value per subject of the study, in their order."""
    if not columns:
        return {}
    key = table.subject_key or ""
    read = source.batches(table.name, [key, *(column.name for column in columns)])
    batches = [dates.dated(batch, table) for batch in read]
    rows = pa.Table.from_batches(batches).combine_chunks()
    places = subjects.positions(rows.column(key).cast(pa.string()).combine_chunks())
    at = np.flatnonzero(places >= 0)
    row_of = np.full(len(subjects), -1, dtype=np.int64)
    row_of[places[at]] = at
    twice = (places >= 0) & (row_of[places] != np.arange(len(places)))
    if twice.any():
        where = Place(table.name, key, cells.rows_where(twice))
        raise Unresolved("two rows carry one subject id", places=(where,), cure="say which row is the subject's")
    taken = pa.array(row_of, mask=row_of < 0)
    plain = {column.name: rows.column(column.name) for column in columns}
    return {ColumnRef(table.name, name): _decoded(array).take(taken) for name, array in plain.items()}


def _decoded(array: pa.ChunkedArray) -> pa.Array:
    whole = array.combine_chunks()
    return whole.dictionary_decode() if pa.types.is_dictionary(whole.type) else whole


def agreed(copied: Copied, choice: Copies, place: Place, array: pa.Array, who: Positions, first_row: int) -> pa.Array:
    """The column, if it says what its source says; with the choice `source`, what the source says where it does not.

    A blank on either side agrees with everything: to say nothing is not to disagree.

    Raises:
        Unresolved: cells disagree and the steward has not chosen; names the rows.
    """
    column = cells.encode(array)
    listed = pc.fill_null(pc.index_in(copied.texts, value_set=column.values), -2).to_numpy(zero_copy_only=False)
    said = np.append(np.where(copied.texts.is_valid().to_numpy(zero_copy_only=False), listed, -1), -1)[who]
    wrong = (column.codes >= 0) & (said != -1) & (column.codes != said)
    if not wrong.any():
        return array
    if choice is Copies.SOURCE:
        plain = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        if pa.types.is_string(copied.values.type) and not pa.types.is_string(plain.type):
            plain = column.values.take(pa.array(column.codes, mask=column.codes < 0))
        theirs = copied.values.cast(plain.type).take(pa.array(who, mask=who < 0))
        return pc.if_else(pa.array(wrong), theirs, plain)
    where = Place(place.table, place.column, cells.rows_where(wrong, first_row))
    raise Unresolved(
        f"a copy does not say what its source `{copied.source.table}.{copied.source.column}` says",
        places=(where,),
        cure="correct the source data, or choose `copies: source` in the options of the column file",
    )


def right_epoch(days: Days, place: Place, array: pa.Array, who: Positions, first_row: int) -> None:
    """Nothing, unless dates lie exactly as far from the subject's own as one epoch from the other.

    Raises:
        Unresolved: some do; names the rows.
    """
    plain = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    ours, present = dates.arrow_days(plain)
    theirs = np.append(days, NO_DAY)[who]
    known = present & (theirs != NO_DAY)
    wrong = known & (np.abs(ours - np.where(known, theirs, ours)) == dates.EPOCHS_APART)
    if wrong.any():
        raise Unresolved(
            f"dates lie exactly {dates.EPOCHS_APART:,} days from the subject's own: counted from another epoch",
            places=(Place(place.table, place.column, cells.rows_where(wrong, first_row)),),
            cure="export the table again with the right epoch (SAS counts from 1960, Unix from 1970)",
        )
