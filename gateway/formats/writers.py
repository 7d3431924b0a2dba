"""Tables out: Parquet, CSV or SAS XPORT v5, onto a sink that is only ever appended to.

Two writes of the same batches give the same bytes: nothing of the clock, the host or the library's guesses about
the data gets in.
"""

import base64
from collections.abc import Collection
from typing import BinaryIO, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gateway.errors import Invalid
from gateway.formats.fields import FORMAT, LABEL, WIDTH, is_text
from gateway.formats.xport_writer import XportWriter

ROW_GROUP = 500_000
_CSV_ROWS = 65_536
_END = "\r\n"


class TableWriter(Protocol):
    """Takes batches of one schema and writes them to a sink; `close` ends the table but leaves the sink open."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Append these rows."""
        ...

    def close(self) -> None:
        """Write what is still held back, and the format's own end."""
        ...


def writer(
    fmt: str,
    schema: pa.Schema,
    sink: BinaryIO,
    *,
    name: str = "",
    label: str = "",
    changed: Collection[str] | None = None,
) -> TableWriter:
    """A writer of `parquet`, `csv` or `xport`; the sink needs `write` alone.

    `name` and `label` are the table's (XPORT and Parquet carry them). `changed` names the columns whose values
    were treated, so that their storage width in XPORT may grow; None means any may have been.

    Raises:
        Invalid: no such format, or names, labels or values that the format cannot hold.
    """
    if fmt == "parquet":
        return ParquetWriter(schema, sink, name=name, label=label)
    if fmt == "csv":
        return CsvWriter(schema, sink)
    if fmt == "xport":
        return XportWriter(schema, sink, name=name, label=label, changed=changed)
    raise Invalid(f"no format `{fmt}`", place="format", cure="ask for `parquet`, `csv` or `xport`")


class _Appended:
    """A sink for libraries that ask where they stand: counts what was written, never seeks, never closes."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink, self._written, self.closed = sink, 0, False

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True

    def write(self, data: bytes) -> int:
        # A table given up halfway is ended by the library when it is forgotten; by then nobody takes its bytes.
        if not getattr(self._sink, "closed", False):
            self._sink.write(data)
        self._written += len(data)
        return len(data)


class ParquetWriter:
    """Parquet: zstd, no statistics (they name the smallest and largest value), one row group for 500,000 rows.

    Texts are read as texts: that they were dictionaries here is not told. Read as categories, pandas maps one column
    through another to the wrong rows where their categories stand in another order.
    """

    def __init__(self, schema: pa.Schema, sink: BinaryIO, *, name: str = "", label: str = "") -> None:
        self._schema = _own_metadata(schema, name, label)
        self._held: list[pa.RecordBatch] = []
        self._rows = 0
        self._out = pa.PythonFile(_Appended(sink), mode="w")
        self._writer = pq.ParquetWriter(
            self._out,
            self._schema,
            compression="zstd",
            write_statistics=False,
            use_dictionary=True,
            store_schema=False,
        )
        told = base64.b64encode(_as_texts(self._schema).serialize().to_pybytes()).decode()
        self._writer.add_key_value_metadata({"ARROW:schema": told})

    def write(self, batch: pa.RecordBatch) -> None:
        """Hold the batch until a row group is full."""
        for start in range(0, batch.num_rows, ROW_GROUP):
            part = batch.slice(start, ROW_GROUP)
            if self._rows + part.num_rows > ROW_GROUP:
                self._flush()
            self._held.append(pa.record_batch(part.columns, schema=self._schema))
            self._rows += part.num_rows

    def close(self) -> None:
        """Write the last row group and the footer."""
        self._flush()
        self._writer.close()
        self._out.close()

    def _flush(self) -> None:
        """Write the held batches as one row group."""
        if self._held:
            table = pa.Table.from_batches(self._held, self._schema).unify_dictionaries()
            self._writer.write_table(table, row_group_size=ROW_GROUP)
        self._held, self._rows = [], 0


def _as_texts(schema: pa.Schema) -> pa.Schema:
    """The schema with a dictionary of texts told as texts."""
    told = [field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in schema]
    return pa.schema(told, metadata=schema.metadata)


def _own_metadata(schema: pa.Schema, name: str, label: str) -> pa.Schema:
    """The schema with only our metadata: labels, formats, widths; table name and label."""
    kept = []
    for column in schema:
        metadata = {k: v for k, v in (column.metadata or {}).items() if k in (LABEL, FORMAT, WIDTH)}
        kept.append(column.with_metadata(metadata or None))
    of_table = {key: value for key, value in (("table", name), ("label", label)) if value}
    return pa.schema(kept, metadata=of_table or None)


class CsvWriter:
    """CSV as in RFC 4180: utf-8, header, CRLF, quotes where needed; dates as ISO 8601, missing as nothing."""

    def __init__(self, schema: pa.Schema, sink: BinaryIO) -> None:
        self._schema, self._sink = schema, sink
        self._alone = len(schema) == 1
        names = pa.array(schema.names, pa.string())
        self._sink.write((",".join(_quoted(names).to_pylist()) + _END).encode())

    def write(self, batch: pa.RecordBatch) -> None:
        """Append these rows."""
        for start in range(0, batch.num_rows, _CSV_ROWS):
            part = batch.slice(start, _CSV_ROWS)
            columns = [_written(column) for column in part.columns]
            if self._alone:
                columns = [pc.if_else(pc.equal(columns[0], ""), '""', columns[0])]
            lines = pc.binary_join_element_wise(*columns, ",")
            ended = pc.binary_join_element_wise(lines, _END, "")
            offsets = ended.buffers()[1]
            first, last = pa.Array.from_buffers(pa.int32(), len(ended) + 1, [None, offsets], offset=ended.offset).take(
                pa.array([0, len(ended)])
            )
            self._sink.write(memoryview(ended.buffers()[2])[first.as_py() : last.as_py()])

    def close(self) -> None:
        """Nothing is held back."""


def _quoted(words: pa.Array) -> pa.Array:
    """Texts, in quotes where they hold a comma, a quote or a line end, or a blank at either end."""
    needs = pc.match_substring_regex(words, r'[,"\r\n]|^\s|\s$')
    doubled = pc.replace_substring(words, '"', '""')
    return pc.if_else(needs, pc.binary_join_element_wise('"', doubled, '"', ""), words)


def _written(values: pa.Array) -> pa.Array:
    """A column as CSV texts without nulls."""
    kind = values.type
    if is_text(kind):
        coded = values if pa.types.is_dictionary(kind) else values.dictionary_encode()
        texts = _quoted(coded.dictionary.cast(pa.string())).take(coded.indices)
    elif pa.types.is_timestamp(kind):
        texts = pc.strftime(values.cast(pa.timestamp("s"), safe=False), format="%Y-%m-%dT%H:%M:%S")
    else:
        texts = values.cast(pa.string())
    return texts.fill_null("")
