"""The order of rows in a released table: by pseudonym, so that it tells nothing of the original ids or sites.

PHUSE De-Identification Standard for SDTM 3.2, rule Recode subject ID: datasets are sorted again by the new id. Within a
subject, rows keep their order. Dictionaries are sorted, for their order of first sight tells the same. A table of more
rows than are held at once is sorted batch by batch: it still tells which subjects stood in the same stretch of the
source, never their order there.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pseudonymization import cells

MOST_HELD = 1_000_000
"""Rows of one table held in memory to be sorted; with their sorted copy some hundred megabytes."""


Stretches = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Rows that stand together: where each stretch starts and where it ends, in the order they are wanted in."""


def by_pseudonym(
    batches: Iterable[pa.RecordBatch],
    subject_key: str | None,
    *,
    most_held: int = MOST_HELD,
    size: int = 500_000,
    pruned: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Treated batches of one table in the order of its pseudonyms (column `subject_key`).

    `pruned` says that their dictionaries list only what each batch uses, as those of `treat` do.
    A table without subjects keeps its order. Comes in batches of at most `size` rows if the whole table was held.
    """
    if subject_key is None:
        yield from batches
        return
    held: list[pa.RecordBatch] = []
    rows, too_many = 0, False
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        too_many = too_many or rows > most_held
        if too_many:
            yield from (_sorted(one, subject_key, pruned=pruned) for one in held)
            held = []
    if held:
        whole = pa.Table.from_batches(held).unify_dictionaries().combine_chunks()
        ordered = whole.take(pa.array(positions(whole.column(subject_key).chunk(0)))) if whole.num_rows else whole
        for start in range(0, max(rows, 1), size):
            yield _compact(ordered.slice(start, size), whole.schema)


def _sorted(batch: pa.RecordBatch, subject_key: str, *, pruned: bool) -> pa.RecordBatch:
    stretches = _stretches(batch.column(subject_key))
    columns = [_moved(cells.in_value_order(column, all_used=pruned), stretches) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _moved(column: pa.Array, stretches: Stretches) -> pa.Array:
    """The rows of the column, stretch by stretch."""
    starts, stops = stretches
    if 16 * len(starts) > len(column) or column.null_count or pa.types.is_boolean(column.type):
        return column.take(pa.array(_rows(stretches)))
    coded = pa.types.is_dictionary(column.type)
    if coded and len(column.dictionary) == 1:
        return column
    values = (column.indices if coded else column).to_numpy(zero_copy_only=False)
    pieces = [values[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
    ordered = np.concatenate(pieces) if pieces else values
    if coded:
        return pa.DictionaryArray.from_arrays(pa.array(ordered), column.dictionary, safe=False)
    return pa.array(ordered, column.type)


def _compact(part: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    """One batch whose dictionaries list only what its own rows use."""
    columns = [cells.in_value_order(column.combine_chunks()) for column in part.columns]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def positions(pseudonyms: pa.DictionaryArray) -> npt.NDArray[np.int64]:
    """Where each row of the sorted column stands in this one: equal pseudonyms in their order, rows of nobody last."""
    return _rows(_stretches(pseudonyms))


def _stretches(pseudonyms: pa.DictionaryArray) -> Stretches:
    """Rows of one subject mostly stand together, so stretches are sorted rather than rows."""
    size = len(pseudonyms.dictionary)
    rank = np.empty(size + 1, dtype=np.int64)
    rank[cells.value_order(pseudonyms.dictionary)], rank[-1] = np.arange(size), size
    keys = rank[cells.indices(pseudonyms)]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, dtype=np.int64)
    stops = np.append(starts[1:], len(keys))[: len(starts)]
    order = np.argsort(keys[starts], kind="stable")
    return starts[order], stops[order]


def _rows(stretches: Stretches) -> npt.NDArray[np.int64]:
    starts, stops = stretches
    lengths = stops - starts
    before = np.append(0, np.cumsum(lengths)[:-1])[: len(starts)]
    rows: npt.NDArray[np.int64] = np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
    return rows
