"""ISO 8601 dates as SDTM writes them: read with their exact precision, and spelled again with that same precision.

Forms read (SDTMIG 3.2 §4.1.4.1-4.1.4.3): `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, each with a time of day after it; a missing
part as one hyphen (`2003---15`, `--12-15`, `-----T07:15`); intervals `a/b`. Anything else is unreadable. A day is a
whole number: days since 1970-01-01, proleptic Gregorian.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Days = npt.NDArray[np.int64]
Small = npt.NDArray[np.int8]
Codes = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]
NO_DAY = int(np.iinfo(np.int64).min)
LAST_DAY = 2932896
"""9999-12-31: no later day can be written with four digits."""


class Precision(IntEnum):
    """Which parts of a date are known. The first three are ordered, coarse to fine."""

    YEAR = 1
    MONTH = 2
    DAY = 3
    YEAR_DAY = 4
    MONTH_DAY = 5
    MONTH_ALONE = 6
    DAY_ALONE = 7
    TIME = 8
    INTERVAL = 9


_SHAPES: Mapping[Precision, str] = {
    Precision.YEAR: "yyyy",
    Precision.MONTH: "yyyy-mm",
    Precision.DAY: "yyyy-mm-dd",
    Precision.YEAR_DAY: "yyyy---dd",
    Precision.MONTH_DAY: "--mm-dd",
    Precision.MONTH_ALONE: "--mm",
    Precision.DAY_ALONE: "----dd",
    Precision.TIME: "",
    Precision.INTERVAL: "",
}
_KNOWN: Mapping[tuple[bool, bool, bool], Precision] = {
    (True, False, False): Precision.YEAR,
    (True, True, False): Precision.MONTH,
    (True, True, True): Precision.DAY,
    (True, False, True): Precision.YEAR_DAY,
    (False, True, True): Precision.MONTH_DAY,
    (False, True, False): Precision.MONTH_ALONE,
    (False, False, True): Precision.DAY_ALONE,
    (False, False, False): Precision.TIME,
}
_TIME = (
    r"[T ](?:(?:[01]\d|2[0-4])|-)(?::(?:[0-5]\d|-)(?::(?:[0-5]\d|60|-)(?:[.,]\d+)?)?)?"
    r"(?:Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?"
)
_DATE = re.compile(rf"(?P<y>\d{{4}}|-)(?:-(?P<m>\d\d|-)(?:-(?P<d>\d\d|-))?)?(?P<time>{_TIME})?", re.ASCII)
_TIME_ONLY = re.compile(_TIME, re.ASCII)
_DURATION = re.compile(r"P(?=.)(?:\d+[YMWD])*(?:T(?:\d+(?:[.,]\d+)?[HMS])+)?", re.ASCII)
_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Parsed:
    """Distinct date texts, read. Arrays are aligned with the texts.

    days: the day, a missing part imputed: 30 June for a year, the 15th for a month (PHUSE De-Identification Standard
      for SDTM 3.2, rule Offset); a missing year is 2004. Meaningless for `TIME` and `INTERVAL`.
    precision: what was written. suffix: index into `suffixes`, what stands behind the date (placeholders, time).
    intervals: by index, the two halves. bad: True where the text is no date.
    """

    days: Days
    precision: Small
    suffix: Codes
    suffixes: tuple[str, ...]
    intervals: Mapping[int, tuple[str, str]]
    bad: npt.NDArray[np.bool_]

    @property
    def complete(self) -> npt.NDArray[np.bool_]:
        """Where year, month and day are all written."""
        flags: npt.NDArray[np.bool_] = self.precision == Precision.DAY
        return flags


def parse(texts: pa.Array) -> Parsed:
    """Distinct, non-blank texts, read; those that are no date are flagged, not raised (the caller knows the rows)."""
    n = len(texts)
    days, precision = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int8)
    suffix, bad = np.zeros(n, dtype=np.int32), np.zeros(n, dtype=np.bool_)
    suffixes: dict[str, int] = {"": 0}
    intervals: dict[int, tuple[str, str]] = {}
    simple = _parse_complete(texts, days, suffix, suffixes)
    precision[simple] = Precision.DAY
    rest = np.flatnonzero(~simple)
    for at, text in zip(rest.tolist(), texts.take(pa.array(rest)).to_pylist(), strict=True):
        halves = text.split("/")
        if len(halves) == 2 and readable(halves[0]) and (readable(halves[1]) or _DURATION.fullmatch(halves[1])):
            intervals[at], precision[at] = (halves[0], halves[1]), Precision.INTERVAL
            continue
        read = _parse_one(text)
        if read is None:
            bad[at] = True
            continue
        days[at], precision[at], tail = read
        suffix[at] = suffixes.setdefault(tail, len(suffixes))
    return Parsed(days, precision, suffix, tuple(suffixes), intervals, bad)


def complete_days(texts: pa.Array) -> tuple[Days, npt.NDArray[np.bool_]]:
    """The days of those texts that are a complete date, and which they are; no other form is looked at."""
    days = np.zeros(len(texts), dtype=np.int64)
    done = _parse_complete(texts, days, np.zeros(len(texts), dtype=np.int32), {})
    return days, done


def readable(text: str) -> bool:
    """Whether one text is a date, complete or partial, and no interval."""
    return _parse_one(text) is not None


def _parse_one(text: str) -> tuple[int, Precision, str] | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    parts = {name: match[name] for name in ("y", "m", "d")}
    known = tuple(part is not None and part != "-" for part in parts.values())
    precision = _KNOWN[known[0], known[1], known[2]]
    year = int(parts["y"]) if known[0] else 2004
    month = int(parts["m"]) if known[1] else {Precision.YEAR: 6, Precision.YEAR_DAY: 7}.get(precision, 1)
    day = int(parts["d"]) if known[2] else 30 if precision is Precision.YEAR else 15
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= days_in(year, month)):
        return None
    if precision is Precision.TIME and not match["time"]:
        return None
    return int(day_number(np.int64(year), np.int64(month), np.int64(day))), precision, text[len(_SHAPES[precision]) :]


def days_in(year: int, month: int) -> int:
    """How many days the month has."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 28 if month == 2 and not leap else int(_MONTH_DAYS[month])


