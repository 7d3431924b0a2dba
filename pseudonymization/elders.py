"""Great age told by arithmetic: a date so long before a subject's reference start that only the very old have one.

45 CFR 164.514(b)(2)(i)(C) counts all elements of dates, including a year, that tell of an age above 89. A disease that
began 92 years before the trial tells as much as an age does. Such cells are blanked; shifting keeps the distance.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pseudonymization import cells, dates
from pseudonymization.faults import Place
from pseudonymization.isodates import NO_DAY, Days, Precision

YEAR = 365.2425
_SLACK = {Precision.YEAR: 183, Precision.MONTH: 16}
"""Days by which a partial date may lie before the middle that stands for it."""


def hidden(array: pa.Array, place: Place, baseline: Days, top: int | None, first_row: int = 0) -> pa.Array:
    """A date column with the cells blanked that lie more than `top` years before `baseline` (one day for each row).

    A partial date is taken at its earliest. None hides nothing; nor is anything hidden without a reference start.

    Raises:
        Unreadable: a text that is no date.
    """
    known = baseline[baseline != NO_DAY]
    if top is None or not len(known):
        return array
    latest = int(known.max()) - int(top * YEAR)
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if pa.types.is_temporal(kind):
        plain = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        days, present = dates.arrow_days(plain)
        return _without(plain, present & _before(days, baseline, top))
    if not pa.types.is_string(kind) and not pa.types.is_large_string(kind):
        return array
    values = array.dictionary if pa.types.is_dictionary(array.type) else array.unique()
    first = pc.min(values.filter(pc.not_equal(values, ""))).as_py()
    if first is None or first[:4] > str(np.datetime64(latest, "D"))[:4]:
        return array
    read = dates.read(array, place, first_row)
    slack = np.zeros(len(read.codes), dtype=np.int64)
    for precision, days_before in _SLACK.items():
        slack[read.precision == precision] = days_before
    return _without(array, (read.codes >= 0) & (read.days != NO_DAY) & _before(read.days - slack, baseline, top))


def _before(days: Days, baseline: Days, top: int) -> npt.NDArray[np.bool_]:
    before: npt.NDArray[np.bool_] = (baseline != NO_DAY) & (baseline - days > top * YEAR)
    return before


def _without(array: pa.Array, old: npt.NDArray[np.bool_]) -> pa.Array:
    if not old.any():
        return array
    return cells.pruned(array.take(pa.array(np.arange(len(array)), mask=old)))
