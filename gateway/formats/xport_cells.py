"""Cells of XPORT rows: fixed-width bytes as Arrow columns, whole columns at once.

Cells are read as ReadStat reads them (blanks and zero bytes end a text; numbers are IBM System/360 doubles, TS-140),
but ReadStat spells every cell out as a Python object; here a text is decoded once for each distinct value, and no
object is made for a number. Numbers that are not normalized, which SAS never writes, keep their value here.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]

_BITS = 53
"""Significant bits of an IEEE 754 double; an IBM double has 53 to 56."""
_TAGS = np.zeros(256, dtype=np.bool_)
_TAGS[[ord(tag) for tag in "._ABCDEFGHIJKLMNOPQRSTUVWXYZ"]] = True
"""First bytes of SAS's missing numbers; the other bytes are zero (TS-140)."""


def texts(cells: Bytes, encoding: str) -> pa.Array:
    """A text column from its bytes, (rows, width), as `dictionary<int32, string>` in order of first appearance.

    Raises:
        UnicodeDecodeError: a text is not in this encoding.
    """
    rows, width = cells.shape
    fixed = pa.Array.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(np.ascontiguousarray(cells))])
    coded = fixed.dictionary_encode()
    words = [_word(cell).decode(encoding) for cell in coded.dictionary.to_pylist()]
    values = pa.array(words, pa.string())
    if len(set(words)) == len(words):
        return pa.DictionaryArray.from_arrays(coded.indices, values)
    return values.take(coded.indices).dictionary_encode()


def _word(cell: bytes) -> bytes:
    return cell.rstrip(b" \0").split(b"\0", 1)[0]


def numbers(cells: Bytes) -> npt.NDArray[np.float64]:
    """A numeric column from its bytes, (rows, 2 to 8), as doubles; SAS's missing numbers are NaN.

    Bits beyond a double's 53 are cut off, as ReadStat does; SAS writes none.
    """
    rows, width = cells.shape
    whole = np.zeros((rows, 8), dtype=np.uint8)
    whole[:, :width] = cells
    packed = whole.view(">u8").reshape(-1).astype(np.uint64)
    fraction = packed & np.uint64((1 << 56) - 1)
    for spare in range(56 - _BITS, 0, -1):
        long = fraction >> np.uint64(_BITS + spare - 1) == 1
        fraction[long] &= np.uint64(~((1 << spare) - 1) & ((1 << 64) - 1))
    power = 4 * ((packed >> np.uint64(56)).astype(np.int32) & 127) - 4 * 64 - 56
    size = np.ldexp(fraction.astype(np.float64), power)
    signed = np.where(packed >> np.uint64(63) == 1, -size, size) + 0.0
    missing = _TAGS[whole[:, 0]] & (fraction == 0)
    return np.where(missing, np.nan, signed)
