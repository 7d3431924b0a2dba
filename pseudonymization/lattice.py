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

Node = tuple[int, ...]
Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]
_MANY = 1 << 62
_CACHED_ROWS = 8_000_000


@dataclass(slots=True, eq=False)
class View:
    """The table at a node: per column the level codes of its distinct rows, and subjects per row (float64)."""

    node: Node
    columns: list[Array]
    weights: Floats


@dataclass(slots=True, eq=False)
class Grouping:
    """Rows of a view grouped by their codes at a higher node; groups in lexicographic order of their codes."""

    view: View
    node: Node
    sizes: Floats
    first: Array | None = None
    group: Array | None = None
    keys: Array | None = None
    strides: Sequence[int] = ()


def smallest(count: int) -> type[np.unsignedinteger[Any]]:
    """The narrowest unsigned type that holds `count` codes."""
    return np.uint8 if count <= 1 << 8 else np.uint16 if count <= 1 << 16 else np.uint32


class Lattice:
    """All recodings of a class table over its ladders, with the loss of each.

    weights: how much each column's loss counts (default: all alike); they are scaled to sum to one, so that a
    subject's loss lies between 0 and 1. `shape` is the number of levels per column, `floors` the lowest allowed.
    """

    def __init__(self, table: ClassTable, ladders: Sequence[Ladder], weights: Sequence[float]) -> None:
        self.subjects = len(table.subjects)
        self.shape = tuple(ladder.height + 1 for ladder in ladders)
        self.top: Node = tuple(ladder.height for ladder in ladders)
        self.maps = [[level.astype(np.int64) for level in ladder.codes] for ladder in ladders]
        self.widths = [[len(labels) for labels in ladder.labels] for ladder in ladders]
        share = np.asarray(weights, dtype=np.float64) / sum(weights)
        self.losses = [
            [ladder.loss(level) * part for level in range(ladder.height + 1)]
            for ladder, part in zip(ladders, share.tolist(), strict=True)
        ]
        columns = [
            ladder.codes[0][table.rows[:, at]].astype(smallest(len(ladder.labels[0])))
            for at, ladder in enumerate(ladders)
        ]
        bottom = View((0,) * len(ladders), columns, table.weights.astype(np.float64))
        self._steps: dict[tuple[int, int, int], Array] = {}
        self._views: list[View] = [bottom]
        self._nodes = np.zeros((1, len(ladders)), dtype=np.int16)
        self._rows = np.array([len(bottom.weights)])
        self.checked = 0
        self.base = [
            np.array([self.loss_sums(bottom, at, level) for level in range(self.shape[at])])
            for at in range(len(ladders))
        ]

    @property
    def size(self) -> int:
        """Nodes of the lattice."""
        total = 1
        for levels in self.shape:
            total *= levels
        return total

    def step(self, column: int, low: int, high: int) -> Array:
        """Level code on `low` → level code on `high` (int64)."""
        known = self._steps.get((column, low, high))
        if known is None:
            known = np.zeros(self.widths[column][low], dtype=np.int64)
            known[self.maps[column][low]] = self.maps[column][high]
            self._steps[(column, low, high)] = known
        return known

    def loss_sums(self, view: View, column: int, level: int, of: Array | None = None) -> float:
        """The column's loss on `level` summed over the subjects of a view (or of some of its rows)."""
        codes = view.columns[column] if of is None else view.columns[column][of]
        weights = view.weights if of is None else view.weights[of]
        held = np.bincount(codes, weights, minlength=self.widths[column][view.node[column]])
        return float(held @ self.losses[column][level][self.step(column, view.node[column], level)])

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
        if span <= 4 * len(view.weights) + 65_536 and strides:
            counts = np.bincount(key, view.weights, minlength=span)
            keys = np.flatnonzero(counts)
            return Grouping(view, node, counts[keys].astype(np.float64), keys=keys, strides=strides, group=key)
        order = np.argsort(key, kind="stable") if span >= 1 << 16 else np.argsort(key)
        ranked = key[order]
        starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
        sizes = np.add.reduceat(view.weights[order], starts)
        group = np.empty(len(order), dtype=np.int64)
        group[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
        return Grouping(view, node, sizes, first=order[starts], group=group)

    def _keys(self, view: View, node: Node) -> tuple[Array, int, Sequence[int]]:
        """One integer per row of the view, equal for rows alike at the node; its span; the strides, if not packed."""
        used = [c for c in range(len(node)) if self.widths[c][node[c]] > 1]
        strides, span = [0] * len(node), 1
        for c in reversed(used):
            strides[c] = span
            span *= self.widths[c][node[c]]
        if span < _MANY:
            key = np.zeros(len(view.weights), dtype=np.int64)
            for c in used:
                key += (self.step(c, view.node[c], node[c]) * strides[c])[view.columns[c]]
            return key, span, strides if used else (0,) * len(node)
        key, span = np.zeros(len(view.weights), dtype=np.int64), 1
        for c in used:
            width = self.widths[c][node[c]]
            if span * width >= _MANY:
                found, key = np.unique(key, return_inverse=True)
                span = len(found)
            key = key * width + self.step(c, view.node[c], node[c])[view.columns[c]]
            span *= width
        return key, span, ()

    def classes(self, grouping: Grouping, *, keep: bool = True) -> View:
        """The grouping as a view of its own; kept for later roll-ups where that pays."""
        node, source = grouping.node, grouping.view
        if grouping.keys is not None:
            columns = [
                (grouping.keys // stride % self.widths[c][node[c]]).astype(smallest(self.widths[c][node[c]]))
                if stride
                else np.zeros(len(grouping.keys), dtype=np.uint8)
                for c, stride in enumerate(grouping.strides)
            ]
        else:
            columns = [
                self.step(c, source.node[c], node[c])[source.columns[c][grouping.first]].astype(
                    smallest(self.widths[c][node[c]])
                )
                for c in range(len(node))
            ]
        view = View(node, columns, grouping.sizes)
        if keep and 4 * len(view.weights) <= 3 * len(source.weights) + 64:
            self._keep(view)
        return view

    def _keep(self, view: View) -> None:
        if int(self._rows.sum()) + len(view.weights) > _CACHED_ROWS + int(self._rows[0]):
            return
        self._views.append(view)
        self._nodes = np.vstack((self._nodes, np.array(view.node, dtype=np.int16)))
        self._rows = np.append(self._rows, len(view.weights))

    def class_losses(self, view: View) -> Floats:
        """Loss per subject of each class of a view at its own node, from 0 to 1."""
        total = np.zeros(len(view.weights))
        for c, level in enumerate(view.node):
            total += self.losses[c][level][view.columns[c]]
        return total

    def bounds(self) -> Floats:
        """Loss of every node if nobody were blanked, summed over subjects: an array of the lattice's shape."""
        total = np.zeros(())
        for part in self.base:
            total = np.add.outer(total, part)
        return total

    def subject_codes(self, table: ClassTable, node: Node) -> tuple[Grouping, Array]:
        """The classes of a node counted from the bottom, and the class of each subject."""
        grouping = self.group(node, self._views[0])
        if grouping.group is None:
            raise ValueError("a grouping from the bottom knows its groups")
        rows = grouping.group if grouping.keys is None else np.searchsorted(grouping.keys, grouping.group)
        return grouping, rows[table.of]
