"""The exact search: every node of a lattice settled, by counting it or by what the counted ones say.

The search keeps, for every node of the lattice, a lower bound of its loss. A checked node tells about all nodes below
it: if it must blank too many subjects, so must they; the subjects it must blank, they must blank too, and what that
costs them is a sum of one term per column. When the least bound is no less than the best loss found, that recoding is
proven optimal. Which node to check next is a guess (`expectation`); the proof does not rest on it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pseudonymization.classes import ClassTable, table_of
from pseudonymization.expectation import Expectation
from pseudonymization.hierarchies import Ladder, of_labels
from pseudonymization.lattice import Grouping, Lattice, Node, View, outer_sum
from pseudonymization.models import Judge
from pseudonymization.objective import SizeLoss
from pseudonymization.outliers import among, blanks, needed
from pseudonymization.people import Crowd
from pseudonymization.risk import Limits

Floats = npt.NDArray[np.float64]
Progress = Callable[[float, float], None]
_WIDE = 60_000


class Search:
    """One search over one lattice. `run` settles it.

    bound: per node, the least loss (summed over subjects) it can have; infinite once it is settled or impossible.
    most: per node, how many subjects it must blank at most, for all that is known. sized: minimise this loss of class
    sizes, not the lattice's costs.
    """

    def __init__(self, lattice: Lattice, bounds: Limits, sized: SizeLoss | None = None) -> None:
        self.lattice, self.limits, self.sized = lattice, bounds, sized
        self.bound: Floats = lattice.bounds() if sized is None else np.zeros(lattice.shape)
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
        if self.sized is not None:
            self.learn_sizes(node, grouping.sizes, np.where(grouping.sizes < self.limits.k, grouping.sizes, 0.0))
        if must > self.limits.blanks:
            self.rule_out(node)
            if 4 * len(grouping.sizes) < len(grouping.view.weights):
                self.lattice.classes(grouping)
            return False
        view = self.lattice.classes(grouping)
        losses = self.lattice.class_losses(view)
        taken = blanks(view.weights, losses, self.limits)
        costs = self.lattice.class_costs(view, losses)
        if taken is not None:
            self.offer(node, self.cost(view.weights, costs, taken.taken))
        if self.sized is None:
            self.learn(grouping, grouping.sizes < self.limits.k)
        self.settle(node, must)
        return True

    def cost(self, sizes: Floats, costs: Floats, taken: Floats) -> float:
        """What is minimised, summed over subjects: classes of these sizes, costs per subject, and blanked subjects."""
        if self.sized is not None:
            return self.sized.cost(sizes, taken)
        return float(sizes @ costs + taken @ (1 - costs))

    def offer(self, node: Node, loss: float) -> None:
        """Take a recoding that meets the safeguards, if it is the best so far."""
        if loss < self.best:
            self.best, self.node = loss, node

    def rule_out(self, node: Node) -> None:
        """A node that must blank too many, and with it all below."""
        self.bound[_below(node)] = np.inf

    def settle(self, node: Node, must: int) -> None:
        """A node whose loss is known, and how many subjects it must blank."""
        self.bound[node] = np.inf
        above = _above(node)
        self.most[above] = np.minimum(self.most[above], must)

    def mask(self, table: ClassTable) -> npt.NDArray[np.bool_]:
        """Per subject, whether the best recoding blanks its cells."""
        return blank_mask(self.lattice, table, self.node, self.limits)

    def learn(self, grouping: Grouping, small: npt.NDArray[np.bool_], more: float = 0.0) -> None:
        """Raise the bounds of all nodes below: whom this node must blank, they must blank too.

        small: the groups they must blank whole; more: what they lose at least by blanking parts of others.
        """
        if not small.any() and more <= 0:
            return
        node, view, lattice = grouping.node, grouping.view, self.lattice
        rows = grouping.rows_of(small)
        parts = [lattice.base[c][: level + 1] - lattice.loss_sums(view, c, level, rows) for c, level in enumerate(node)]
        box = self.bound[_below(node)]
        np.maximum(box, outer_sum(parts) + (grouping.sizes[small].sum() + more), out=box)

    def learn_sizes(self, node: Node, sizes: Floats, gone: Floats) -> None:
        """Raise the bounds of all nodes below and above by what the sizes of this node's classes say of theirs.

        gone: subjects of each class who must be blanked in every finer recoding too.
        """
        if self.sized is not None:
            known = ((_below(node), self.sized.below(sizes, gone)), (_above(node), self.sized.above(sizes)))
            for box, least in known:
                self.bound[box] = np.maximum(self.bound[box], least)

    def probe(self, node: Node) -> None:
        """Find by halving the lowest node on a path to the top that blanks few: a first answer, and much learnt."""
        path = climb_path(self.lattice, node)
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
        if self.alive_below is None or self._stale > max(2, self.bound.size // 5000):
            total = (self.bound < self.best).astype(np.int32)
            for axis in range(total.ndim):
                along = np.moveaxis(total, axis, 0)  # few levels: adding slices beats cumsum by far
                for level in range(1, len(along)):
                    along[level] += along[level - 1]
            self.alive_below, self._stale = total, 0
        self._stale += 1
        return self.alive_below


def blank_mask(lattice: Lattice, table: ClassTable, node: Node, bounds: Limits) -> npt.NDArray[np.bool_]:
    """Per subject, whether its cells are blanked under this recoding."""
    grouping, codes = lattice.subject_classes(table, node)
    losses = lattice.class_losses(lattice.classes(grouping, keep=False))
    taken = blanks(grouping.sizes, losses, bounds)
    return np.zeros(len(codes), dtype=bool) if taken is None else among(codes, taken.taken)


def climb_path(lattice: Lattice, node: Node) -> list[Node]:
    """A path from a node to the top: each step is the one that adds least to the loss."""
    path, here = [node], list(node)
    while tuple(here) != lattice.top:
        steps = [
            (base[level + 1] - base[level], c)
            for c, (level, base) in enumerate(zip(here, lattice.base, strict=True))
            if level + 1 < lattice.shape[c]
        ]
        here[min(steps)[1]] += 1
        path.append(tuple(here))
    return path


@dataclass(slots=True, eq=False)
class _Judged:
    """The classes of a node under models.

    of: class of each row of the view. sizes: subjects per class. first: first row of each class. fails: classes to be
    blanked whole. gone: subjects of each class who must be blanked, here and below. people: people of the population
    per class, where there is one.
    """

    of: npt.NDArray[np.int64]
    sizes: Floats
    first: npt.NDArray[np.int64]
    fails: npt.NDArray[np.bool_]
    gone: Floats
    people: Floats | None


class ModelledSearch(Search):
    """A search under models on sensitive attributes, which stand as a hidden last column that is never recoded.

    Only subjects who must be blanked under every finer recoding too may prune; other failures are found when a node is
    checked. crowd: the population that classes are compared with, if any.
    """

    def __init__(
        self, lattice: Lattice, bounds: Limits, judge: Judge, crowd: Crowd | None = None, sized: SizeLoss | None = None
    ) -> None:
        super().__init__(lattice, bounds, sized)
        self.judge, self.crowd = judge, crowd

    def check(self, node: Node) -> bool:
        """As `Search.check`, with classes that fail a model blanked too, and the blanked judged as a class."""
        grouping = self.lattice.group(node)
        view = self.lattice.classes(grouping)
        judged = self._judged(view)
        sizes, gone = judged.sizes, judged.gone
        lasting = gone >= sizes
        must = max(needed(sizes, self.limits, lasting), round(float(gone.sum())))
        self.guess.observe(node, must)
        self.learn_sizes(node, sizes, gone)
        if must > self.limits.blanks:
            self.rule_out(node)
            return False
        losses = self.lattice.class_losses(view)
        costs = self.lattice.class_costs(view, losses)[judged.first]
        taken = self._taken(view, judged, losses[judged.first])
        if taken is not None:
            self.offer(node, self.cost(sizes, costs, taken))
        if self.sized is None:
            partly = np.where(lasting, 0.0, gone)
            self.learn(grouping, lasting[judged.of], float(partly @ (1 - costs)))
        self.settle(node, must)
        return True

    def _judged(self, view: View) -> _Judged:
        of, sizes = _collapse(view)
        first = np.searchsorted(of, np.arange(len(sizes)))
        fails, gone = np.zeros(len(sizes), dtype=bool), sizes.copy()
        large = sizes >= self.limits.k  # the others are blanked whatever they hold
        rows, place = large[of], np.cumsum(large) - 1
        fails[large], gone[large] = self.judge.failing(
            place[of[rows]], view.columns[-1][rows], view.weights[rows], sizes[large]
        )
        people = None
        if self.crowd is not None:
            people = self.crowd.around(view.node, [column[first] for column in view.columns[:-1]])
            beside, lasting = self.crowd.failing(sizes, people)
            fails |= beside
            gone[lasting] = sizes[lasting]
        gone = np.where(sizes - gone < self.limits.k, sizes, gone)  # what is left of it is no class any more
        return _Judged(of, sizes, first, fails, gone, people)

    def _taken(self, view: View, judged: _Judged, losses: Floats) -> Floats | None:
        found = blanks(judged.sizes, losses, self.limits, bad=judged.fails)
        if found is None:
            return None
        gone = found.taken > 0
        if (
            self.crowd is not None
            and judged.people is not None
            and not self.crowd.passes(judged.sizes, judged.people, gone)
        ):
            return None
        rows = gone[judged.of]
        return found.taken if self.judge.passes(view.columns[-1][rows], view.weights[rows]) else None

    def mask(self, table: ClassTable) -> npt.NDArray[np.bool_]:
        """Per subject, whether the best recoding blanks its cells."""
        grouping = self.lattice.group(self.node, self.lattice.bottom)
        view = self.lattice.classes(grouping, keep=False)
        judged = self._judged(view)
        taken = self._taken(view, judged, self.lattice.class_losses(view)[judged.first])
        rows = judged.of[grouping.group()][hidden(table, self.judge).of]
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
