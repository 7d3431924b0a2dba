"""Date shifts that give themselves away: one shift for everybody, one for a whole site, or the same one twice.

Whoever knows one true date of one subject then knows those of all who share its shift; whoever holds two releases under
different projects could join them by it. Shifts are compared here and nowhere kept, shown or logged.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pseudonymization import cells, dates, isodates
from pseudonymization.isodates import NO_DAY, Days
from pseudonymization.subjects import Positions

ALL, SITE, TWICE = (
    "one date shift for most subjects",
    "one date shift for a whole site",
    "a date shift of another project",
)

_FEWEST = 3
"""Two subjects may draw one shift by chance (1 in 7,306 for each pair of a site); three hardly ever do."""


def shared(shifts: Days, groups: Mapping[str, npt.NDArray[np.int64]]) -> Iterator[str]:
    """The kinds of sharing among the subjects' shifts.

    shifts: days, one per subject, `NO_DAY` where unknown. groups: per attribute (site, country), a code per subject, -1
    for none. A shift is everybody's when more than half of all known ones are equal, a site's when all of its are and
    there are at least three.
    """
    known = shifts != NO_DAY
    if known.sum() >= _FEWEST:
        _, counts = np.unique(shifts[known], return_counts=True)
        if 2 * counts.max() > known.sum():
            yield ALL
            return
    for codes in groups.values():
        inside = known & (codes >= 0)
        for code in np.unique(codes[inside]).tolist():
            own = shifts[inside & (codes == code)]
            if len(own) >= _FEWEST and (own == own[0]).all():
                yield SITE
                return


def repeated(shifts: Days, others: Sequence[Days], window: tuple[int, int] = dates.SHIFT_WINDOW) -> Iterator[str]:
    """Whether more subjects than chance explains have the same shift under another project (same order of subjects)."""
    for other in others:
        known = (shifts != NO_DAY) & (other != NO_DAY)
        chance = known.sum() / (window[1] - window[0] + 1)
        if int((shifts[known] == other[known]).sum()) > chance + 5 * chance**0.5 + 2:
            yield TWICE
            return


class Observed:
    """The shifts that whoever knows the true dates can read off a release, from one complete date of each subject."""

    def __init__(self, subjects: int) -> None:
        self.shifts: Days = np.full(subjects, NO_DAY, dtype=np.int64)

    @property
    def complete(self) -> bool:
        """Whether every subject's shift was seen."""
        return bool((self.shifts != NO_DAY).all())

    def see(self, before: pa.Array, after: pa.Array, who: Positions) -> None:
        """One date column before and after, row by row; `who` has one position per row, -1 for nobody."""
        (old, had), (new, has) = _days(before), _days(after)
        at = np.flatnonzero(had & has & (who >= 0))
        at = at[self.shifts[who[at]] == NO_DAY]
        self.shifts[who[at][::-1]] = (new - old)[at][::-1]


def _days(array: pa.Array) -> tuple[Days, npt.NDArray[np.bool_]]:
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if pa.types.is_temporal(kind):
        return dates.arrow_days(array.dictionary_decode() if pa.types.is_dictionary(array.type) else array)
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return np.zeros(len(array), dtype=np.int64), np.zeros(len(array), dtype=np.bool_)
    coded = cells.encode(array)
    days, complete = isodates.complete_days(coded.values)
    return np.append(days, 0)[coded.codes], np.append(complete, False)[coded.codes]
