"""CSV tables: read as text, twice. The first pass counts rows and finds the columns that are numbers without loss."""

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from gateway.errors import Invalid
from gateway.formats import fields
from gateway.formats.fields import TEXT, check_names, constant
from gateway.formats.quiet import attempt, attempt_each
from gateway.formats.tables import TableFile, domain_of, table_name

_BLOCK = 8 << 20
_WHOLE = r"^(0|-?[1-9][0-9]{0,17})$"
_EXACT_WHOLE = r"^(0|-?[1-9][0-9]{0,14})$"
_DECIMAL = r"^(-?[1-9][0-9]*\.[0-9]+|0\.[0-9]+|-0\.[0-9]*[1-9][0-9]*)$"
_SIGNIFICANT = 15
"""Decimal digits that a double holds without loss (IEEE 754 binary64)."""


@dataclass(slots=True)
class Shape:
    """What the values of one text column have in common so far: could they be whole numbers, could they be numbers.

    Decimals count as numbers when no two texts fall on the same number: all without a trailing zero, or all with
    the same number of places.
    """

    empty: bool = True
    whole: bool = True
    number: bool = True
    trailing: bool = False
    mixed: bool = False
    places: set[int] = field(default_factory=set)

    def add(self, words: pa.Array) -> None:
        """Take in the distinct values of one batch; empty ones say nothing."""
        words = words.filter(pc.not_equal(words, ""))
        self.empty = self.empty and len(words) == 0
        if len(words) == 0 or not self.number:
            return
        whole = pc.match_substring_regex(words, _WHOLE)
        decimals, wholes = words.filter(pc.invert(whole)), words.filter(whole)
        self.whole = self.whole and len(decimals) == 0
        self.mixed = self.mixed or not _all(wholes, _EXACT_WHOLE)
        if self.whole:
            return
        digits = pc.max(pc.utf8_length(pc.replace_substring_regex(decimals, r"[-.]", ""))).as_py() or 0
        self.number = not self.mixed and _all(decimals, _DECIMAL) and digits <= _SIGNIFICANT
        fractions = pc.replace_substring_regex(decimals, r"^[^.]*\.", "")
        self.trailing = self.trailing or not _all(fractions, r"[^0]$")
        self.places.update(pc.unique(pc.utf8_length(fractions)).to_pylist())
        if len(wholes):
            self.places.add(0)

    def kind(self) -> pa.DataType:
        """`int64`, `double` or text."""
        if self.empty or not self.number:
            return TEXT
        if self.whole:
            return pa.int64()
        return TEXT if self.trailing and len(self.places) > 1 else pa.float64()


def _all(words: pa.Array, pattern: str) -> bool:
    """Whether every word matches; true of none."""
    return bool(pc.all(pc.match_substring_regex(words, pattern), min_count=0).as_py())


def open_delimited(path: Path, as_text: Collection[str] = ()) -> TableFile:
    """The table in a CSV file (comma, header row, RFC 4180 quotes; utf-8 or windows-1252).

    A column is a number only if every non-empty value comes back as the same text; `007`, `1e3` and `NA` keep
    their column text.

    Raises:
        Invalid: empty, ragged, an open quote, no header, text in no known encoding.
    """
    encoding = _encoding(path)
    names = _header(path, encoding)
    shapes = {name: Shape() for name in names}
    rows, keys = 0, {"DOMAIN": set[str](), "RDOMAIN": set[str]()}
    for batch in _stream(path, encoding, names, names):
        rows += batch.num_rows
        for name, column in zip(names, batch.columns, strict=True):
            words = column.dictionary_encode().dictionary
            shapes[name].add(words)
            if name in keys and len(keys[name]) < 3:
                keys[name].update(words.slice(0, 3).to_pylist())
    schema = pa.schema([fields.field(name, TEXT if name in as_text else shapes[name].kind()) for name in names])

    def reader(columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        some = pa.schema([schema.field(name) for name in columns])
        changed = Invalid("the file changed while it was read", place=path.name, cure="register the study again")
        for batch in _stream(path, encoding, names, columns):
            typed = [attempt(changed, _typed, column, f.type) for column, f in zip(batch.columns, some, strict=True)]
            whole = pa.record_batch(typed, schema=some)
            for start in range(0, whole.num_rows, batch_rows):
                yield whole.slice(start, batch_rows)

    name = table_name(path)
    domain = domain_of(name, constant(keys["DOMAIN"]), constant(keys["RDOMAIN"]))
    return TableFile(path, name, "", domain, schema, rows, encoding, "csv", reader)


def _typed(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column of texts as its type; the empty text is a missing number."""
    if kind == TEXT:
        return values.dictionary_encode()
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values).cast(kind)


def _encoding(path: Path) -> str:
    """The encoding that reads the whole file.

    Raises:
        Invalid: none does, or the bytes are no text.
    """
    for encoding in ("utf-8", "windows-1252"):
        quotes = 0
        try:
            with path.open(encoding=encoding, newline="") as file:
                while part := file.read(1 << 22):
                    quotes += part.count('"')
                    if "\0" in part:
                        raise Invalid(
                            "the file is not a text table",
                            place=path.name,
                            cure="save the table as CSV in utf-8, without zero bytes",
                        )
        except UnicodeDecodeError:
            continue
        if quotes % 2:
            raise Invalid(
                "a quote is left open, or the file is truncated",
                place=path.name,
                cure="copy the file again, or quote values as in RFC 4180",
            )
        return encoding
    raise Invalid("text is neither utf-8 nor windows-1252", place=path.name, cure="save the table as CSV in utf-8")


def _header(path: Path, encoding: str) -> list[str]:
    """The column names."""
    damaged = Invalid("the header row cannot be read", place=path.name, cure="quote names as in RFC 4180")
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
        names: list[str] = attempt(damaged, next, csv.reader(file, strict=True), [])
    if len(names) == 1 and re.search(r"[;\t|]", names[0]):
        raise Invalid("columns are not separated by commas", place=path.name, cure="save as CSV with commas")
    check_names(names, path)
    return names


def _stream(path: Path, encoding: str, names: Sequence[str], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows as batches of plain text columns, read block by block in one thread."""
    ragged: list[int] = []

    def on_ragged(row: pcsv.InvalidRow) -> str:
        ragged.append(row.number or 0)
        return "error"

    fault = Invalid(
        "the CSV file cannot be read: a quote is left open or a row is too long",
        place=path.name,
        cure="quote values as in RFC 4180",
    )
    try:
        reader = attempt(
            fault,
            pcsv.open_csv,
            path,
            read_options=pcsv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK,
                encoding="utf8" if encoding == "utf-8" else encoding,
            ),
            parse_options=pcsv.ParseOptions(
                newlines_in_values=True, ignore_empty_lines=len(names) > 1, invalid_row_handler=on_ragged
            ),
            convert_options=pcsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=list(columns),
                strings_can_be_null=False,
            ),
        )
        yield from attempt_each(fault, iter(reader))
    finally:
        if ragged:
            fault.reason = "a row has more or fewer values than the header"
            fault.place = f"{path.name} row {ragged[0]}" if ragged[0] else path.name
            fault.cure = "give every row as many values as the header has names"
