"""An attacker who knows the true records of a few subjects and looks for them in what was released.

What each subject can be told by (visit days, clock times, results, terms) is gathered while a table streams by, once
before and once after its treatment, as whole numbers: days, minutes, keyed digests of everything else. The attacker
treats their own knowledge as the release says it was treated, and takes whoever fits. Of the subjects that fit, one is
picked blindly; if nobody fits, one of all. The rate of an attack is the mean chance to pick the right one.
"""

import functools
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pseudonymization import cells, isodates

Ints = npt.NDArray[np.int64]

VISITS, TIMES, RESULTS, TERMS = "visit days", "clock times", "results", "terms"
DAY, MONTH, YEAR, MINUTE, HOUR = "day", "month", "year", "minute", "hour"

MOST_PAIRS = 3_000_000
"""Of one kind, so many (subject, value) pairs are held; what streams by later is not looked at."""

_CLOCK = re.compile(r"T(\d\d)(?::(\d\d))?")
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(slots=True)
class Traces:
    """What subjects can be told by: per kind the distinct (subject, value) pairs, and how finely the values are told.

    key: secret of the release, under which results and terms are digested.
    """

    key: bytes = field(default=b"", repr=False)
    place: dict[str, int] = field(default_factory=dict)
    grain: dict[str, str] = field(default_factory=dict)
    held: dict[str, list[Ints]] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)

    def days(self, subjects: pa.Array, dates: pa.Array, grain: str = DAY) -> None:
        """Visit days of complete dates (or study days); where dates were cut, the months or years that are left."""
        if self.count.get(VISITS, 0) >= MOST_PAIRS:
            return
        column = cells.encode(dates)
        texts, kind = column.texts(), dates.type.value_type if pa.types.is_dictionary(dates.type) else dates.type
        found: list[int | None]
        if grain != DAY:
            found = [_coarse(text, grain) for text in texts]
        elif pa.types.is_integer(kind):
            found = [int(text) + (int(text) < 0) for text in texts]  # there is no day 0
        else:
            days, complete = isodates.complete_days(pa.array([text[:10] for text in texts], pa.string()))
            found = [int(day) if whole else None for day, whole in zip(days.tolist(), complete.tolist(), strict=True)]
        self._add(VISITS, grain, subjects, column.codes, found)

    def times(self, subjects: pa.Array, dates: pa.Array, grain: str = MINUTE) -> None:
        """Clock times behind dates, in minutes; where they were cut, of full hours."""
        if self.count.get(TIMES, 0) >= MOST_PAIRS:
            return
        column = cells.encode(dates)
        matches = [_CLOCK.search(text) for text in column.texts()]
        found = [60 * int(match[1]) + int(match[2] or 0) if match else None for match in matches]
        self._add(TIMES, grain, subjects, column.codes, found)

    def items(self, kind: str, subjects: pa.Array, columns: Sequence[pa.Array]) -> None:
        """What stands side by side in a row, as one value: a test and its result, a term."""
        if self.count.get(kind, 0) >= MOST_PAIRS:
            return
        coded = [cells.encode(column) for column in columns]
        together = np.full(len(subjects), -1, dtype=np.int64)
        if all(len(one.values) for one in coded):
            whole = np.all([one.codes >= 0 for one in coded], axis=0)
            packed = np.zeros(len(subjects), dtype=np.int64)
            for one in coded:
                packed = packed * len(one.values) + one.codes
            distinct, where = np.unique(packed[whole], return_inverse=True)
            together[whole] = where
            texts = [one.texts() for one in coded]
            found = [self._digest(_unpacked(int(number), texts)) for number in distinct.tolist()]
            self._add(kind, "", subjects, together, found)

    def _digest(self, parts: Sequence[str]) -> int:
        digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8, key=self.key).digest()
        return int.from_bytes(digest, "big") >> 1

    def _add(
        self,
        kind: str,
        grain: str,
        subjects: pa.Array,
        codes: npt.NDArray[Any],
        found: Sequence[int | None],
    ) -> None:
        known = np.array([value is not None for value in found] + [False], dtype=np.bool_)[codes]
        if not known.any() or self.count.get(kind, 0) >= MOST_PAIRS:
            return
        self.grain[kind] = grain
        who = cells.encode(subjects)
        places = np.array([self.place.setdefault(text, len(self.place)) for text in who.texts()] + [-1], dtype=np.int64)
        # Subject and value as one number each: far cheaper to sort than pairs.
        values, same = np.unique(np.array([value or 0 for value in found], dtype=np.int64), return_inverse=True)
        rows = known & (who.codes >= 0)
        flat = cells.in_order(who.codes[rows].astype(np.int64) * len(values) + same[codes[rows]])
        pairs = np.stack([places[flat // len(values)], values[flat % len(values)]])
        self.held.setdefault(kind, []).append(pairs)
        self.count[kind] = self.count.get(kind, 0) + pairs.shape[1]

    def to_bytes(self) -> bytes:
        """What was gathered, to be stored (sealed) with a finished table."""
        out = io.BytesIO()
        kinds = list(self.held)
        arrays: dict[str, Any] = {
            f"pairs{at}": np.concatenate(self.held[kind], axis=1) for at, kind in enumerate(kinds)
        }
        grains = np.array([self.grain[kind] for kind in kinds])
        np.savez_compressed(out, kinds=np.array(kinds), grains=grains, subjects=np.array(list(self.place)), **arrays)
        return out.getvalue()

    def absorb(self, content: bytes) -> None:
        """Take in what another table contributed."""
        with np.load(io.BytesIO(content), allow_pickle=False) as held:
            places = [self.place.setdefault(text, len(self.place)) for text in held["subjects"].tolist()]
            moved = np.array(places, dtype=np.int64)
            for at, (kind, grain) in enumerate(zip(held["kinds"].tolist(), held["grains"].tolist(), strict=True)):
                pairs = held[f"pairs{at}"]
                self.grain.setdefault(kind, grain)
                self.held.setdefault(kind, []).append(np.stack([moved[pairs[0]], pairs[1]]))

    def of(self, kind: str, subjects: Mapping[str, int]) -> "Held | None":
        """The pairs of one kind, subjects at the places given; None where nothing was gathered."""
        if kind not in self.held:
            return None
        there = np.array([subjects.get(name, -1) for name in self.place], dtype=np.int64)
        pairs = np.concatenate(self.held[kind], axis=1)
        who = there[pairs[0]]
        values, same = np.unique(pairs[1], return_inverse=True)
        flat = cells.in_order(who[who >= 0] * max(1, len(values)) + same[who >= 0])
        return Held(flat // max(1, len(values)), values[flat % max(1, len(values))], self.grain[kind], len(subjects))


def _coarse(text: str, grain: str) -> int | None:
    if not text[:4].isdigit():
        return None
    year = int(text[:4])
    return year if grain == YEAR else 12 * year + int(text[5:7] or 1) - 1 if text[5:7].isdigit() else None


def _unpacked(number: int, texts: Sequence[Sequence[str]]) -> list[str]:
    parts = []
    for words in reversed(texts):
        number, rest = divmod(number, len(words))
        parts.append(words[rest])
    return parts


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Distinct (subject, value) pairs, sorted by both; subjects are places among `subjects`."""

    who: Ints
    what: Ints
    grain: str
    subjects: int

    def of(self, subject: int) -> Ints:
        """The values of one subject, ascending."""
        low, high = np.searchsorted(self.who, [subject, subject + 1])
        return self.what[low:high]

    def holders(self, value: int) -> Ints:
        """Who has a value."""
        found: Ints = self.who[self.what == value]
        return found

    def as_fine_as(self, grain: str) -> "Held":
        """The same, told as coarsely as somebody else tells it."""
        if grain == self.grain:
            return self
        days = self.what.astype("datetime64[D]")
        told = {
            MONTH: lambda: days.astype("datetime64[M]").astype(np.int64) + 12 * 1970,
            YEAR: lambda: days.astype("datetime64[Y]").astype(np.int64) + 1970,
            HOUR: lambda: self.what // 60 * 60,
        }.get(grain, lambda: self.what)()
        pairs = np.unique(np.stack([self.who, told]), axis=1)
        return Held(pairs[0], pairs[1], grain, self.subjects)

    def prints(self, *, gaps: bool) -> Ints:
        """One number for the whole sequence of a subject's values, or of the gaps between them; 0 where there is none.

        Sequences that differ meet in one number with a chance of 2⁻⁶³.
        """
        starts = np.searchsorted(self.who, np.arange(self.subjects))
        at = np.arange(len(self.who)) - starts[self.who]
        steps = np.diff(self.what, prepend=0)
        values = np.where(at == 0, 0, steps) if gaps else self.what
        mixed = _mixed(values.astype(np.uint64) * np.uint64(2) + np.uint64(1) + _mixed(at.astype(np.uint64) + _MIX))
        found = np.zeros(self.subjects, dtype=np.uint64)
        np.add.at(found, self.who, mixed)
        return found.astype(np.int64)


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Splitmix64 (Steele, Lea and Flood, OOPSLA 2014): every bit of a number depends on every bit of the other."""
    numbers = numbers + _MIX
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


Candidates = list[Ints | None]
"""Per target, who fits what the attacker knows; None where the attacker knows nothing that could fit."""


def by_print(truth: Ints, released: Ints | None, targets: Ints) -> Candidates:
    """Whoever was released with the target's own sequence."""
    if released is None:
        return [None] * len(targets)
    return [np.flatnonzero(released == truth[at]) if truth[at] else None for at in targets.tolist()]


def by_classes(told: Ints, released: Ints, blanked: Ints, targets: Ints) -> Candidates:
    """Whoever was released in the class that the target's true values fall into; if nobody, the blanked."""
    found: Candidates = []
    for at in targets.tolist():
        fits = np.flatnonzero(released == told[at])
        found.append(fits if len(fits) else blanked)
    return found


def by_items(known: Sequence[Ints], released: Held | None) -> Candidates:
    """Whoever was released with all of the items known of the target."""
    found: Candidates = []
    for items in known:
        holders = [released.holders(item) for item in items.tolist()] if released is not None else []
        found.append(functools.reduce(np.intersect1d, holders) if holders else None)
    return found


def by_two_days(known: Sequence[Ints], released: Held | None, *, absolute: bool) -> Candidates:
    """Whoever was released with both days of the target; with two days just as far apart, where dates were moved."""
    if released is None:
        return [None] * len(known)
    if absolute or released.grain != DAY:
        return by_items(known, released)
    span = np.int64(1 << 24)
    keys = released.who * span + released.what - released.what.min(initial=0)
    found: Candidates = []
    for days in known:
        if len(days) < 2:
            found.append(None)
            continue
        found.append(np.unique(released.who[np.isin(keys + (days[1] - days[0]), keys, assume_unique=True)]))
    return found


def both(*candidates: Candidates) -> Candidates:
    """Whoever fits all that is known."""
    found: Candidates = []
    for each in zip(*candidates, strict=True):
        told = [one for one in each if one is not None]
        found.append(functools.reduce(np.intersect1d, told) if told else None)
    return found


def rate(candidates: Candidates, targets: Ints, subjects: int) -> float:
    """The mean chance to pick the right subject."""
    if not len(targets):
        return 0.0
    chances = []
    for fits, target in zip(candidates, targets.tolist(), strict=True):
        if fits is None or not len(fits):
            chances.append(1 / subjects)
        else:
            chances.append(1 / len(fits) if (fits == target).any() else 0.0)
    return float(np.mean(chances))


def alone(prints: Ints) -> float:
    """The share of all subjects whose sequence nobody else has; those without one are not alone."""
    counts = np.unique(prints[prints != 0], return_counts=True)[1]
    return float((counts == 1).sum() / max(1, len(prints)))
