"""Parquet tables: flat columns only, text as dictionaries, a row group at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gateway.errors import Invalid
from gateway.formats.fields import FORMAT, LABEL, TEXT, carried, check_names, constant, field, is_text
from gateway.formats.quiet import attempt, attempt_each
from gateway.formats.tables import Reader, TableFile, domain_of, table_name

MAGIC = b"PAR1"


def open_parquet(path: Path) -> TableFile:
    """The table in a Parquet file.

    Booleans and whole numbers become `int64`, decimals and floats `double`, times of day text; timestamps lose
    their zone by way of UTC. A column whose statistics tell of no null anywhere is `not null`.

    Raises:
        Invalid: empty, truncated, corrupt, a nested or binary column, a repeated name.
    """
    fault = Invalid("the Parquet file is damaged or truncated", place=path.name, cure="copy or export the file again")
    file: pq.ParquetFile = attempt(fault, pq.ParquetFile, path)
    with file:
        source, rows, filled = file.schema_arrow, file.metadata.num_rows, _filled(file.metadata)
        check_names(source.names, path)
        fields = []
        for column in source:
            label, form = carried(column, LABEL), carried(column, FORMAT)
            kept = field(column.name, _kind(column, path), label=label, form=form)
            fields.append(kept.with_nullable(column.name not in filled))
        schema = pa.schema(fields)
        label = (source.metadata or {}).get(LABEL, b"").decode()

    def reader(columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        some = pa.schema([schema.field(name) for name in columns])
        texts = [column.name for column in some if is_text(column.type)]
        with attempt(fault, pq.ParquetFile, path, read_dictionary=texts) as rows_file:
            batches = rows_file.iter_batches(batch_rows, columns=list(columns), use_threads=False)
            for batch in attempt_each(fault, batches):
                yield pa.record_batch(
                    [attempt(_unfit(f.name, path), _coerce, batch.column(f.name), f.type) for f in some],
                    schema=some,
                )

    keys = {key: _constant(reader, schema, key) for key in ("DOMAIN", "RDOMAIN")}
    name = table_name(path)
    domain = domain_of(name, keys["DOMAIN"], keys["RDOMAIN"])
    return TableFile(path, name, label, domain, schema, rows, "utf-8", "parquet", reader)


def _filled(metadata: pq.FileMetaData) -> set[str]:
    """The columns whose statistics say of every row group that no cell is null; they are read as `not null`."""
    found: set[str] = set()
    for at in range(metadata.num_columns):
        told = [metadata.row_group(group).column(at).statistics for group in range(metadata.num_row_groups)]
        if told and all(one is not None and one.has_null_count and one.null_count == 0 for one in told):
            found.add(metadata.schema.column(at).name)
    return found


def _kind(column: pa.Field, path: Path) -> pa.DataType:
    """The type a column is read as.

    Raises:
        Invalid: a type that a clinical table has no use for.
    """
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if is_text(kind) or pa.types.is_time(kind) or pa.types.is_null(kind):
        return TEXT
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return pa.int64()
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_date(kind):
        return pa.date32()
    if pa.types.is_timestamp(kind):
        return pa.timestamp(kind.unit)
    what = "nested" if pa.types.is_nested(kind) else "of a binary or unknown type"
    raise Invalid(
        f"column `{column.name}` is {what}",
        place=path.name,
        cure="store one plain value in each cell, or leave the column out",
    )


def _unfit(name: str, path: Path) -> Invalid:
    return Invalid(
        f"column `{name}` holds a value out of range",
        place=path.name,
        cure="store whole numbers of 64 bits at most",
    )


def _coerce(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """An Arrow array as the type its column is read as."""
    if values.type == kind:
        return values
    if kind != TEXT:
        plain = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
        return plain.cast(kind)
    if pa.types.is_dictionary(values.type):
        codes, words = values.indices.cast(pa.int32()), values.dictionary.cast(pa.string())
        return pa.DictionaryArray.from_arrays(codes, words)
    return values.cast(pa.string()).dictionary_encode()


def _constant(reader: Reader, schema: pa.Schema, key: str) -> str:
    """The one value of a text column, or the empty string."""
    if key not in schema.names or schema.field(key).type != TEXT:
        return ""
    found: set[str] = set()
    for batch in reader([key], 1 << 20):
        found.update(word for word in batch.column(0).unique().to_pylist() if word)
        if len(found) > 1:
            break
    return constant(found)
