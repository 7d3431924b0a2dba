"""Dates of planned visits, moved to the day that the protocol planned: what tells subjects apart is how they kept it.

A sequence of visit gaps survives any shift and is nearly always one subject's alone. Where the steward asks for it, the
date on which a visit's data were collected (`--DTC`, SVSTDTC and SVENDTC, ADT) becomes the subject's reference start
plus the planned day (VISITDY), and the study day beside it (`--DY`, ADY) the planned day itself. Visits that nobody
planned, dates of events, and the start and end of dosing (EX) and elements (SE) stay where the shift puts them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pseudonymization.columns import Source, Study, Table
from pseudonymization.faults import Place, Unresolved
from pseudonymization.isodates import NO_DAY, Days

NOT_PLANNED = 0
"""Stands for a row without a planned day: SDTM has no day 0 (SDTMIG 3.2 §4.1.4.4)."""

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Visits:
    """The planned day of each visit number, and per table its columns that are moved.

    dates, days: per table the date columns and the study day columns of visits. Empty where nothing is to be moved.
    """

    planned: Mapping[float, int] = field(default_factory=dict)
    dates: Mapping[str, frozenset[str]] = field(default_factory=dict)
    days: Mapping[str, frozenset[str]] = field(default_factory=dict)


NO_VISITS = Visits()


def visits_of(whole: Study, asked: Study, source: Source) -> Visits:
    """The planned visits of a study whose steward wants dates moved to them; nothing for any other study.

    Raises:
        Unresolved: a table has planned days, or visit numbers, that were not asked for with its dates.
    """
    if not whole.options.snap_to_visits:
        return NO_VISITS
    planned = _planned(whole, source)
    at_dates, at_days = {}, {}
    for table in asked.tables:
        names = {column.name for column in table.columns}
        date_names, day_names = (frozenset(found) & names for found in zip(*_of_visits(table), strict=True))
        known = {column.name for column in whole[table.name].columns} & {"VISITDY", "VISITNUM"}
        if not known or not date_names | day_names:
            continue
        if not known & names:
            raise Unresolved(
                "dates cannot be moved to their planned visits without the visit",
                places=(Place(table.name, min(known)),),
                cure=f"ask for `{min(known)}` too",
            )
        at_dates[table.name], at_days[table.name] = date_names, day_names
    return Visits(planned, at_dates, at_days)


def _of_visits(table: Table) -> Iterator[tuple[str, str]]:
    """The date columns of a table's visits, each with its study day."""
    prefix = table.domain[:2]
    yield f"{prefix}DTC", f"{prefix}DY"
    if table.domain == "SV":
        yield "SVSTDTC", "SVSTDY"
        yield "SVENDTC", "SVENDY"
    yield "ADT", "ADY"
    yield "ADTM", "ADY"


def _planned(whole: Study, source: Source) -> dict[float, int]:
    """The planned day of each visit number that has exactly one, from TV, else from SV."""
    for domain in ("TV", "SV"):
        for table in whole.tables:
            names = {column.name for column in table.columns}
            if table.domain != domain or not {"VISITNUM", "VISITDY"} <= names:
                continue
            found: dict[float, set[int]] = {}
            for batch in source.batches(table.name, ["VISITNUM", "VISITDY"]):
                numbers, days = (_numbers(batch.column(name)).tolist() for name in ("VISITNUM", "VISITDY"))
                for number, day in {*zip(numbers, days, strict=True)}:
                    if day:
                        found.setdefault(number, set()).add(int(day))
            return {number: next(iter(said)) for number, said in found.items() if len(said) == 1}
    return {}


def _numbers(array: pa.Array) -> Numbers:
    """A column of numbers; a missing one is 0."""
    plain = pc.fill_null(array.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False)
    return np.asarray(np.nan_to_num(plain), dtype=np.float64)


def planned_days(visits: Visits, table: str, batch: pa.RecordBatch) -> Days:
    """The planned study day of each row; `NOT_PLANNED` for a row without one."""
    nothing = np.full(batch.num_rows, NOT_PLANNED, dtype=np.int64)
    if table not in visits.dates:
        return nothing
    if "VISITDY" in batch.schema.names:
        return _numbers(batch.column("VISITDY")).astype(np.int64)
    numbers = _numbers(batch.column("VISITNUM"))
    found, which = np.unique(numbers, return_inverse=True)
    known = [visits.planned.get(float(number), NOT_PLANNED) for number in found]
    return np.array(known, dtype=np.int64)[which] if len(found) else nothing


def steps(planned: Days, days: Days, complete: Flags, baseline: Days) -> Days:
    """How many days each row's date lies before the planned day of its visit; 0 where it is not to be moved."""
    moves = complete & (planned != NOT_PLANNED) & (baseline != NO_DAY)
    target = np.where(moves, baseline, 0) + planned - (planned > 0)
    return np.where(moves, target - days, 0)


def study_days(planned: Days, array: pa.Array) -> pa.Array:
    """A study day column with the planned day wherever a row has one; blank cells stay blank."""
    told = pa.array(planned != NOT_PLANNED)
    stands = pc.and_(told, array.is_valid())
    if pa.types.is_floating(array.type):
        stands = pc.and_(stands, pc.invert(pc.is_nan(pc.fill_null(array, np.nan))))
    return pc.if_else(stands, pa.array(planned).cast(array.type), array)
