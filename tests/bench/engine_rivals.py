"""Two searches of other tools for lattices too large to hold, written plainly after their descriptions.

They stand here so that our search is compared on the same data, with the same code to count a node, the same blanking
rule and the same seconds; they are no part of the product. Top-down: best-first from the coarsest recoding, always
expanding the best node not yet expanded to its direct refinements (the greedy strategy behind ARX's best-effort
searches; Prasser et al., Lightning, Transactions on Data Privacy 9, 2016). Genetic: two subpopulations of recodings
with elites, uniform crossover, mutation by one level and now and then immigration, as ARX offers it since 3.9.
"""

import heapq
import time

import numpy as np

from pseudonymization.heuristic import Annealing

POPULATION, ELITE, CROSSED, MUTATION, IMMIGRATE = 100, 0.2, 0.4, 0.05, 10


class TopDown:
    """Best-first from the top. `run` leaves the best recoding in `best`, `node`."""

    def __init__(self, lattice, bounds, seed=1):
        del seed
        self.judge = Annealing(lattice, bounds)
        self.lattice = lattice

    @property
    def best(self):
        return self.judge.best

    @property
    def node(self):
        return self.judge.node

    def run(self, deadline):
        queue = [(self.judge.loss(self.lattice.top), self.lattice.top)]
        seen = {self.lattice.top}
        while queue and time.perf_counter() < deadline:
            _, node = heapq.heappop(queue)
            for column, level in enumerate(node):
                finer = (*node[:column], level - 1, *node[column + 1 :])
                if level == 0 or finer in seen or time.perf_counter() > deadline:
                    continue
                seen.add(finer)
                heapq.heappush(queue, (self.judge.loss(finer), finer))


class Genetic:
    """A genetic search over level vectors. `run` leaves the best recoding in `best`, `node`."""

    def __init__(self, lattice, bounds, seed=1):
        self.judge = Annealing(lattice, bounds)
        self.tops = np.array(lattice.top)
        self.dice = np.random.default_rng(seed)

    @property
    def best(self):
        return self.judge.best

    @property
    def node(self):
        return self.judge.node

    def run(self, deadline):
        groups = [[self._anyone() for _ in range(POPULATION)] for _ in range(2)]
        groups[0][0] = self.tops
        turn = 0
        while time.perf_counter() < deadline:
            turn += 1
            for at, group in enumerate(groups):
                ranked = self._ranked(group, deadline)
                if ranked is None:
                    return
                groups[at] = self._next(ranked)
            if turn % IMMIGRATE == 0:
                many = POPULATION // 5
                groups = [groups[0][:-many] + groups[1][:many], groups[1][:-many] + groups[0][:many]]

    def _anyone(self):
        return self.dice.integers(0, self.tops + 1)

    def _ranked(self, group, deadline):
        costs = []
        for one in group:
            if time.perf_counter() > deadline:
                return None
            costs.append(self.judge.loss(tuple(one.tolist())))
        return [group[at] for at in np.argsort(costs, kind="stable")]

    def _next(self, ranked):
        elite, crossed = int(ELITE * POPULATION), int(CROSSED * POPULATION)
        children = []
        for _ in range(crossed):
            one, other = ranked[self.dice.integers(elite)], ranked[self.dice.integers(POPULATION // 2)]
            children.append(np.where(self.dice.random(len(one)) < 0.5, one, other))
        for parent in ranked[: POPULATION - elite - crossed]:
            change = self.dice.random(len(parent)) < max(MUTATION, 1 / len(parent))
            step = self.dice.integers(0, 2, len(parent)) * 2 - 1
            children.append(np.clip(parent + change * step, 0, self.tops))
        return ranked[:elite] + children


RIVALS = {"top-down": TopDown, "genetic": Genetic}
