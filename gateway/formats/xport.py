"""SAS XPORT, versions 5 and 8: labels and formats through ReadStat, the layout and the rows from the file itself.

The layout is TS-140 (v5) and its extension for long names (v8): 80-byte records; a NAMESTR record for each
variable gives type, length and position; then fixed-width rows to the end of the file, padded with blanks to a
multiple of 80. The row count stands nowhere, so it is worked out from the file's length. Rows are read piece by
piece; ReadStat, which takes blank rows at the end for padding, sees the header alone.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyreadstat

from gateway.errors import Invalid
from gateway.formats import xport_cells
from gateway.formats.fields import TEXT, check_names, constant, field
from gateway.formats.quiet import attempt
from gateway.formats.sasdates import from_sas, kind_of
from gateway.formats.tables import TableFile, domain_of, table_name

MAGIC = b"HEADER RECORD*******LIB"
RECORD = 80
_V8 = b"HEADER RECORD*******LIBV8"
_MEMBER, _NAMESTR, _OBS = (b"HEADER RECORD*******" + part for part in (b"MEMB", b"NAM", b"OBS"))
_HEADER_LIMIT = 64 << 20
_CELLS = 1_500_000
"""Cells read at once, so that a batch of wide rows is no larger in memory than one of narrow rows."""
_SCAN_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Variable:
    """One NAMESTR record: name, whether text, position and length in the row (bytes), label as written."""

    name: str
    text: bool
    start: int
    width: int
    label: bytes


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand in an XPORT file: header length, row length and rows, all from the file itself."""

    header: bytes
    variables: tuple[Variable, ...]
    row: int
    rows: int


