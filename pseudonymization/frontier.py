"""The frontier of risk and utility: for each class size asked for, the cheapest recoding, from one lattice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pseudonymization.classes import ClassTable
from pseudonymization.exact import Search
from pseudonymization.hierarchies import Ladder
from pseudonymization.lattice import Lattice
from pseudonymization.risk import limits, risk_of
from pseudonymization.safeguards import Safeguards
from pseudonymization.utility import sizes_of

SIZES = (2, 3, 5, 8, 11, 15, 20, 30, 50)


@dataclass(frozen=True, slots=True)
class Alternative:
    """One point of the frontier: what it demands, what it does, what it costs and what risk it leaves."""

    k: int
    levels: Mapping[str, int]
    granularity: float
    blanked: float
    maximum_risk: float
    average_risk: float

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            "k": self.k,
            "levels": dict(self.levels),
            "granularity": round(self.granularity, 6),
            "blanked": round(self.blanked, 6),
            "maximum_risk": round(self.maximum_risk, 6),
            "average_risk": round(self.average_risk, 6),
        }


def alternatives(
    table: ClassTable, ladders: Mapping[str, Ladder], safeguards: Safeguards, *, sizes: Sequence[int] = SIZES
) -> list[Alternative]:
    """The cheapest recodings for these class sizes and the safeguards' own, each proven; dominated ones left out.

    All other safeguards stay as they are. The lattice and its counted views are shared by all searches. Class sizes
    that cannot be met are left out.
    """
    lifted = table.lifted(ladders)
    allowed = [range(ladder.floor, ladder.height + 1) for ladder in lifted]
    lattice = Lattice(table, lifted, [1.0] * len(lifted), allowed)
    found: list[Alternative] = []
    for k in sorted({*sizes, safeguards.k}):
        search = Search(lattice, limits(replace(safeguards, k=k), lattice.subjects))
        search.run()
        if np.isfinite(search.best):
            found.append(_alternative(table, lifted, search, k, safeguards.attempt))
    return [one for one in found if not any(_dominates(other, one) for other in found)]


def _alternative(table: ClassTable, lifted: Sequence[Ladder], search: Search, k: int, attempt: float) -> Alternative:
    lattice = search.lattice
    blanked = search.mask(table)
    levels = [lattice.allowed[c][level] for c, level in enumerate(search.node)]
    kept = [
        ladder.codes[level][table.codes[~blanked, c]]
        for c, (ladder, level) in enumerate(zip(lifted, levels, strict=True))
    ]
    sizes = sizes_of(kept, int((~blanked).sum()))
    sizes = np.append(sizes, blanked.sum()) if blanked.any() else sizes
    risk = risk_of(sizes, attempt)
    return Alternative(
        k=k,
        levels=dict(zip(table.names, levels, strict=True)),
        granularity=1 - search.best / lattice.subjects,
        blanked=float(blanked.mean()),
        maximum_risk=risk.maximum,
        average_risk=risk.average,
    )


def _dominates(other: Alternative, one: Alternative) -> bool:
    """As safe and as useful, and better in one of the two."""
    safe = other.maximum_risk <= one.maximum_risk and other.average_risk <= one.average_risk
    useful = other.granularity >= one.granularity - 1e-12
    better = (
        other.maximum_risk < one.maximum_risk
        or other.average_risk < one.average_risk
        or other.granularity > one.granularity + 1e-12
    )
    return safe and useful and better
