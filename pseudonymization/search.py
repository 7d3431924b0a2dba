"""The cheapest recoding that meets the safeguards: full-domain, proven optimal.

The search keeps, for every node of the lattice, a lower bound of its loss. A checked node tells about all nodes below
it: if it must blank too many subjects, so must they; the subjects it must blank, they must blank too, and what that
costs them is a sum of one term per column. The node with the least bound is settled next; when the least bound is no
less than the best loss found, that recoding is proven optimal.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pseudonymization.classes import ClassTable
from pseudonymization.faults import Unreachable, Unresolved
from pseudonymization.hierarchies import Ladder
from pseudonymization.lattice import Grouping, Lattice, Node
from pseudonymization.outliers import among, blanks, needed
from pseudonymization.risk import Limits, limits
from pseudonymization.safeguards import Safeguards

Floats = npt.NDArray[np.float64]
LARGEST = 20_000_000


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
    """One search over one lattice. `run` settles it; `progress` is told (share of the lattice settled, best loss)."""

    def __init__(self, lattice: Lattice, bounds: Limits, alive: npt.NDArray[np.bool_]) -> None:
        self.lattice, self.limits, self.alive = lattice, bounds, alive
        self.bound: Floats = np.where(alive, lattice.bounds(), np.inf)
        self.best, self.node = np.inf, lattice.top
        self.settled: set[Node] = set()

    def check(self, node: Node) -> bool:
        """Count a node, learn from it; False if it (and so all below) must blank too many."""
        self.settled.add(node)
        grouping = self.lattice.group(node)
        must = needed(grouping.sizes, self.limits)
        if must > self.limits.blanks:
            self.bound[self._below(node)] = np.inf
            return False
        view = self.lattice.classes(grouping)
        losses = self.lattice.class_losses(view)
        taken = blanks(view.weights, losses, self.limits)
        if taken is None:
            self.bound[node] = np.inf
            return True
        self._learn(grouping)
        allowed = np.isfinite(self.bound[node])
        exact = float(view.weights @ losses + taken.taken @ (1 - losses))
        if allowed and exact < self.best:
            self.best, self.node = exact, node
        self.bound[node] = np.inf
        return True

    def _below(self, node: Node) -> tuple[slice, ...]:
        return tuple(slice(0, level + 1) for level in node)

    def _learn(self, grouping: Grouping) -> None:
        """Raise the bounds of all nodes below: whom this node must blank, they must blank too."""
        node, view = grouping.node, grouping.view
        if grouping.group is None:
            return
        if grouping.keys is not None:
            sizes = np.zeros(int(grouping.keys[-1]) + 1)
            sizes[grouping.keys] = grouping.sizes
        else:
            sizes = grouping.sizes
        rows = np.flatnonzero(sizes[grouping.group] < self.limits.k)
        if len(rows) == 0:
            return
        total = np.full((), view.weights[rows].sum())
        for c, level in enumerate(node):
            known = [self.lattice.loss_sums(view, c, at, rows) for at in range(view.node[c], level + 1)]
            spent = np.array(known[:1] * view.node[c] + known)
            total = np.add.outer(total, self.lattice.base[c][: level + 1] - spent)
        box = self.bound[self._below(node)]
        np.maximum(box, total, out=box)

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

    def run(self, deadline: float | None = None, progress: Callable[[float, float], None] | None = None) -> bool:
        """Search until proven (True) or out of time (False)."""
        while True:
            at = int(self.bound.argmin())
            if not self.bound.flat[at] < self.best - 1e-9:
                return True
            if deadline is not None and time.perf_counter() > deadline:
                return False
            start: Node = tuple(int(i) for i in np.unravel_index(at, self.bound.shape))
            if progress is not None:
                progress(1 - float(np.count_nonzero(self.bound < self.best)) / self.bound.size, self.best)
            path = self.climb(start)
            low, high = 0, len(path) - 1
            while low < high:
                middle = (low + high) // 2
                if self.check(path[middle]):
                    high = middle
                else:
                    low = middle + 1
            if path[low] not in self.settled:
                self.check(path[low])


def optimal(
    table: ClassTable,
    ladders: Mapping[str, Ladder],
    safeguards: Safeguards,
    *,
    weights: Mapping[str, float] | None = None,
    fixed: Mapping[str, int] | None = None,
    forbidden: Mapping[str, Sequence[int]] | None = None,
    budget_seconds: float | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Found:
    """The full-domain recoding of least loss under which the safeguards hold, the blanked subjects included.

    weights: how much each column's loss counts (default 1). fixed: columns held at one level. forbidden: levels that
    must not leave. budget_seconds: stop then with the best found; `proven_optimal` is False in that case.

    Raises:
        Unreachable: no allowed recoding meets the safeguards. Unresolved: a hierarchy, weight or level does not fit.
    """
    began = time.perf_counter()
    lifted = table.lifted(ladders)
    lattice = Lattice(table, lifted, _weights(table.names, weights or {}))
    if lattice.size > LARGEST:
        raise Unresolved("the lattice is too large for a proven optimum", cure="fix levels or use the heuristic search")
    alive = _allowed(table.names, lifted, fixed or {}, forbidden or {})
    search = Search(lattice, limits(safeguards, lattice.subjects), alive)
    proven = search.run(None if budget_seconds is None else began + budget_seconds, progress)
    if not np.isfinite(search.best):
        raise _unreachable(search, safeguards, proven=proven)
    grouping, codes = lattice.subject_codes(table, search.node)
    losses = lattice.class_losses(lattice.classes(grouping, keep=False))
    taken = blanks(grouping.sizes, losses, search.limits)
    mask = np.zeros(lattice.subjects, dtype=bool) if taken is None else among(codes, taken.taken)
    least = search.best if proven else min(search.best, float(search.bound.min()))
    return Found(
        levels=dict(zip(table.names, search.node, strict=True)),
        blanked=mask,
        loss=search.best / lattice.subjects,
        bound=least / lattice.subjects,
        proven_optimal=proven,
        nodes_checked=lattice.checked,
        lattice=lattice.size,
        seconds=time.perf_counter() - began,
    )


def _weights(names: Sequence[str], weights: Mapping[str, float]) -> list[float]:
    found = [float(weights.get(name, 1.0)) for name in names]
    if set(weights) - set(names) or min(found, default=1.0) < 0 or not 0 < sum(found, 0.0 if found else 1.0) < np.inf:
        raise Unresolved(
            "a weight is below zero, or names no quasi-identifier", cure="weigh quasi-identifiers, from 0 up"
        )
    return found


def _allowed(
    names: Sequence[str],
    ladders: Sequence[Ladder],
    fixed: Mapping[str, int],
    forbidden: Mapping[str, Sequence[int]],
) -> npt.NDArray[np.bool_]:
    if (set(fixed) | set(forbidden)) - set(names):
        raise Unresolved("a level is fixed or forbidden for a column that is no quasi-identifier")
    total = np.ones((), dtype=bool)
    for name, ladder in zip(names, ladders, strict=True):
        levels = np.arange(ladder.height + 1)
        good = (levels >= ladder.floor) & ~np.isin(levels, list(forbidden.get(name, ())))
        if name in fixed:
            good &= levels == fixed[name]
        if not good.any():
            raise Unresolved(f"no level of `{name}` is allowed", cure="allow one of the levels of its hierarchy")
        total = np.logical_and.outer(total, good)
    return total


def _unreachable(search: Search, safeguards: Safeguards, *, proven: bool) -> Unreachable:
    """What the coarsest allowed recoding can reach, one demand loosened at a time."""
    if not proven:
        return Unreachable("no recoding was found in the time allowed", cure="allow the search more time")
    lattice, allowed = search.lattice, np.argwhere(search.alive)
    view = lattice.classes(lattice.group(tuple(int(i) for i in allowed.max(axis=0))), keep=False)
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
    risk = safeguards.attempt * len(view.weights) / lattice.subjects
    if reaches(replace(safeguards, average_risk=1.0)):
        nearest["average_risk"] = risk
    said = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in nearest.items())
    return Unreachable(
        "no allowed recoding meets the safeguards",
        nearest=nearest,
        cure=f"loosen one of: {said}" if said else "allow coarser levels, or fewer quasi-identifiers",
    )
