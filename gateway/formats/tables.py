"""One table in a file, whatever the file's format: what it says of itself, and its rows as a stream of batches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from gateway.errors import Invalid

BATCH_ROWS = 500_000

Reader = Callable[[Sequence[str], int], Iterator[pa.RecordBatch]]
"""(column names, rows per batch at most) → batches with these columns in this order."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """One table in one file.

    `name` is the file's name in upper case; `domain` the constant value of DOMAIN (a split LBCH is LB; SUPPLBCH
    is SUPPLB), else the name. `schema` holds text as `dictionary<int32, string>`, numbers as `int64` or `double`,
    dates as `date32` or `timestamp`; its field metadata carries `label`, `format` and `width` (bytes). `rows` is
    counted, not believed. `encoding` is the text encoding that reads every cell.
    """

    path: Path
    name: str
    label: str
    domain: str
    schema: pa.Schema
    rows: int
    encoding: str
    format: str
    reader: Reader = field(repr=False, compare=False)

    def batches(self, columns: Sequence[str] | None = None, batch_rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Stream all columns, or those named in the order named, in batches of `batch_rows` rows at most.

        Raises:
            Invalid: a column is unknown, or the file no longer holds the rows that were counted.
        """
        wanted = list(self.schema.names if columns is None else columns)
        for column in wanted:
            if column not in self.schema.names:
                raise Invalid(f"no column `{column}`", place=self.path.name, cure="look at the table's column file")
        seen = 0
        for batch in self.reader(wanted, batch_rows):
            seen += batch.num_rows
            yield batch
        if wanted and seen != self.rows:
            raise Invalid(
                "the file does not hold the rows that were counted when it was opened",
                place=self.path.name,
                cure="restore the file, or register the study again",
            )


def table_name(path: Path) -> str:
    """The name of the table in this file: the file's name without extension, upper case as in SDTM."""
    return path.stem.upper()


def domain_of(name: str, domain: str, related: str) -> str:
    """The SDTM domain of a table from its constant DOMAIN or RDOMAIN values (empty if none or several)."""
    if domain:
        return domain.upper()
    if related and name.startswith("SUPP"):
        return f"SUPP{related.upper()}"
    return name
