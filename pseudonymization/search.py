"""The cheapest recoding that meets the safeguards: full-domain, proven optimal.

The search keeps, for every node of the lattice, a lower bound of its loss. A checked node tells about all nodes below
it: if it must blank too many subjects, so must they; the subjects it must blank, they must blank too, and what that
costs them is a sum of one term per column. When the least bound is no less than the best loss found, that recoding is
proven optimal. Which node to check next is a guess (`expectation`); the proof does not rest on it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pseudonymization.classes import ClassTable, table_of
from pseudonymization.expectation import Expectation
from pseudonymization.faults import Unreachable, Unresolved
from pseudonymization.hierarchies import Ladder, of_labels
from pseudonymization.lattice import Grouping, Lattice, Node, View, outer_sum
from pseudonymization.models import Judge, Model
from pseudonymization.outliers import among, blanks, needed
from pseudonymization.risk import Limits, limits
from pseudonymization.safeguards import Safeguards

Floats = npt.NDArray[np.float64]
Progress = Callable[[float, float], None]
LARGEST = 20_000_000
_WIDE = 60_000


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a search found.

    levels: the level of each quasi-identifier. blanked: per subject, whether its cells are blanked. loss: mean over
    all quasi-identifier cells of (leaves covered − 1) / (leaves − 1), weighted by column, a blanked cell counting 1;
    granularity is 1 − loss. bound: no recoding can lose less; equal to the loss where proven optimal.
    """

    levels: Mapping[str, int]
    blanked: npt.NDArray[np.bool_]
    loss: float
    bound: float
    proven_optimal: bool
    nodes_checked: int
    lattice: int
    seconds: float


