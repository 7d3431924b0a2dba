"""SAS dates: numbers of days or seconds since 1 January 1960, told apart by the column's format alone."""

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

EPOCH_DAYS = 3653
"""Days from the SAS epoch (1960-01-01) to the Unix epoch (1970-01-01)."""
EPOCH_SECONDS = EPOCH_DAYS * 86_400

DATE_FORMAT = re.compile(
    r"DATE|DAY|(DDMMYY|MMDDYY|YYMMDD)[BCDNPS]?|DOWNAME|JULDAY|JULIAN|(MMYY|YYMM)[CDNPS]?|MONNAME|MONTH|MONYY"
    r"|QTRR?|WEEKDA(TE|TX|Y)|WORDDAT[EX]|YEAR|YYMON|YYQ[CDNPRS]?|YYWEEK[UVW]|(E8601|B8601|IS8601)DA"
    r"|NLDATE[A-Z]*|EURDF(DE|DD|DN|DWN|MN|MY|WDX|WKX)|MINGUO|NENGO|HEBDATE"
)
DATETIME_FORMAT = re.compile(
    r"DATETIME|DATEAMPM|DT(DATE|MONYY|WKDATX|YEAR|YYQC)|MDYAMPM|(E8601|B8601|IS8601)(DT|DX|DZ|DN|LX)"
    r"|NLDATM[A-Z]*|EURDFDT"
)
DATE = pa.date32()
DATETIME = pa.timestamp("s")

_FORMAT = re.compile(r"([A-Z_][A-Z0-9_]*?)\d*(\.\d*)?$")


def kind_of(form: str) -> pa.DataType:
    """The Arrow type of a numeric SAS column with this format: `date32`, `timestamp[s]`, or `double`."""
    match = _FORMAT.match(form.strip().upper())
    base = match.group(1) if match else ""
    if DATE_FORMAT.fullmatch(base):
        return DATE
    return DATETIME if DATETIME_FORMAT.fullmatch(base) else pa.float64()


def from_sas(numbers: npt.NDArray[np.float64], kind: pa.DataType) -> pa.Array:
    """SAS numbers (days or seconds since 1960; NaN is missing) as an Arrow array of `kind`."""
    missing = np.isnan(numbers)
    if kind == DATE:
        days = np.where(missing, 0.0, np.floor(numbers) - EPOCH_DAYS)
        return pa.array(days.astype(np.int32), mask=missing).cast(DATE)
    if kind == DATETIME:
        seconds = np.where(missing, 0.0, np.floor(numbers) - EPOCH_SECONDS)
        return pa.array(seconds.astype(np.int64), mask=missing).cast(DATETIME)
    return pa.array(numbers, mask=missing)


def to_sas(values: pa.Array) -> npt.NDArray[np.float64]:
    """Arrow dates, timestamps or numbers as SAS numbers; missing becomes NaN."""
    if pa.types.is_date(values.type):
        return _floats(values.cast(DATE).cast(pa.int32())) + EPOCH_DAYS
    if pa.types.is_timestamp(values.type):
        ticks = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[values.type.unit]
        return _floats(values.cast(pa.int64())) / ticks + EPOCH_SECONDS
    return _floats(values)


def _floats(values: pa.Array) -> npt.NDArray[np.float64]:
    """Numbers as float64 with NaN where missing."""
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
