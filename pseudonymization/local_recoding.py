"""Local recoding: different subjects may get different levels, and no cell is blanked unless it must be.

A group of subjects shares, per column, the lowest label of the hierarchy that holds all its values (`labels`), or the
set of its values (`sets`). Labels: the recodings of the lattice are tried from the finest on, and each keeps the
classes of k or more that it makes of the subjects still free. Sets: subjects are laid in a line, the dearest
differences first, and the line is cut into groups of k to 2k − 1 at the least loss (dynamic programming, as in
univariate microaggregation: Hansen and Mukherjee, TKDE 2003). Rounds of improvement then lay neighbouring groups
together, cut them anew and keep what costs less.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pseudonymization.classes import ClassTable, distinct
from pseudonymization.exact import climb_path
from pseudonymization.faults import Unreachable
from pseudonymization.hierarchies import SET_SIGN, Ladder
from pseudonymization.lattice import Lattice
from pseudonymization.risk import limits
from pseudonymization.safeguards import Safeguards

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_BLOCK = 250


class Cells(StrEnum):
    """What a released cell may be: a label of the hierarchy, or the set of the values of its group."""

    LABELS = "labels"
    SETS = "sets"


@dataclass(frozen=True, slots=True, eq=False)
class LocalFound:
    """What local recoding found.

    groups: per subject its group. texts: per quasi-identifier the released text of each group. loss: as in
    `search.Found`. sizes: subjects per group; groups alike in all texts are one class, so classes are no smaller.
    """

    groups: Ints
    texts: Mapping[str, tuple[str, ...]]
    loss: float
    sizes: Ints
    seconds: float

    def column(self, name: str) -> list[str]:
        """The released text of each subject."""
        texts = self.texts[name]
        return [texts[group] for group in self.groups.tolist()]


@dataclass(slots=True, eq=False)
class _Column:
    """One quasi-identifier: code per subject on each level, loss of each label, and the weight of one set value."""

    levels: list[Ints]
    losses: list[Floats]
    step: float
    leaves: Floats


def recode_locally(
    table: ClassTable,
    ladders: Mapping[str, Ladder],
    safeguards: Safeguards,
    *,
    cells: Cells = Cells.LABELS,
    weights: Mapping[str, float] | None = None,
    rounds: int = 4,
    seed: int = 1,
) -> LocalFound:
    """Groups of at least k subjects that share their released cells, at little loss (a heuristic, not an optimum).

    An average-risk bound and a uniques cap are met by larger groups. rounds: rounds of improvement.

    Raises:
        Unreachable: there are fewer subjects than one group needs.
    """
    began = time.perf_counter()
    lifted = [_from_floor(ladder) for ladder in table.lifted(ladders)]
    subjects = len(table.subjects)
    least = _least(safeguards, subjects)
    shares = np.array([(weights or {}).get(name, 1.0) for name in table.names])
    shares = shares / max(shares.sum(), 1e-300)
    columns = [_column(table.codes[:, c], ladder, shares[c], cells) for c, ladder in enumerate(lifted)]
    line = _Line(columns, least, cells)
    groups = line.whole(subjects) if cells is Cells.SETS else _finest_first(table, lifted, shares, least)
    generator = np.random.default_rng(seed)
    for _ in range(rounds):
        groups = line.improve(groups, generator)
    texts, loss = _released(columns, lifted, groups, cells)
    return LocalFound(
        groups=groups,
        texts=dict(zip(table.names, texts, strict=True)),
        loss=loss / subjects,
        sizes=np.bincount(groups).astype(np.int64),
        seconds=time.perf_counter() - began,
    )


def _least(safeguards: Safeguards, subjects: int) -> int:
    bounds = limits(safeguards, subjects)
    least = bounds.k if bounds.uniques >= subjects else max(2, bounds.k)
    if bounds.classes < 1 or subjects < least:
        raise Unreachable(
            "there are fewer subjects than one class needs",
            nearest={"k": subjects},
            cure="loosen k or the average risk, or release more subjects together",
        )
    return max(least, -(-subjects // bounds.classes))


def _from_floor(ladder: Ladder) -> Ladder:
    low = ladder.floor
    return replace(
        ladder,
        codes=ladder.codes[low:],
        labels=ladder.labels[low:],
        leaves=ladder.leaves[low:],
        titles=ladder.titles[low:],
        floor=0,
    )


def _column(codes: npt.NDArray[Any], ladder: Ladder, share: float, cells: Cells) -> _Column:
    levels = [up.astype(np.int64)[codes] for up in ladder.codes]
    losses = [ladder.loss(level) * share for level in range(ladder.height + 1)]
    used = levels if cells is Cells.LABELS else levels[:1]
    return _Column(used, losses, share / max(1, ladder.size - 1), ladder.leaves[0].astype(np.float64))


def _finest_first(table: ClassTable, ladders: Sequence[Ladder], shares: Floats, least: int) -> Ints:
    """The group of each subject: recodings from the finest on, each keeping the classes of `least` it makes."""
    lattice = Lattice(table, ladders, shares.tolist())
    subjects = len(table.subjects)
    ranked = _nodes(lattice, max(200, min(4000, 60_000_000 // subjects)))
    columns = [table.codes[:, c].astype(np.int64) for c in range(len(ladders))]
    free, groups, made = np.arange(subjects), np.zeros(subjects, dtype=np.int64), 0
    for node in ranked:
        if len(free) == 0:
            break
        first, of = distinct(
            [maps[level].take(column) for maps, level, column in zip(lattice.maps, node, columns, strict=True)],
            [widths[level] for widths, level in zip(lattice.widths, node, strict=True)],
        )
        large = np.bincount(of, minlength=len(first)) >= least
        if not large.any():
            continue
        names = np.cumsum(large) - 1 + made
        taken = large[of]
        groups[free[taken]] = names[of[taken]]
        made += int(large.sum())
        free, columns = free[~taken], [column[~taken] for column in columns]
    groups[free] = made if len(free) >= least else 0
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def _nodes(lattice: Lattice, count: int) -> list[tuple[int, ...]]:
    """About `count` recodings from the finest to the coarsest, denser among the fine; of a huge lattice, one path."""
    if lattice.size > 2_000_000:
        return climb_path(lattice, (0,) * len(lattice.shape))
    ranked = np.argsort(lattice.bounds(), axis=None, kind="stable")
    if count < len(ranked):
        ranked = ranked[np.unique((np.linspace(0, 1, count) ** 1.5 * (len(ranked) - 1)).astype(np.int64))]
    places = np.unravel_index(ranked, lattice.shape)
    return [tuple(node) for node in np.stack(places, axis=1).tolist()]


class _Line:
    """Subjects in a line, cut into groups."""

    def __init__(self, columns: Sequence[_Column], least: int, cells: Cells) -> None:
        self.columns, self.least, self.cells = columns, least, cells
        keys = []
        for column in columns:
            for level, codes in enumerate(column.levels):
                above = column.losses[min(level + 1, len(column.losses) - 1)]
                dear = float(above.mean()) if cells is Cells.LABELS else column.step
                keys.append((dear, codes))
        self.keys = [(dear, codes) for dear, codes in keys if len(np.unique(codes)) > 1]

    def whole(self, subjects: int) -> Ints:
        """The group of each subject, from one line through all."""
        order = self._order(np.arange(subjects), np.zeros(subjects, dtype=np.int64), None)
        count = max(1, subjects // max(_BLOCK, 8 * self.least))
        edges = np.linspace(0, subjects, count + 1).astype(np.int64)
        groups = np.empty(subjects, dtype=np.int64)
        groups[order] = self._cut(order, edges[:-1], np.diff(edges))[1]
        return groups

    def _rank(self, generator: np.random.Generator | None) -> Ints:
        """The sorting keys, the dearest last; shuffled a little, with a generator."""
        rank = np.log([max(dear, 1e-12) for dear, _ in self.keys])
        if generator is not None:
            rank = rank + generator.gumbel(size=len(rank)) * 0.3
        return np.argsort(rank, kind="stable")

    def _order(self, who: Ints, blocks: Ints, generator: np.random.Generator | None) -> Ints:
        """These subjects by block, then by the dearest difference first."""
        return who[np.lexsort([*(self.keys[at][1][who] for at in self._rank(generator)), blocks])]

    def improve(self, groups: Ints, generator: np.random.Generator) -> Ints:
        """Lay whole groups together anew, cut each block again, and keep the blocks that cost less.

        Groups of more than 4k have found their place and stay.
        """
        sizes = np.bincount(groups)
        who = np.flatnonzero(sizes[groups] <= 4 * self.least)
        if len(who) == 0 or not self.keys:
            return groups
        first = np.full(len(sizes), -1, dtype=np.int64)
        first[groups[who[::-1]]] = who[::-1]
        small = np.flatnonzero(first >= 0)
        line = small[np.lexsort([self.keys[at][1][first[small]] for at in self._rank(generator)])]
        block = 6 * self.least
        into = np.zeros(len(sizes), dtype=np.int64)
        into[line] = (np.cumsum(sizes[line]) + generator.integers(0, block)) // block
        into[small] = np.unique(into[small], return_inverse=True)[1]
        before = np.bincount(into[small], self._losses(groups, sizes)[small])
        lengths = np.bincount(into[groups[who]])
        order = self._order(who, into[groups[who]], generator)
        costs, again = self._cut(order, np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
        better = (costs < before - 1e-12)[into[groups[order]]]
        joined = groups.copy()
        joined[order[better]] = again[better] + len(sizes)
        return np.unique(joined, return_inverse=True)[1].astype(np.int64)

    def _losses(self, groups: Ints, sizes: Ints) -> Floats:
        """The loss of each group, summed over its subjects."""
        return group_losses(self.columns, groups, len(sizes), self.cells) * sizes

    def _cut(self, order: Ints, starts: Ints, lengths: Ints) -> tuple[Floats, Ints]:
        """Cut each block of the line at the least loss. Returns (loss per block, group per place in the line)."""
        k, many = self.least, int(lengths.max())
        costs = self._windows(order)
        least = np.full((many + 1, len(starts)), np.inf)
        least[0] = 0.0
        last = np.zeros((many + 1, len(starts)), dtype=np.int32)
        every = np.arange(len(starts))
        for at in range(k, many + 1):
            spans = np.arange(k, min(2 * k - 1, at) + 1)
            places = np.minimum(starts[None, :] + (at - spans)[:, None], len(order) - 1)
            total = least[at - spans] + costs[(spans - k)[:, None], places]
            best = total.argmin(axis=0)
            least[at], last[at] = total[best, every], best + k
        marks = np.zeros(len(order) + 1, dtype=bool)
        marks[starts] = True
        left, still = lengths.copy(), every
        while len(still):
            left[still] -= last[left[still], still]
            marks[starts[still] + left[still]] = True
            still = still[left[still] > 0]
        return least[lengths, every], np.cumsum(marks[:-1]) - 1

    def _windows(self, order: Ints) -> Floats:
        """Loss, summed over subjects, of the group that starts at each place and has k, k + 1, … 2k − 1 subjects."""
        k, n = self.least, len(order)
        total = np.full((k, n), np.inf)
        for length in range(k, min(2 * k - 1, n) + 1):
            total[length - k, : n - length + 1] = 0.0
        for column in self.columns:
            if self.cells is Cells.SETS:
                self._add_sets(total, column, order)
            else:
                self._add_labels(total, column, order)
        return total

    def _add_sets(self, total: Floats, column: _Column, order: Ints) -> None:
        k, n = self.least, len(order)
        codes = column.levels[0][order]
        near = np.argsort(codes, kind="stable")
        before = np.full(n, -1, dtype=np.int64)
        same = codes[near[1:]] == codes[near[:-1]]
        before[near[1:][same]] = near[:-1][same]
        leaves, here, held = column.leaves[codes], np.arange(n), np.zeros(n)
        for length in range(1, min(2 * k - 1, n) + 1):
            fit = n - length + 1
            held = held[:fit] + leaves[length - 1 :] * (before[length - 1 :] < here[:fit])
            if length >= k:
                total[length - k, :fit] += (held - 1) * (column.step * length)

    def _add_labels(self, total: Floats, column: _Column, order: Ints) -> None:
        k, n = self.least, len(order)
        runs, here = [], np.arange(n)
        for codes in column.levels:
            laid = codes[order]
            change = np.concatenate(([True], laid[1:] != laid[:-1]))
            runs.append(np.maximum.accumulate(np.where(change, here, 0)))
        costs = [loss[codes[order]] for loss, codes in zip(column.losses, column.levels, strict=True)]
        for length in range(k, min(2 * k - 1, n) + 1):
            fit = n - length + 1
            cost = costs[-1][:fit].copy()
            for run, own in zip(reversed(runs[:-1]), reversed(costs[:-1]), strict=True):
                alike = run[length - 1 :] <= here[:fit]
                cost[alike] = own[:fit][alike]
            total[length - k, :fit] += cost * length


def group_losses(columns: Sequence[_Column], groups: Ints, count: int, cells: Cells) -> Floats:
    """Loss per subject of each group."""
    total = np.zeros(count)
    for column in columns:
        if cells is Cells.SETS:
            width = len(column.leaves)
            pairs = np.unique(groups * width + column.levels[0])
            held = np.bincount(pairs // width, column.leaves[pairs % width], minlength=count)
            total += (held - 1) * column.step
        else:
            level, label = _shared(column, groups, count)
            for at, loss in enumerate(column.losses):
                here = level == at
                total[here] += loss[label[here]]
    return total


def _shared(column: _Column, groups: Ints, count: int) -> tuple[Ints, Ints]:
    """Per group the lowest level on which all its subjects share a label, and that label."""
    level = np.full(count, len(column.levels) - 1, dtype=np.int64)
    label = np.zeros(count, dtype=np.int64)
    for at in range(len(column.levels) - 1, -1, -1):
        codes = column.levels[at]
        low, high = np.full(count, np.iinfo(np.int64).max), np.full(count, -1, dtype=np.int64)
        np.minimum.at(low, groups, codes)
        np.maximum.at(high, groups, codes)
        alike = low == high
        level[alike], label[alike] = at, low[alike]
    return level, label


def _released(
    columns: Sequence[_Column], ladders: Sequence[Ladder], groups: Ints, cells: Cells
) -> tuple[list[tuple[str, ...]], float]:
    count = int(groups.max()) + 1
    sizes = np.bincount(groups, minlength=count)
    texts = []
    for column, ladder in zip(columns, ladders, strict=True):
        if cells is Cells.LABELS:
            level, label = _shared(column, groups, count)
            texts.append(
                tuple(ladder.labels[at][code] for at, code in zip(level.tolist(), label.tolist(), strict=True))
            )
            continue
        width = len(ladder.labels[0])
        pairs = np.unique(groups * width + column.levels[0])
        edges = np.searchsorted(pairs // width, np.arange(count + 1))
        names = np.array(ladder.labels[0], dtype=object)[pairs % width].tolist()
        texts.append(tuple(SET_SIGN.join(names[low:high]) for low, high in pairwise(edges.tolist())))
    return texts, float(group_losses(columns, groups, count, cells) @ sizes)
