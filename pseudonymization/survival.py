"""Time to event: the Kaplan-Meier estimate, and how far two of them lie apart.

Kaplan and Meier, Journal of the American Statistical Association 1958;53:457-481: at each time with events, survival is
multiplied by 1 - events / at risk; who is censored at a time is still at risk at it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """Survival after each distinct time with events, ascending; how many were at risk just before; number of events.

    leaving: every subject's time, event or not, ascending.
    """

    times: Floats
    survival: Floats
    at_risk: npt.NDArray[np.int64]
    events: int
    leaving: Floats

    @property
    def subjects(self) -> int:
        """Subjects with a known time."""
        return len(self.leaving)

    def at(self, grid: Floats) -> Floats:
        """Survival at each time of the grid; 1 before the first event."""
        steps = np.append(1.0, self.survival)
        found: Floats = steps[np.searchsorted(self.times, grid, side="right")]
        return found

    def still(self, grid: Floats) -> npt.NDArray[np.int64]:
        """How many are at risk at each time of the grid."""
        return np.asarray(len(self.leaving) - np.searchsorted(self.leaving, grid, side="left"), dtype=np.int64)


def kaplan_meier(times: Floats, happened: npt.NDArray[np.bool_]) -> Curve:
    """The estimate from one time per subject and whether the event happened then (else the subject was censored).

    Subjects whose time is not a number are left out.
    """
    known = np.isfinite(times)
    times, happened = times[known], happened[known]
    distinct, of = np.unique(times, return_inverse=True)
    events = np.bincount(of, weights=happened, minlength=len(distinct)).astype(np.int64)
    leaving = np.bincount(of, minlength=len(distinct))
    at_risk = len(times) - np.append(0, np.cumsum(leaving))[: len(distinct)]
    step = events > 0
    survival = np.cumprod(1.0 - events[step] / at_risk[step])
    return Curve(distinct[step].astype(np.float64), survival, at_risk[step], int(events.sum()), np.sort(times))


def furthest(one: Curve, other: Curve) -> float:
    """The largest vertical distance of two curves, from 0 to 1 (Kolmogorov's distance of the estimates)."""
    grid = np.union1d(one.times, other.times)
    return float(np.abs(one.at(grid) - other.at(grid)).max(initial=0.0))
