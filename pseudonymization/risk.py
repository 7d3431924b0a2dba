"""Class sizes → risk. Nothing else in the engine computes risk; the finished result is measured apart from it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy.typing as npt

from pseudonymization.safeguards import Safeguards

Sizes = npt.NDArray[Any]
BINS = (1, 2, 3, 5, 11, 21, 51, 101, 501, 1001)


@dataclass(frozen=True, slots=True)
class Risk:
    """Re-identification risk of a view, for the attacker who knows that the target is in it.

    k: smallest class. maximum: 1 / k. average: mean over subjects of 1 / class size, times `attempt` (Kniola, PhUSE
    2016 DH09). marketer: expected share of subjects a journalist matching all would get right, classes / subjects
    (Dankar and El Emam, EDBT 2010). uniques: share of subjects alone in their class. histogram: share of subjects per
    class-size bin, see `histogram`.
    """

    subjects: int
    classes: int
    k: int
    maximum: float
    average: float
    marketer: float
    uniques: float
    histogram: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {**asdict(self), "histogram": dict(self.histogram)}


def risk_of(sizes: Sizes, attempt: float = 1.0) -> Risk:
    """The risk of a view with classes of these sizes (subjects per class, all above zero).

    Raises:
        ValueError: there is no class.
    """
    if len(sizes) == 0:
        raise ValueError("a view without subjects has no risk")
    subjects, classes, smallest = int(sizes.sum()), len(sizes), int(sizes.min())
    return Risk(
        subjects=subjects,
        classes=classes,
        k=smallest,
        maximum=1 / smallest,
        average=attempt * classes / subjects,
        marketer=classes / subjects,
        uniques=int((sizes == 1).sum()) / subjects,
        histogram=histogram(sizes),
    )


def histogram(sizes: Sizes) -> dict[str, float]:
    """Share of subjects per class-size bin, rounded to three digits: shares, not counts, so that it is safe to show."""
    subjects = max(1, int(sizes.sum()))
    edges = [*BINS, math.inf]
    held = {}
    for low, high in pairwise(edges):
        inside = sizes[(sizes >= low) & (sizes < high)]
        name = f"{low}" if high == low + 1 else f">={low}" if high == math.inf else f"{low}-{int(high) - 1}"
        held[name] = round(float(inside.sum()) / subjects, 3)
    return held


@dataclass(frozen=True, slots=True)
class Limits:
    """Safeguards as whole numbers for `subjects` subjects, so that no threshold is compared as a float.

    k: smallest class allowed. classes: most classes that keep attempt × classes / subjects within the average risk.
    uniques: most subjects alone in their class. blanks: most subjects whose cells may be blanked.
    """

    k: int
    classes: int
    uniques: int
    blanks: int


def limits(safeguards: Safeguards, subjects: int) -> Limits:
    """The whole numbers behind the shares, exact: 0.09 is nine hundredths, not its nearest double."""
    exact = {name: Fraction(str(getattr(safeguards, name))) for name in ("average_risk", "attempt", "uniques")}
    most = subjects
    if exact["attempt"] > 0:
        most = min(subjects, math.floor(exact["average_risk"] * subjects / exact["attempt"]))
    return Limits(
        k=safeguards.k,
        classes=most,
        uniques=math.floor(exact["uniques"] * subjects),
        blanks=math.floor(Fraction(str(safeguards.blank_limit)) * subjects),
    )
