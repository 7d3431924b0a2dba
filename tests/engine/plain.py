"""The engine once more, from texts to texts: dictionaries, loops and fractions, every node, every model, every measure.

A study is a list of rows of texts; a hierarchy is a list of lines, level 0 first. Slow, and obviously right.
"""

import math
from collections import Counter
from fractions import Fraction
from itertools import combinations, product

from tests.engine.oracle import allowed_classes, classes_of, holds


def exact(number):
    return Fraction(str(number))


class Tree:
    """A hierarchy: value → label per level; a value that is missing keeps its blank up to the last level."""

    def __init__(self, lines, values):
        height = len(lines[0]) - 1
        lines = (
            [*lines, ("",) * height + (lines[0][-1],)] if "" in values and not any(x[0] == "" for x in lines) else lines
        )
        self.up, self.height = {line[0]: line for line in lines}, height
        self.rank = [
            {label: at for at, label in enumerate(dict.fromkeys(column))} for column in zip(*lines, strict=True)
        ]

    def label(self, value, level):
        return self.up[value][level]

    def covered(self, value, level):
        """Every value of the hierarchy under this value's label."""
        return [other for other in self.up if self.up[other][level] == self.up[value][level]]

    def loss(self, value, level):
        return Fraction(len(self.covered(value, level)) - 1, max(1, len(self.up) - 1))


def count(values, domain):
    return [sum(value == one for value in values) for one in domain]


def far(values, everyone, domain, distance, tree=None):
    """Earth mover's distance of two lists of values, from its definition. domain: in order."""
    p, q = count(values, domain), count(everyone, domain)
    apart = [Fraction(a, len(values)) - Fraction(b, len(everyone)) for a, b in zip(p, q, strict=True)]
    if distance == "equal":
        return sum(map(abs, apart)) / 2
    if distance == "ordered":
        return sum(abs(sum(apart[: at + 1])) for at in range(len(apart) - 1)) / max(1, len(apart) - 1)
    total = Fraction(0)
    for level in range(1, tree.height + 1):  # what meets below a node of this level has to climb level / height
        for node in {tree.label(value, level) for value in domain}:
            children = {}
            for value, x in zip(domain, apart, strict=True):
                if tree.label(value, level) == node:
                    child = tree.label(value, level - 1)
                    children[child] = children.get(child, 0) + x
            met = min(sum(max(x, 0) for x in children.values()), sum(max(-x, 0) for x in children.values()))
            total += Fraction(level, tree.height) * met
    return total


class Wishes:
    """All demands beside class sizes, on lists of subjects. tree: of the sensitive values, `domain` in their order."""

    def __init__(self, demands, ill, land, domain, tree):
        self.demands, self.ill, self.land, self.domain, self.tree = demands, ill, land, domain, tree

    @property
    def any(self):
        return self.demands.on_sensitive or bool(self.demands.k_by)

    def met(self, who):
        """Whether these subjects may be a class."""
        values, d = [self.ill[one] for one in who], self.demands
        held = sorted(Counter(values).values(), reverse=True)
        least = d.k_by.get("land", {})
        shares = [x / len(who) for x in held]
        return (
            (d.l is None or len(held) >= d.l)
            and (d.entropy_l is None or -sum(p * math.log(p) for p in shares) >= math.log(d.entropy_l) - 1e-12)
            and (d.recursive is None or held[0] < exact(d.recursive[0]) * sum(held[d.recursive[1] - 1 :]))
            and (d.t is None or far(values, self.ill, self.domain, d.t_distance, self.tree) <= exact(d.t))
            and all(len(who) >= least.get(self.land[one], 1) for one in who)
        )


class Crowd:
    """A population and what is demanded against it; none demands nothing."""

    def __init__(self, people=None, k_map=1, presence=(0, 1)):
        self.people, self.k_map, self.presence = people, k_map, presence

    def fits(self, subjects, people):
        low, high = map(exact, self.presence)
        return people >= self.k_map and low * people <= subjects <= high * people


