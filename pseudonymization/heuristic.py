"""Many quasi-identifiers: a lattice too large to hold is searched as far as the time allows, and says how far.

The search starts where a path of least loss meets the safeguards and anneals from there (one level up, one down, or one
of each). Its bound: the columns are split into blocks, and no recoding can lose less on a block's columns than the
optimum of the table that has this block alone, with only k and the blanking limit asked for; the sum over the blocks
bounds the whole.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np

from pseudonymization.classes import ClassTable, table_of
from pseudonymization.exact import Search, climb_path
from pseudonymization.hierarchies import Ladder
from pseudonymization.lattice import Lattice, Node
from pseudonymization.objective import Loss, SizeLoss
from pseudonymization.outliers import blanks, needed
from pseudonymization.risk import Limits

_BLOCK = 4_000


class Annealing:
    """A best-effort search over a lattice of any size. `run` leaves the best recoding found in `node` and `best`."""

    def __init__(self, lattice: Lattice, bounds: Limits, sized: SizeLoss | None = None, seed: int = 1) -> None:
        self.lattice, self.limits, self.sized = lattice, bounds, sized
        self.best, self.node = np.inf, lattice.top
        self._known: dict[Node, float] = {}
        self._generator = np.random.default_rng(seed)

    def loss(self, node: Node) -> float:
        """Loss summed over subjects; infinite where the safeguards cannot be met."""
        known = self._known.get(node)
        if known is None:
            grouping = self.lattice.group(node)
            known = np.inf
            if needed(grouping.sizes, self.limits) <= self.limits.blanks:
                view = self.lattice.classes(grouping)
                losses = self.lattice.class_losses(view)
                taken = blanks(view.weights, losses, self.limits)
                if taken is not None and self.sized is not None:
                    known = self.sized.cost(view.weights, taken.taken)
                elif taken is not None:
                    costs = self.lattice.class_costs(view, losses)
                    known = float(view.weights @ costs + taken.taken @ (1 - costs))
            self._known[node] = known
            if known < self.best:
                self.best, self.node = known, node
        return known

    def run(self, deadline: float, progress: Callable[[float, float], None] | None = None) -> None:
        """Search until the deadline (`time.perf_counter`)."""
        began = time.perf_counter()
        self.loss(self.lattice.top)
        self._start()
        here, cost = self.node, self.best
        while (now := time.perf_counter()) < deadline and np.isfinite(self.best):
            spent = (now - began) / max(1e-9, deadline - began)
            warmth = 0.02 * self.lattice.subjects * (1 - spent) ** 2 + 1e-9
            there = self._step(here)
            if there is None:
                return
            other = self.loss(there)
            if other <= cost or self._generator.random() < np.exp((cost - other) / warmth):
                here, cost = there, other
            if cost > 1.1 * self.best or self._generator.random() < 0.002:
                here, cost = self.node, self.best
            if progress is not None:
                progress(spent, self.best / self.lattice.subjects)

    def _start(self) -> None:
        path = climb_path(self.lattice, (0,) * len(self.lattice.shape))
        low, high = 0, len(path) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if np.isfinite(self.loss(path[middle])) else (middle + 1, high)
        for node in path[low :: max(1, (len(path) - low) // 8)]:
            self.loss(node)

    def _step(self, node: Node) -> Node | None:
        """A neighbour: one column a level down, one up, or one of each."""
        levels = list(node)
        down = [c for c, level in enumerate(levels) if level > 0]
        up = [c for c, level in enumerate(levels) if level < self.lattice.top[c]]
        kind = self._generator.integers(3)
        if kind != 1 and down:
            levels[down[self._generator.integers(len(down))]] -= 1
        if kind != 0 and up:
            levels[up[self._generator.integers(len(up))]] += 1
        if not down and not up:
            return None
        return tuple(levels)


class _Relaxed(Search):
    """A search that asks for k and the blanking limit only and completes no blanks: its optimum is a lower bound."""

    def check(self, node: Node) -> bool:
        """As `Search.check`, without step 3 of the blanking rule."""
        grouping = self.lattice.group(node)
        small = grouping.sizes < self.limits.k
        must = int(grouping.sizes[small].sum())
        self.guess.observe(node, must)
        if must > self.limits.blanks:
            self.rule_out(node)
            return False
        view = self.lattice.classes(grouping)
        costs = self.lattice.class_costs(view, self.lattice.class_losses(view))
        self.offer(node, float(view.weights @ costs + view.weights[small] @ (1 - costs[small])))
        self.learn(grouping, small)
        self.settle(node, must)
        return True


def lower_bound(
    table: ClassTable,
    ladders: Sequence[Ladder],
    weights: Sequence[float],
    allowed: Sequence[Sequence[int]],
    bounds: Limits,
    deadline: float,
    loss: Loss = Loss.GRANULARITY,
) -> float:
    """No full-domain recoding loses less than this (mean over all cells), see the module's text.

    loss: one that is a sum over cells.
    """
    total, whole = 0.0, sum(weights) or 1.0
    for block in _blocks([len(levels) for levels in allowed]):
        part = table_of(
            table.subjects,
            [table.names[c] for c in block],
            np.ascontiguousarray(table.codes[:, block]),
            [table.domains[c] for c in block],
            [table.sets[c] for c in block],
        )
        share = [weights[c] for c in block]
        if sum(share) == 0:
            continue
        lattice = Lattice(part, [ladders[c] for c in block], share, [allowed[c] for c in block], loss)
        search = _Relaxed(lattice, bounds)
        proven = search.run(deadline)
        least = search.best if proven else min(search.best, float(search.bound.min()))
        if np.isfinite(least):
            total += least / lattice.subjects * sum(share) / whole
    return total


def _blocks(levels: Sequence[int]) -> list[list[int]]:
    """Columns in blocks whose lattices stay small."""
    found: list[list[int]] = [[]]
    size = 1
    for c, count in enumerate(levels):
        if found[-1] and size * count > _BLOCK:
            found.append([])
            size = 1
        found[-1].append(c)
        size *= count
    return [block for block in found if block]
