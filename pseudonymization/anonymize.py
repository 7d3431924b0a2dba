"""The engine on a single table, without a gateway: for those who would reach for a desktop tool.

A table is CSV (any separator), Parquet or an Arrow table in memory; hierarchies are one CSV file per column, level 0
first, no header. Each row is a subject, unless a column says whose row it is. `anonymize` and `risk_report` return
plain dictionaries, ready for JSON.
"""

import csv
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from pseudonymization import population as estimates
from pseudonymization.classes import ClassTable, build, spelled, table_of
from pseudonymization.columns import Column, Role, Study, Table
from pseudonymization.faults import Unresolved
from pseudonymization.hierarchies import Ladder, ladder_for
from pseudonymization.hierarchies.builders import from_file
from pseudonymization.local_recoding import Cells, LocalFound, recode_locally
from pseudonymization.measure import Collector
from pseudonymization.models import DistinctL, EntropyL, Model, RecursiveL, TCloseness, entropy
from pseudonymization.people import Population, alike, reached
from pseudonymization.risk import risk_of
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import Found, optimal
from pseudonymization.utility import utility_of

BLANK = "*"


@dataclass(frozen=True, slots=True)
class Demands:
    """What is demanded of sensitive attributes; None demands nothing.

    l: that many different values per class. entropy_l: entropy at least its logarithm. recursive: (c, l). t: distance
    from the whole table at most, `t_distance` equal, ordered or hierarchical (its hierarchy file stands beside others).
    """

    l: int | None = None  # noqa: E741 - the model's own name
    entropy_l: float | None = None
    recursive: tuple[float, int] | None = None
    t: float | None = None
    t_distance: str = "equal"


def k_of(max_risk: float) -> int:
    """The class size that a maximum risk means, as a whole number: 0.09 is 11 (EMA/90915/2016), 0.2 is 5.

    Raises:
        Unresolved: the risk is not between 0 and 1.
    """
    if not 0 < max_risk <= 1:
        raise Unresolved("a maximum risk lies above 0 and is at most 1", cure="write 0.09, for instance")
    return max(1, round(1 / max_risk))


