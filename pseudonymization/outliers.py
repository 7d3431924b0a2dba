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


def needed(sizes: Floats, limits: Limits) -> int:
    """How many subjects steps 1 and 2 blank. It never grows when classes are merged, so it may prune a search.

    Returns more than all subjects if even blanking everything does not help.
    """
    small = sizes < limits.k
    low, count = int(np.count_nonzero(small)), len(sizes)
    blanked = int(sizes[small].sum())
    if _fits(low, count, sizes, limits):
        return blanked
    first = _how_many(low, sizes, limits)
    if first > count:
        return int(sizes.sum()) + 1
    return int(np.partition(sizes, first - 1)[:first].sum())


def _fits(low: int, count: int, sizes: Floats, limits: Limits) -> bool:
    if count - low + (low > 0) > limits.classes:
        return False
    return limits.k > 1 or int(np.count_nonzero(sizes == 1)) <= limits.uniques


def _how_many(low: int, sizes: Floats, limits: Limits) -> int:
    """How many of the smallest classes must go, at least `low`; more than there are if none suffices."""
    many = low
    if len(sizes) - many + (many > 0) > limits.classes:
        many = max(many, len(sizes) + 1 - limits.classes)
    alone = int(np.count_nonzero(sizes == 1))
    return max(many, alone - limits.uniques)


def blanks(sizes: Floats, losses: Floats, limits: Limits) -> Blanks | None:
    """The rule above. sizes: subjects per class. losses: loss per subject of each class under the recoding, 0 to 1.

    Ties are broken by position. None if no blanking within `limits.blanks` meets the limits.
    """
    small = sizes < limits.k
    taken = np.where(small, sizes, 0.0)
    if not _fits(int(np.count_nonzero(small)), len(sizes), sizes, limits):
        many = _how_many(int(np.count_nonzero(small)), sizes, limits)
        if many > len(sizes):
            return None
        order = np.lexsort((np.arange(len(sizes)), -losses, sizes))
        taken[order[:many]] = sizes[order[:many]]
    total = int(taken.sum())
    least = limits.k
    if total == 1 and int(np.count_nonzero(sizes == 1)) > limits.uniques:
        least = max(least, 2)
    if 0 < total < least:
        _complete(taken, sizes, losses, least)
        total = int(taken.sum())
        if total < least:
            return None
    return Blanks(taken, total) if total <= limits.blanks else None


def _complete(taken: Floats, sizes: Floats, losses: Floats, k: int) -> None:
    """Step 3, in place."""
    missing = k - taken.sum()
    kept = np.flatnonzero(taken == 0)
    if len(kept) == 0:
        return
    whole_cost = (1 - losses[kept]) * sizes[kept]
    whole = kept[np.argmin(whole_cost)]
    spare = np.maximum(sizes[kept] - k, 0)
    if spare.sum() < missing:
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