class Plain:
    """One study, its trees, and everything demanded."""

    def __init__(self, rows, trees, safeguards, wishes, crowd, weights):
        self.rows, self.trees, self.safeguards, self.wishes, self.crowd = rows, trees, safeguards, wishes, crowd
        self.weights = weights or [1] * len(trees)

    def labels(self, row, node):
        return tuple(tree.label(value, level) for tree, value, level in zip(self.trees, row, node, strict=True))

    def loss(self, row, node):
        parts = zip(self.trees, row, node, self.weights, strict=True)
        return sum(w * t.loss(v, level) for t, v, level, w in parts) / Fraction(sum(self.weights))

    def view(self, node):
        """(subjects of each class, how many of them are blanked, loss of each) by the rule, or None."""
        groups = classes_of([self.labels(row, node) for row in self.rows])
        ranks = [tree.rank[level] for tree, level in zip(self.trees, node, strict=True)]
        keys = sorted(groups, key=lambda key: [rank[label] for rank, label in zip(ranks, key, strict=True)])
        around = Counter(self.labels(person, node) for person in self.crowd.people or [])
        members, losses = [groups[key] for key in keys], [self.loss(self.rows[groups[key][0]], node) for key in keys]
        judged = self.wishes.any or self.crowd.people is not None
        out = self._small(members, losses, keys, around)
        if out is None:
            return None
        taken = {at: len(members[at]) for at in out}
        if not self._completed(taken, members, losses, judged):
            return None
        blanked = [who for at, own in enumerate(members) for who in own[: taken.get(at, 0)]]
        left = [len(own) - taken.get(at, 0) for at, own in enumerate(members)]
        if not holds(left, len(blanked), self.safeguards, len(self.rows)):
            return None
        if blanked and not self.wishes.met(blanked):
            return None
        outside = sum(around.values()) - sum(around[keys[at]] for at in range(len(keys)) if at not in taken)
        if self.crowd.people is not None:
            fine = self.crowd.fits(len(blanked), outside) if blanked else not outside or self.crowd.presence[0] <= 0
            if not fine:
                return None
        return [(own, taken.get(at, 0), losses[at]) for at, own in enumerate(members)]

    def _small(self, members, losses, keys, around):
        """Classes that go whole: those that fail, then the smallest until the cap and the average risk hold."""
        n, safeguards = len(self.rows), self.safeguards
        sizes = [len(own) for own in members]

        def fails(at):
            beside = self.crowd.people is not None and not self.crowd.fits(sizes[at], around[keys[at]])
            return sizes[at] < safeguards.k or beside or not self.wishes.met(members[at])

        out = [at for at in range(len(sizes)) if fails(at)]
        rest = sorted((at for at in range(len(sizes)) if at not in out), key=lambda at: (sizes[at], -losses[at], at))
        most, alone = allowed_classes(safeguards, n), math.floor(exact(safeguards.uniques) * n)

        def fine():
            kept = [sizes[at] for at in range(len(sizes)) if at not in out]
            return len(kept) + bool(out) <= most and sum(size == 1 for size in kept) <= alone

        while not fine():
            if not rest:
                return None
            out.append(rest.pop(0))
        return out

    def _completed(self, taken, members, losses, judged):
        """The blanked are a class of k (of two, where one would break the cap): more join them. False: none can."""
        sizes, k = [len(own) for own in members], self.safeguards.k
        over = sum(size == 1 for size in sizes) > math.floor(exact(self.safeguards.uniques) * len(self.rows))
        least = max(k, 2) if sum(taken.values()) == 1 and over else k
        short = least - sum(taken.values())
        if not taken or short <= 0:
            return True
        kept = [at for at in range(len(sizes)) if at not in taken]
        if not kept:
            return False
        whole = min(kept, key=lambda at: (1 - losses[at]) * sizes[at])
        spare = [at for at in sorted(kept, key=lambda at: -losses[at]) for _ in range(max(0, sizes[at] - least))]
        cost = sum((1 - losses[at] for at in spare[:short]), Fraction(0))
        if judged or len(spare) < short or cost > (1 - losses[whole]) * sizes[whole]:
            taken[whole] = sizes[whole]
        else:
            for at in spare[:short]:
                taken[at] = taken.get(at, 0) + 1
        return sum(taken.values()) >= least

    def released(self, node, view):
        """What leaves of each subject."""
        found = [self.labels(row, node) for row in self.rows]
        for own, gone, _ in view:
            for who in own[:gone]:
                found[who] = ("*",) * len(self.trees)
        return found

    def cost(self, node, view, loss):
        """The loss of a finished node by one of the four measures."""
        n, blanked = len(self.rows), sum(gone for _, gone, _ in view)
        if loss == "granularity":
            return float((sum((len(own) - gone) * each for own, gone, each in view) + blanked) / n)
        if loss == "discernibility":
            return (sum((len(own) - gone) ** 2 for own, gone, _ in view) + blanked * n) / n**2
        if loss == "average_class":
            return 1 / (sum(len(own) > gone for own, gone, _ in view) + bool(blanked))
        spent, most = self.bits(node, {who for own, gone, _ in view for who in own[:gone]}, self.weights)
        return spent / most if most else 0.0

    def bits(self, node, blanked, weights):
        """(bits lost, bits lost if nothing were released)."""
        spent = most = 0.0
        for c, (tree, level) in enumerate(zip(self.trees, node, strict=True)):
            values = [row[c] for row in self.rows]
            for who, value in enumerate(values):
                label = [other for other in values if tree.label(other, level) == tree.label(value, level)]
                held = len(values) if who in blanked else len(label)
                spent += weights[c] * math.log2(held / values.count(value))
                most += weights[c] * math.log2(len(values) / values.count(value))
        return spent, most

    def nodes(self, fixed, forbidden):
        """Every node that may leave. fixed: column → level; forbidden: column → levels."""
        every = product(*(range(tree.height + 1) for tree in self.trees))
        return [
            node
            for node in every
            if all(node[c] == level for c, level in fixed.items())
            and all(node[c] not in levels for c, levels in forbidden.items())
        ]


