"""Which subjects are blanked under a recoding: the one rule, used by every search and by the plan when it is run.

1. Classes smaller than k are blanked, whole.
2. While the classes that stay (the blanked count as one class) are more than the average risk or the uniques cap
   allow, the next smallest class is blanked, whole; among classes of one size, the one that costs least.
3. A blank matches only blanks, so the blanked are a class too. If they are fewer than k (than two, where a lone blank
   would pass the uniques cap), the missing subjects come from classes that hold more, one by one, the least
   informative first; or the cheapest whole class joins them, where that costs less or no class holds more.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pseudonymization.risk import Limits

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Blanks:
    """How many subjects of each class are blanked (float64, whole numbers), and how many in all."""

    taken: Floats
    total: int


def needed(sizes: Floats, limits: Limits, bad: npt.NDArray[np.bool_] | None = None) -> int:
    """How many subjects steps 1 and 2 blank. It never grows when classes are merged, so it may prune a search.

    bad: classes that must go although they are large enough (and all their parts too). Returns more than all subjects
    if even blanking everything does not help.
    """
    small = sizes < limits.k if bad is None else (sizes < limits.k) | bad
    low, count = int(np.count_nonzero(small)), len(sizes)
    blanked = int(sizes[small].sum())
    alone = int(np.count_nonzero(sizes[~small] == 1))
    if _fits(low, count, alone, limits):
        return blanked
    first = _how_many(low, count, alone, limits)
    if first > count:
        return int(sizes.sum()) + 1
    return max(blanked, int(np.partition(sizes, first - 1)[:first].sum()))


def _fits(low: int, count: int, alone: int, limits: Limits) -> bool:
    return count - low + (low > 0) <= limits.classes and alone <= limits.uniques


def _how_many(low: int, count: int, alone: int, limits: Limits) -> int:
    """How many classes must go, the `low` bad ones first, then the smallest; more than there are if none suffices."""
    many = max(low, low + alone - limits.uniques)
    if count - many + (many > 0) > limits.classes:
        many = max(many, count + 1 - limits.classes)
    return many


def blanks(sizes: Floats, losses: Floats, limits: Limits, bad: npt.NDArray[np.bool_] | None = None) -> Blanks | None:
    """The rule above. sizes: subjects per class. losses: loss per subject of each class under the recoding, 0 to 1.

    bad: classes that fail another model; they go in step 1, and step 3 then takes whole classes only, since a part of
    a class need not pass what the whole passes. Ties are broken by position. None if no blanking within
    `limits.blanks` meets the limits.
    """
    small = sizes < limits.k if bad is None else (sizes < limits.k) | bad
    taken = np.where(small, sizes, 0.0)
    low, alone = int(np.count_nonzero(small)), int(np.count_nonzero(sizes[~small] == 1))
    if not _fits(low, len(sizes), alone, limits):
        many = _how_many(low, len(sizes), alone, limits)
        if many > len(sizes):
            return None
        order = np.lexsort((np.arange(len(sizes)), -losses, sizes, ~small))
        taken[order[:many]] = sizes[order[:many]]
    total = int(taken.sum())
    least = limits.k
    if total == 1 and int(np.count_nonzero(sizes == 1)) > limits.uniques:
        least = max(least, 2)
    if 0 < total < least:
        _complete(taken, sizes, losses, least, whole_only=bad is not None)
        total = int(taken.sum())
        if total < least:
            return None
    return Blanks(taken, total) if total <= limits.blanks else None


def _complete(taken: Floats, sizes: Floats, losses: Floats, k: int, *, whole_only: bool) -> None:
    """Step 3, in place. A whole class that stays holds k subjects or passed the cap alone; one or two suffice."""
    missing = k - taken.sum()
    kept = np.flatnonzero(taken == 0)
    if len(kept) == 0:
        return
    whole_cost = (1 - losses[kept]) * sizes[kept]
    whole = kept[np.argmin(whole_cost)]
    spare = np.maximum(sizes[kept] - k, 0)
    if whole_only or spare.sum() < missing:
        taken[whole] = sizes[whole]
        return
    order = np.argsort(-losses[kept], kind="stable")
    upto = np.minimum(np.cumsum(spare[order]), missing)
    part = np.diff(upto, prepend=0.0)
    if float((part * (1 - losses[kept][order])).sum()) <= float(whole_cost.min()):
        taken[kept[order]] = part
    else:
        taken[whole] = sizes[whole]


def among(codes: npt.NDArray[Any], taken: Floats) -> npt.NDArray[np.bool_]:
    """Which subjects are blanked: in each class (code per subject), the first `taken` of them in table order."""
    order = np.argsort(codes, kind="stable")
    grouped = codes[order]
    starts = np.searchsorted(grouped, np.arange(len(taken)))
    mask = np.zeros(len(codes), dtype=bool)
    mask[order] = np.arange(len(codes)) - starts[grouped] < taken[grouped]
    return mask
