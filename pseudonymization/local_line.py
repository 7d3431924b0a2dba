"""Subjects in a line, the dearest differences first, and the line cut into groups at the least loss.

Cutting is dynamic programming over groups of k to 2k − 1 subjects, as in univariate microaggregation (Hansen and
Mukherjee, TKDE 2003). Rounds of improvement lay neighbouring groups together, cut them anew and keep what costs less.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from pseudonymization.models import Judge

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_BLOCK = 250


class Cells(StrEnum):
    """What a released cell may be: a label of the hierarchy, or the set of the values of its group."""

    LABELS = "labels"
    SETS = "sets"


@dataclass(slots=True, eq=False)
class Column:
    """One quasi-identifier.

    levels: code per subject on each level. losses: per level the loss of each label. step: what one more value of a set
    costs. leaves: leaves per code of level 0.
    """

    levels: list[Ints]
    losses: list[Floats]
    step: float
    leaves: Floats

    def of(self, who: Ints) -> "Column":
        """The column for some subjects."""
        return replace(self, levels=[codes[who] for codes in self.levels])


@dataclass(frozen=True, slots=True, eq=False)
class Jury:
    """Judges groups by models, if there are any."""

    judge: Judge | None = None

    def fails(self, groups: Ints, who: Ints | None = None) -> Flags:
        """Which groups fail. groups: per subject (of `who`, or all) its group; every number has subjects."""
        sizes = np.bincount(groups).astype(np.float64)
        if self.judge is None:
            return np.zeros(len(sizes), dtype=bool)
        order = np.argsort(groups, kind="stable")
        joint = self.judge.joint if who is None else self.judge.joint[who]
        return self.judge.failing(groups[order], joint[order], np.ones(len(order)), sizes)[0]

    def joined(self, groups: Ints, blocks: Ints, who: Ints | None = None) -> tuple[Ints, Flags]:
        """Groups that fail join the next one of their block until all pass, or the block is one group.

        groups: per subject its group, numbered along a line; blocks: per group its block, in line order. Returns
        (group per subject, which of these groups still fail).
        """
        fails = self.fails(groups, who)
        while self.judge is not None:
            inside = blocks[1:] == blocks[:-1]
            forward = fails[:-1] & inside
            last = fails & ~np.append(inside, False) & np.concatenate(([False], inside))
            onto = forward | last[1:]
            if not onto.any():
                break
            number = np.concatenate(([0], np.cumsum(~onto)))
            groups, blocks = number[groups], blocks[np.concatenate(([True], ~onto))]
            fails = self.fails(groups, who)
        return groups, fails


class Line:
    """Subjects in a line, cut into groups of at least `least` that pass the jury."""

    def __init__(self, columns: Sequence[Column], least: int, cells: Cells, jury: Jury) -> None:
        self.columns, self.least, self.cells, self.jury = columns, least, cells, jury
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
        cut = self._cut(order, edges[:-1], np.diff(edges))[1]
        cut, _ = self.jury.joined(cut, np.zeros(int(cut[-1]) + 1, dtype=np.int64), order)
        groups = np.empty(subjects, dtype=np.int64)
        groups[order] = cut
        return groups

    def mended(self, groups: Ints) -> Ints:
        """Groups that fail join their neighbours in a line of all groups, until all pass or one is left."""
        if not self.jury.fails(groups).any():
            return groups
        sizes = np.bincount(groups)
        place = np.empty(len(sizes), dtype=np.int64)
        place[self._groups_in_line(groups, np.arange(len(sizes)), None)] = np.arange(len(sizes))
        return self.jury.joined(place[groups], np.zeros(len(sizes), dtype=np.int64))[0]

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
        line = self._groups_in_line(groups, np.unique(groups[who]), generator)
        block = 6 * self.least
        into = (np.cumsum(sizes[line]) + generator.integers(0, block)) // block
        long = np.bincount(into, sizes[line])[into] >= self.least
        line, into = line[long], np.unique(into[long], return_inverse=True)[1]
        if len(line) == 0:
            return groups
        block_of = np.full(len(sizes), -1, dtype=np.int64)
        block_of[line] = into
        who = who[block_of[groups[who]] >= 0]
        before = np.bincount(into, self._losses(groups, sizes)[line])
        lengths = np.bincount(block_of[groups[who]])
        order = self._order(who, block_of[groups[who]], generator)
        blocks = block_of[groups[order]]
        costs, again = self._cut(order, np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
        if self.jury.judge is not None:
            costs, again = self._passing(order, again, blocks)
        better = (costs < before - 1e-12)[blocks]
        joined = groups.copy()
        joined[order[better]] = again[better] + len(sizes)
        return np.unique(joined, return_inverse=True)[1].astype(np.int64)

    def _passing(self, order: Ints, again: Ints, blocks: Ints) -> tuple[Floats, Ints]:
        """A cut mended within each block: (loss per block, endless where it still fails; group per place)."""
        starts = np.concatenate(([True], again[1:] != again[:-1]))
        again, fails = self.jury.joined(again, blocks[starts], order)
        starts = np.concatenate(([True], again[1:] != again[:-1]))
        columns = [column.of(order) for column in self.columns]
        losses = group_losses(columns, again, len(fails), self.cells) * np.bincount(again)
        costs = np.bincount(blocks[starts], np.where(fails, np.inf, losses))
        return costs.astype(np.float64), again

    def _groups_in_line(self, groups: Ints, chosen: Ints, generator: np.random.Generator | None) -> Ints:
        """These groups in a line, by one subject of each."""
        one = np.empty(int(groups.max()) + 1, dtype=np.int64)
        one[groups[::-1]] = np.arange(len(groups))[::-1]
        keys = [self.keys[at][1][one[chosen]] for at in self._rank(generator)]
        return chosen[np.lexsort(keys)] if keys else chosen

    def loss(self, groups: Ints) -> float:
        """The loss of these groups, summed over subjects."""
        return float(self._losses(groups, np.bincount(groups)).sum())

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

    def _add_sets(self, total: Floats, column: Column, order: Ints) -> None:
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

    def _add_labels(self, total: Floats, column: Column, order: Ints) -> None:
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


def group_losses(columns: Sequence[Column], groups: Ints, count: int, cells: Cells) -> Floats:
    """Loss per subject of each group."""
    total = np.zeros(count)
    for column in columns:
        if cells is Cells.SETS:
            width = len(column.leaves)
            pairs = np.unique(groups * width + column.levels[0])
            held = np.bincount(pairs // width, column.leaves[pairs % width], minlength=count)
            total += (held - 1) * column.step
        else:
            level, label = shared(column.levels, groups, count)
            for at, loss in enumerate(column.losses):
                here = level == at
                total[here] += loss[label[here]]
    return total


def shared(levels: Sequence[Ints], groups: Ints, count: int) -> tuple[Ints, Ints]:
    """Per group the lowest level on which all its subjects share a label, and that label."""
    level = np.full(count, len(levels) - 1, dtype=np.int64)
    label = np.zeros(count, dtype=np.int64)
    for at in range(len(levels) - 1, -1, -1):
        codes = levels[at]
        low, high = np.full(count, np.iinfo(np.int64).max), np.full(count, -1, dtype=np.int64)
        np.minimum.at(low, groups, codes)
        np.maximum.at(high, groups, codes)
        alike = low == high
        level[alike], label[alike] = at, low[alike]
    return level, label
