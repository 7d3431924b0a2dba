"""Local recoding: different subjects may get different levels, and no cell is blanked unless it must be.

A group of subjects shares, per column, the lowest label of the hierarchy that holds all its values (`labels`), or the
set of its values (`sets`). Labels: the recodings of the lattice are tried from the finest on, and each keeps the
classes it makes, of the subjects still free, that are large enough and pass the models. Sets: one line through all
subjects is cut into groups (`local_line`); under models, the better of both. Rounds of improvement follow. Groups that
fail a model join others; taken together, groups that pass do pass, for every model here, so classes made of several
groups alike pass too.

A column whose last level may not leave has no label for groups that differ there: such cells are blanked, and those
subjects count against the blanking limit.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pseudonymization.classes import ClassTable, distinct
from pseudonymization.exact import climb_path
from pseudonymization.faults import Unreachable, Unresolved
from pseudonymization.hierarchies import SET_SIGN, TOP, Ladder
from pseudonymization.lattice import Lattice
from pseudonymization.local_line import Cells, Column, Floats, Ints, Jury, Line, group_losses, shared
from pseudonymization.models import Judge, LeastSize, Model
from pseudonymization.risk import limits
from pseudonymization.safeguards import Safeguards

__all__ = ["Cells", "LocalFound", "recode_locally"]


@dataclass(frozen=True, slots=True, eq=False)
class LocalFound:
    """What local recoding found.

    groups: per subject its group. texts: per quasi-identifier the released text of each group. levels: per
    quasi-identifier the level of each group's label, -1 where it is blanked; of sets, empty. loss: as in
    `search.Found`. sizes: subjects per group; groups alike in all texts are one class, so classes are no smaller.
    blanked: per subject, whether a cell of it is blanked.
    """

    groups: Ints
    texts: Mapping[str, tuple[str, ...]]
    levels: Mapping[str, Ints]
    loss: float
    sizes: Ints
    blanked: npt.NDArray[np.bool_]
    seconds: float

    def column(self, name: str) -> list[str]:
        """The released text of each subject."""
        texts = self.texts[name]
        return [texts[group] for group in self.groups.tolist()]


def recode_locally(
    table: ClassTable,
    ladders: Mapping[str, Ladder],
    safeguards: Safeguards,
    *,
    cells: Cells = Cells.LABELS,
    weights: Mapping[str, float] | None = None,
    fixed: Mapping[str, int] | None = None,
    forbidden: Mapping[str, Sequence[int]] | None = None,
    models: Sequence[Model] = (),
    sensitive: Mapping[str, tuple[npt.NDArray[Any], int]] | None = None,
    rounds: int = 4,
    seed: int = 1,
) -> LocalFound:
    """Groups of at least k subjects that share their released cells, at little loss (a heuristic, not an optimum).

    An average-risk bound and a uniques cap are met by larger groups. fixed, forbidden: levels, of labels only; models,
    sensitive: as in `search.optimal`. rounds: rounds of improvement.

    Raises:
        Unreachable: all subjects together do not meet what one class must, or more would have to be blanked than may.
        Unresolved: a level, weight or model does not fit.
    """
    began = time.perf_counter()
    if cells is Cells.SETS and (fixed or forbidden):
        raise Unresolved("levels are fixed or forbidden for labels only", cure="use labels, or steer by weights")
    allowed = [_allowed(ladder, name, fixed or {}, forbidden or {}) for name, ladder in _named(table, ladders)]
    shares = _shares(table.names, weights or {}, {*(fixed or {}), *(forbidden or {})})
    lifted = [_only(ladder, levels) for ladder, levels in zip(table.lifted(ladders), allowed, strict=True)]
    subjects = len(table.subjects)
    least = _least(safeguards, subjects)
    columns = [_column(table.codes[:, c], ladder, shares[c], cells) for c, ladder in enumerate(lifted)]
    jury = Jury(Judge(models, dict(sensitive or {})) if models else None)
    if jury.fails(np.zeros(subjects, dtype=np.int64)).any():
        cure = "loosen the demand on sensitive attributes or the k of some subjects"
        raise Unreachable("all subjects together do not meet what each class must", cure=cure)
    lines = [Line(columns, size, cells, jury) for size in _sizes(least, subjects, models)]
    starts = [lines[0].whole(subjects)] if cells is Cells.SETS else []
    if cells is Cells.LABELS or models:
        starts.append(lines[0].mended(_finest_first(table, lifted, shares, least, jury)))
    groups = min(starts, key=lines[0].loss)
    generator = np.random.default_rng(seed)
    for _ in range(rounds):
        for line in lines:
            groups = line.improve(groups, generator)
    return _found(table, lifted, allowed, columns, groups, safeguards, cells, began)


def _shares(names: Sequence[str], weights: Mapping[str, float], steered: set[str]) -> Floats:
    """How much each column's loss counts, in all 1."""
    if (steered | set(weights)) - set(names):
        raise Unresolved("a weight or a level is given for a column that is no quasi-identifier")
    found = np.array([weights.get(name, 1.0) for name in names])
    if len(found) and not (found.min() >= 0 and 0 < found.sum() < np.inf):
        cure = "weigh quasi-identifiers only, from 0 up, not all of them 0"
        raise Unresolved("a weight is below zero, or no number, or all are zero", cure=cure)
    return np.asarray(found / max(found.sum(), 1e-300))


