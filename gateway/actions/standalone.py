"""The engine alone on one table, without catalogue, rules or log: for those who measure and recode at a desk."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from gateway.errors import Invalid
from gateway.formats import open_table
from pseudonymization.anonymize import Cells, Demands, Loss, anonymize, choices, k_of, proposal, read_table, risk_report
from pseudonymization.safeguards import Safeguards

Progress = Callable[[float, float], None]
LOSSES = tuple(loss.value for loss in Loss)
CELLS = tuple(cells.value for cells in Cells)
_SAS = {".xpt", ".sas7bdat"}
_TEXT = {".csv", ".txt", ".tsv", ".parquet"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of one table; see `pseudonymization.anonymize.anonymize` for what each means.

    k_by: per column, value → k of the subjects who have it; k_files: per column a file of such lines, `value;k`.
    recursive_l: (c, l). presence: (low, high). fixed: column → level, forbidden: column → levels.
    """

    quasi: Sequence[str]
    k: int = 1
    max_risk: float | None = None
    average_risk: float = 1.0
    attempt: float = 1.0
    uniques: float = 1.0
    blank_limit: float = 0.0
    k_by: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    k_files: Mapping[str, Path] = field(default_factory=dict)
    sensitive: Sequence[str] = ()
    l_diversity: int | None = None
    entropy_l: float | None = None
    recursive_l: tuple[float, int] | None = None
    t_closeness: float | None = None
    t_distance: str = "equal"
    population: Path | None = None
    k_map: int | None = None
    presence: tuple[float, float] | None = None
    subject: str | None = None
    hierarchies: Path | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    mode: str = "global"
    cells: str = Cells.LABELS.value
    loss: str = Loss.GRANULARITY.value
    weights: Mapping[str, float] = field(default_factory=dict)
    fixed: Mapping[str, int] = field(default_factory=dict)
    forbidden: Mapping[str, Sequence[int]] = field(default_factory=dict)
    separator: str | None = None
    seconds: float | None = None