def risk(released, attempt):
    """Every measure of risk, from what leaves."""
    sizes = [len(own) for own in classes_of(released).values()]
    mean = Fraction(sum(Fraction(1, size) * size for size in sizes), len(released))
    return {
        "subjects": len(released),
        "classes": len(sizes),
        "k": min(sizes),
        "maximum": 1 / min(sizes),
        "average": float(mean) * attempt,
        "marketer": float(mean),
        "uniques": sum(size == 1 for size in sizes) / len(released),
    }


def utility(rows, trees, cells):
    """Every measure of utility. cells: per subject and column (text, values of the hierarchy covered, level), or None
    where it is blanked; level None of a set stands for the lowest one with a label that holds all."""
    n, columns = len(rows), range(len(trees))
    losses, climbed, bits, most, marginals = [], [], 0.0, 0.0, []
    for c, tree in enumerate(trees):
        values, everyone = [row[c] for row in rows], list(tree.up)
        covers = [everyone if cell[c] is None else cell[c][1] for cell in cells]
        losses.append(
            sum(
                Fraction(len(cover) - 1, max(1, len(everyone) - 1)) if cell[c] is not None else 1
                for cover, cell in zip(covers, cells, strict=True)
            )
            / n
        )
        levels = [tree.height if cell[c] is None else cell[c][2] for cell in cells]
        climbed.append(Fraction(sum(levels), n * max(1, tree.height)))
        bits += sum(
            math.log2(sum(v in cover for v in values) / values.count(value))
            for cover, value in zip(covers, values, strict=True)
        )
        most += sum(math.log2(n / values.count(value)) for value in values)
        after = Counter()
        for cover in covers:
            for value in cover:
                after[value] += Fraction(1, len(cover))
        marginals.append(sum(abs(after[v] - values.count(v)) for v in everyone) / 2 / n)
    texts = [tuple("*" if cell[c] is None else cell[c][0] for c in columns) for cell in cells]
    return {
        "granularity": 1 - float(sum(losses) / len(trees)),
        "precision": 1 - float(sum(climbed) / len(trees)),
        "entropy": 1 - bits / most if most else 1.0,
        "columns": [1 - float(loss) for loss in losses],
        "marginals": [float(x) for x in marginals],
    }, texts


def plain_v(pairs):
    """Bias-corrected Cramér's V by Bergsma's formula, cell by cell."""
    n, cells = len(pairs), Counter(pairs)
    rows, columns = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    if n < 2 or min(len(rows), len(columns)) < 2:
        return 0.0
    phi = sum((cells[a, b] - rows[a] * columns[b] / n) ** 2 / (rows[a] * columns[b] / n) for a in rows for b in columns)
    r, c = len(rows), len(columns)
    phi = max(0.0, phi / n - (r - 1) * (c - 1) / (n - 1))
    least = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return min(1.0, phi / least) ** 0.5 if least > 0 else 0.0


def associations(before, after):
    """Per pair of columns Cramér's V after − before. Rows of texts; after may leave subjects out."""
    return [
        plain_v([(row[a], row[b]) for row in after]) - plain_v([(row[a], row[b]) for row in before])
        for a, b in combinations(range(len(before[0])), 2)
    ]


def diversity(classes, ill, domain, tree):
    """Every measure of the sensitive values, of the worst class. classes: lists of subjects."""
    held = [[ill[who] for who in own] for own in classes]
    counts = [sorted(Counter(values).values(), reverse=True) for values in held]
    shares = [[x / sum(c) for x in c] for c in counts]
    c = {
        str(n): None if any(len(x) < n for x in counts) else max(float(Fraction(x[0], sum(x[n - 1 :]))) for x in counts)
        for n in (2, 3)
    }
    return {
        "distinct_l": min(len(x) for x in counts),
        "entropy_l": min(math.exp(-sum(p * math.log(p) for p in own)) for own in shares),
        "recursive_c": c,
        "t_equal": max(float(far(values, ill, domain, "equal")) for values in held),
        "t_ordered": max(float(far(values, ill, domain, "ordered")) for values in held),
        "t_hierarchical": max(float(far(values, ill, domain, "hierarchical", tree)) for values in held),
    }
