"""What is counted while rows are treated, for the report: never a value, and small counts are the caller's to hide."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pseudonymization.dates import DateFlips, Dates, study_days
from pseudonymization.isodates import NO_DAY, Days, Precision


@dataclass(frozen=True, slots=True)
class DayChecks:
    """Study days beside complete dates of one column: how many there are, and how many the source counted otherwise.

    A difference is the source's own (a day counted from another date, or a day 0). It is neither made nor mended here:
    dates and their reference start move together.
    """

    checked: int = 0
    differing: int = 0

    def __add__(self, other: "DayChecks") -> "DayChecks":
        return DayChecks(self.checked + other.checked, self.differing + other.differing)


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted on the way; adds up over batches.

    flips: date flips per column. redacted: redactions per column and kind. study_days: checks per study day column.
    """

    flips: Mapping[tuple[str, str], DateFlips] = field(default_factory=dict)
    redacted: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    study_days: Mapping[tuple[str, str], DayChecks] = field(default_factory=dict)

    def __add__(self, other: "Tally") -> "Tally":
        no_flips, no_checks = DateFlips(), DayChecks()
        flips = {
            at: self.flips.get(at, no_flips) + other.flips.get(at, no_flips) for at in {**self.flips, **other.flips}
        }
        checks = {
            at: self.study_days.get(at, no_checks) + other.study_days.get(at, no_checks)
            for at in {**self.study_days, **other.study_days}
        }
        return Tally(flips, dict(Counter(self.redacted) + Counter(other.redacted)), checks)


def day_column(date: str) -> str:
    """The study day column that goes with a date column (AESTDTC: AESTDY)."""
    return f"{date.removesuffix('DTC')}DY" if date.endswith("DTC") else ""


def checked_days(read: Dates, told: pa.Array, baseline: Days) -> DayChecks:
    """The study days of one batch, `told`, against its dates and each row's reference start."""
    if not pa.types.is_integer(told.type) and not pa.types.is_floating(told.type):
        return DayChecks()
    said: npt.NDArray[np.float64] = told.cast(pa.float64()).to_numpy(zero_copy_only=False)
    complete = (read.precision == Precision.DAY) & (baseline != NO_DAY)
    counted = study_days(read.days, complete, baseline).cast(pa.float64()).to_numpy(zero_copy_only=False)
    both = complete & ~np.isnan(said)
    return DayChecks(int(both.sum()), int((said[both] != counted[both]).sum()))
