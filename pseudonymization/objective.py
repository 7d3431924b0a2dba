"""What a search minimises: the loss of a finished recoding, and what the classes of one node say of other nodes.

Granularity and non-uniform entropy are sums over cells, and the lattice knows them per label (`label_costs`).
Discernibility and average class size depend on the sizes of classes alone (`SizeLoss`). Which subjects are blanked does
not depend on the objective: the blanking rule always weighs cells by granularity.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from pseudonymization.risk import Limits

Floats = npt.NDArray[np.float64]


class Loss(StrEnum):
    """What the cheapest recoding is cheapest in; every one lies between 0 and 1.

    granularity: mean over cells of (leaves covered − 1) / (leaves − 1), a blanked cell counting 1 (Iyengar, KDD 2002).
    discernibility: sum of squared class sizes, a blanked subject counting all subjects (Bayardo and Agrawal, ICDE
    2005), over subjects². average_class: subjects per class, the blanked being one class, over subjects (LeFevre et
    al., ICDE 2006, without its division by k). entropy: bits lost over bits lost if nothing were released (non-uniform
    entropy, Gionis and Tassa, TKDE 2009).
    """

    GRANULARITY = "granularity"
    DISCERNIBILITY = "discernibility"
    AVERAGE_CLASS = "average_class"
    ENTROPY = "entropy"

    @property
    def of_sizes(self) -> bool:
        """Whether it depends on the sizes of classes alone."""
        return self in {Loss.DISCERNIBILITY, Loss.AVERAGE_CLASS}


@dataclass(frozen=True, slots=True)
class SizeLoss:
    """A loss of class sizes, in the unit of the search: a subject who is alone with everybody loses 1.

    Discernibility of sizes s: sum of s² / n. Average class: n / classes. n subjects in all.
    """

    loss: Loss
    limits: Limits
    subjects: int

    def cost(self, sizes: Floats, taken: Floats) -> float:
        """The loss when `taken` subjects of each class are blanked."""
        left, blanked = sizes - taken, float(taken.sum())
        if self.loss is Loss.DISCERNIBILITY:
            return float(left @ left) / max(1, self.subjects) + blanked
        return self.subjects / (np.count_nonzero(left) + (blanked > 0))

    def above(self, sizes: Floats) -> float:
        """The least loss of this node and all coarser ones: classes only merge.

        Discernibility: a subject's class never shrinks below what it is, nor below k, but by the subjects that step 3
        of the blanking rule takes from it: fewer than k (or two), from classes that hold more, which saves less than n
        each. Average class: no more classes than now, the blanked included, for they took the place of one at least.
        """
        if self.loss is Loss.DISCERNIBILITY:
            step = max(2, self.limits.k)
            return float(sizes @ np.maximum(sizes, min(self.limits.k, self.subjects))) / max(1, self.subjects) - step
        return self.subjects / max(1, len(sizes))

    def below(self, sizes: Floats, gone: Floats) -> float:
        """The least loss of this node and all finer ones, where `gone` subjects of each class must be blanked.

        The others stay in classes of at least k, all of whose members lie in one class of this node.
        """
        left = sizes - gone
        if self.loss is Loss.DISCERNIBILITY:
            return float(gone.sum()) + float(left.sum()) * min(self.limits.k, self.subjects) / max(1, self.subjects)
        return self.subjects / max(1.0, float((left // self.limits.k).sum()) + 1)


def label_costs(held: Sequence[npt.NDArray[Any]], share: float, subjects: int) -> list[Floats]:
    """Per level and label of one column, the bits it hides over those of a blank: log n(label) / log n, times `share`.

    The bits of a value itself are the same under every recoding, so the sum of these differs from the non-uniform
    entropy by what `released` says. held: per level, subjects per label.
    """
    whole = np.log2(max(2, subjects))
    return [np.log2(np.maximum(count, 1)) / whole * share for count in held]


def entropy_lost(total: float, values: Sequence[Floats], shares: Sequence[float], subjects: int) -> float:
    """The non-uniform entropy, from 0 to 1, behind a mean of `label_costs`.

    values: per column, subjects per value; shares: weights of the columns, summing to one.
    """
    if subjects <= 1:
        return 0.0
    whole = np.log2(subjects)
    own = sum(
        share * float(held[held > 0] @ np.log2(held[held > 0])) / (subjects * whole)
        for held, share in zip(values, shares, strict=True)
    )
    return max(0.0, (total - own) / (1 - own)) if own < 1 - 1e-12 else 0.0
