"""The frontier of risk and utility: what else could be released under the same safeguards, for a person to choose.

From one lattice, whose counted views all searches share: the cheapest recoding for each class size asked for, with
blanked cells as far as they are allowed and without any. And, as an analyst would ask, the cheapest recoding that keeps
one column as precise as it can be.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pseudonymization.classes import ClassTable
from pseudonymization.exact import Search
from pseudonymization.faults import Unreachable
from pseudonymization.hierarchies import Ladder
from pseudonymization.lattice import Lattice
from pseudonymization.risk import limits, risk_of
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import LARGEST, optimal
from pseudonymization.utility import sizes_of, utility_of

SIZES = (2, 3, 5, 8, 11, 15, 20, 30, 50)
KEPT_WEIGHT = 20.0
"""How much more the loss of a column counts that is to be kept precise."""
SECONDS = 10.0
"""The longest search for a column kept precise; what it has found by then is told as not proven."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """One point of the frontier: what it demands, what it does, what it costs and what risk it leaves.

    why: in words. k and blank_limit: demanded. granularity: 1 − loss, all columns alike; columns: the same per column.
    blanked, uniques: shares of subjects. proven: whether no recoding under the same demands loses less.
    """

    why: str
    k: int
    blank_limit: float
    levels: Mapping[str, int]
    granularity: float
    columns: Mapping[str, float]
    blanked: float
    maximum_risk: float
    average_risk: float
    uniques: float
    proven: bool

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        shares = ("granularity", "blanked", "maximum_risk", "average_risk", "uniques")
        return {
            "why": self.why,
            "k": self.k,
            "blank_limit": self.blank_limit,
            "levels": dict(self.levels),
            "columns": {name: round(kept, 6) for name, kept in self.columns.items()},
            **{name: round(getattr(self, name), 6) for name in shares},
            "proven": self.proven,
        }


def alternatives(
    table: ClassTable,
    ladders: Mapping[str, Ladder],
    safeguards: Safeguards,
    *,
    sizes: Sequence[int] = SIZES,
    weights: Mapping[str, float] | None = None,
) -> list[Alternative]:
    """What meets the safeguards, the cheapest first; what another one equals or beats in everything is left out.

    All other safeguards stay as they are; only class sizes above the safeguards' own are tried, so none is weaker.
    The first one is what the search chooses by itself, where it is not beaten.

    Raises:
        Unreachable: the lattice is too large to look at more than one recoding.
    """
    lifted = table.lifted(ladders)
    allowed = [[*range(ladder.floor, ladder.height + 1)] for ladder in lifted]
    if float(np.prod([float(len(levels)) for levels in allowed])) > LARGEST:
        raise Unreachable("there are too many recodings to compare", cure="fix or forbid levels, then compare again")
    wanted = {safeguards.k, *(k for k in sizes if k > safeguards.k)}
    shares = [(weights or {}).get(name, 1.0) for name in table.names]
    found = [*_of_sizes(table, ladders, safeguards, Lattice(table, lifted, shares, allowed), sorted(wanted))]
    for name, ladder in zip(table.names, lifted, strict=True):
        if ladder.height > ladder.floor and len(table.names) > 1:
            found += _keeping(table, ladders, safeguards, name, dict(weights or {}))
    kept = [
        one
        for at, one in enumerate(found)
        if not any(_beats(other, one) for other in found)
        and not any(other.levels == one.levels and other.blanked == one.blanked for other in found[:at])
    ]
    return sorted(kept, key=lambda one: -one.granularity)


def _of_sizes(
    table: ClassTable, ladders: Mapping[str, Ladder], safeguards: Safeguards, lattice: Lattice, sizes: Sequence[int]
) -> Iterator[Alternative]:
    """The optimum for each class size, with and without blanked cells; class sizes that cannot be met are left out."""
    for k in sizes:
        for limit in dict.fromkeys((safeguards.blank_limit, 0.0)):
            demanded = replace(safeguards, k=k, blank_limit=limit)
            search = Search(lattice, limits(demanded, lattice.subjects))
            search.run()
            if np.isfinite(search.best):
                chosen = [lattice.allowed[c][level] for c, level in enumerate(search.node)]
                levels = dict(zip(table.names, chosen, strict=True))
                words = f"classes of at least {k}" if k > 1 else "the least loss"
                words += "" if limit else ", no cell blanked"
                yield _made(words, table, ladders, demanded, levels, search.mask(table), proven=True)


def _keeping(
    table: ClassTable, ladders: Mapping[str, Ladder], safeguards: Safeguards, name: str, weights: dict[str, float]
) -> Iterator[Alternative]:
    weights[name] = KEPT_WEIGHT
    try:
        found = optimal(table, ladders, safeguards, weights=weights, budget_seconds=SECONDS)
    except Unreachable:
        return
    words = f"{name} as precise as it can be"
    yield _made(words, table, ladders, safeguards, found.levels, found.blanked, proven=found.proven_optimal)


def _made(
    why: str,
    table: ClassTable,
    ladders: Mapping[str, Ladder],
    demanded: Safeguards,
    levels: Mapping[str, int],
    blanked: npt.NDArray[np.bool_],
    *,
    proven: bool,
) -> Alternative:
    utility = utility_of(table, ladders, levels, blanked)
    kept = [
        ladder.codes[levels[name]][table.codes[~blanked, at]]
        for at, (name, ladder) in enumerate(zip(table.names, table.lifted(ladders), strict=True))
    ]
    sizes = sizes_of(kept, int((~blanked).sum()))
    risk = risk_of(np.append(sizes, blanked.sum()) if blanked.any() else sizes, demanded.attempt)
    return Alternative(
        why=why,
        k=demanded.k,
        blank_limit=demanded.blank_limit,
        levels=dict(levels),
        granularity=utility.granularity,
        columns=dict(utility.columns),
        blanked=utility.blanked,
        maximum_risk=risk.maximum,
        average_risk=risk.average,
        uniques=risk.uniques,
        proven=proven,
    )


def _beats(other: Alternative, one: Alternative) -> bool:
    """As safe, as useful in every column, with no more blanked; and better in one of these."""
    mine, theirs = (
        (-a.maximum_risk, -a.average_risk, -a.uniques, -a.blanked, *a.columns.values()) for a in (one, other)
    )
    gains = [b - a for a, b in zip(mine, theirs, strict=True)]
    return min(gains) >= -1e-12 and max(gains) > 1e-12
