"""The cheapest recoding that meets the safeguards: full-domain, proven optimal.

Lattices of up to some millions of nodes are searched exactly (`exact`); larger ones as far as the time allows, with a
bound of what was missed (`heuristic`).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pseudonymization.classes import ClassTable
from pseudonymization.exact import ModelledSearch, Progress, Search, blank_mask, hidden, hidden_ladder
from pseudonymization.faults import Unreachable, Unresolved
from pseudonymization.heuristic import Annealing, lower_bound
from pseudonymization.hierarchies import Ladder
from pseudonymization.lattice import Lattice
from pseudonymization.models import Judge, Model
from pseudonymization.objective import Loss, SizeLoss, entropy_lost
from pseudonymization.outliers import blanks
from pseudonymization.people import Crowd, Population
from pseudonymization.risk import limits
from pseudonymization.safeguards import Safeguards

LARGEST = 10_000_000
HEURISTIC_SECONDS = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a search found.

    levels: the level of each quasi-identifier. blanked: per subject, whether its cells are blanked. loss: by the
    measure asked for (`Loss`), by default the mean over all quasi-identifier cells of (leaves covered − 1) /
    (leaves − 1), weighted by column, a blanked cell counting 1; granularity is 1 − that loss. bound: no recoding can
    lose less; equal to the loss where proven optimal.
    """

    levels: Mapping[str, int]
    blanked: npt.NDArray[np.bool_]
    loss: float
    bound: float
    proven_optimal: bool
    nodes_checked: int
    lattice: int
    seconds: float


def optimal(
    table: ClassTable,
    ladders: Mapping[str, Ladder],
    safeguards: Safeguards,
    *,
    loss: Loss = Loss.GRANULARITY,
    weights: Mapping[str, float] | None = None,
    fixed: Mapping[str, int] | None = None,
    forbidden: Mapping[str, Sequence[int]] | None = None,
    models: Sequence[Model] = (),
    sensitive: Mapping[str, tuple[npt.NDArray[Any], int]] | None = None,
    population: Population | None = None,
    budget_seconds: float | None = None,
    progress: Progress | None = None,
) -> Found:
    """The full-domain recoding of least loss under which the safeguards hold, the blanked subjects included.

    loss: what is minimised. weights: how much each column counts in it (default 1); losses of class sizes know no
    columns, there it only says which subjects are dear to blank. fixed: columns held at one level. forbidden: levels
    that must not leave. models: demands on sensitive attributes, which every class must meet, also that of the blanked;
    sensitive: per attribute a code per subject and the number of codes. population: demands against a population table,
    of every class and of the blanked. budget_seconds: stop then with the best found; `proven_optimal` is False in that
    case. Lattices beyond `LARGEST` nodes are searched heuristically, for `HEURISTIC_SECONDS` if no budget is given.

    Raises:
        Unreachable: no allowed recoding meets the safeguards. Unresolved: a hierarchy, weight or level does not fit.
    """
    began = time.perf_counter()
    lifted = table.lifted(ladders)
    allowed = _allowed(table.names, lifted, fixed or {}, forbidden or {})
    shares = _weights(table.names, weights or {})
    lattice, judge, crowd = _lattice(table, lifted, shares, allowed, models, sensitive, population, loss)
    bounds = limits(safeguards, lattice.subjects)
    sized = SizeLoss(loss, bounds, lattice.subjects) if loss.of_sizes else None
    if lattice.size > LARGEST:
        if judge is not None:
            cure = "fix or forbid levels, or demand nothing of sensitive attributes and the population"
            raise Unresolved("the lattice is too large for such models", cure=cure)
        seconds = HEURISTIC_SECONDS if budget_seconds is None else budget_seconds
        return _best_effort(table, lifted, safeguards, lattice, shares, seconds, progress, loss)
    search = Search(lattice, bounds, sized) if judge is None else ModelledSearch(lattice, bounds, judge, crowd, sized)
    proven = search.run(None if budget_seconds is None else began + budget_seconds, progress)
    if not np.isfinite(search.best):
        raise _unreachable(lattice, safeguards, proven=proven)
    least = search.best if proven else min(search.best, float(search.bound.min()))
    return Found(
        levels={name: allowed[c][level] for c, (name, level) in enumerate(zip(table.names, search.node, strict=False))},
        blanked=search.mask(table),
        loss=_as_loss(search.best / max(1, lattice.subjects), table, shares, loss),
        bound=_as_loss(least / lattice.subjects, table, shares, loss),
        proven_optimal=proven,
        nodes_checked=lattice.checked,
        lattice=lattice.size,
        seconds=time.perf_counter() - began,
    )


def _as_loss(mean: float, table: ClassTable, shares: Sequence[float], loss: Loss) -> float:
    """The loss behind what the search minimised, as a mean over subjects."""
    if loss is not Loss.ENTROPY:
        return mean
    held = [np.bincount(table.codes[:, c]).astype(np.float64) for c in range(len(shares))]
    whole = sum(shares) or 1.0
    return entropy_lost(mean, held, [share / whole for share in shares], len(table.subjects))