def _named(table: ClassTable, ladders: Mapping[str, Ladder]) -> list[tuple[str, Ladder]]:
    return list(zip(table.names, table.lifted(ladders), strict=True))


def _allowed(ladder: Ladder, name: str, fixed: Mapping[str, int], forbidden: Mapping[str, Sequence[int]]) -> list[int]:
    """The levels of a column that may leave, ascending."""
    barred = forbidden.get(name, ())
    found = [at for at in range(ladder.floor, ladder.height + 1) if at not in barred and fixed.get(name, at) == at]
    if not found:
        raise Unresolved(f"no level of `{name}` is allowed", cure="allow one of the levels of its hierarchy")
    return found


def _only(ladder: Ladder, levels: Sequence[int]) -> Ladder:
    """The ladder with these levels; one that blanks comes last, where the last of its own may not leave."""
    codes = [ladder.codes[level] for level in levels]
    labels = [ladder.labels[level] for level in levels]
    leaves = [ladder.leaves[level] for level in levels]
    titles = [ladder.titles[level] for level in levels]
    if levels[-1] != ladder.height:
        codes.append(np.zeros_like(codes[0]))
        labels.append((TOP,))
        leaves.append(np.array([ladder.size], dtype=np.int32))
        titles.append("blanked")
    return replace(
        ladder, codes=tuple(codes), labels=tuple(labels), leaves=tuple(leaves), titles=tuple(titles), floor=0
    )


def _sizes(least: int, subjects: int, models: Sequence[Model]) -> list[int]:
    """The group sizes to cut by: under models, larger ones too, which pass more often."""
    if not models:
        return [least]
    asked = [size for model in models if isinstance(model, LeastSize) for size in model.least]
    return sorted({size for size in (least, 2 * least, 4 * least, *asked) if least <= size <= subjects})


def _found(
    table: ClassTable,
    lifted: Sequence[Ladder],
    allowed: Sequence[Sequence[int]],
    columns: Sequence[Column],
    groups: Ints,
    safeguards: Safeguards,
    cells: Cells,
    began: float,
) -> LocalFound:
    """The groups as they leave."""
    texts, levels, loss = _released(columns, lifted, groups, cells)
    subjects, blanked = len(groups), np.zeros(int(groups.max()) + 1, dtype=bool)
    named = {}
    for name, level, kept in zip(table.names, levels, allowed, strict=False):
        named[name] = np.array([*kept, -1])[level]
        blanked |= named[name] < 0
    if int(blanked[groups].sum()) > limits(safeguards, subjects).blanks:
        share = float(blanked[groups].mean())
        cure = "allow the coarsest level of every column, or more blanks"
        raise Unreachable("more subjects would have to be blanked than may", nearest={"blank_limit": share}, cure=cure)
    return LocalFound(
        groups=groups,
        texts=dict(zip(table.names, texts, strict=True)),
        levels=named,
        loss=loss / subjects,
        sizes=np.bincount(groups).astype(np.int64),
        blanked=blanked[groups],
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


def _column(codes: npt.NDArray[Any], ladder: Ladder, share: float, cells: Cells) -> Column:
    levels = [up.astype(np.int64)[codes] for up in ladder.codes]
    losses = [ladder.loss(level) * share for level in range(ladder.height + 1)]
    used = levels if cells is Cells.LABELS else levels[:1]
    return Column(used, losses, share / max(1, ladder.size - 1), ladder.leaves[0].astype(np.float64))


def _finest_first(table: ClassTable, ladders: Sequence[Ladder], shares: Floats, least: int, jury: Jury) -> Ints:
    """The group of each subject: recodings from the finest on, each keeping the classes it makes that pass."""
    lattice = Lattice(table, ladders, shares.tolist())
    subjects = len(table.subjects)
    many = max(200, min(4000, 60_000_000 // subjects))
    ranked = _nodes(lattice, many if jury.judge is None else max(200, many // 2))
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
        if jury.judge is not None and large.any():
            some = np.flatnonzero(large[of])
            large[large] = ~jury.fails((np.cumsum(large) - 1)[of[some]], free[some])
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


def _released(
    columns: Sequence[Column], ladders: Sequence[Ladder], groups: Ints, cells: Cells
) -> tuple[list[tuple[str, ...]], list[Ints], float]:
    """(per column the text of each group, its level of those that may leave, none for sets; loss over all subjects)."""
    count = int(groups.max()) + 1
    sizes = np.bincount(groups, minlength=count)
    texts: list[tuple[str, ...]] = []
    levels: list[Ints] = []
    for column, ladder in zip(columns, ladders, strict=True):
        if cells is Cells.LABELS:
            level, label = shared(column.levels, groups, count)
            levels.append(level)
            texts.append(
                tuple(ladder.labels[at][code] for at, code in zip(level.tolist(), label.tolist(), strict=True))
            )
            continue
        width = len(ladder.labels[0])
        pairs = np.unique(groups * width + column.levels[0])
        edges = np.searchsorted(pairs // width, np.arange(count + 1))
        names = np.array(ladder.labels[0], dtype=object)[pairs % width].tolist()
        texts.append(tuple(SET_SIGN.join(names[low:high]) for low, high in pairwise(edges.tolist())))
    return texts, levels, float(group_losses(columns, groups, count, cells) @ sizes)