def read_table(path: Path, separator: str | None = None) -> pa.Table:
    """A table from CSV (separator found if not given; every cell as text) or Parquet.

    Raises:
        Unresolved: the file is no such table, or is empty.
    """
    try:
        if path.suffix.lower() == ".parquet":
            return pq.read_table(path)
        with path.open(encoding="utf-8", newline="") as lines:
            head = lines.read(65536)
        sign = separator or csv.Sniffer().sniff(head.splitlines()[0], delimiters=";,\t|").delimiter
        names = next(csv.reader([head.splitlines()[0]], delimiter=sign))
        convert = pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        return pacsv.read_csv(path, parse_options=pacsv.ParseOptions(delimiter=sign), convert_options=convert)
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid, csv.Error, IndexError, StopIteration) as error:
        cure = "give a CSV file in UTF-8 with a header line, or a Parquet file"
        raise Unresolved("the table cannot be read", cure=cure) from error


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
        Unresolved: a column is not in the table, or the table has no rows.
    """
    absent = {*quasi, *([subject] if subject else [])} - set(content.column_names)
    if absent or not quasi:
        said = ", ".join(f"`{name}`" for name in sorted(absent))
        raise Unresolved(f"the table has no column {said}" if absent else "no quasi-identifier is named")
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
    domain = sorted(set(texts))
    rank = {text: at for at, text in enumerate(domain)}
    return np.array([rank[text] for text in texts], dtype=np.int32)[places], domain


def ladders_of(table: ClassTable, folder: Path | None, safeguards: Safeguards) -> dict[str, Ladder]:
    """A ladder per quasi-identifier: from `folder/NAME.csv`, or proposed from the data where there is no such file."""
    found = {}
    for at, name in enumerate(table.names):
        path = folder / f"{name}.csv" if folder else None
        if path is not None and path.exists():
            found[name] = from_file(name, path, table.domains[at])
        else:
            column = Column(name, Role.QUASI)
            found[name] = ladder_for(column, table.domains[at], table.counts(name), safeguards)
    return found


def anonymize(
    source: pa.Table | Path,
    quasi: Sequence[str],
    *,
    safeguards: Safeguards,
    hierarchies: Path | None = None,
    subject: str | None = None,
    sensitive: Sequence[str] = (),
    demands: Demands | None = None,
    mode: str = "global",
    cells: Cells = Cells.LABELS,
    weights: Mapping[str, float] | None = None,
    fixed: Mapping[str, int] | None = None,
    population: pa.Table | Path | None = None,
    k_map: int | None = None,
    delta_presence: tuple[float, float] | None = None,
    budget_seconds: float | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> tuple[pa.Table, dict[str, Any]]:
    """Recode a table so that the safeguards and demands hold. Returns (the recoded table, the report).

    mode: `global` (optimal full-domain recoding, outliers blanked as `*`) or `local` (no blanks). All other columns
    leave as they are. Risk in the report is measured on the recoded table itself. population: one row per person;
    each class must fit `k_map` of them, and subjects / people stay within `delta_presence`: see `Population`.

    Raises:
        Unresolved: the input does not fit. Unreachable: the demands cannot be met; says the nearest that can.
    """
    began = time.perf_counter()
    content = read_table(source) if isinstance(source, Path) else source
    table, against = _against(class_table(content, quasi, subject), population, k_map, delta_presence)
    ladders = ladders_of(table, hierarchies, safeguards)
    loaded = time.perf_counter()
    if mode == "global":
        models, codes = _models(content, sensitive, demands or Demands(), hierarchies, subject)
        found = optimal(
            table, ladders, safeguards, weights=weights, fixed=fixed, models=models, sensitive=codes,
            population=against, budget_seconds=budget_seconds, progress=progress,
        )  # fmt: skip
        searched = time.perf_counter()
        texts, report = _globally(table, ladders, found, against)
    elif mode == "local":
        if (demands or Demands()) != Demands() or against is not None:
            raise Unresolved("local recoding knows no such demands", cure="use the global mode")
        local = recode_locally(table, ladders, safeguards, cells=cells, weights=weights)
        searched = time.perf_counter()
        texts, report = _locally(table, local)
    else:
        raise Unresolved("there is no such mode", cure="use global or local")
    result = _rewritten(content, table, texts, subject)
    report |= {
        "mode": mode,
        "seconds": {"load": loaded - began, "search": searched - loaded, "all": time.perf_counter() - began},
        "subjects": len(table.subjects),
        "risk_before": risk_of(table.weights, safeguards.attempt).to_dict(),
        "risk": _measured(result, list(quasi), subject, safeguards.attempt),
        "sensitive": {name: diversity(result, quasi, name) for name in sensitive},
    }
    report["share_blanked"] = report["risk"]["blanked"] = report["utility"].get("blanked", 0.0)
    return result, report


def _against(
    table: ClassTable,
    population: pa.Table | Path | None,
    k_map: int | None,
    presence: tuple[float, float] | None,
) -> tuple[ClassTable, Population | None]:
    """The class table, coded together with the population if there is one, and what is demanded against it."""
    if population is None:
        if k_map is not None or presence is not None:
            raise Unresolved("k-map and δ-presence need a population table", cure="name one, one row per person")
        return table, None
    people = class_table(read_table(population) if isinstance(population, Path) else population, table.names)
    table, people = alike(table, people)
    return table, Population(people, 1 if k_map is None else k_map, presence or (0.0, 1.0))


def _globally(
    table: ClassTable, ladders: Mapping[str, Ladder], found: Found, against: Population | None
) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """(released text of each subject per quasi-identifier, what the report says) of a full-domain recoding."""
    report: dict[str, Any] = {
        "levels": dict(found.levels),
        "proven_optimal": found.proven_optimal,
        "nodes_checked": found.nodes_checked,
        "lattice": found.lattice,
        "loss": found.loss,
        "loss_bound": found.bound,
        "utility": utility_of(table, ladders, found.levels, found.blanked).to_dict(),
    }
    if against is not None:
        levels = [found.levels[name] for name in table.names]
        report["population"] = reached(against.people, table, table.lifted(ladders), levels, found.blanked)
    return _global_texts(table, ladders, found.levels, found.blanked), report


def _locally(table: ClassTable, local: LocalFound) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """As `_globally`, of a local recoding."""
    texts = {name: local.column(name) for name in table.names}
    return texts, {"proven_optimal": False, "loss": local.loss, "utility": {"granularity": 1 - local.loss}}


def risk_report(
    source: pa.Table | Path,
    quasi: Sequence[str],
    *,
    subject: str | None = None,
    sensitive: Sequence[str] = (),
    attempt: float = 1.0,
    people: int | None = None,
) -> dict[str, Any]:
    """The risk of a table as it is. people: size of the population it is a sample of, for population uniques."""
    content = read_table(source) if isinstance(source, Path) else source
    table = class_table(content, quasi, subject)
    report = risk_of(table.weights, attempt).to_dict()
    report["sensitive"] = {name: diversity(content, quasi, name) for name in sensitive}
    if people is not None:
        if people < len(table.subjects):
            raise Unresolved("the population is smaller than the table", cure="give the size of the whole population")
        report["population_uniques"] = estimates.uniques(table.weights, people)
    return report


def diversity(content: pa.Table, quasi: Sequence[str], name: str) -> dict[str, float]:
    """Distinct and entropy l of the least diverse class, and the largest t (equal and ordered), by rows."""
    if name not in content.column_names:
        raise Unresolved(f"the table has no column `{name}`")
    table = class_table(content, quasi)
    codes, domain = coded_column(content, name)
    cells = table.of * len(domain) + codes
    counts = np.bincount(cells, minlength=len(table.weights) * len(domain)).reshape(-1, len(domain)).astype(np.float64)
    overall = counts.sum(axis=0)
    return {
        "distinct_l": float((counts > 0).sum(axis=1).min()),
        "entropy_l": float(np.exp(entropy(counts).min())),
        "t_equal": float(TCloseness(name, 0.0).distances(counts, overall).max()),
        "t_ordered": float(TCloseness(name, 0.0, "ordered").distances(counts, overall).max()),
    }


def _models(
    content: pa.Table,
    sensitive: Sequence[str],
    demands: Demands,
    folder: Path | None,
    subject: str | None,
) -> tuple[list[Model], dict[str, tuple[npt.NDArray[Any], int]]]:
    if demands == Demands():
        return [], {}
    if not sensitive:
        raise Unresolved("a demand on sensitive attributes names none", cure="name the sensitive columns")
    if set(sensitive) - set(content.column_names):
        raise Unresolved("a sensitive column is not in the table")
    models: list[Model] = []
    codes: dict[str, tuple[npt.NDArray[Any], int]] = {}
    held = class_table(content, sensitive, subject)
    for at, name in enumerate(sensitive):
        codes[name] = (held.codes[:, at], len(held.sets[at]))
        if demands.l is not None:
            models.append(DistinctL(name, demands.l))
        if demands.entropy_l is not None:
            models.append(EntropyL(name, demands.entropy_l))
        if demands.recursive is not None:
            models.append(RecursiveL(name, *demands.recursive))
        if demands.t is not None:
            ladder = None
            if demands.t_distance == "hierarchical":
                if folder is None:
                    raise Unresolved("the hierarchical distance needs a hierarchy of each sensitive attribute")
                ladder = from_file(name, folder / f"{name}.csv", held.domains[at]).over(held.sets[at])
            models.append(TCloseness(name, demands.t, demands.t_distance, ladder))
    return models, codes


def _global_texts(
    table: ClassTable, ladders: Mapping[str, Ladder], levels: Mapping[str, int], blanked: npt.NDArray[np.bool_]
) -> dict[str, list[str]]:
    texts = {}
    for at, (name, ladder) in enumerate(zip(table.names, table.lifted(ladders), strict=True)):
        labels = np.array([*ladder.labels_of(levels[name]), BLANK], dtype=object)
        codes = np.where(blanked, len(labels) - 1, table.codes[:, at])
        texts[name] = labels[codes].tolist()
    return texts


def _rewritten(
    content: pa.Table,
    table: ClassTable,
    texts: Mapping[str, list[str]],
    subject: str | None,
) -> pa.Table:
    """The table with its quasi-identifiers replaced by each subject's released text."""
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


def _measured(result: pa.Table, quasi: Sequence[str], subject: str | None, attempt: float) -> dict[str, Any]:
    """Risk of the recoded table, by the code that gates releases."""
    key = subject or "row"
    while subject is None and key in result.column_names:
        key += "_"
    shown = result.select(list(quasi) + ([subject] if subject else []))
    if subject is None:
        shown = shown.append_column(key, pa.array(np.arange(len(result))))
    collector = Collector(list(quasi), {"table": key})
    for batch in shown.to_batches():
        collector.add("table", batch)
    return collector.measure(attempt).to_dict()
