"""The engine on a single table, without a gateway: for those who would reach for a desktop tool.

Hierarchies are one CSV file per column, level 0 first, no header; or named by their kind; or proposed from the data.
`anonymize` and `risk_report` return plain dictionaries, ready for JSON. See README.md beside this file.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pseudonymization import population as estimates
from pseudonymization.classes import ClassTable
from pseudonymization.columns import Column, Role
from pseudonymization.demands import Demands, diversity, models_of
from pseudonymization.faults import Unresolved
from pseudonymization.frontier import Alternative, alternatives
from pseudonymization.hierarchies import Ladder, ladder_for
from pseudonymization.hierarchies.given import from_file, from_parents, to_csv
from pseudonymization.local_recoding import Cells, LocalFound, recode_locally
from pseudonymization.local_utility import local_utility
from pseudonymization.objective import Loss
from pseudonymization.people import Population, alike, reached
from pseudonymization.risk import risk_of
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import Found, optimal
from pseudonymization.tables import BLANK, class_table, measured, read_table, rewritten
from pseudonymization.utility import utility_of

__all__ = [
    "Cells",
    "Demands",
    "Loss",
    "anonymize",
    "class_table",
    "k_of",
    "ladders_of",
    "proposal",
    "read_table",
    "risk_report",
]

Progress = Callable[[float, float], None]


def k_of(max_risk: float) -> int:
    """The class size that a maximum risk means, as a whole number: 0.09 is 11 (EMA/90915/2016), 0.2 is 5.

    Raises:
        Unresolved: the risk is not between 0 and 1.
    """
    if not 0 < max_risk <= 1:
        raise Unresolved("a maximum risk lies above 0 and is at most 1", cure="write 0.09, for instance")
    return max(1, round(1 / max_risk))


def ladders_of(
    table: ClassTable,
    folder: Path | None,
    safeguards: Safeguards,
    kinds: Mapping[str, str] | None = None,
    content: pa.Table | None = None,
) -> dict[str, Ladder]:
    """A ladder per quasi-identifier: of the kind given, or from `folder/NAME.csv`, or proposed from the data.

    kinds: per column what `hierarchies.ladder_for` reads, `interval:5` for instance; or `parents:AEHLT,AESOC`, columns
    of `content` that tell each value's parent, its parent and so on.

    Raises:
        Unresolved, Unreadable: a hierarchy does not fit the values, or is given for a column that is none of these.
    """
    if set(kinds or {}) - set(table.names):
        raise Unresolved("a hierarchy is given for a column that is no quasi-identifier")
    found = {}
    for at, name in enumerate(table.names):
        path, kind = folder / f"{name}.csv" if folder else None, (kinds or {}).get(name, "")
        if not kind and path is not None and path.exists():
            found[name] = from_file(name, path, table.domains[at])
        elif kind.startswith("parents:") and content is not None:
            found[name] = parents_ladder(content, name, table.domains[at], kind.removeprefix("parents:").split(","))
        else:
            column = Column(name, Role.QUASI, hierarchy=kind)
            found[name] = ladder_for(column, table.domains[at], table.counts(name), safeguards, folder=folder)
    return found


def parents_ladder(content: pa.Table, name: str, domain: Sequence[str], parents: Sequence[str]) -> Ladder:
    """The hierarchy that columns of a table tell; see `hierarchies.given.from_parents`.

    Raises:
        Unresolved: a column is not in the table, or a value has two parents.
    """
    held = class_table(content, [name, *parents])
    rows = [[domain[code] for domain, code in zip(held.domains, row, strict=True)] for row in held.rows.tolist()]
    return from_parents(name, domain, rows, parents)


def proposal(content: pa.Table, name: str, kind: str = "") -> str:
    """A hierarchy of a column as a file, proposed from the data or of the kind given (see `ladders_of`).

    Raises:
        Unresolved, Unreadable: no such column, or no such hierarchy of its values.
    """
    table = class_table(content, [name])
    return to_csv(ladders_of(table, None, Safeguards(), {name: kind}, content)[name])


def anonymize(
    source: pa.Table | Path,
    quasi: Sequence[str],
    *,
    safeguards: Safeguards,
    hierarchies: Path | None = None,
    kinds: Mapping[str, str] | None = None,
    subject: str | None = None,
    sensitive: Sequence[str] = (),
    demands: Demands | None = None,
    mode: str = "global",
    cells: Cells = Cells.LABELS,
    loss: Loss = Loss.GRANULARITY,
    weights: Mapping[str, float] | None = None,
    fixed: Mapping[str, int] | None = None,
    forbidden: Mapping[str, Sequence[int]] | None = None,
    population: pa.Table | Path | None = None,
    k_map: int | None = None,
    delta_presence: tuple[float, float] | None = None,
    budget_seconds: float | None = None,
    progress: Progress | None = None,
) -> tuple[pa.Table, dict[str, Any]]:
    """Recode a table so that the safeguards and demands hold. Returns (the recoded table, the report).

    mode: `global` (optimal full-domain recoding, outliers blanked as `*`) or `local` (no blanks; `cells` are labels or
    sets). hierarchies: a folder of NAME.csv; kinds: per column the kind of a hierarchy that is built here. subject: the
    column that says whose row it is. loss: what is kept small, in local mode granularity only. weights: how much each
    column's loss counts; fixed, forbidden: levels. population: one row per person; each
    class must fit `k_map` of them, and subjects / people stay within `delta_presence`: see `Population`. All other
    columns leave as they are. Risk in the report is measured on the recoded table itself.

    Raises:
        Unresolved: the input does not fit. Unreachable: the demands cannot be met; says the nearest that can.
    """
    began = time.perf_counter()
    content = read_table(source) if isinstance(source, Path) else source
    asked = demands or Demands()
    table, against = _against(class_table(content, quasi, subject), population, k_map, delta_presence)
    ladders = ladders_of(table, hierarchies, safeguards, kinds, content)
    _levels_exist(ladders, fixed or {}, forbidden or {})
    models, codes = models_of(content, table, sensitive, asked, hierarchies, subject)
    steered: dict[str, Any] = {"weights": weights, "fixed": fixed, "forbidden": forbidden}
    steered |= {"models": models, "sensitive": codes}
    loaded = time.perf_counter()
    whole = {"loss": loss, "population": against, "budget_seconds": budget_seconds, "progress": progress}
    texts, report = _recoded(table, ladders, safeguards, mode, cells, steered, whole)
    result = rewritten(content, table, texts, subject)
    report = {
        "mode": mode,
        "loss_measure": loss.value,
        "demanded": _demanded(safeguards, asked, k_map, delta_presence),
        **report,
        **_measures(result, table, quasi, subject, safeguards.attempt),
        "sensitive": {name: diversity(result, quasi, name, subject=subject, folder=hierarchies) for name in sensitive},
        "share_blanked": report["utility"]["blanked"],
    }
    report["seconds"] = {"load": loaded - began, "search": report["seconds"], "all": time.perf_counter() - began}
    return result, report


def choices(
    source: pa.Table | Path,
    quasi: Sequence[str],
    *,
    safeguards: Safeguards,
    hierarchies: Path | None = None,
    kinds: Mapping[str, str] | None = None,
    subject: str | None = None,
    weights: Mapping[str, float] | None = None,
) -> list[Alternative]:
    """What else could be done with a table under the safeguards: recodings by risk and utility, the cheapest first.

    Raises:
        Unresolved: the input does not fit. Unreachable: nothing meets the safeguards.
    """
    content = read_table(source) if isinstance(source, Path) else source
    table = class_table(content, quasi, subject)
    ladders = ladders_of(table, hierarchies, safeguards, kinds, content)
    return alternatives(table, ladders, safeguards, weights=weights)


def _recoded(
    table: ClassTable,
    ladders: Mapping[str, Ladder],
    safeguards: Safeguards,
    mode: str,
    cells: Cells,
    steered: Mapping[str, Any],
    whole: Mapping[str, Any],
) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """(released text of each subject per quasi-identifier, what the report says). whole: what global mode alone knows.

    Raises:
        Unresolved: there is no such mode, or local mode is asked for what it does not know.
    """
    if mode == "global":
        barred = dict(steered["forbidden"] or {}) | dict.fromkeys(steered["fixed"] or {})
        found = _finest(table, ladders, optimal(table, ladders, safeguards, **steered, **whole), barred)
        return _globally(table, ladders, found, whole["population"])
    if mode != "local":
        raise Unresolved("there is no such mode", cure="use global or local")
    if whole["population"] is not None or whole["loss"] is not Loss.GRANULARITY:
        what = "loss but granularity" if whole["population"] is None else "demand against a population"
        raise Unresolved(f"local recoding knows no {what}", cure="use the global mode")
    texts, report = _locally(table, ladders, recode_locally(table, ladders, safeguards, cells=cells, **steered))
    return texts, {"cells": cells.value, **report}


def _measures(
    result: pa.Table, table: ClassTable, quasi: Sequence[str], subject: str | None, attempt: float
) -> dict[str, Any]:
    """Risk before and after; after is counted on the recoded table itself."""
    risk = measured(result, quasi, subject, attempt)
    before = risk_of(table.weights, attempt).to_dict()
    return {
        "subjects": risk["subjects"],
        "k": risk["k"],
        "classes": risk["classes"],
        "risk": risk,
        "risk_before": before,
    }


def _demanded(
    safeguards: Safeguards, asked: Demands, k_map: int | None, presence: tuple[float, float] | None
) -> dict[str, Any]:
    """What the report says was demanded: all that demands something."""
    held: dict[str, Any] = {"k": safeguards.k, "attempt": safeguards.attempt, "blank_limit": safeguards.blank_limit}
    free = {"average_risk": safeguards.average_risk, "uniques": safeguards.uniques}
    held |= {name: value for name, value in free.items() if value < 1}
    held |= {name: value for name, value in asdict(asked).items() if value and name != "t_distance"}
    held |= {"t_distance": asked.t_distance} if asked.t is not None else {}
    return held | ({"k_map": k_map} if k_map else {}) | ({"presence": list(presence)} if presence else {})


def _finest(table: ClassTable, ladders: Mapping[str, Ladder], found: Found, barred: Mapping[str, Any]) -> Found:
    """The same classes at the same loss, told as finely as they may be: 20-39 rather than 0-39, where nobody is below.

    barred: levels that must not leave, and None for a column whose level is fixed.
    """
    levels = dict(found.levels)
    for name, ladder in zip(table.names, table.lifted(ladders), strict=True):
        for at in range(levels[name] - 1, ladder.floor - 1, -1):
            same = np.array_equal(ladder.codes[at], ladder.codes[levels[name]])
            if barred.get(name, ()) is None or not same or len(ladder.leaves[at]) != len(ladder.leaves[levels[name]]):
                break
            levels[name] = levels[name] if at in barred.get(name, ()) else at
    return replace(found, levels=levels)


def _levels_exist(
    ladders: Mapping[str, Ladder], fixed: Mapping[str, int], forbidden: Mapping[str, Sequence[int]]
) -> None:
    for name, level in [*fixed.items(), *((name, level) for name, barred in forbidden.items() for level in barred)]:
        if name not in ladders:
            raise Unresolved("a level is fixed or forbidden for a column that is no quasi-identifier")
        if not 0 <= level <= ladders[name].height:
            cure = f"its hierarchy has the levels 0 to {ladders[name].height}"
            raise Unresolved(f"`{name}` has no level {level}", cure=cure)


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
        "titles": {name: ladders[name].titles[level] for name, level in found.levels.items()},
        "proven_optimal": found.proven_optimal,
        "nodes_checked": found.nodes_checked,
        "lattice": found.lattice,
        "seconds": found.seconds,
        "loss": found.loss,
        "bound": found.bound,
        "utility": utility_of(table, ladders, found.levels, found.blanked).to_dict(),
    }
    if against is not None:
        levels = [found.levels[name] for name in table.names]
        report["population"] = reached(against.people, table, table.lifted(ladders), levels, found.blanked)
    return _global_texts(table, ladders, found.levels, found.blanked), report


def _locally(
    table: ClassTable, ladders: Mapping[str, Ladder], local: LocalFound
) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """As `_globally`, of a local recoding: a heuristic, so no bound is known."""
    texts = {name: local.column(name) for name in table.names}
    return texts, {
        "levels": {name: _shares(found, local) for name, found in local.levels.items()},
        "proven_optimal": False,
        "nodes_checked": None,
        "lattice": None,
        "seconds": local.seconds,
        "loss": local.loss,
        "bound": None,
        "utility": local_utility(table, ladders, local).to_dict(),
    }


def _shares(found: npt.NDArray[np.int64], local: LocalFound) -> dict[str, float]:
    """Share of subjects on each level that occurs."""
    total = float(local.sizes.sum())
    return {
        "blanked" if level < 0 else str(level): round(float(local.sizes[found == level].sum()) / total, 3)
        for level in np.unique(found).tolist()
    }


def risk_report(
    source: pa.Table | Path,
    quasi: Sequence[str],
    *,
    subject: str | None = None,
    sensitive: Sequence[str] = (),
    hierarchies: Path | None = None,
    attempt: float = 1.0,
    people: int | None = None,
    population: pa.Table | Path | None = None,
) -> dict[str, Any]:
    """The risk of a table as it is, ready for JSON.

    hierarchies: folder with those of sensitive columns, for the hierarchical distance. people: size of the population
    that the table is a sample of, for estimates of population uniques. population: one row per person, with the same
    values in the same columns, for k-map and δ-presence.

    Raises:
        Unresolved: the input does not fit.
    """
    content = read_table(source) if isinstance(source, Path) else source
    table, against = _against(class_table(content, quasi, subject), population, None, None)
    report = risk_of(table.weights, attempt).to_dict()
    report["sensitive"] = {
        name: diversity(content, quasi, name, subject=subject, folder=hierarchies) for name in sensitive
    }
    if against is not None:
        flats = {
            name: ladder_for(Column(name, Role.QUASI, hierarchy="flat"), domain, (), Safeguards())
            for name, domain in zip(table.names, table.domains, strict=True)
        }
        nobody = np.zeros(len(table.subjects), dtype=np.bool_)
        report["population"] = reached(against.people, table, table.lifted(flats), [0] * len(flats), nobody)
    if people is not None:
        if people < len(table.subjects):
            raise Unresolved("the population is smaller than the table", cure="give the size of the whole population")
        report["population_uniques"] = estimates.uniques(table.weights, people)
    return report


def _global_texts(
    table: ClassTable, ladders: Mapping[str, Ladder], levels: Mapping[str, int], blanked: npt.NDArray[np.bool_]
) -> dict[str, list[str]]:
    texts = {}
    for at, (name, ladder) in enumerate(zip(table.names, table.lifted(ladders), strict=True)):
        labels = np.array([*ladder.labels_of(levels[name]), BLANK], dtype=object)
        codes = np.where(blanked, len(labels) - 1, table.codes[:, at])
        texts[name] = labels[codes].tolist()
    return texts