def _parse_complete(texts: pa.Array, days: Days, suffix: Codes, suffixes: dict[str, int]) -> npt.NDArray[np.bool_]:
    """The usual case without a Python step per value: `YYYY-MM-DD` with nothing or a time of day behind it."""
    done = np.zeros(len(texts), dtype=np.bool_)
    if not len(texts):
        return done
    offsets, data = _buffers(texts)
    at = np.flatnonzero(np.diff(offsets) >= 10)
    if not len(at):
        return done
    digits = data[offsets[at, None] + np.arange(10)] - np.uint8(48)
    number = digits.astype(np.int64)
    year = number[:, 0] * 1000 + number[:, 1] * 100 + number[:, 2] * 10 + number[:, 3]
    month, day = number[:, 5] * 10 + number[:, 6], number[:, 8] * 10 + number[:, 9]
    good = (digits[:, [0, 1, 2, 3, 5, 6, 8, 9]] <= 9).all(axis=1) & (digits[:, [4, 7]] == 253).all(axis=1)
    good &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    good &= day <= _MONTH_DAYS[np.where(good, month, 0)]
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    good &= ~((month == 2) & (day == 29) & ~leap)
    at, year, month, day = at[good], year[good], month[good], day[good]
    tails = pc.utf8_slice_codeunits(texts.take(pa.array(at)), 10).dictionary_encode()
    fits = np.array([not tail or bool(_TIME_ONLY.fullmatch(tail)) for tail in tails.dictionary.to_pylist()], dtype=bool)
    number_of = [suffixes.setdefault(tail, len(suffixes)) if fit else 0
                 for tail, fit in zip(tails.dictionary.to_pylist(), fits, strict=True)]  # fmt: skip
    codes = tails.indices.to_numpy()
    ok = fits[codes] if len(fits) else np.zeros(0, dtype=bool)
    at = at[ok]
    days[at] = day_number(year[ok], month[ok], day[ok])
    suffix[at] = np.array(number_of, dtype=np.int32)[codes[ok]]
    done[at] = True
    return done


def _buffers(texts: pa.Array) -> tuple[Days, Bytes]:
    _, offsets, data = texts.buffers()
    starts = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    return starts, np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)


def day_number(year: Any, month: Any, day: Any) -> Any:
    """Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant, `days_from_civil`)."""
    y = year - (month <= 2)
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * (month + np.where(month > 2, -3, 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def civil(days: Days) -> tuple[Days, Days, Days]:
    """Year, month and day of days since 1970-01-01 (Howard Hinnant, `civil_from_days`)."""
    z = days + 719468
    era = z // 146097
    doe = z - era * 146097
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + np.where(mp < 10, 3, -9)
    return yoe + era * 400 + (month <= 2), month, doy - (153 * mp + 2) // 5 + 1


def truncated(days: Days, precision: int) -> Days:
    """Years (precision YEAR), months (MONTH) or days since year 0, comparable with each other."""
    if precision == Precision.DAY:
        return days
    year, month, _ = civil(days)
    return year if precision == Precision.YEAR else year * 12 + month


def spell(days: Days, precision: int) -> pa.Array:
    """Days as text, all at one precision, without what may stand behind the date."""
    shape = _SHAPES[Precision(precision)]
    text = np.empty((len(days), len(shape)), dtype=np.uint8)
    text[:] = np.frombuffer(shape.encode(), dtype=np.uint8)
    for letter, part in zip("ymd", civil(days), strict=True):
        if letter in shape:
            stop = shape.rindex(letter)
            for back in range(shape.count(letter)):
                text[:, stop - back] = 48 + part // 10**back % 10
    offsets = np.arange(len(days) + 1, dtype=np.int32) * len(shape)
    return pa.StringArray.from_buffers(len(days), pa.py_buffer(offsets), pa.py_buffer(text))
