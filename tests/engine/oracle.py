"""The slow engine that is obviously right: plain lists, exact fractions, every node of the lattice."""

import math
from fractions import Fraction
from itertools import product


def rows_at(rows, ladders, node):
    """Each subject's labels at a node, by plain look-up."""
    return [
        tuple(
            ladder.labels[level][int(ladder.codes[level][code])]
            for ladder, level, code in zip(ladders, node, row, strict=True)
        )
        for row in rows
    ]


def classes_of(keys):
    found = {}
    for subject, key in enumerate(keys):
        found.setdefault(key, []).append(subject)
    return found


def row_loss(row, ladders, node, weights=None):
    """Mean over cells of (leaves covered - 1) / (leaves - 1), as a fraction."""
    weights = weights or [1] * len(ladders)
    total = Fraction(0)
    for ladder, level, code, weight in zip(ladders, node, row, weights, strict=True):
        label = int(ladder.codes[level][code])
        total += Fraction(weight) * Fraction(int(ladder.leaves[level][label]) - 1, max(1, ladder.size - 1))
    return total / sum(map(Fraction, weights))


def allowed_classes(safeguards, n):
    attempt = Fraction(str(safeguards.attempt))
    return n if attempt == 0 else min(n, math.floor(Fraction(str(safeguards.average_risk)) * n / attempt))


def holds(sizes, blanked, safeguards, n):
    """Every demand on the final view: classes that stay, and the blanked as one class."""
    view = [size for size in sizes if size] + ([blanked] if blanked else [])
    return (
        min(view) >= safeguards.k
        and len(view) <= allowed_classes(safeguards, n)
        and sum(size == 1 for size in view) <= math.floor(Fraction(str(safeguards.uniques)) * n)
        and blanked <= math.floor(Fraction(str(safeguards.blank_limit)) * n)
    )


def finished(rows, ladders, node, safeguards, weights=None):
    """[(members, how many of them are blanked, loss per member)] of a node under the blanking rule, or None.

    The rule followed word by word.
    """
    n, k = len(rows), safeguards.k
    groups = classes_of(tuple(int(up.codes[v][c]) for up, v, c in zip(ladders, node, row, strict=True)) for row in rows)
    members = [groups[key] for key in sorted(groups)]
    classes = [(len(own), row_loss(rows[own[0]], ladders, node, weights)) for own in members]
    sizes = [size for size, _ in classes]
    order = sorted(range(len(classes)), key=lambda at: (sizes[at], -classes[at][1], at))
    out = [at for at in order if sizes[at] < k]
    rest = [at for at in order if sizes[at] >= k]
    most, alone = allowed_classes(safeguards, n), math.floor(Fraction(str(safeguards.uniques)) * n)

    def fine(out):
        kept = [sizes[at] for at in range(len(sizes)) if at not in out]
        return len(kept) + bool(out) <= most and sum(size == 1 for size in kept) <= alone

    while not fine(out):
        if not rest:
            return None
        out.append(rest.pop(0))
    taken = {at: sizes[at] for at in out}
    least = k
    if sum(taken.values()) == 1 and sum(size == 1 for size in sizes) > alone:
        least = max(k, 2)
    short = least - sum(taken.values())
    if taken and short > 0:
        kept = [at for at in range(len(sizes)) if at not in taken]
        if not kept:
            return None
        whole = min(kept, key=lambda at: (classes[at][1] - 1) * -sizes[at])
        whole_cost = (1 - classes[whole][1]) * sizes[whole]
        units = [at for at in sorted(kept, key=lambda at: -classes[at][1]) for _ in range(max(0, sizes[at] - least))]
        cost = sum((1 - classes[at][1] for at in units[:short]), Fraction(0))
        if len(units) >= short and cost <= whole_cost:
            for at in units[:short]:
                taken[at] = taken.get(at, 0) + 1
        else:
            taken[whole] = sizes[whole]
    blanked = sum(taken.values())
    left = [size - taken.get(at, 0) for at, size in enumerate(sizes)]
    if not holds(left, blanked, safeguards, n):
        return None
    return [(own, taken.get(at, 0), classes[at][1]) for at, own in enumerate(members)]


def settle(rows, ladders, node, safeguards, weights=None, loss="granularity"):
    """(loss, blanked) of a node under the blanking rule, or None."""
    view = finished(rows, ladders, node, safeguards, weights)
    if view is None:
        return None
    blanked = sum(gone for _, gone, _ in view)
    return LOSSES[loss](view, rows, ladders, node, weights), blanked


def granularity(view, rows, ladders, node, weights):
    """Mean loss of cells, a blanked cell losing 1."""
    del ladders, node, weights
    return sum((Fraction(gone) + (len(own) - gone) * each for own, gone, each in view), Fraction(0)) / len(rows)


def discernibility(view, rows, ladders, node, weights):
    """Squared class sizes, each of the blanked paying for all."""
    del ladders, node, weights
    return Fraction(sum((len(own) - gone) ** 2 + gone * len(rows) for own, gone, _ in view), len(rows) ** 2)


def average_class(view, rows, ladders, node, weights):
    """Mean class size as a share of all; the blanked are one class."""
    del ladders, node, weights, rows
    blanked = any(gone for _, gone, _ in view)
    return Fraction(1, sum(len(own) > gone for own, gone, _ in view) + blanked)


def entropy(view, rows, ladders, node, weights):
    """Each cell loses log2(label's count / value's count) bits, a blanked one log2(all / value's count)."""
    lost = most = 0.0
    for c, (ladder, level) in enumerate(zip(ladders, node, strict=True)):
        weight = (weights or [1] * len(ladders))[c]
        values = [row[c] for row in rows]
        labels = [int(ladder.codes[level][value]) for value in values]
        most += weight * sum(math.log2(len(rows) / values.count(value)) for value in values)
        for own, gone, _ in view:
            for place, subject in enumerate(own):
                held = len(rows) if place < gone else labels.count(labels[subject])
                lost += weight * math.log2(held / values.count(values[subject]))
    return lost / most if most else 0.0


LOSSES = {each.__name__: each for each in (granularity, discernibility, average_class, entropy)}


def best(rows, ladders, safeguards, weights=None, allowed=None, loss="granularity"):
    """(loss, [nodes that reach it]) over the whole lattice, or None."""
    found = {}
    for node in product(*(range(ladder.floor, ladder.height + 1) for ladder in ladders)):
        if allowed is not None and not allowed(node):
            continue
        settled = settle(rows, ladders, node, safeguards, weights, loss)
        if settled is not None:
            found[node] = settled[0]
    if not found:
        return None
    least = min(found.values())
    return least, [node for node, lost in found.items() if lost == least]
