"""Cells as the engine handles them: one code per row into distinct values, and one spelling for every number.

Work is done on distinct values; rows only ever see gathers. What is blank and what is missing is one thing here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
MISSING = -1


@dataclass(frozen=True, slots=True)
class Coded:
    """A column as codes: `codes` has one entry per row (-1 = blank or missing), `values` the distinct texts."""

    codes: Codes
    values: pa.Array

    def texts(self) -> list[str]:
        """The distinct values as Python strings, in code order."""
        texts: list[str] = self.values.to_pylist()
        return texts

    def rows_of(self, wrong: npt.NDArray[Any], first_row: int = 0, limit: int = 20) -> tuple[int, ...]:
        """1-based numbers of the first rows whose value is flagged in `wrong` (one flag per distinct value)."""
        flagged = np.append(wrong, False)[self.codes]
        return rows_where(flagged, first_row, limit)


def rows_where(flagged: npt.NDArray[Any], first_row: int = 0, limit: int = 20) -> tuple[int, ...]:
    """1-based numbers of the first `limit` flagged rows; `first_row` rows stood before this batch."""
    return tuple(int(row) + first_row + 1 for row in np.flatnonzero(flagged)[:limit])


def canonical(value: Any) -> str:
    """One spelling per value, so that 61, 61.0 and "61" are one: whole numbers without a point, dates in ISO 8601.

    None and NaN are the empty text: a missing number is a blank cell.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def encode(array: pa.Array) -> Coded:
    """A column of text, number or date as codes into distinct texts.

    Unused entries of a dictionary are dropped; null, NaN and "" become code -1.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = indices(array)
    spelled = array.dictionary
    if not pa.types.is_string(spelled.type):
        once = pa.array([canonical(value) for value in spelled.to_pylist()], pa.string()).dictionary_encode()
        codes, spelled = np.append(indices(once), np.int32(MISSING))[codes], once.dictionary
    used = _used(codes, len(spelled))
    keep = used & ~_blank(spelled)
    if keep.all():
        distinct = spelled
    else:
        renumber = np.full(len(spelled) + 1, MISSING, dtype=np.int32)
        renumber[:-1][keep] = np.arange(int(keep.sum()), dtype=np.int32)
        codes, distinct = renumber[codes], spelled.filter(pa.array(keep))
    return Coded(codes, distinct)


def indices(array: pa.DictionaryArray) -> Codes:
    """The codes of a dictionary column as it stands; -1 is null."""
    filled = pc.fill_null(array.indices, MISSING) if array.indices.null_count else array.indices
    codes: Codes = filled.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return codes


def _used(codes: Codes, size: int) -> Flags:
    """Which of `size` entries some row uses; rows are read in growing pieces, for mostly a few rows use them all."""
    seen = np.zeros(size + 1, dtype=np.bool_)
    start, stop = 0, 4 * size + 1024
    while start < len(codes):
        seen[codes[start:stop]] = True
        if seen[:-1].all():
            break
        start, stop = stop, 4 * stop
    return seen[:-1]


def distinct(keys: npt.NDArray[np.int64], absent: Flags | None = None) -> tuple[Codes, npt.NDArray[np.int64]]:
    """Whole numbers as codes into their distinct values, smallest first; -1 where `absent`.

    Runs of one key are looked at once.
    """
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, dtype=np.int64)
    in_runs = absent is None and 2 * len(starts) < len(keys)
    once = pa.array(keys[starts] if in_runs else keys, mask=absent).dictionary_encode()
    found = once.dictionary.to_numpy()
    order = np.argsort(found)
    rank = np.full(len(found) + 1, MISSING, dtype=np.int32)
    rank[order] = np.arange(len(found), dtype=np.int32)
    codes = rank[indices(once)]
    if in_runs:
        codes = np.repeat(codes, np.diff(np.append(starts, len(keys))))
    return codes, found[order]


def in_order(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The distinct values, sorted: by sorting, where NumPy's own hashes first and takes several times as long."""
    ordered = np.sort(values)
    if not len(ordered):
        return ordered
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))]


