"""Privacy models on a sensitive attribute: what each class must still look like, beyond its size.

A model judges classes by the counts of their sensitive values. A class that fails is blanked whole; the blanked are a
class too, and must pass as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pseudonymization.faults import Unresolved
from pseudonymization.hierarchies import Ladder

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
_SLACK = 1e-12
_CELLS = 4_000_000
_STEPS = 4


class Model(Protocol):
    """A demand on the sensitive values of each class.

    column: the sensitive attribute.
    """

    @property
    def column(self) -> str:
        """The sensitive attribute judged."""
        ...

    def fails(self, counts: Floats, overall: Floats) -> Flags:
        """Which classes fail. counts: classes × values; overall: subjects per value in the whole table."""
        ...

    def most(self, counts: Floats, overall: Floats) -> Floats:
        """Of classes that fail: the most subjects that can stay once the class is split into parts that all pass.

        An upper bound, by which a search prunes: 0 says that every part of a failing class fails too, the size of the
        class says that nothing is known.
        """
        ...


@dataclass(frozen=True, slots=True)
class DistinctL:
    """At least `l` different sensitive values in each class (Machanavajjhala et al., TKDD 2007)."""

    column: str
    l: int  # noqa: E741 - the model's own name

    def fails(self, counts: Floats, overall: Floats) -> Flags:  # noqa: ARG002 - judged without the whole table
        """Fewer than `l` values occur."""
        return np.asarray((counts > 0).sum(axis=1) < self.l)

    def most(self, counts: Floats, overall: Floats) -> Floats:  # noqa: ARG002 - judged without the whole table
        """A part has no value that the whole lacks, so nobody can stay."""
        return np.zeros(len(counts))


@dataclass(frozen=True, slots=True)
class EntropyL:
    """Entropy of the sensitive values of each class at least log `l` (Machanavajjhala et al., TKDD 2007)."""

    column: str
    l: float  # noqa: E741 - the model's own name

    def fails(self, counts: Floats, overall: Floats) -> Flags:  # noqa: ARG002 - judged without the whole table
        """The entropy is below log `l`."""
        return np.asarray(entropy(counts) < np.log(self.l) - _SLACK)

    def most(self, counts: Floats, overall: Floats) -> Floats:  # noqa: ARG002 - judged without the whole table
        """Nothing is known of the parts."""
        return np.asarray(counts.sum(axis=1))


@dataclass(frozen=True, slots=True)
class RecursiveL:
    """Recursive (c, l)-diversity: r₁ < c (r_l + … + r_m), counts in descending order (TKDD 2007)."""

    column: str
    c: float
    l: int  # noqa: E741 - the model's own name

    def fails(self, counts: Floats, overall: Floats) -> Flags:  # noqa: ARG002 - judged without the whole table
        """The commonest value is too common beside the rare ones."""
        ranked = -np.sort(-counts, axis=1)
        return np.asarray(ranked[:, 0] >= self.c * ranked[:, self.l - 1 :].sum(axis=1) - _SLACK)

    def most(self, counts: Floats, overall: Floats) -> Floats:  # noqa: ARG002 - judged without the whole table
        """Nothing is known of the parts."""
        return np.asarray(counts.sum(axis=1))


@dataclass(frozen=True, slots=True)
class LeastSize:
    """Different thresholds for different subjects: each class holds as many as its strictest member demands.

    column: an attribute whose codes stand for demands (a jurisdiction, say); least: smallest class per code.
    """

    column: str
    least: tuple[int, ...]

    def fails(self, counts: Floats, overall: Floats) -> Flags:  # noqa: ARG002 - judged without the whole table
        """The class is smaller than one of its members demands."""
        strictest = np.where(counts > 0, np.array(self.least), 0).max(axis=1)
        return np.asarray(counts.sum(axis=1) < strictest)

    def most(self, counts: Floats, overall: Floats) -> Floats:  # noqa: ARG002 - judged without the whole table
        """Nothing is known of the parts."""
        return np.asarray(counts.sum(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class TCloseness:
    """Distance of each class's sensitive values from the whole table's at most `t` (Li, Li, Venkatasubramanian 2007).

    distance: `equal` (variational), `ordered` (values in domain order, steps of equal length) or `hierarchical` (over
    `ladder`, whose domain is the sensitive attribute's).
    """

    column: str
    t: float
    distance: str = "equal"
    ladder: Ladder | None = None

    def __post_init__(self) -> None:
        if self.distance not in {"equal", "ordered", "hierarchical"}:
            raise Unresolved("t-closeness knows no such distance", cure="use equal, ordered or hierarchical")
        if (self.distance == "hierarchical") != (self.ladder is not None):
            raise Unresolved("the hierarchical distance, and no other, needs a hierarchy of the sensitive attribute")

    def fails(self, counts: Floats, overall: Floats) -> Flags:
        """The distance is above `t`."""
        return np.asarray(self.distances(counts, overall) > self.t + _SLACK)

    def distances(self, counts: Floats, overall: Floats) -> Floats:
        """The distance of each class from the whole table, from 0 to 1."""
        apart = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) - overall / max(1.0, overall.sum())
        if self.distance == "ordered":
            return np.asarray(np.abs(np.cumsum(apart, axis=1))[:, :-1].sum(axis=1) / max(1, apart.shape[1] - 1))
        if self.ladder is None:
            return np.asarray(np.abs(apart).sum(axis=1) / 2)
        total = np.zeros(len(counts))
        for level in range(1, self.ladder.height + 1):
            parents = np.zeros(len(self.ladder.labels[level - 1]), dtype=np.int64)
            parents[self.ladder.codes[level - 1]] = self.ladder.codes[level]
            below = _onto(apart, self.ladder.codes[level - 1], len(parents))
            more, less = (
                _onto(side, parents, len(self.ladder.labels[level])) for side in (below.clip(0), -below.clip(None, 0))
            )
            total += level / self.ladder.height * np.minimum(more, less).sum(axis=1)
        return total

    def most(self, counts: Floats, overall: Floats) -> Floats:
        """The distance is convex: parts that pass, taken together, pass. So: the largest subset of the class that can.

        A subset of r subjects has no more than the class's own count of each value (of each side of a cut in the
        order, of each branch of the hierarchy), so what it lacks of the whole table's share stays at least
        share − count / r. The sum of this is convex in 1 / r; Newton's steps from the whole class come near the
        largest r that fits from above, so that wherever they end, r is an upper bound.
        """
        held, shares = self._sides(counts), self._sides(overall[None, :] / max(1.0, overall.sum()))[0]
        scale = {"equal": 1, "ordered": max(1, counts.shape[1] - 1)}.get(self.distance)
        scale = scale or (self.ladder.height if self.ladder is not None else 1)
        sizes = counts.sum(axis=1)
        found, open_ = 1 / np.maximum(sizes, 1), np.arange(len(counts))
        for _ in range(_STEPS):
            here, own = found[open_], held[open_]
            lacking = shares - own * here[:, None]
            if self.distance == "ordered":
                half = lacking.shape[1] // 2
                first = lacking[:, :half] >= lacking[:, half:]
                lacking = np.maximum(lacking[:, :half], lacking[:, half:])
                own = np.where(first, own[:, :half], own[:, half:])
            falls = lacking > 0
            over = np.where(falls, lacking, 0).sum(axis=1) / scale - self.t - _SLACK
            going = over > 0
            if not going.any():
                break
            slope = np.where(falls, own, 0).sum(axis=1) / scale
            found[open_[going & (slope == 0)]] = np.inf
            going &= slope > 0
            open_ = open_[going]
            found[open_] += over[going] / slope[going]
        return np.asarray(np.floor(1 / found + 1e-6))

    def _sides(self, counts: Floats) -> Floats:
        """Counts per value; both sides of every cut in the order; or every branch below the root of the hierarchy."""
        if self.distance == "ordered":
            below = np.cumsum(counts, axis=1)[:, :-1]
            return np.concatenate((below, counts.sum(axis=1, keepdims=True) - below), axis=1)
        if self.ladder is None:
            return counts
        levels = range(self.ladder.height)
        return np.concatenate(
            [_onto(counts, self.ladder.codes[at], len(self.ladder.labels[at])) for at in levels], axis=1
        )


def _onto(counts: Floats, codes: npt.NDArray[Any], width: int) -> Floats:
    """Columns added up by the label above them; few columns, so they are added one by one."""
    found = np.zeros((width, len(counts)))
    for column, code in zip(counts.T, codes.tolist(), strict=True):
        found[code] += column
    return found.T


def entropy(counts: Floats) -> Floats:
    """Natural entropy of each row of counts."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return np.asarray(-(share * np.log(np.where(share > 0, share, 1))).sum(axis=1))


