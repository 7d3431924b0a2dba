"""What a local recoding costs the researcher, by the same measures as a full-domain one, so that both compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pseudonymization.analysis import Floats, Ints, before_of, cramers_v, distance, members, over_domain, spread
from pseudonymization.classes import ClassTable, distinct
from pseudonymization.hierarchies import Ladder
from pseudonymization.local_line import shared
from pseudonymization.local_recoding import LocalFound
from pseudonymization.utility import Utility


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """One column as released, per group: code of its text, loss, level, subjects whose values it covers.

    after: subjects per value of the domain, each spread evenly over what the cell covers.
    """

    texts: Ints
    loss: Floats
    level: Floats
    around: Floats
    after: Floats


def local_utility(table: ClassTable, ladders: Mapping[str, Ladder], found: LocalFound) -> Utility:
    """The utility left by a local recoding.

    A set counts as the values it holds; its level, for the precision, is the lowest one with a label that holds them
    all, and 0 for one value. Associations are those of the released texts. `blanked` is the share of subjects with a
    blanked cell.
    """
    subjects, lifted = max(1, len(table.subjects)), table.lifted(ladders)
    columns, marginals, precision, lost, most, texts = {}, {}, [], 0.0, 0.0, []
    for at, (name, ladder) in enumerate(zip(table.names, lifted, strict=True)):
        plain = over_domain(ladders[name], table, at)
        cells = (_labels if found.levels else _sets)(table, at, plain, ladder, found)
        columns[name] = 1 - float(cells.loss @ found.sizes) / subjects
        precision.append(1 - float(cells.level @ found.sizes) / subjects / max(1, ladder.height))
        held = np.bincount(table.codes[:, at])[table.codes[:, at]]
        lost += float(np.log2(cells.around[found.groups] / held).sum())
        most += float(np.log2(subjects / held).sum())
        marginals[name] = distance(before_of(table, at) / subjects, cells.after / subjects)
        texts.append(cells.texts)
    sizes = _class_sizes(texts, found.sizes)
    return Utility(
        granularity=float(np.mean(list(columns.values()))) if columns else 1.0,
        precision=float(np.mean(precision)) if precision else 1.0,
        discernibility=float((sizes**2).sum()),
        average_class=float(sizes.mean()),
        entropy=1 - lost / most if most > 0 else 1.0,
        blanked=float(found.blanked.mean()),
        columns=columns,
        marginals=marginals,
        associations=_associations(table, texts, found),
    )


def _labels(table: ClassTable, at: int, plain: Ladder, ladder: Ladder, found: LocalFound) -> _Cells:
    count, level = len(found.sizes), found.levels[table.names[at]]
    one = np.zeros(count, dtype=np.int64)
    one[found.groups] = table.codes[:, at]
    held = np.bincount(table.codes[:, at], minlength=len(ladder.domain)).astype(np.float64)
    loss, around = np.ones(count), np.full(count, float(len(table.subjects)))
    after = np.full(len(plain.domain), float(found.sizes[level < 0].sum()) / max(1, ladder.size))
    for here in range(ladder.height + 1):
        chosen = np.flatnonzero(level == here)
        label = ladder.codes[here][one[chosen]]
        loss[chosen] = ladder.loss(here)[label]
        around[chosen] = np.bincount(ladder.codes[here], held)[label]
        stay = np.bincount(one[chosen], found.sizes[chosen], minlength=len(ladder.domain)).astype(np.float64)
        after = after + spread(plain, ladder, table.sets[at], here, stay)
    climbed = np.where(level < 0, ladder.height, level).astype(np.float64)
    return _Cells(_coded(found.texts[table.names[at]]), loss, climbed, around, after)


def _sets(table: ClassTable, at: int, plain: Ladder, ladder: Ladder, found: LocalFound) -> _Cells:
    count, width, codes = len(found.sizes), len(ladder.domain), table.codes[:, at].astype(np.int64)
    pairs = np.unique(found.groups * width + codes)
    group, code = pairs // width, pairs % width
    leaves = np.bincount(group, ladder.leaves[0][ladder.codes[0][code]], minlength=count).astype(np.float64)
    held = np.bincount(codes, minlength=width).astype(np.float64)
    density = np.bincount(code, (found.sizes / leaves)[group], minlength=width)
    holder, value = members(table.sets[at])
    level = shared([up.astype(np.int64)[codes] for up in ladder.codes], found.groups, count)[0]
    return _Cells(
        texts=_coded(found.texts[table.names[at]]),
        loss=(leaves - 1) / max(1, ladder.size - 1),
        level=level.astype(np.float64),
        around=np.bincount(group, held[code], minlength=count).astype(np.float64),
        after=np.bincount(value, density[holder], minlength=len(plain.domain)).astype(np.float64),
    )


def _coded(texts: Sequence[str]) -> Ints:
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(text, len(seen)) for text in texts], dtype=np.int64)


def _class_sizes(texts: Sequence[Ints], sizes: Ints) -> Floats:
    """Subjects per class: groups alike in all texts are one."""
    if not texts:
        return np.array([float(sizes.sum())])
    first, of = distinct(texts, [int(column.max()) + 1 for column in texts])
    return np.bincount(of, sizes, minlength=len(first)).astype(np.float64)


def _associations(table: ClassTable, texts: Sequence[Ints], found: LocalFound) -> dict[tuple[str, str], float]:
    """Per pair of columns: Cramér's V of the released texts − Cramér's V before."""
    whole, sizes = table.weights.astype(np.float64), found.sizes.astype(np.float64)
    fine = [table.rows[:, at].astype(np.int64) for at in range(len(table.names))]
    return {
        (table.names[a], table.names[b]): cramers_v(texts[a], texts[b], sizes) - cramers_v(fine[a], fine[b], whole)
        for a, b in combinations(range(len(table.names)), 2)
    }
