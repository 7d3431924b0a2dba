"""The engine alone on one table, without catalogue, rules or log: for those who measure and recode at a desk."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from gateway.errors import Invalid
from gateway.formats import open_table
from pseudonymization.anonymize import Demands, anonymize, k_of, read_table, risk_report
from pseudonymization.safeguards import Safeguards

Progress = Callable[[float, float], None]


def _content(table: Path) -> pa.Table | Path:
    """SAS files are read here; CSV with any separator and Parquet by the engine's own reader."""
    if not table.is_file():
        raise Invalid("no such table", place=str(table), cure="name a CSV, Parquet or XPORT file")
    if table.suffix.lower() in {".xpt", ".sas7bdat"}:
        opened = open_table(table)
        return pa.Table.from_batches(list(opened.batches()), opened.schema.remove_metadata()).unify_dictionaries()
    return table


def recode(
    table: Path,
    out: Path,
    *,
    quasi: Sequence[str],
    k: int = 1,
    max_risk: float | None = None,
    average_risk: float = 1.0,
    uniques: float = 1.0,
    blank_limit: float = 0.0,
    hierarchies: Path | None = None,
    sensitive: Sequence[str] = (),
    l_diversity: int | None = None,
    t_closeness: float | None = None,
    mode: str = "global",
    separator: str | None = None,
    weights: Mapping[str, float] | None = None,
    budget_seconds: float | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Recode one table to `out` (CSV or Parquet, by its ending) and return the report.

    Raises:
        Invalid: a file cannot be read or written. DataFault: columns, hierarchies or thresholds do not fit.
    """
    if hierarchies is not None and not hierarchies.is_dir():
        raise Invalid("no such folder of hierarchies", place=str(hierarchies), cure="one CSV for each column")
    demanded = max(k, k_of(max_risk) if max_risk is not None else 1)
    safeguards = Safeguards(k=demanded, average_risk=average_risk, uniques=uniques, blank_limit=blank_limit)
    content = _content(table)
    result, report = anonymize(
        read_table(content, separator) if isinstance(content, Path) else content,
        quasi,
        safeguards=safeguards,
        hierarchies=hierarchies,
        sensitive=sensitive,
        demands=Demands(l=l_diversity, t=t_closeness),
        mode=mode,
        weights=weights,
        budget_seconds=budget_seconds,
        progress=progress,
    )
    try:
        if out.suffix.lower() == ".parquet":
            pq.write_table(result, out, compression="zstd", write_statistics=False)
        else:
            plain = pa.table({name: _plain(result[name]) for name in result.column_names})
            pacsv.write_csv(plain, out, pacsv.WriteOptions(delimiter=separator or ",", quoting_style="needed"))
    except OSError:
        raise Invalid("the output cannot be written", place=str(out), cure="name another file") from None
    return report


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def risk(
    table: Path,
    *,
    quasi: Sequence[str],
    sensitive: Sequence[str] = (),
    attempt: float = 1.0,
    population: int | None = None,
    separator: str | None = None,
) -> dict[str, Any]:
    """The risk of one table as it is."""
    content = _content(table)
    opened = read_table(content, separator) if isinstance(content, Path) else content
    return risk_report(opened, quasi, sensitive=sensitive, attempt=attempt, people=population)


def write_report(report: Mapping[str, Any], file: Path) -> None:
    """The report as JSON."""
    try:
        file.write_text(json.dumps(report, indent=1, default=float) + "\n", "utf-8")
    except OSError:
        raise Invalid("the report cannot be written", place=str(file), cure="name another file") from None