def open_xport(path: Path) -> TableFile:
    """The one table in an XPORT file.

    Raises:
        Invalid: empty, truncated, corrupt, more than one table, text in no known encoding.
    """
    layout = read_layout(path)
    check_names([variable.name for variable in layout.variables], path)
    encoding, domain, related = _survey(path, layout)
    meta = _metadata(path, layout, encoding)
    forms = meta.original_variable_types
    fields = []
    for variable, label in zip(layout.variables, meta.column_labels, strict=True):
        form = str(forms.get(variable.name) or "")
        kind = TEXT if variable.text else kind_of(form)
        fields.append(field(variable.name, kind, label=label or "", form=form, width=variable.width))
    schema = pa.schema(fields)

    def reader(columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        some = pa.schema([schema.field(name) for name in columns])
        damaged = Invalid("the XPORT file is damaged", place=path.name, cure="export the table again")
        step = max(1, min(batch_rows, _CELLS // max(1, len(columns))))
        for piece in _pieces(path, layout, step):
            yield attempt(damaged, _batch, piece, layout, some, encoding)

    name = table_name(path)
    label = meta.file_label or ""
    return TableFile(
        path, name, label, domain_of(name, domain, related), schema, layout.rows, encoding, "xport", reader
    )


def read_layout(path: Path) -> Layout:
    """The layout of an XPORT file, with its row count worked out from its length.

    Raises:
        Invalid: the header is damaged, or the length does not fit a whole number of rows.
    """
    corrupt = Invalid("the XPORT header is damaged", place=path.name, cure="export the table again")
    size = path.stat().st_size
    if size % RECORD:
        raise truncated(path)
    with path.open("rb") as file:
        header = bytearray()
        while not (record := file.read(RECORD)).startswith(_OBS):
            if len(record) < RECORD or len(header) > _HEADER_LIMIT:
                raise truncated(path) if len(record) < RECORD else corrupt
            header += record
        header += record
        variables = attempt(corrupt, _variables, bytes(header))
        check_names([variable.name for variable in variables], path)
        row = max(variable.start + variable.width for variable in variables)
        whole, rest = divmod(size - len(header), row)
        file.seek(len(header) + max(0, whole - RECORD) * row)
        tail = file.read()
    if rest >= RECORD or tail[len(tail) - rest :].strip(b" "):
        raise truncated(path)
    rows = whole - _blank_at_end(tail[: len(tail) - rest], row, RECORD - 1 - rest)
    declared = bytes(header[48 - RECORD :]).split(maxsplit=1)[:1]
    if header.startswith(_V8) and declared and declared[0].isdigit() and int(declared[0]):
        if not rows <= int(declared[0]) <= whole:
            raise truncated(path)
        rows = int(declared[0])
    return Layout(bytes(header), variables, row, rows)


def _blank_at_end(body: bytes, row: int, spare: int) -> int:
    """Rows at the end that are all blank and fit into the last record's padding: nothing tells them from it."""
    blank = 0
    while body and (blank + 1) * row <= spare and not body[-row:].strip(b" "):
        blank, body = blank + 1, body[:-row]
    return blank


def truncated(path: Path) -> Invalid:
    """The fault of a file that ends too early."""
    return Invalid("the file is truncated", place=path.name, cure="copy or export the file again")


def _variables(header: bytes) -> tuple[Variable, ...]:
    """The NAMESTR records of a header. Raises ValueError or struct.error if they make no sense."""
    member = header[header.index(_MEMBER) :][:RECORD]
    size = int(member[74:78])
    start = header.index(_NAMESTR)
    count = int(header[start + 48 : start + 58])
    long_names = header.startswith(_V8)
    found = []
    for number in range(count):
        record = header[start + RECORD + number * size :][:size]
        kind, _, width = struct.unpack(">hhh", record[:6])
        (position,) = struct.unpack(">i", record[84:88])
        raw = record[88:120] if long_names else record[8:16]
        name = raw.rstrip(b" \0").decode("ascii")
        if kind not in (1, 2) or width < 1 or position < 0 or (kind == 1 and width > 8):
            raise ValueError("not a NAMESTR record")
        found.append(Variable(name, kind == 2, position, width, record[16:56]))
    return tuple(found)


def _pieces(path: Path, layout: Layout, step: int) -> Iterator[bytes]:
    """The rows of the file as bytes, `step` rows at a time."""
    with path.open("rb") as file:
        file.seek(len(layout.header))
        for done in range(0, layout.rows, step):
            wanted = min(step, layout.rows - done) * layout.row
            piece = file.read(wanted)
            if len(piece) < wanted:
                raise truncated(path)
            yield piece


def _survey(path: Path, layout: Layout) -> tuple[str, str, str]:
    """One pass over the rows: the encoding that reads all text, and the constant DOMAIN and RDOMAIN values."""
    odd = {variable.label for variable in layout.variables}
    keys: dict[str, set[str]] = {"DOMAIN": set(), "RDOMAIN": set()}
    for piece in _pieces(path, layout, max(1, _SCAN_BYTES // layout.row)):
        _refuse_second_table(piece, path)
        matrix = np.frombuffer(piece, dtype=np.uint8).reshape(-1, layout.row)
        highest = matrix.max(axis=0)
        for variable in layout.variables:
            cut = slice(variable.start, variable.start + variable.width)
            if variable.text and highest[cut].max() >= 128:
                cells = matrix[:, cut]
                odd.update(cell.tobytes() for cell in np.unique(cells[(cells >= 128).any(axis=1)], axis=0))
            if variable.name in keys and variable.text and len(keys[variable.name]) < 3:
                cells = np.ascontiguousarray(matrix[:, cut]).view(f"S{variable.width}")
                keys[variable.name].update(cell.decode("latin-1").strip() for cell in np.unique(cells).tolist()[:3])
    return decide_encoding(list(odd), path), constant(keys["DOMAIN"]), constant(keys["RDOMAIN"])


def _refuse_second_table(piece: bytes, path: Path) -> None:
    """Refuse a file with a second member: reading only the first would lose a table without a word."""
    if _MEMBER in piece:
        raise Invalid("the file holds more than one table", place=path.name, cure="write one XPORT file for each table")


def decide_encoding(texts: Sequence[bytes], path: Path) -> str:
    """`utf-8` if it reads all of these, else `windows-1252`.

    Raises:
        Invalid: neither does.
    """
    for encoding in ("utf-8", "windows-1252"):
        try:
            for text in texts:
                text.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    raise Invalid("text is neither utf-8 nor windows-1252", place=path.name, cure="export the table again in utf-8")


def _metadata(path: Path, layout: Layout, encoding: str) -> Any:
    """What ReadStat says of the file: its header alone is read, over one stand-in row."""
    header = layout.header
    if header.startswith(_V8):  # version 8 declares its rows
        header = header[: 48 - RECORD] + b"%15d" % 1 + header[63 - RECORD :]
    body = header + b"0" * layout.row
    body += b" " * (-len(body) % RECORD)
    return attempt(
        Invalid("the XPORT file is damaged", place=path.name, cure="export the table again"),
        pyreadstat.read_xport,
        io.BytesIO(body),
        encoding=encoding,
        disable_datetime_conversion=True,
        output_format="dict",
    )[1]


def _batch(piece: bytes, layout: Layout, schema: pa.Schema, encoding: str) -> pa.RecordBatch:
    """The columns of a schema from a piece of the file."""
    matrix = np.frombuffer(piece, dtype=np.uint8).reshape(-1, layout.row)
    found = {variable.name: variable for variable in layout.variables}
    arrays = []
    for column in schema:
        variable = found[column.name]
        cells = matrix[:, variable.start : variable.start + variable.width]
        if variable.text:
            arrays.append(xport_cells.texts(cells, encoding))
        else:
            arrays.append(from_sas(xport_cells.numbers(cells), column.type))
    return pa.record_batch(arrays, schema=schema)
