"""The part of a study that a request asks for: its tables, columns and rows, checked against the column file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gateway.catalogue import columnfile
from gateway.domain.dataset import DatasetVersion
from gateway.domain.request import RowFilter, Terms
from gateway.errors import Invalid
from gateway.release.sound import SoundSource
from pseudonymization import ages
from pseudonymization.ages import UnitedAges
from pseudonymization.columns import Column, Role, Source, Study, Table
from pseudonymization.subjects import ONE_ROW_EACH


def whole_study(version: DatasetVersion) -> Study:
    """The study as its column file describes it."""
    return _read(version.column_file, f"{version.dataset} column file")


@lru_cache(maxsize=16)
def _read(column_file: str, place: str) -> Study:
    """A release asks for its study at every step; the same text is read once."""
    return columnfile.loads(column_file, place=place)


def requested_study(version: DatasetVersion, terms: Terms) -> Study:
    """The study cut down to the tables and columns of the terms; subject keys always come along.

    Raises:
        Invalid: a table or column does not exist, or a requested column is unresolved.
    """
    study = whole_study(version)
    known = {table.name.upper(): table for table in study.tables}
    asked: Mapping[str, tuple[str, ...] | None] = terms.tables or dict.fromkeys(known)
    for name in asked:
        if name not in known:
            raise Invalid(
                f"the dataset has no table `{name}`", place=f"tables.{name}", cure=f"it has {', '.join(sorted(known))}"
            )
    tables = tuple(_cut(known[name], columns) for name, columns in asked.items())
    _resolved(tables)
    for filtered in terms.rows:
        _filter_exists(filtered, tables)
    return replace(study, tables=tables)


def _cut(table: Table, wanted: tuple[str, ...] | None) -> Table:
    if wanted is None:
        return table
    names = {column.name for column in table.columns}
    for name in wanted:
        if name not in names:
            raise Invalid(
                f"table `{table.name}` has no column `{name}`",
                place=f"tables.{table.name}",
                cure="see its columns with `gateway datasets show`",
            )
    told = [column for column in table.columns if column.name in wanted]
    keep = {*wanted, table.subject_key, *(c.by for c in told), *(ages.unit_column(table, c) for c in told)}
    return replace(table, columns=tuple(column for column in table.columns if column.name in keep))


def _resolved(tables: Sequence[Table]) -> None:
    waiting = [f"{t.name}.{c.name}" for t in tables for c in t.columns if _unresolved(c)]
    waiting += [
        f"{t.name}.{c.name}:{p.name}" for t in tables for c in t.columns for p in c.qualifiers if _unresolved(p)
    ]
    if waiting:
        shown = ", ".join(waiting[:5]) + (" …" if len(waiting) > 5 else "")
        raise Invalid(
            f"columns without a settled role are never released: {shown}",
            place="tables",
            cure="leave them out, or ask a steward to settle them (`gateway datasets check`)",
        )


def _unresolved(column: Column) -> bool:
    return column.role is Role.UNRESOLVED


def _filter_exists(filtered: RowFilter, tables: Sequence[Table]) -> None:
    for table in tables:
        if table.name.upper() == filtered.table and filtered.column in {c.name for c in table.columns}:
            return
    raise Invalid(
        f"the row filter names `{filtered.table}.{filtered.column}`, which is not requested",
        place="rows",
        cure="filter by a requested column",
    )


class FilteredSource:
    """A source that shows only the rows the filters keep. Filters of one table must all hold.

    A filter on a table with one row for each subject (DM, ADSL) chooses subjects: the rows of the others leave every
    table, so that no table speaks of subjects that are not in the extract.
    """

    def __init__(self, source: Source, filters: Sequence[RowFilter], whole: Study) -> None:
        self._source: Source = UnitedAges(SoundSource(source, whole), whole)
        self._filters, self._whole = filters, whole
        self._chosen: pa.Array | None = None

    def batches(self, table: str, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """Stream the kept rows of one table."""
        filters = [f for f in self._filters if f.table == table.upper()]
        key, chosen = self._whole[table].subject_key, self._subjects()
        if not filters and chosen is None:
            yield from self._source.batches(table, columns)
            return
        needed = [f.column for f in filters] + ([key] if key and chosen is not None else [])
        asked = None if columns is None else [*dict.fromkeys([*columns, *needed])]
        for batch in self._source.batches(table, asked):
            kept = _kept(batch, filters)
            if key and chosen is not None:
                ids = kept.column(kept.schema.get_field_index(key)).cast(pa.string())
                kept = kept.filter(pc.is_in(ids, value_set=chosen))
            yield kept if columns is None else kept.select(list(columns))

    def _subjects(self) -> pa.Array | None:
        """The subjects that filters on the subject table choose; None where there is no such filter."""
        if self._chosen is None:
            for table in self._whole.tables:
                filters = [f for f in self._filters if f.table == table.name.upper()]
                if not filters or not table.subject_key or table.domain not in ONE_ROW_EACH:
                    continue
                found: set[str] = set()
                for batch in self._source.batches(
                    table.name, [*dict.fromkeys([table.subject_key, *(f.column for f in filters)])]
                ):
                    kept = _kept(batch, filters)
                    found.update(
                        kept.column(kept.schema.get_field_index(table.subject_key)).cast(pa.string()).to_pylist()
                    )
                self._chosen = pa.array(sorted(found), pa.string())
        return self._chosen


def _kept(batch: pa.RecordBatch, filters: Sequence[RowFilter]) -> pa.RecordBatch:
    for filtered in filters:
        column = batch.column(batch.schema.get_field_index(filtered.column))
        if pa.types.is_dictionary(column.type):
            values = pc.is_in(column.dictionary.cast(pa.string()), value_set=pa.array(filtered.values))
            mask = pc.take(values, column.indices)
        else:
            mask = pc.is_in(column.cast(pa.string()), value_set=pa.array(filtered.values))
        batch = batch.filter(pc.fill_null(mask, fill_value=False))
    return batch