def among(values: npt.NDArray[np.int64], known: npt.NDArray[np.int64]) -> Flags:
    """Which values stand in `known`, which is sorted."""
    if not len(known):
        return np.zeros(len(values), dtype=np.bool_)
    found: Flags = known[np.minimum(np.searchsorted(known, values), len(known) - 1)] == values
    return found


def _blank(values: pa.Array) -> Flags:
    blank: Flags = pc.or_kleene(pc.is_null(values), pc.equal(values, "")).to_numpy(zero_copy_only=False)
    return blank


def dictionary(codes: Codes, labels: pa.Array, *, all_used: bool = False) -> pa.DictionaryArray:
    """Codes and their labels as an Arrow dictionary column; -1, and a label that is null or blank, is null.

    Only labels in use enter the dictionary: an unused one would tell of rows that are not there. `all_used` says that
    the caller knows of none.
    """
    keep = ~_blank(labels) if all_used else _used(codes, len(labels)) & ~_blank(labels)
    return _chosen(codes, labels, np.flatnonzero(keep))


def relabel(column: Coded, labels: Sequence[str | None]) -> pa.DictionaryArray:
    """The column with each distinct value replaced by its label; equal labels become one entry."""
    once = pa.array(labels, pa.string()).dictionary_encode()
    renumber = np.append(indices(once), MISSING).astype(np.int32)
    return dictionary(renumber[column.codes], once.dictionary)


def pruned(array: pa.Array) -> pa.Array:
    """The same column without dictionary entries that no row uses; other columns come back untouched."""
    if not pa.types.is_dictionary(array.type):
        return array
    codes = indices(array)
    used = _used(codes, len(array.dictionary))
    return array if used.all() else _chosen(codes, array.dictionary, np.flatnonzero(used))


def in_value_order(array: pa.Array, *, all_used: bool = False) -> pa.Array:
    """The same column with its dictionary sorted and pruned: the order of first sight would tell of the source's rows.

    Columns without a dictionary come back untouched. `all_used` says that the caller knows of nothing to prune.
    """
    if not pa.types.is_dictionary(array.type):
        return array
    codes, order = indices(array), value_order(array.dictionary)
    used = np.ones(len(order), dtype=np.bool_) if all_used else _used(codes, len(order))
    if used.all() and np.array_equal(order, np.arange(len(order))):
        return array
    return _chosen(codes, array.dictionary, order[used[order]])


def where_named(names: pa.Array, name: str, values: pa.Array) -> pa.DictionaryArray:
    """The column with only those rows filled whose cell in `names` is `name`; the rows stay in their places."""
    named, column = encode(names), encode(values)
    texts = named.texts()
    wanted = texts.index(name) if name in texts else MISSING - 1
    return dictionary(np.where(named.codes == wanted, column.codes, np.int32(MISSING)), column.values)


def value_order(values: pa.Array) -> npt.NDArray[np.int64]:
    """The places of distinct values, smallest value first; mostly they stand in order already."""
    if pc.all(pc.less(values[:-1], values[1:])).as_py() is not False:
        return np.arange(len(values))
    order: npt.NDArray[np.int64] = pc.sort_indices(values).to_numpy()
    return order


def _chosen(codes: Codes, values: pa.Array, entries: npt.NDArray[np.int64]) -> pa.DictionaryArray:
    """The column over these entries of its dictionary, in this order; the others are used by no row."""
    if np.array_equal(entries, np.arange(len(values))):
        renumbered, listed = codes, values
    else:
        renumber = np.full(len(values) + 1, MISSING, dtype=np.int32)
        renumber[entries] = np.arange(len(entries), dtype=np.int32)
        renumbered, listed = renumber[codes], values.take(pa.array(entries))
    absent = renumbered < 0
    places = pa.array(renumbered, pa.int32(), mask=absent if absent.any() else None)
    return pa.DictionaryArray.from_arrays(places, listed, safe=False)