class Judge:
    """Judges classes by all models at once, over the joint code of all sensitive attributes.

    sensitive: per attribute, one code per subject. joint: one code per subject, `width` of them, that stands for the
    combination of all attributes.
    """

    def __init__(self, models: Sequence[Model], sensitive: dict[str, tuple[npt.NDArray[Any], int]]) -> None:
        absent = {model.column for model in models} - set(sensitive)
        if absent:
            raise Unresolved("a model judges a column that is no sensitive attribute of the table")
        self.models = list(models)
        columns = [codes.astype(np.int64) for codes, _ in sensitive.values()]
        found, joint = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
        self.joint, self.width = joint.reshape(-1).astype(np.int64), len(found)
        self._values = {name: (found[:, at], sensitive[name][1]) for at, name in enumerate(sensitive)}
        self._overall = {
            name: np.bincount(codes, minlength=width).astype(np.float64) for name, (codes, width) in sensitive.items()
        }

    def failing(
        self, of: npt.NDArray[Any], joint: npt.NDArray[Any], weights: Floats, sizes: Floats
    ) -> tuple[Flags, Floats]:
        """(classes that fail some model, subjects of each who must be blanked here and under every finer recoding).

        of, joint, weights: class, joint sensitive code and subjects of each row, rows in class order; sizes: subjects
        per class.
        """
        count = len(sizes)
        fails, gone = np.zeros(count, dtype=bool), np.zeros(count)
        for model in self.models:
            overall = self._overall[model.column]
            step = max(1, _CELLS // max(1, len(overall)))
            for low in range(0, count, step):
                high = min(count, low + step)
                first, last = np.searchsorted(of, (low, high))
                counts = self._counts(model, of[first:last] - low, joint[first:last], weights[first:last], high - low)
                bad = model.fails(counts, overall)
                fails[low:high] |= bad
                places = low + np.flatnonzero(bad)
                gone[places] = np.maximum(gone[places], sizes[places] - model.most(counts[bad], overall))
        return fails, gone

    def _counts(
        self, model: Model, of: npt.NDArray[Any], joint: npt.NDArray[Any], weights: Floats, classes: int
    ) -> Floats:
        """Subjects per class and sensitive value of the model's column."""
        values, width = self._values[model.column]
        cells = of * width + values[joint]
        counts = np.bincount(cells, weights, minlength=classes * width)
        return counts.reshape(classes, width).astype(np.float64, copy=False)

    def passes(self, joint: npt.NDArray[Any], weights: Floats) -> bool:
        """Whether these rows, taken as one class, pass every model."""
        if weights.sum() == 0:
            return True
        alone = np.zeros(len(joint), dtype=np.int64)
        return not any(
            model.fails(self._counts(model, alone, joint, weights, 1), self._overall[model.column])[0]
            for model in self.models
        )
