"""Demands on more than the size of a class, as somebody asks for them of one table, and how far a table meets them.

A missing sensitive value is a value like others. A subject with several values of a sensitive attribute has the set of
them, which is one value too.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pseudonymization.classes import ClassTable
from pseudonymization.faults import Unreachable, Unresolved
from pseudonymization.hierarchies import MISSING, Ladder
from pseudonymization.hierarchies.given import from_file
from pseudonymization.models import DistinctL, EntropyL, LeastSize, Model, RecursiveL, TCloseness, entropy
from pseudonymization.tables import class_table

Codes = npt.NDArray[Any]
Sensitive = dict[str, tuple[Codes, int]]
"""Per attribute a code per subject, and the number of codes."""
_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Demands:
    """What is demanded beside the thresholds on class sizes; None demands nothing.

    l: that many different sensitive values per class. entropy_l: entropy at least its logarithm. recursive: (c, l), see
    `models.RecursiveL`. t: distance of each class from the whole table at most, `t_distance` equal, ordered (numbers by
    size, other values by their text) or hierarchical (its hierarchy file stands beside others). k_by: per column, value
    → smallest class for the subjects who have it; others need no more than the general k.
    """

    l: int | None = None  # noqa: E741 - the model's own name
    entropy_l: float | None = None
    recursive: tuple[float, int] | None = None
    t: float | None = None
    t_distance: str = "equal"
    k_by: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def on_sensitive(self) -> bool:
        """Whether anything is demanded of sensitive attributes."""
        return any(demand is not None for demand in (self.l, self.entropy_l, self.recursive, self.t))


def models_of(
    content: pa.Table,
    table: ClassTable,
    sensitive: Sequence[str],
    demands: Demands,
    folder: Path | None,
    subject: str | None,
) -> tuple[list[Model], Sensitive]:
    """The models that the demands mean, and the sensitive codes they judge; nothing demanded gives neither.

    folder: of hierarchies, for the hierarchical distance.

    Raises:
        Unresolved: a column is absent, a quasi-identifier is called sensitive, or a demand contradicts itself.
        Unreachable: the whole table has fewer different values than each class should.
    """
    _consistent(table, sensitive, demands)
    models: list[Model] = []
    codes: Sensitive = {}
    if demands.on_sensitive:
        held = class_table(content, sensitive, subject)
        for at, name in enumerate(sensitive):
            order = value_order(held, at)
            codes[name] = (order[held.codes[:, at]], len(order))
            ladder = _hierarchy(held, at, folder) if demands.t_distance == "hierarchical" else None
            models += _on(name, demands, ladder, len(order))
    for name, least in demands.k_by.items():
        if name not in content.column_names:
            raise Unresolved(f"the table has no column `{name}`", cure="name the column that tells each subject's k")
        held = class_table(content, [name], subject)
        if not set(least) & set(held.domains[0]):
            raise Unresolved(f"no value of `{name}` has a k of its own", cure="write the values as the table has them")
        order, wanted = value_order(held, 0), np.ones(len(held.sets[0]), dtype=np.int64)
        wanted[order] = [max(least.get(held.domains[0][member], 1) for member in members) for members in held.sets[0]]
        codes[name] = (order[held.codes[:, 0]], len(order))
        models.append(LeastSize(name, tuple(wanted.tolist())))
    return models, codes


def _consistent(table: ClassTable, sensitive: Sequence[str], demands: Demands) -> None:
    if demands.on_sensitive and not sensitive:
        raise Unresolved("a demand on sensitive attributes names none", cure="name the sensitive columns")
    both = sorted(set(sensitive) & set(table.names))
    if both and demands.on_sensitive:
        said = f"`{both[0]}` is both a quasi-identifier and sensitive"
        raise Unresolved(said, cure="l-diversity and t-closeness protect what an attacker does not know: choose one")
    wrong = (
        (demands.l is not None and demands.l < 1)
        or (demands.entropy_l is not None and not demands.entropy_l >= 1)
        or (demands.recursive is not None and not (demands.recursive[0] > 0 and demands.recursive[1] >= 1))
        or (demands.t is not None and not 0 <= demands.t <= 1)
        or any(k < 1 for least in demands.k_by.values() for k in least.values())
    )
    if wrong:
        raise Unresolved("a demand is out of range", cure="l, c and k are at least 1, above 0 and 1; t lies in 0 to 1")


def _on(name: str, demands: Demands, ladder: Ladder | None, values: int) -> list[Model]:
    """The models of one sensitive attribute."""
    most = max(demands.l or 1, demands.entropy_l or 1, demands.recursive[1] if demands.recursive else 1)
    if most > values:
        raise Unreachable(f"`{name}` has fewer different values than each class should have", cure="lower l")
    models: list[Model] = []
    if demands.l is not None:
        models.append(DistinctL(name, demands.l))
    if demands.entropy_l is not None:
        models.append(EntropyL(name, demands.entropy_l))
    if demands.recursive is not None:
        models.append(RecursiveL(name, *demands.recursive))
    if demands.t is not None:
        models.append(TCloseness(name, demands.t, demands.t_distance, ladder))
    return models


def _hierarchy(held: ClassTable, at: int, folder: Path | None) -> Ladder:
    """The hierarchy of a sensitive attribute, its codes in `value_order`."""
    name = held.names[at]
    if folder is None or not (folder / f"{name}.csv").exists():
        cure = f"put `{name}.csv` into the folder of hierarchies"
        raise Unresolved(f"the hierarchical distance needs a hierarchy of `{name}`", cure=cure)
    back = np.argsort(value_order(held, at))
    return from_file(name, folder / f"{name}.csv", held.domains[at]).over([held.sets[at][code] for code in back])


def value_order(held: ClassTable, at: int) -> npt.NDArray[np.int64]:
    """Per code its place in order: numbers by size, other values by their text, the missing value first."""
    domain, sets = held.domains[at], held.sets[at]
    numbers = [_number(text) for text in domain]
    plain = None in [number for number, text in zip(numbers, domain, strict=True) if text != MISSING]
    keys = [tuple((0.0 if plain else numbers[m] or 0.0, domain[m]) for m in members) for members in sets]
    blank = [[domain[m] != MISSING for m in members] for members in sets]
    ranked = sorted(range(len(sets)), key=lambda code: (blank[code], keys[code]))
    order = np.empty(len(sets), dtype=np.int64)
    order[ranked] = np.arange(len(sets))
    return order


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def diversity(
    content: pa.Table, quasi: Sequence[str], name: str, *, subject: str | None = None, folder: Path | None = None
) -> dict[str, Any]:
    """How diverse the least diverse class is, by subjects.

    distinct_l; entropy_l, the exponential of the least entropy; recursive_c, per l of 2 and 3 the c that the classes
    stay just below (None where a class has fewer values); the largest t by the equal and the ordered distance, and by
    the hierarchical one where a hierarchy lies in `folder`.
    """
    table, held = class_table(content, quasi, subject), class_table(content, [name], subject)
    order = value_order(held, 0)
    codes = order[held.codes[:, 0]]
    overall = np.bincount(codes, minlength=len(order)).astype(np.float64)
    judges = {"t_equal": TCloseness(name, 0.0), "t_ordered": TCloseness(name, 0.0, "ordered")}
    if folder is not None and (folder / f"{name}.csv").exists():
        judges["t_hierarchical"] = TCloseness(name, 0.0, "hierarchical", _hierarchy(held, 0, folder))
    distinct, least, apart = math.inf, math.inf, dict.fromkeys(judges, 0.0)
    dominance: dict[str, float | None] = {"2": 0.0, "3": 0.0}
    for counts in _counts(table, codes, len(order)):
        distinct = min(distinct, float((counts > 0).sum(axis=1).min()))
        least = min(least, float(entropy(counts).min()))
        apart = {key: max(apart[key], float(judge.distances(counts, overall).max())) for key, judge in judges.items()}
        for number, known in dominance.items():
            here = _recursive_c(counts, int(number))
            dominance[number] = None if known is None or here is None else max(known, here)
    return {"distinct_l": distinct, "entropy_l": math.exp(least), "recursive_c": dominance, **apart}


def _counts(table: ClassTable, codes: Codes, width: int) -> Iterator[npt.NDArray[np.float64]]:
    """Subjects per class and sensitive value, some classes at a time."""
    order = np.argsort(table.of, kind="stable")
    of, codes = table.of[order], codes[order]
    step = max(1, _CELLS // width)
    for low in range(0, len(table.weights), step):
        high = min(len(table.weights), low + step)
        first, last = np.searchsorted(of, (low, high))
        cells = (of[first:last] - low) * width + codes[first:last]
        yield np.bincount(cells, minlength=(high - low) * width).reshape(high - low, width).astype(np.float64)


def _recursive_c(counts: npt.NDArray[np.float64], number: int) -> float | None:
    """The largest r₁ / (r_l + … + r_m) of any class; None where a class has fewer than l values."""
    ranked = -np.sort(-counts, axis=1)
    rest = ranked[:, number - 1 :].sum(axis=1)
    return float((ranked[:, 0] / rest).max()) if (rest > 0).all() else None
