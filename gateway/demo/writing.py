"""Synthetic tables onto disk as SAS XPORT v5, CSV or Parquet; the same content gives the same bytes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pyreadstat

from gateway.demo.shapes import Shape

Format = Literal["xport", "csv", "parquet"]

SUFFIX: Mapping[str, str] = {"xport": ".xpt", "csv": ".csv", "parquet": ".parquet"}

_XPORT_NAME, _XPORT_LABEL, _XPORT_TEXT = 8, 40, 200
# Created and modified, of the library and of its one member (SAS TS-140, records 2, 3, 6 and 7).
_XPORT_TIMES = (144, 160, 464, 480)
_NO_TIME = b"01JAN70:00:00:00"


def write_table(folder: Path, shape: Shape, table: pa.Table, fmt: Format) -> Path:
    """Write one table as `<name>.<suffix>` in lower case and return its path.

    Raises `ValueError` for an unknown format, or when XPORT v5 cannot hold the table (names of 8, labels of 40,
    text of 200 bytes; SAS TS-140).
    """
    if fmt not in SUFFIX:
        raise ValueError(f"`{fmt}` is no format of the demo, use one of {', '.join(sorted(SUFFIX))}")
    path = folder / (shape.name.lower() + SUFFIX[fmt])
    if fmt == "xport":
        _write_xport(path, shape, table)
    elif fmt == "csv":
        pa_csv.write_csv(table, path, pa_csv.WriteOptions(quoting_style="needed"))
    else:
        labelled = [pa.field(v.name, v.kind, metadata={"label": v.label}) for v in shape.variables]
        pq.write_table(table.cast(pa.schema(labelled)), path, compression="zstd")
    return path


def _write_xport(path: Path, shape: Shape, table: pa.Table) -> None:
    _check_xport_limits(shape, table)
    frame = table.to_pandas()
    for variable in shape.variables:
        if pa.types.is_string(variable.kind):
            frame[variable.name] = frame[variable.name].fillna("")
        else:
            frame[variable.name] = frame[variable.name].astype("float64")
    pyreadstat.write_xport(
        frame,
        str(path),
        file_format_version=5,
        table_name=shape.name,
        file_label=shape.label,
        column_labels=[variable.label for variable in shape.variables],
    )
    _blank_times(path)


def _check_xport_limits(shape: Shape, table: pa.Table) -> None:
    """The library writes longer text without complaint and other readers then fail on it."""
    for variable in shape.variables:
        too_long = len(variable.name) > _XPORT_NAME or len(variable.label.encode()) > _XPORT_LABEL
        if pa.types.is_string(variable.kind):
            texts = table.column(variable.name).unique().to_pylist()
            too_long |= any(len(text.encode()) > _XPORT_TEXT for text in texts if text)
        if too_long:
            raise ValueError(
                f"`{shape.name}.{variable.name}` does not fit SAS XPORT v5 "
                f"(name {_XPORT_NAME}, label {_XPORT_LABEL}, text {_XPORT_TEXT} bytes), write CSV or Parquet"
            )


def _blank_times(path: Path) -> None:
    """XPORT headers carry the moment of writing; without it equal content is equal bytes."""
    with path.open("r+b") as file:
        for offset in _XPORT_TIMES:
            file.seek(offset)
            file.write(_NO_TIME)