def _lattice(
    table: ClassTable,
    lifted: Sequence[Ladder],
    shares: Sequence[float],
    allowed: Sequence[Sequence[int]],
    models: Sequence[Model],
    sensitive: Mapping[str, tuple[npt.NDArray[Any], int]] | None,
    population: Population | None,
    loss: Loss,
) -> tuple[Lattice, Judge | None, Crowd | None]:
    """The lattice to search, with a hidden column for the judge where there is one; judge; population."""
    if not models and population is None:
        return Lattice(table, lifted, shares, allowed, loss), None, None
    judge = Judge(models, dict(sensitive or {"": (np.zeros(len(table.subjects), dtype=np.int32), 1)}))
    crowd = None if population is None else Crowd(population, table, lifted, allowed)
    widened = [*lifted, hidden_ladder(judge)]
    return Lattice(hidden(table, judge), widened, [*shares, 0.0], [*allowed, [0]], loss), judge, crowd


def _best_effort(
    table: ClassTable,
    lifted: Sequence[Ladder],
    safeguards: Safeguards,
    lattice: Lattice,
    shares: Sequence[float],
    seconds: float,
    progress: Progress | None,
    loss: Loss,
) -> Found:
    """A lattice too large to settle: a tenth of the time for a bound, the rest for the search."""
    began, bounds = time.perf_counter(), limits(safeguards, lattice.subjects)
    sized = SizeLoss(loss, bounds, lattice.subjects) if loss.of_sizes else None
    if sized is None:
        least = lower_bound(table, lifted, shares, lattice.allowed, bounds, began + seconds / 10, loss)
    else:
        least = sized.above(lattice.group((0,) * len(lattice.shape)).sizes) / lattice.subjects
    search = Annealing(lattice, bounds, sized)
    search.run(began + seconds, progress)
    if not np.isfinite(search.best):
        raise _unreachable(lattice, safeguards, proven=True)
    reached = search.best / lattice.subjects
    return Found(
        levels={
            n: lattice.allowed[c][level] for c, (n, level) in enumerate(zip(table.names, search.node, strict=True))
        },
        blanked=blank_mask(lattice, table, search.node, bounds),
        loss=_as_loss(reached, table, shares, loss),
        bound=_as_loss(min(reached, least), table, shares, loss),
        proven_optimal=reached <= least + 1e-12,
        nodes_checked=lattice.checked,
        lattice=lattice.size,
        seconds=time.perf_counter() - began,
    )


def _weights(names: Sequence[str], weights: Mapping[str, float]) -> list[float]:
    found = [float(weights.get(name, 1.0)) for name in names]
    if set(weights) - set(names) or (found and not (min(found) >= 0 and 0 < sum(found) < np.inf)):
        cure = "weigh quasi-identifiers only, from 0 up, not all of them 0"
        raise Unresolved("a weight is below zero, or names no quasi-identifier", cure=cure)
    return found


def _allowed(
    names: Sequence[str], ladders: Sequence[Ladder], fixed: Mapping[str, int], forbidden: Mapping[str, Sequence[int]]
) -> list[list[int]]:
    if (set(fixed) | set(forbidden)) - set(names):
        raise Unresolved("a level is fixed or forbidden for a column that is no quasi-identifier")
    found = []
    for name, ladder in zip(names, ladders, strict=True):
        barred = forbidden.get(name, ())
        levels = [at for at in range(ladder.floor, ladder.height + 1) if at not in barred and fixed.get(name, at) == at]
        if not levels:
            raise Unresolved(f"no level of `{name}` is allowed", cure="allow one of the levels of its hierarchy")
        found.append(levels)
    return found


def _largest_k(reaches: Callable[[Safeguards], bool], safeguards: Safeguards) -> int:
    """The largest k below the one asked for that is reached; 0 if none is."""
    low, high = 0, safeguards.k
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if reaches(replace(safeguards, k=middle)) else (low, middle)
    return low


def _unreachable(lattice: Lattice, safeguards: Safeguards, *, proven: bool) -> Unreachable:
    """What the coarsest allowed recoding can reach, one demand loosened at a time.

    Where that is not enough, k and the average risk together: of few subjects both say the same.
    """
    if not proven:
        return Unreachable("no recoding was found in the time allowed", cure="allow the search more time")
    view = lattice.classes(lattice.group(lattice.top), keep=False)
    losses, nearest = lattice.class_losses(view), dict[str, float]()

    def reaches(changed: Safeguards) -> bool:
        return blanks(view.weights, losses, limits(changed, lattice.subjects)) is not None

    loose = blanks(view.weights, losses, limits(replace(safeguards, blank_limit=1.0), lattice.subjects))
    if loose is not None:
        nearest["blank_limit"] = loose.total / lattice.subjects
    average = safeguards.attempt * len(view.weights) / lattice.subjects
    if low := _largest_k(reaches, safeguards):
        nearest["k"] = low
    if reaches(replace(safeguards, average_risk=1.0)):
        nearest["average_risk"] = average
    how = "loosen one of"
    if not nearest and (low := _largest_k(reaches, replace(safeguards, average_risk=1.0))):
        how, nearest = "loosen together", {"k": low, "average_risk": average}
    said = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in nearest.items())
    return Unreachable(
        "no allowed recoding meets the safeguards",
        nearest=nearest,
        cure=f"{how}: {said}" if said else "allow coarser levels, or fewer quasi-identifiers",
    )
