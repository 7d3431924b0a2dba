"""The lattice of full-domain recodings over a class table: any node's classes, counted from the smallest known view.

A node is one level per quasi-identifier. A view is the table recoded to a node: its distinct rows with weights, that
is, its classes. A node above a known view is counted from that view ("roll-up"), not from the subjects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pseudonymization.classes import ClassTable
from pseudonymization.hierarchies import Ladder
from pseudonymization.objective import Loss, label_costs

Node = tuple[int, ...]
Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]
_MANY = 1 << 62
_CACHED_BYTES = 400 << 20
_VIEWS = 1000


@dataclass(slots=True, eq=False)
class View:
    """The table at a node: per column the level codes (int64) of its distinct rows, and subjects per row (float64)."""

    node: Node
    columns: list[Array]
    weights: Floats


@dataclass(slots=True, eq=False)
class Grouping:
    """Rows of a view grouped by their codes at a higher node; groups in lexicographic order of their codes.

    sizes: subjects per group. A small span of keys is counted in place: `keys` are the keys that occur, `packed` is the
    key of each row, `strides` unpack a key. A wide one is sorted: `packed` holds key and row number in one integer,
    ascending, `starts` says where each group begins.
    """

    view: View
    node: Node
    sizes: Floats
    packed: Array
    bits: int
    keys: Array | None = None
    strides: Sequence[int] = ()
    starts: Array | None = None

    def group(self) -> Array:
        """The group of each row of the view."""
        if self.keys is not None:
            return np.searchsorted(self.keys, self.packed)
        found = np.empty(len(self.packed), dtype=np.int64)
        found[self._rows()] = np.repeat(np.arange(len(self.sizes)), self._lengths())
        return found

    def rows_of(self, chosen: npt.NDArray[np.bool_]) -> Array:
        """The rows of the view that lie in the chosen groups."""
        if self.keys is not None:
            flags = np.zeros(int(self.keys[-1]) + 1, dtype=bool)
            flags[self.keys[chosen]] = True
            return np.flatnonzero(flags[self.packed])
        return self._rows()[np.repeat(chosen, self._lengths())]

    def first(self) -> Array:
        """One row of the view for each group of a sorted grouping."""
        return self.packed[self.starts] & ((1 << self.bits) - 1)

    def _rows(self) -> Array:
        return self.packed & ((1 << self.bits) - 1)

    def _lengths(self) -> Array:
        starts = np.zeros(0, dtype=np.int64) if self.starts is None else self.starts
        return np.diff(starts, append=len(self.packed))


class Lattice:
    """All recodings of a class table over its ladders, with the loss of each.

    ladders: one per column, already lifted to the table's codes. allowed: the levels of each that may leave, ascending;
    a node counts positions in these lists. weights: how much each column's loss counts; they are scaled to sum to one,
    so that a subject's loss lies between 0 and 1.

    losses: per column, level and label, the granularity lost. costs: the same of the loss that is minimised, if that is
    a sum over cells. base: per column and level, the cost summed over all subjects. held: per column and level,
    subjects per label.
    """

    def __init__(
        self,
        table: ClassTable,
        ladders: Sequence[Ladder],
        weights: Sequence[float],
        allowed: Sequence[Sequence[int]] | None = None,
        loss: Loss = Loss.GRANULARITY,
    ) -> None:
        self.subjects = len(table.subjects)
        self.allowed = allowed or [range(ladder.height + 1) for ladder in ladders]
        self.shape = tuple(len(levels) for levels in self.allowed)
        self.top: Node = tuple(len(levels) - 1 for levels in self.allowed)
        pairs = list(zip(ladders, self.allowed, strict=True))
        self.maps = [[ladder.codes[level].astype(np.int64) for level in levels] for ladder, levels in pairs]
        self.widths = [[len(ladder.labels[level]) for level in levels] for ladder, levels in pairs]
        share = np.asarray(weights, dtype=np.float64) / (sum(weights) or 1.0)
        self.losses = [
            [ladder.loss(level) * part for level in levels]
            for (ladder, levels), part in zip(pairs, share.tolist(), strict=True)
        ]
        columns = [self.maps[c][0][table.rows[:, c]] for c in range(len(ladders))]
        bottom = View((0,) * len(ladders), columns, table.weights.astype(np.float64))
        self._steps: dict[tuple[int, int, int], Array] = {}
        self._worsts: dict[tuple[int, int, int], Floats] = {}
        self._views: list[View] = [bottom]
        self._nodes = np.zeros((1, len(ladders)), dtype=np.int16)
        self._rows = np.array([len(bottom.weights)])
        self._room = _CACHED_BYTES // (8 * (len(ladders) + 1))
        self.checked = 0
        counts = [np.bincount(c, bottom.weights, minlength=w[0]) for c, w in zip(columns, self.widths, strict=True)]
        self.held = [
            [np.bincount(self.step(c, 0, level), held, minlength=width) for level, width in enumerate(self.widths[c])]
            for c, held in enumerate(counts)
        ]
        self.costs = self.losses
        if loss is Loss.ENTROPY:
            parts = zip(self.held, share.tolist(), strict=True)
            self.costs = [label_costs(helds, part, self.subjects) for helds, part in parts]
        self.base = [
            np.array([held @ cost for held, cost in zip(helds, costs, strict=True)])
            for helds, costs in zip(self.held, self.costs, strict=True)
        ]

    @property
    def size(self) -> int:
        """Nodes of the lattice."""
        total = 1
        for levels in self.shape:
            total *= levels
        return total

    @property
    def bottom(self) -> View:
        """The table at its lowest allowed levels, rows as in the class table."""
        return self._views[0]

    def step(self, column: int, low: int, high: int) -> Array:
        """Level code on `low` → level code on `high` (int64)."""
        known = self._steps.get((column, low, high))
        if known is None:
            known = np.zeros(self.widths[column][low], dtype=np.int64)
            known[self.maps[column][low]] = self.maps[column][high]
            self._steps[(column, low, high)] = known
        return known

    def loss_sums(self, view: View, column: int, level: int, rows: Array) -> Floats:
        """The column's cost summed over the subjects of some rows of a view, for each level from 0 to `level`.

        Below the view's own level it is an upper bound: each label counts as its worst label there.
        """
        low = view.node[column]
        held = np.bincount(view.columns[column].take(rows), view.weights.take(rows), minlength=self.widths[column][low])
        sums = np.empty(level + 1)
        for at in range(level + 1):
            sums[at] = held @ self._worst(column, low, at)
        return sums

    def _worst(self, column: int, known: int, level: int) -> Floats:
        """Per label of a known level, the cost on `level`: of the label above it, or the largest of those below."""
        found = self._worsts.get((column, known, level))
        if found is None:
            own = self.costs[column][level]
            if level >= known:
                found = own.take(self.step(column, known, level))
            else:
                found = np.zeros(self.widths[column][known])
                np.maximum.at(found, self.step(column, level, known), own)
            self._worsts[(column, known, level)] = found
        return found

    def source(self, node: Node) -> View:
        """The smallest known view from which this node can be counted."""
        below = (self._nodes <= np.array(node, dtype=np.int16)).all(axis=1)
        rows = np.where(below, self._rows, np.iinfo(np.int64).max)
        return self._views[int(rows.argmin())]

    def group(self, node: Node, view: View | None = None) -> Grouping:
        """Count the classes of a node."""
        self.checked += 1
        view = view or self.source(node)
        key, span, strides = self._keys(view, node)
        rows = len(view.weights)
        if strides and span <= 2 * rows + 4096:
            counts = np.bincount(key, view.weights, minlength=span)
            keys = np.flatnonzero(counts > 0)
            return Grouping(view, node, counts[keys].astype(np.float64), key, 0, keys=keys, strides=strides)
        bits = max(1, rows - 1).bit_length()
        if span > _MANY >> bits:
            key = np.unique(key, return_inverse=True)[1].astype(np.int64)
        key = (key << bits) | np.arange(rows)
        key.sort()
        ranked = key >> bits
        starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
        sizes = np.add.reduceat(view.weights.take(key & ((1 << bits) - 1)), starts)
        return Grouping(view, node, sizes, key, bits, starts=starts)

    def _keys(self, view: View, node: Node) -> tuple[Array, int, Sequence[int]]:
        """One integer per row of the view, equal for rows alike at the node; its span; the strides, if not packed."""
        used = [c for c in range(len(node)) if self.widths[c][node[c]] > 1]
        strides, span = [0] * len(node), 1
        for c in reversed(used):
            strides[c] = span
            span *= self.widths[c][node[c]]
        if not used:
            return np.zeros(len(view.weights), dtype=np.int64), 1, (0,) * len(node)
        if span < _MANY:
            key = (self.step(used[0], view.node[used[0]], node[used[0]]) * strides[used[0]]).take(view.columns[used[0]])
            for c in used[1:]:
                key += (self.step(c, view.node[c], node[c]) * strides[c]).take(view.columns[c])
            return key, span, strides
        key, span = np.zeros(len(view.weights), dtype=np.int64), 1
        for c in used:
            width = self.widths[c][node[c]]
            if span * width >= _MANY:
                found, key = np.unique(key, return_inverse=True)
                span = len(found)
            key = key * width + self.step(c, view.node[c], node[c]).take(view.columns[c])
            span *= width
        return key, span, ()

    def classes(self, grouping: Grouping, *, keep: bool = True) -> View:
        """The grouping as a view of its own; kept for later roll-ups where that pays."""
        node, source = grouping.node, grouping.view
        if grouping.keys is not None:
            columns = [
                grouping.keys // stride % self.widths[c][node[c]] if stride else np.zeros(len(grouping.keys), np.int64)
                for c, stride in enumerate(grouping.strides)
            ]
        else:
            first = grouping.first()
            columns = [
                self.step(c, source.node[c], node[c]).take(column.take(first))
                for c, column in enumerate(source.columns)
            ]
        view = View(node, columns, grouping.sizes)
        pays = 2 * len(view.weights) <= len(source.weights) + 64
        if keep and pays and len(view.weights) <= self._room and len(self._views) < _VIEWS:
            self._room -= len(view.weights)
            self._views.append(view)
            self._nodes = np.vstack((self._nodes, np.array(view.node, dtype=np.int16)))
            self._rows = np.append(self._rows, len(view.weights))
        return view

    def class_losses(self, view: View) -> Floats:
        """Granularity lost per subject of each class of a view at its own node, from 0 to 1."""
        return _summed(self.losses, view)

    def class_costs(self, view: View, losses: Floats) -> Floats:
        """Cost per subject of each class, where `losses` is the granularity lost."""
        return losses if self.costs is self.losses else _summed(self.costs, view)

    def bounds(self) -> Floats:
        """Loss of every node if nobody were blanked, summed over subjects: an array of the lattice's shape."""
        return outer_sum(self.base)

    def entropies(self) -> list[Floats]:
        """Bits of each column on each level: how finely the level tells subjects apart."""
        found = []
        for helds in self.held:
            shares = [held[held > 0] / self.subjects for held in helds]
            found.append(np.array([-(share * np.log2(share)).sum() for share in shares]))
        return found

    def subject_classes(self, table: ClassTable, node: Node) -> tuple[Grouping, Array]:
        """The classes of a node counted from the bottom, and the class of each subject."""
        grouping = self.group(node, self.bottom)
        return grouping, grouping.group()[table.of]


def _summed(parts: Sequence[Sequence[Floats]], view: View) -> Floats:
    total = np.zeros(len(view.weights))
    for c, level in enumerate(view.node):
        total += parts[c][level].take(view.columns[c])
    return total


def outer_sum(parts: Sequence[Floats]) -> Floats:
    """An array with one axis per part: the sum of one entry of each."""
    total = np.zeros(())
    for part in parts:
        total = np.add.outer(total, part)
    return total