def recode(
    table: Path, out: Path, asked: Asked, *, report_file: Path | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Recode one table to `out` (CSV or Parquet, by its ending) and return the report, also written to `report_file`.

    Both files appear whole or not at all, also when the work is cancelled.

    Raises:
        Invalid: a file cannot be read or written. DataFault: columns, hierarchies or thresholds do not fit.
    """
    _writable(table, out, report_file)
    if asked.hierarchies is not None and not asked.hierarchies.is_dir():
        raise Invalid("no such folder of hierarchies", place=str(asked.hierarchies), cure="one CSV for each column")
    result, report = anonymize(
        _content(table, asked.separator),
        asked.quasi,
        safeguards=_safeguards(asked),
        hierarchies=asked.hierarchies,
        kinds=asked.kinds,
        subject=asked.subject,
        sensitive=asked.sensitive,
        demands=_demands(asked),
        mode=asked.mode,
        cells=_one_of(Cells, asked.cells, "--cells"),
        loss=_one_of(Loss, asked.loss, "--loss"),
        weights=asked.weights,
        fixed=asked.fixed,
        forbidden=asked.forbidden,
        population=None if asked.population is None else _content(asked.population, None),
        k_map=asked.k_map,
        delta_presence=asked.presence,
        budget_seconds=asked.seconds,
        progress=progress,
    )
    with _whole(out) as part, _whole(report_file) as beside:
        if part is not None:
            _write(result, part, out.suffix.lower(), asked.separator)
        if beside is not None:
            beside.write_text(json.dumps(report, indent=1, default=float) + "\n", "utf-8")
    return report


def frontier(table: Path, asked: Asked) -> list[dict[str, Any]]:
    """What else could be done with one table: each recoding with its levels, risk and utility, the cheapest first.

    Raises:
        Invalid: a file cannot be read. DataFault: columns or hierarchies do not fit, nothing meets the thresholds.
    """
    found = choices(
        _content(table, asked.separator),
        asked.quasi,
        safeguards=_safeguards(asked),
        hierarchies=asked.hierarchies,
        kinds=asked.kinds,
        subject=asked.subject,
        weights=asked.weights,
    )
    return [one.to_dict() for one in found]


def risk(
    table: Path,
    *,
    quasi: Sequence[str],
    sensitive: Sequence[str] = (),
    attempt: float = 1.0,
    subject: str | None = None,
    hierarchies: Path | None = None,
    people: int | None = None,
    population: Path | None = None,
    separator: str | None = None,
) -> dict[str, Any]:
    """The risk of one table as it is; see `pseudonymization.anonymize.risk_report`.

    Raises:
        Invalid: a file cannot be read. DataFault: a column or number does not fit.
    """
    return risk_report(
        _content(table, separator),
        quasi,
        sensitive=sensitive,
        subject=subject,
        hierarchies=hierarchies,
        attempt=attempt,
        people=people,
        population=None if population is None else _content(population, None),
    )


def propose(table: Path, column: str, out: Path, *, kind: str = "", separator: str | None = None) -> int:
    """Write a hierarchy of a column, proposed from the data or of a kind; returns how many levels it has.

    Raises:
        Invalid: a file cannot be read or written. DataFault: no such column, or no such hierarchy of its values.
    """
    _writable(table, out, None)
    written = proposal(_content(table, separator), column, kind)
    with _whole(out) as part:
        if part is not None:
            part.write_text(written, "utf-8")
    return len(next(csv.reader(written.splitlines(), delimiter=";")))


def _content(table: Path, separator: str | None) -> pa.Table:
    """SAS files are read as the gateway reads them; CSV with any separator and Parquet by the engine's own reader."""
    if not table.is_file():
        raise Invalid("no such table", place=str(table), cure="name a CSV, Parquet or XPORT file")
    if table.suffix.lower() not in _SAS:
        return read_table(table, separator)
    opened = open_table(table)
    return pa.Table.from_batches(list(opened.batches()), opened.schema.remove_metadata()).unify_dictionaries()


def _safeguards(asked: Asked) -> Safeguards:
    demanded = max(asked.k, k_of(asked.max_risk) if asked.max_risk is not None else 1)
    return Safeguards(
        k=demanded,
        average_risk=asked.average_risk,
        attempt=asked.attempt,
        uniques=asked.uniques,
        blank_limit=asked.blank_limit,
    )


def _demands(asked: Asked) -> Demands:
    k_by = {column: dict(least) for column, least in asked.k_by.items()}
    for column, file in asked.k_files.items():
        k_by[column] = {**_thresholds(file), **k_by.get(column, {})}
    return Demands(
        l=asked.l_diversity,
        entropy_l=asked.entropy_l,
        recursive=asked.recursive_l,
        t=asked.t_closeness,
        t_distance=asked.t_distance,
        k_by=k_by,
    )


def _thresholds(file: Path) -> dict[str, int]:
    """Lines of `value;k` or `value,k`."""
    cure = "write one line for each value: the value, then its k"
    try:
        text = file.read_text("utf-8-sig")
        rows = [row for row in csv.reader(text.splitlines(), delimiter=";" if ";" in text else ",") if row]
        found = {value.strip(): int(k) for value, k in rows}
    except (OSError, ValueError) as error:
        raise Invalid("the thresholds cannot be read", place=str(file), cure=cure) from error
    if len(found) < len(rows):
        raise Invalid("a value has two thresholds", place=str(file), cure=cure)
    return found


def _one_of(kind: Any, text: str, option: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(kind)
        raise Invalid("there is no such choice", place=option, cure=f"use one of {known}") from None


def _writable(table: Path, out: Path, report_file: Path | None) -> None:
    """Refuse before the work what could not be written after it."""
    if out.suffix.lower() not in _TEXT:
        raise Invalid("the output has an ending that is not written here", place=str(out), cure="use .csv or .parquet")
    if len({path.resolve() for path in (table, out, report_file) if path}) < (3 if report_file else 2):
        raise Invalid("two of table, output and report are the same file", place=str(out), cure="name another file")
    for file in (out, report_file):
        if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
            raise Invalid("the output cannot be written", place=str(file), cure="name a file in a folder that exists")


@contextmanager
def _whole(file: Path | None) -> Iterator[Path | None]:
    """A place beside the file to write to, moved onto it when all is done and removed when anything goes wrong."""
    if file is None:
        yield None
        return
    part = file.with_name(f".{file.name}.part")
    try:
        yield part
        part.replace(file)
    except (OSError, pa.ArrowException):
        cure = "name another file, or write Parquet where the table holds more than text, numbers and dates"
        raise Invalid("the output cannot be written", place=str(file), cure=cure) from None
    finally:
        part.unlink(missing_ok=True)


def _write(result: pa.Table, part: Path, ending: str, separator: str | None) -> None:
    if ending == ".parquet":
        pq.write_table(result, part, compression="zstd", write_statistics=False)
        return
    plain = pa.table({name: _plain(result[name]) for name in result.column_names})
    sign = separator or ("\t" if ending == ".tsv" else ",")
    pacsv.write_csv(plain, part, pacsv.WriteOptions(delimiter=sign, quoting_style="needed"))


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