class Search:
    """One search over one lattice. `run` settles it.

    bound: per node, the least loss (summed over subjects) it can have; infinite once it is settled or impossible.
    most: per node, how many subjects it must blank at most, for all that is known.
    """

    def __init__(self, lattice: Lattice, bounds: Limits) -> None:
        self.lattice, self.limits = lattice, bounds
        self.bound: Floats = lattice.bounds()
        self.best, self.node = np.inf, lattice.top
        self.most = np.full(lattice.shape, np.inf)
        self.alive_below: npt.NDArray[np.int32] | None = None
        self.guess = Expectation(lattice.entropies(), lattice.subjects)
        self._stale = 0
        self.caution = 1.0

    def check(self, node: Node) -> bool:
        """Count a node, learn from it; False if it (and so all below) must blank too many."""
        grouping = self.lattice.group(node)
        must = needed(grouping.sizes, self.limits)
        self.guess.observe(node, must)
        if must > self.limits.blanks:
            self.bound[_below(node)] = np.inf
            if 4 * len(grouping.sizes) < len(grouping.view.weights):
                self.lattice.classes(grouping)
            return False
        view = self.lattice.classes(grouping)
        losses = self.lattice.class_losses(view)
        taken = blanks(view.weights, losses, self.limits)
        if taken is not None:
            self.offer(node, float(view.weights @ losses + taken.taken @ (1 - losses)))
        self._learn(grouping, grouping.sizes < self.limits.k)
        self._settle(node, must)
        return True

    def offer(self, node: Node, loss: float) -> None:
        """Take a recoding that meets the safeguards, if it is the best so far."""
        if loss < self.best:
            self.best, self.node = loss, node

    def _settle(self, node: Node, must: int) -> None:
        self.bound[node] = np.inf
        above = self.most[_above(node)]
        np.minimum(above, must, out=above)

    def mask(self, table: ClassTable) -> npt.NDArray[np.bool_]:
        """Per subject, whether the best recoding blanks its cells."""
        grouping, codes = self.lattice.subject_classes(table, self.node)
        losses = self.lattice.class_losses(self.lattice.classes(grouping, keep=False))
        taken = blanks(grouping.sizes, losses, self.limits)
        return np.zeros(len(codes), dtype=bool) if taken is None else among(codes, taken.taken)

    def _learn(self, grouping: Grouping, small: npt.NDArray[np.bool_]) -> None:
        """Raise the bounds of all nodes below: whom this node must blank, they must blank too."""
        if not small.any():
            return
        node, view, lattice = grouping.node, grouping.view, self.lattice
        rows = grouping.rows_of(small)
        parts = [lattice.base[c][: level + 1] - lattice.loss_sums(view, c, level, rows) for c, level in enumerate(node)]
        box = self.bound[_below(node)]
        np.maximum(box, outer_sum(parts) + grouping.sizes[small].sum(), out=box)

    def climb(self, node: Node) -> list[Node]:
        """A path from a node to the top: each step is the one that adds least to the loss."""
        path, here = [node], list(node)
        while tuple(here) != self.lattice.top:
            steps = [
                (base[level + 1] - base[level], c)
                for c, (level, base) in enumerate(zip(here, self.lattice.base, strict=True))
                if level + 1 < self.lattice.shape[c]
            ]
            here[min(steps)[1]] += 1
            path.append(tuple(here))
        return path

    def probe(self, node: Node) -> None:
        """Find by halving the lowest node on a path to the top that blanks few: a first answer, and much learnt."""
        path = self.climb(node)
        low, high = 0, len(path)
        while low < high:
            middle = (low + high) // 2
            passes = self.check(path[middle]) and self.most[path[middle]] <= 0.1 * self.lattice.subjects
            low, high = (low, middle) if passes else (middle + 1, high)

    def run(self, deadline: float | None = None, progress: Progress | None = None) -> bool:
        """Search until proven (True) or out of time (False). `progress` is told (share settled, least loss so far)."""
        self.probe((0,) * len(self.lattice.shape))
        while True:
            at = int(self.bound.argmin())
            if not self.bound.flat[at] < self.best - 1e-9:
                return True
            if deadline is not None and time.perf_counter() > deadline:
                return False
            if progress is not None:
                share = float(np.count_nonzero(self.bound < self.best)) / self.bound.size
                progress(1 - share, self.best / self.lattice.subjects)
            lowest: Node = tuple(int(i) for i in np.unravel_index(at, self.bound.shape))
            if self.most[_above(lowest)].size > _WIDE:
                self.probe(lowest)
            else:
                node = self._choose(lowest)
                self.check(node)
                if node != lowest:
                    failed = self.bound[lowest] < self.best
                    self.caution = min(8.0, self.caution * 1.1) if failed else max(1.0, self.caution / 1.05)

    def _choose(self, lowest: Node) -> Node:
        """The node above `lowest` that is likely to rule it out, and many others with it; or `lowest` itself."""
        least, subjects = float(self.bound[lowest]), self.lattice.subjects
        room = self.caution * (self.best - least) / max(1.0, subjects - least)
        share = min(self.limits.blanks / subjects, room)
        box = _above(lowest)
        chance = self.guess.chance(lowest, share)
        chance *= (self.most[box] > share * subjects) & np.isfinite(self.bound[box])
        score = chance * self._below_alive()[box]
        at = int(score.argmax())
        if score.flat[at] < 3.0:
            return lowest
        return tuple(int(i) + low for i, low in zip(np.unravel_index(at, score.shape), lowest, strict=True))

    def _below_alive(self) -> npt.NDArray[np.int32]:
        """For every node, how many nodes at or below it are still open; renewed now and then."""
        if self.alive_below is None or self._stale > max(4, self.bound.size // 2000):
            total = (self.bound < self.best).astype(np.int32)
            for axis in range(total.ndim):
                np.cumsum(total, axis=axis, out=total)
            self.alive_below, self._stale = total, 0
        self._stale += 1
        return self.alive_below


class ModelledSearch(Search):
    """A search under models on sensitive attributes, which stand as a hidden last column that is never recoded.

    Only failures that all parts of a class inherit may prune; the others are found when a node is checked.
    """

    def __init__(self, lattice: Lattice, bounds: Limits, judge: Judge) -> None:
        super().__init__(lattice, bounds)
        self.judge = judge

    def check(self, node: Node) -> bool:
        """As `Search.check`, with classes that fail a model blanked too, and the blanked judged as a class."""
        grouping = self.lattice.group(node)
        view = self.lattice.classes(grouping)
        of, sizes = _collapse(view)
        fails, lasting = self.judge.failing(of, view.columns[-1], view.weights, len(sizes))
        must = needed(sizes, self.limits, lasting)
        self.guess.observe(node, must)
        if must > self.limits.blanks:
            self.bound[_below(node)] = np.inf
            return False
        losses = self.lattice.class_losses(view)[np.searchsorted(of, np.arange(len(sizes)))]
        taken = self._taken(view, of, sizes, losses, fails)
        if taken is not None:
            self.offer(node, float(sizes @ losses + taken @ (1 - losses)))
        self._learn(grouping, ((sizes < self.limits.k) | lasting)[of])
        self._settle(node, must)
        return True

    def _taken(
        self, view: View, of: npt.NDArray[Any], sizes: Floats, losses: Floats, fails: npt.NDArray[np.bool_]
    ) -> Floats | None:
        found = blanks(sizes, losses, self.limits, bad=fails)
        if found is None:
            return None
        gone = found.taken[of] > 0
        return found.taken if self.judge.passes(view.columns[-1][gone], view.weights[gone]) else None

    def mask(self, table: ClassTable) -> npt.NDArray[np.bool_]:
        """Per subject, whether the best recoding blanks its cells."""
        grouping = self.lattice.group(self.node, self.lattice.bottom)
        view = self.lattice.classes(grouping, keep=False)
        of, sizes = _collapse(view)
        fails, _ = self.judge.failing(of, view.columns[-1], view.weights, len(sizes))
        losses = self.lattice.class_losses(view)[np.searchsorted(of, np.arange(len(sizes)))]
        taken = self._taken(view, of, sizes, losses, fails)
        rows = of[grouping.group()][hidden(table, self.judge).of]
        return np.zeros(len(rows), dtype=bool) if taken is None else taken[rows] > 0


def _collapse(view: View) -> tuple[npt.NDArray[np.int64], Floats]:
    """(class of each row, subjects per class) of a view whose last column is hidden; rows are in class order."""
    change = np.zeros(len(view.weights), dtype=bool)
    for column in view.columns[:-1]:
        change[1:] |= column[1:] != column[:-1]
    of = np.cumsum(change)
    return of, np.bincount(of, view.weights).astype(np.float64)


def hidden(table: ClassTable, judge: Judge) -> ClassTable:
    """The class table with the joint sensitive code as a last column."""
    codes = np.concatenate([table.codes, judge.joint[:, None].astype(np.int32)], axis=1)
    domains = [*table.domains, tuple(str(at) for at in range(judge.width))]
    sets = [*table.sets, tuple((at,) for at in range(judge.width))]
    return table_of(table.subjects, [*table.names, ""], codes, domains, sets)


def hidden_ladder(judge: Judge) -> Ladder:
    """The ladder of the hidden column, of which only level 0 is used."""
    domain = [str(at) for at in range(judge.width)]
    return of_labels("", domain, [domain, ["*"] * len(domain)], ("hidden", "none"))


def _below(node: Node) -> tuple[slice, ...]:
    return tuple(slice(0, level + 1) for level in node)


def _above(node: Node) -> tuple[slice, ...]:
    return tuple(slice(level, None) for level in node)


def optimal(
    table: ClassTable,
    ladders: Mapping[str, Ladder],
    safeguards: Safeguards,
    *,
    weights: Mapping[str, float] | None = None,
    fixed: Mapping[str, int] | None = None,
    forbidden: Mapping[str, Sequence[int]] | None = None,
    models: Sequence[Model] = (),
    sensitive: Mapping[str, tuple[npt.NDArray[Any], int]] | None = None,
    budget_seconds: float | None = None,
    progress: Progress | None = None,
) -> Found:
    """The full-domain recoding of least loss under which the safeguards hold, the blanked subjects included.

    weights: how much each column's loss counts (default 1). fixed: columns held at one level. forbidden: levels that
    must not leave. models: demands on sensitive attributes, which every class must meet, also that of the blanked;
    sensitive: per attribute a code per subject and the number of codes. budget_seconds: stop then with the best
    found; `proven_optimal` is False in that case.

    Raises:
        Unreachable: no allowed recoding meets the safeguards. Unresolved: a hierarchy, weight or level does not fit.
    """
    began = time.perf_counter()
    lifted = table.lifted(ladders)
    allowed = _allowed(table.names, lifted, fixed or {}, forbidden or {})
    judge = Judge(models, dict(sensitive or {})) if models else None
    shares = _weights(table.names, weights or {})
    if judge is None:
        lattice = Lattice(table, lifted, shares, allowed)
    else:
        lattice = Lattice(hidden(table, judge), [*lifted, hidden_ladder(judge)], [*shares, 0.0], [*allowed, [0]])
    if lattice.size > LARGEST:
        cure = "fix or forbid levels, or use the heuristic search"
        raise Unresolved("the lattice is too large for a proven optimum", cure=cure)
    bounds = limits(safeguards, lattice.subjects)
    search = Search(lattice, bounds) if judge is None else ModelledSearch(lattice, bounds, judge)
    proven = search.run(None if budget_seconds is None else began + budget_seconds, progress)
    if not np.isfinite(search.best):
        raise _unreachable(search, safeguards, proven=proven)
    least = search.best if proven else min(search.best, float(search.bound.min()))
    return Found(
        levels={name: allowed[c][level] for c, (name, level) in enumerate(zip(table.names, search.node, strict=False))},
        blanked=search.mask(table),
        loss=search.best / lattice.subjects,
        bound=least / lattice.subjects,
        proven_optimal=proven,
        nodes_checked=lattice.checked,
        lattice=lattice.size,
        seconds=time.perf_counter() - began,
    )


def _weights(names: Sequence[str], weights: Mapping[str, float]) -> list[float]:
    found = [float(weights.get(name, 1.0)) for name in names]
    if set(weights) - set(names) or (found and not (min(found) >= 0 and 0 < sum(found) < np.inf)):
        cure = "weigh quasi-identifiers only, from 0 up, not all of them 0"
        raise Unresolved("a weight is below zero, or names no quasi-identifier", cure=cure)
    return found


def _allowed(
    names: Sequence[str], ladders: Sequence[Ladder], fixed: Mapping[str, int], forbidden: Mapping[str, Sequence[int]]
) -> list[list[int]]:
    if (set(fixed) | set(forbidden)) - set(names):
        raise Unresolved("a level is fixed or forbidden for a column that is no quasi-identifier")
    found = []
    for name, ladder in zip(names, ladders, strict=True):
        barred = forbidden.get(name, ())
        levels = [at for at in range(ladder.floor, ladder.height + 1) if at not in barred and fixed.get(name, at) == at]
        if not levels:
            raise Unresolved(f"no level of `{name}` is allowed", cure="allow one of the levels of its hierarchy")
        found.append(levels)
    return found


def _unreachable(search: Search, safeguards: Safeguards, *, proven: bool) -> Unreachable:
    """What the coarsest allowed recoding can reach, one demand loosened at a time."""
    if not proven:
        return Unreachable("no recoding was found in the time allowed", cure="allow the search more time")
    lattice = search.lattice
    view = lattice.classes(lattice.group(lattice.top), keep=False)
    losses, nearest = lattice.class_losses(view), dict[str, float]()

    def reaches(changed: Safeguards) -> bool:
        return blanks(view.weights, losses, limits(changed, lattice.subjects)) is not None

    loose = blanks(view.weights, losses, limits(replace(safeguards, blank_limit=1.0), lattice.subjects))
    if loose is not None:
        nearest["blank_limit"] = loose.total / lattice.subjects
    low, high = 0, safeguards.k
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if reaches(replace(safeguards, k=middle)) else (low, middle)
    if low:
        nearest["k"] = low
    if reaches(replace(safeguards, average_risk=1.0)):
        nearest["average_risk"] = safeguards.attempt * len(view.weights) / lattice.subjects
    said = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in nearest.items())
    return Unreachable(
        "no allowed recoding meets the safeguards",
        nearest=nearest,
        cure=f"loosen one of: {said}" if said else "allow coarser levels, or fewer quasi-identifiers",
    )
