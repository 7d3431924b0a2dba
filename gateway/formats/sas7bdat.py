"""SAS7BDAT tables, read through ReadStat in chunks. The format is not published; nothing is written in it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyreadstat

from gateway.errors import Invalid
from gateway.formats.fields import TEXT, check_names, constant, field
from gateway.formats.quiet import attempt
from gateway.formats.sasdates import from_sas, kind_of
from gateway.formats.tables import TableFile, domain_of, table_name

MAGIC = bytes(12) + bytes.fromhex("c2ea8160b31411cfbd92080009c7318c181f1011")
_CELLS = 1_500_000


def open_sas7bdat(path: Path) -> TableFile:
    """The table in a SAS7BDAT file.

    The file names its encoding; where that does not read, windows-1252 is tried. All rows are read once to count
    them, because a file cut at a page's end still has a sound header.

    Raises:
        Invalid: empty, truncated, corrupt, text in no known encoding.
    """
    fault = Invalid(
        "the SAS7BDAT file is damaged, truncated or encrypted", place=path.name, cure="export the table again"
    )
    meta = attempt(fault, pyreadstat.read_sas7bdat, path, metadataonly=True, disable_datetime_conversion=True)[1]
    check_names(meta.column_names, path)
    if meta.number_rows is None:
        raise fault
    encoding, rows, domain, related = _survey(path, meta, fault)
    if rows != meta.number_rows:
        raise Invalid("the file is truncated", place=path.name, cure="copy or export the file again")
    fields = []
    for name, label in zip(meta.column_names, meta.column_labels, strict=True):
        form = str(meta.original_variable_types.get(name) or "")
        kind = TEXT if meta.readstat_variable_types[name] == "string" else kind_of(form)
        width = meta.variable_storage_width.get(name)
        fields.append(field(name, kind, label=label or "", form=form, width=width))
    schema = pa.schema(fields)
    override = None if encoding != "windows-1252" else encoding

    def reader(columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        some = pa.schema([schema.field(name) for name in columns])
        step = max(1, min(batch_rows, _CELLS // max(1, len(columns))))
        for values in _chunks(path, rows, step=step, encoding=override, columns=columns, fault=fault):
            yield pa.record_batch([_array(values[f.name], f.type) for f in some], schema=some)

    name = table_name(path)
    return TableFile(
        path,
        name,
        meta.file_label or "",
        domain_of(name, domain, related),
        schema,
        rows,
        encoding,
        "sas7bdat",
        reader,
    )


def _survey(path: Path, meta: Any, fault: Invalid) -> tuple[str, int, str, str]:
    """One pass over all rows: encoding, row count, constant DOMAIN and RDOMAIN values."""
    step = max(1, _CELLS // len(meta.column_names))
    declared = str(meta.file_encoding or "utf-8").lower()
    for encoding in (None, "windows-1252"):
        rows, keys = 0, {"DOMAIN": set[str](), "RDOMAIN": set[str]()}
        try:
            for values in _chunks(
                path, meta.number_rows, step=step, encoding=encoding, columns=meta.column_names, fault=fault
            ):
                rows += len(values[meta.column_names[0]])
                for key in keys.keys() & values.keys():
                    keys[key].update(str(value) for value in values[key] if value)
        except Invalid:
            if encoding is None:
                continue
            raise
        return encoding or declared, rows, constant(keys["DOMAIN"]), constant(keys["RDOMAIN"])
    raise fault


def _chunks(
    path: Path, rows: int, *, step: int, encoding: str | None, columns: Sequence[str], fault: Invalid
) -> Iterator[dict[str, list[Any]]]:
    """The rows in chunks of `step`, as values by column."""
    for offset in range(0, rows, step):
        values: dict[str, list[Any]] = attempt(
            fault,
            pyreadstat.read_sas7bdat,
            path,
            encoding=encoding,
            usecols=list(columns),
            row_offset=offset,
            row_limit=step,
            disable_datetime_conversion=True,
            output_format="dict",
        )[0]
        yield values


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values of one column as Arrow: text dictionary-encoded with "" for missing, numbers by their format."""
    if kind == TEXT:
        return pa.array(values, pa.string()).fill_null("").dictionary_encode()
    return from_sas(np.asarray(values, dtype=np.float64), kind)
