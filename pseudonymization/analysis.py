"""What a recoding does to an analysis: how far each column's distribution moves, and each pair's association.

A released cell says: one of the values its label covers. It is spread evenly over them, as an analyst without other
knowledge would; a blanked cell is spread over the whole hierarchy.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from pseudonymization.classes import ClassTable
from pseudonymization.hierarchies import Ladder

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_CELLS = 4_000_000


def marginal_distances(
    table: ClassTable, ladders: Mapping[str, Ladder], levels: Mapping[str, int], blanked: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """Per quasi-identifier, the total variation distance of its distribution before and after, from 0 to 1.

    A subject with several values counts for an equal part of each. Values of the hierarchy that nobody has are in the
    domain too: what is spread onto them is lost.
    """
    subjects, found = max(1, len(table.subjects)), {}
    for at, (name, lifted) in enumerate(zip(table.names, table.lifted(ladders), strict=True)):
        ladder = over_domain(ladders[name], table, at)
        stay = np.bincount(table.codes[~blanked, at], minlength=len(table.sets[at])).astype(np.float64)
        after = spread(ladder, lifted, table.sets[at], levels[name], stay) + blanked.sum() / max(1, ladder.size)
        found[name] = distance(before_of(table, at) / subjects, after / subjects)
    return found


def over_domain(ladder: Ladder, table: ClassTable, at: int) -> Ladder:
    """The ladder over the domain of the table's column, not yet lifted to sets of values."""
    return ladder if ladder.domain == table.domains[at] else ladder.restricted(table.domains[at])


def before_of(table: ClassTable, at: int) -> Floats:
    """Subjects per value of a column, one with several values counting for an equal part of each."""
    every = np.bincount(table.codes[:, at], minlength=len(table.sets[at])).astype(np.float64)
    code, value = members(table.sets[at])
    return np.bincount(value, (every / np.bincount(code))[code], minlength=len(table.domains[at])).astype(np.float64)


def members(sets: Sequence[tuple[int, ...]]) -> tuple[Ints, Ints]:
    """Every (code, value) of sets of values, one pair to a place."""
    code = np.repeat(np.arange(len(sets)), [len(held) for held in sets])
    return code, np.array([member for held in sets for member in held], dtype=np.int64)


def spread(ladder: Ladder, lifted: Ladder, sets: Sequence[tuple[int, ...]], level: int, stay: Floats) -> Floats:
    """Subjects per value, after those of each code (`stay`) are spread over what their label on this level covers."""
    code, value = members(sets)
    pairs = np.unique(np.stack((code, ladder.codes[level][value]), axis=1), axis=0)
    density = stay / lifted.leaves[level][lifted.codes[level]]
    label = np.bincount(pairs[:, 1], density[pairs[:, 0]], minlength=len(ladder.labels[level]))
    return np.asarray(label[ladder.codes[level]])


def distance(before: Floats, after: Floats) -> float:
    """Total variation; what of `after` is missing to a whole lies on values that nobody had."""
    return float(np.abs(before - after).sum() + max(0.0, 1 - after.sum())) / 2


def association_changes(
    table: ClassTable, ladders: Mapping[str, Ladder], levels: Mapping[str, int], blanked: npt.NDArray[np.bool_]
) -> dict[tuple[str, str], float]:
    """Per pair of quasi-identifiers: Cramér's V as released (the blanked left out) − Cramér's V before.

    V is corrected for its bias (Bergsma, Journal of the Korean Statistical Society 2013), without which fine columns
    of a small study seem associated and every recoding would seem to destroy something.
    """
    lifted = table.lifted(ladders)
    kept = np.bincount(table.of[~blanked], minlength=len(table.weights)).astype(np.float64)
    fine = [table.rows[:, at].astype(np.int64) for at in range(len(table.names))]
    raised = [
        ladder.codes[levels[name]].astype(np.int64)[codes]
        for name, ladder, codes in zip(table.names, lifted, fine, strict=True)
    ]
    whole = table.weights.astype(np.float64)
    return {
        (table.names[a], table.names[b]): cramers_v(raised[a], raised[b], kept) - cramers_v(fine[a], fine[b], whole)
        for a, b in combinations(range(len(table.names)), 2)
    }


def cramers_v(one: Ints, other: Ints, weights: Floats) -> float:
    """Bias-corrected Cramér's V of two columns of codes, 0 to 1; 0 where a column has one value.

    weights: subjects per row.
    """
    total = float(weights.sum())
    rows, columns = np.bincount(one, weights), np.bincount(other, weights)
    height, width = np.count_nonzero(rows), np.count_nonzero(columns)
    if total < 2 or min(height, width) < 2:
        return 0.0
    key = one * len(columns) + other
    if len(rows) * len(columns) > _CELLS:
        used, key = np.unique(key, return_inverse=True)
    else:
        used = np.arange(len(rows) * len(columns))
    held = np.bincount(key, weights, minlength=len(used))
    some = held > 0
    held, used = held[some], used[some]
    squared = float((held**2 / (rows[used // len(columns)] * columns[used % len(columns)])).sum()) - 1
    squared = max(0.0, squared - (height - 1) * (width - 1) / (total - 1))
    narrow = min(n - (n - 1) ** 2 / (total - 1) for n in (height, width)) - 1
    return float(np.sqrt(min(1.0, squared / narrow))) if narrow > 0 else 0.0
