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

    Unused entries of a dictionary are dropped, equal ones joined; null, NaN and "" become code -1.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = _indices(array)
    spelled = array.dictionary
    if not pa.types.is_string(spelled.type):
        spelled = pa.array([canonical(value) for value in spelled.to_pylist()], pa.string())
    used = _used(codes, len(spelled))
    keep = used & ~_blank(spelled)
    if keep.all():
        distinct = spelled
    else:
        renumber = np.full(len(spelled) + 1, MISSING, dtype=np.int32)
        renumber[:-1][keep] = np.arange(int(keep.sum()), dtype=np.int32)
        codes, distinct = renumber[codes], spelled.filter(pa.array(keep))
    return _joined(codes, distinct)


def _joined(codes: Codes, values: pa.Array) -> Coded:
    """Equal entries made one: two spellings of a number, or a dictionary that lists a value twice."""
    once = values.dictionary_encode()
    if len(once.dictionary) == len(values):
        return Coded(codes, values)
    renumber = np.append(once.indices.to_numpy(), MISSING).astype(np.int32)
    return Coded(renumber[codes], once.dictionary)


def _indices(array: pa.Array) -> Codes:
    indices = array.indices
    if indices.null_count:
        indices = pc.fill_null(indices, MISSING)
    codes: Codes = indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return codes


def _used(codes: Codes, size: int) -> Flags:
    seen = np.zeros(size + 1, dtype=np.bool_)
    seen[codes] = True
    return seen[:-1]


def _blank(values: pa.Array) -> Flags:
    blank: Flags = pc.or_kleene(pc.is_null(values), pc.equal(values, "")).to_numpy(zero_copy_only=False)
    return blank


def dictionary(codes: Codes, labels: pa.Array | Sequence[str | None]) -> pa.DictionaryArray:
    """Codes and their labels as an Arrow dictionary column; -1, and a label that is null or blank, is null.

    Only labels in use enter the dictionary: an unused one would tell of rows that are not there.
    """
    if not isinstance(labels, pa.Array):
        labels = pa.array(labels, pa.string())
    keep = _used(codes, len(labels)) & ~_blank(labels)
    if not keep.all():
        renumber = np.full(len(labels) + 1, MISSING, dtype=np.int32)
        renumber[:-1][keep] = np.arange(int(keep.sum()), dtype=np.int32)
        codes, labels = renumber[codes], labels.filter(pa.array(keep))
    absent = codes < 0
    indices = pa.array(codes, pa.int32(), mask=absent) if absent.any() else pa.array(codes, pa.int32())
    return pa.DictionaryArray.from_arrays(indices, labels, safe=False)


def relabel(column: Coded, labels: Sequence[str | None]) -> pa.DictionaryArray:
    """The column with each distinct value replaced by its label; equal labels become one entry."""
    once = pa.array(labels, pa.string()).dictionary_encode()
    renumber = np.append(_indices(once), MISSING).astype(np.int32)
    return dictionary(renumber[column.codes], once.dictionary)


def pruned(array: pa.Array) -> pa.Array:
    """The same column without dictionary entries that no row uses; other columns come back untouched."""
    if not pa.types.is_dictionary(array.type):
        return array
    codes = _indices(array)
    used = _used(codes, len(array.dictionary))
    if used.all():
        return array
    renumber = np.full(len(array.dictionary) + 1, MISSING, dtype=np.int32)
    renumber[:-1][used] = np.arange(int(used.sum()), dtype=np.int32)
    codes = renumber[codes]
    absent = codes < 0
    indices = pa.array(codes, pa.int32(), mask=absent if absent.any() else None)
    return pa.DictionaryArray.from_arrays(indices, array.dictionary.filter(pa.array(used)), safe=False)
