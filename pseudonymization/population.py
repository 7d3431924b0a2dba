"""How many subjects are unique in the population, estimated from a sample's class sizes.

Each estimator is a model of how classes of the sample come from those of the population; none is a bound. An estimate
that its model cannot give (no pairs, parameters out of range) is None, never a guess.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Sizes = npt.NDArray[Any]


def uniques(sizes: Sizes, population: int) -> dict[str, float | None]:
    """Estimated share of the population that is unique, by each estimator.

    sizes: subjects per class of the sample. population: number of people the sample was drawn from.

    Raises:
        ValueError: the population is smaller than the sample.
    """
    sample = int(sizes.sum())
    if population < sample or sample == 0:
        raise ValueError("a population is at least as large as its sample, which is not empty")
    return {"zayatz": zayatz(sizes, population), "pitman": pitman(sizes, population)}


def zayatz(sizes: Sizes, population: int) -> float | None:
    """Zayatz (1991): sample class sizes stand for population class sizes; hypergeometric sampling."""
    sample = int(sizes.sum())
    of_size = np.bincount(sizes.astype(np.int64))
    single = int(of_size[1]) if len(of_size) > 1 else 0
    if single == 0:
        return 0.0
    held = np.flatnonzero(of_size)
    logs = np.array([_log_one_drawn(int(size), population, sample) for size in held])
    weight = of_size[held] * np.exp(logs - logs.max())
    chance = float(weight[held == 1].sum() / weight.sum())
    return min(1.0, single * chance / sample)


def _log_one_drawn(size: int, population: int, sample: int) -> float:
    """Log of the chance that exactly one of a population class of this size is drawn."""
    if population - size < sample - 1:
        return -math.inf
    return math.log(size) + _choose(population - size, sample - 1) - _choose(population, sample)


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def pitman(sizes: Sizes, population: int) -> float | None:
    """Pitman's sampling formula with Hoshino's moment estimates (Hoshino, J. Official Statistics 17, 2001)."""
    n, u = int(sizes.sum()), len(sizes)
    one, two = int((sizes == 1).sum()), int((sizes == 2).sum())
    if one == 0:
        return 0.0
    if two == 0:
        return None
    c = one * (one - 1) / two
    below = 2 * one * u + one * c - n * c
    if below == 0:
        return None
    theta = (n * u * c - one * (n - 1) * (2 * u + c)) / below
    alpha = (theta * (one - n) + (n - 1) * one) / (n * u)
    if not 0 < alpha < 1 or theta + alpha <= 0 or theta <= -1:
        return None
    found = math.exp(math.lgamma(theta + 1) - math.lgamma(theta + alpha) + alpha * math.log(population))
    return min(1.0, found / population)
