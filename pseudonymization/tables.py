"""One table on its own, outside any study: read, seen as a class table, written back, measured.

CSV (any separator), Parquet or an Arrow table in memory. Each row is a subject, unless a column says whose row it is.
Null, NaN and the empty text are one thing, the missing value, which matches only the missing value. Every cell of a CSV
file is text: `NaN` and `NA` are values there like others.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from pseudonymization.cells import value_order
from pseudonymization.classes import ClassTable, build, spelled, table_of
from pseudonymization.columns import Column, Role, Study, Table
from pseudonymization.faults import Unresolved
from pseudonymization.measure import Collector

BLANK = "*"
_HEAD = 65536


def read_table(path: Path, separator: str | None = None) -> pa.Table:
    """A table from CSV (separator found if not given; every cell as text) or Parquet.

    Raises:
        Unresolved: the file is no such table, is empty, or names a column twice.
    """
    try:
        if path.suffix.lower() == ".parquet":
            return pq.read_table(path)
        sign, names = _head(path, separator)
        convert = pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        parse = pacsv.ParseOptions(delimiter=sign, newlines_in_values=True)
        content = pacsv.read_csv(path, parse_options=parse, convert_options=convert)
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid, csv.Error, IndexError, StopIteration) as error:
        cure = "give a CSV file in UTF-8 with a header line and as many cells in every line, or a Parquet file"
        raise Unresolved("the table cannot be read", cure=cure) from error
    if len(set(content.column_names)) < len(content.column_names):
        raise Unresolved("the table names a column twice", cure="give each column a name of its own")
    return content


def _head(path: Path, separator: str | None) -> tuple[str, list[str]]:
    """The separator of a CSV file, and its columns."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        head = lines.read(_HEAD)
    first = head.splitlines()[0]
    sign = separator or max(",;\t|", key=first.count)
    return sign, next(csv.reader(io.StringIO(head), delimiter=sign))


class _Single:
    """A source with one table."""

    def __init__(self, content: pa.Table) -> None:
        self.content = content

    def batches(self, table: str, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """Stream the table, whatever it is called."""
        del table
        chosen = self.content if columns is None else self.content.select(list(columns))
        yield from chosen.to_batches(max_chunksize=500_000)


def class_table(content: pa.Table, quasi: Sequence[str], subject: str | None = None) -> ClassTable:
    """One row per subject of a table; without a subject column, one per row.

    Raises:
        Unresolved: a column is not in the table or named twice, or the table has no rows.
    """
    absent = {*quasi, *([subject] if subject else [])} - set(content.column_names)
    if absent or not quasi:
        said = ", ".join(f"`{name}`" for name in sorted(absent))
        raise Unresolved(f"the table has no column {said}" if absent else "no quasi-identifier is named")
    if len(set(quasi)) < len(quasi) or subject in quasi:
        raise Unresolved("a column is named twice", cure="name each quasi-identifier once, and never the subject")
    if len(content) == 0:
        raise Unresolved("the table has no rows", cure="give a table with one row per subject")
    if subject is not None:
        columns = (Column(subject, Role.SUBJECT_KEY), *(Column(name, Role.QUASI) for name in quasi))
        return build(Study("table", (Table("table", columns),), ""), _Single(content))
    coded = [coded_column(content, name) for name in quasi]
    codes = np.stack([codes for codes, _ in coded], axis=1)
    return table_of([str(row) for row in range(len(content))], list(quasi), codes, [domain for _, domain in coded])


def coded_column(content: pa.Table, name: str) -> tuple[npt.NDArray[np.int32], list[str]]:
    """(code per row, values in sorted order) of a column."""
    places, texts = spelled(content[name].combine_chunks())
    order = value_order(pa.array(texts, pa.string()))
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[places], [texts[at] for at in order.tolist()]


def rewritten(content: pa.Table, table: ClassTable, texts: Mapping[str, list[str]], subject: str | None) -> pa.Table:
    """The table with its quasi-identifiers replaced by each subject's released text, all as text."""
    rows = None
    if subject is not None:
        place = {name: at for at, name in enumerate(table.subjects)}
        indices, words = spelled(content[subject].combine_chunks())
        rows = pa.array(np.array([place[word] for word in words], dtype=np.int64)[indices])
    for name in table.names:
        column = pa.array(texts[name], type=pa.string())
        released = column if rows is None else column.take(rows)
        content = content.set_column(content.column_names.index(name), name, released)
    return content


def measured(result: pa.Table, quasi: Sequence[str], subject: str | None, attempt: float) -> dict[str, Any]:
    """Risk of a table, counted by the code that gates releases; the names are those of `risk.Risk`."""
    key = subject or "row"
    while subject is None and key in result.column_names:
        key += "_"
    shown = result.select([*quasi, *([subject] if subject else [])])
    if subject is None:
        shown = shown.append_column(key, pa.array(np.arange(len(result))))
    collector = Collector(list(quasi), {"table": key})
    for batch in shown.to_batches():
        collector.add("table", batch)
    found = collector.measure(attempt)
    return {
        "subjects": found.subjects,
        "classes": found.classes,
        "k": found.k,
        "maximum": found.max_risk,
        "average": found.average_risk,
        "marketer": found.classes / found.subjects,
        "uniques": found.uniques,
        "histogram": dict(found.histogram),
    }
