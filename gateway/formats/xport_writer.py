"""SAS XPORT version 5, written as a stream: the header through ReadStat, the rows as fixed-width bytes.

ReadStat writes a whole table to a path at once and takes widths from the longest value it sees. Here it writes the
header alone, over one stand-in row of full widths, so no value of the study ever reaches a path; the rows follow
in TS-140's layout: text padded with blanks, numbers as IBM System/360 doubles, missing as a full stop.
"""

import re
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyreadstat

from gateway.errors import Invalid
from gateway.formats.fields import FORMAT, LABEL, WIDTH, carried, is_text
from gateway.formats.sasdates import kind_of, to_sas
from gateway.formats.xport import RECORD, read_layout

NAME_BYTES, LABEL_BYTES, TEXT_BYTES = 8, 40, 200
_ROOM = 40
"""Width in bytes a treated text column has at least: a pseudonym, a region or a band fits."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,7}")
_STAMP = re.compile(rb"\d\d[A-Z]{3}\d\d:\d\d:\d\d:\d\d")
_NO_TIME = b"01JAN60:00:00:00"
_MISSING = np.uint64(0x2E << 56)
_CHUNK_BYTES = 16 << 20
_INSTEAD = "ask for `parquet` or `csv`"


class XportWriter:
    """XPORT v5 onto an append-only sink. Its limits are kept: names 8, labels 40, texts 200 bytes in utf-8."""

    def __init__(
        self,
        schema: pa.Schema,
        sink: BinaryIO,
        *,
        name: str = "",
        label: str = "",
        changed: Collection[str] | None = None,
    ) -> None:
        self._sink, self._schema = sink, schema
        _check_limits(schema, name, label)
        self._widths = {f.name: _width(f, changed) for f in schema}
        self._starts = dict(zip(schema.names, np.cumsum([0, *self._widths.values()])[:-1].tolist(), strict=True))
        self._row = sum(self._widths.values())
        self._written, self._blank_end = 0, False
        self._texts_only = all(is_text(f.type) for f in schema)
        sink.write(_header(schema, self._widths, name or "TABLE", label))

    def write(self, batch: pa.RecordBatch) -> None:
        """Append these rows.

        Raises:
            Invalid: a text longer than its column, or a number that XPORT cannot hold; names the column.
        """
        step = max(1, _CHUNK_BYTES // self._row)
        for start in range(0, batch.num_rows, step):
            part = batch.slice(start, step)
            rows = np.full((part.num_rows, self._row), ord(" "), dtype=np.uint8)
            for column, values in zip(self._schema, part.columns, strict=True):
                at, width = self._starts[column.name], self._widths[column.name]
                cells = _text(values, column, width) if is_text(column.type) else _numbers(values, column)
                rows[:, at : at + width] = cells
            self._blank_end = self._texts_only and not bytes(rows[-1]).strip()
            self._sink.write(rows.reshape(-1).data)
            self._written += rows.size

    def close(self) -> None:
        """Pad to a whole record.

        Raises:
            Invalid: the last row is blank, which readers take for padding.
        """
        if self._blank_end:
            raise Invalid(
                "the last row is blank in every column, and XPORT cannot tell it from padding",
                place="format",
                cure=_INSTEAD,
            )
        self._sink.write(b" " * (-self._written % RECORD))


def _check_limits(schema: pa.Schema, name: str, label: str) -> None:
    """Refuse names and labels that XPORT v5 would cut.

    Raises:
        Invalid: naming the column.
    """
    if name and not _NAME.fullmatch(name):
        raise Invalid(
            f"table name `{name}` is no XPORT name",
            place="format",
            cure=f"use {NAME_BYTES} letters, digits or underscores at most, or {_INSTEAD}",
        )
    if len(label.encode()) > LABEL_BYTES:
        raise Invalid(
            f"the label of table `{name}` is longer than {LABEL_BYTES} bytes",
            place="format",
            cure=f"shorten it, or {_INSTEAD}",
        )
    for column in schema:
        if not _NAME.fullmatch(column.name):
            raise Invalid(
                f"column `{column.name}` has no XPORT name",
                place="format",
                cure=f"use {NAME_BYTES} letters, digits or underscores at most, or {_INSTEAD}",
            )
        if len(carried(column, LABEL).encode()) > LABEL_BYTES:
            raise Invalid(
                f"the label of column `{column.name}` is longer than {LABEL_BYTES} bytes",
                place="format",
                cure=f"shorten it, or {_INSTEAD}",
            )


def _width(column: pa.Field, changed: Collection[str] | None) -> int:
    """Storage width in bytes: 8 for numbers; for text as declared, with room where values were treated."""
    if not is_text(column.type):
        return 8
    declared = carried(column, WIDTH)
    if not declared:
        return TEXT_BYTES
    width = max(1, int(declared))
    if changed is None or column.name in changed:
        width = max(width, _ROOM)
    return min(width, TEXT_BYTES)


def _header(schema: pa.Schema, widths: dict[str, int], name: str, label: str) -> bytes:
    """The header ReadStat writes for these columns, its clock times put to zero."""
    row = {f.name: ["X" * widths[f.name]] if is_text(f.type) else [0.0] for f in schema}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "header.xpt")
        pyreadstat.write_xport(
            pd.DataFrame(row, columns=list(schema.names)),
            str(path),
            file_label=label,
            column_labels=[carried(f, LABEL) for f in schema],
            table_name=name,
            file_format_version=5,
            variable_format={f.name: form for f in schema if (form := _format(f))},
        )
        header = read_layout(path).header
    top = RECORD * 7
    return _STAMP.sub(_NO_TIME, header[:top]) + header[top:]


def _format(column: pa.Field) -> str:
    """The SAS format of a column: the one it carries, if that still suits its type."""
    form = carried(column, FORMAT).strip()
    kind = column.type
    if is_text(kind):
        return form if form.startswith("$") else ""
    dated = kind_of(form)
    if pa.types.is_date(kind):
        return form if pa.types.is_date(dated) else "DATE9."
    if pa.types.is_timestamp(kind):
        return form if pa.types.is_timestamp(dated) else "DATETIME20."
    return form if pa.types.is_floating(dated) and not form.startswith("$") else ""


def _text(values: pa.Array, column: pa.Field, width: int) -> npt.NDArray[np.uint8]:
    """A text column as padded bytes, (rows, width); the padding is done once for each distinct value."""
    coded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    words = [(word or "").encode() for word in coded.dictionary.to_pylist()]
    used = np.unique(coded.indices.drop_null().to_numpy(zero_copy_only=False))
    if any(len(words[code]) > width for code in used.tolist()):
        raise Invalid(
            f"a value of column `{column.name}` is longer than its {width} bytes",
            place="format",
            cure=_INSTEAD,
        )
    table = np.frombuffer(b"".join(word[:width].ljust(width) for word in [*words, b""]), dtype=np.uint8)
    codes = coded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    padded: npt.NDArray[np.uint8] = table.reshape(-1, width)[codes]
    return padded


def _numbers(values: pa.Array, column: pa.Field) -> npt.NDArray[np.uint8]:
    """A numeric column as big-endian IBM doubles, (rows, 8)."""
    numbers = to_sas(values)
    inexact = pa.types.is_integer(values.type) and bool((np.abs(numbers) >= 2.0**53).any())
    if inexact or np.isinf(numbers).any() or (np.abs(numbers[~np.isnan(numbers)]) >= 16.0**63).any():
        raise Invalid(f"column `{column.name}` holds a number too large for XPORT", place="format", cure=_INSTEAD)
    return ibm_doubles(numbers).astype(">u8").view(np.uint8).reshape(-1, 8)


def ibm_doubles(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """IEEE 754 doubles as IBM System/360 doubles: sign, excess-64 power of 16, 56 bits of fraction (TS-140).

    Exact: 53 significant bits fit into 56 less the three that alignment to a power of 16 may cost. NaN becomes
    SAS's missing; magnitudes under 16**-65 become zero.
    """
    missing = np.isnan(numbers)
    fraction, power = np.frexp(np.abs(np.where(missing, 0.0, numbers)))
    sixteens = -(-power // 4)
    bits = np.ldexp(fraction, 56 + power - 4 * sixteens).astype(np.uint64)
    exponent = np.clip(sixteens + 64, 0, 127).astype(np.uint64)
    sign = np.signbit(numbers).astype(np.uint64)
    packed = (sign << np.uint64(63)) | (exponent << np.uint64(56)) | bits
    packed = np.where((bits == 0) | (sixteens < -64), np.uint64(0), packed)
    return np.where(missing, _MISSING, packed)
