"""What an analyst tabulates first, collected while a table streams by: rows, sums and subjects per cell of a table.

A cell is shown only with at least `SMALLEST` subjects in it. Of each cell no more subjects are remembered than it takes
to know that, so that memory is bounded by the number of cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pseudonymization import cells

SMALLEST = 11
"""The usual smallest cell of a published table."""

Key = tuple[str, ...]


@dataclass(slots=True)
class Cell:
    """One cell of a table: rows, the sum of their values, and its first subjects (positions), at most `SMALLEST`."""

    rows: int = 0
    total: float = 0.0
    subjects: set[int] = field(default_factory=set)

    @property
    def shown(self) -> bool:
        """Whether enough subjects stand behind it."""
        return len(self.subjects) >= SMALLEST

    @property
    def mean(self) -> float:
        """The mean of the values."""
        return self.total / self.rows if self.rows else float("nan")


class Cells:
    """Cells by key. Rows of nobody, with a blank in a key, or with no number where values are summed, are left out."""

    def __init__(self) -> None:
        self.held: dict[Key, Cell] = {}

    def add(self, keys: Sequence[pa.Array], who: npt.NDArray[np.int32], values: pa.Array | None = None) -> None:
        """Take in the rows of one batch: one array per part of the key, one subject position per row, a number each."""
        coded = [cells.encode(key) for key in keys]
        counted = who >= 0
        place = np.zeros(len(who), dtype=np.int64)
        for column in coded:
            counted &= column.codes >= 0
            place = place * max(1, len(column.values)) + np.maximum(column.codes, 0)
        numbers = None
        if values is not None:
            numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
            counted &= np.isfinite(numbers)
        at = np.flatnonzero(counted)
        rows = np.bincount(place[at])
        totals = np.bincount(place[at], weights=numbers[at]) if numbers is not None else np.zeros(len(rows))
        texts = [column.texts() for column in coded]
        named = {int(code): self._key(int(code), texts) for code in np.flatnonzero(rows)}
        for code, key in named.items():
            cell = self.held.setdefault(key, Cell())
            cell.rows += int(rows[code])
            cell.total += float(totals[code])
        self._remember(named, place[at], who[at])

    @staticmethod
    def _key(code: int, texts: Sequence[Sequence[str]]) -> Key:
        parts = []
        for known in reversed(texts):
            code, part = divmod(code, len(known))
            parts.append(known[part])
        return tuple(reversed(parts))

    def _remember(self, named: Mapping[int, Key], place: npt.NDArray[np.int64], who: npt.NDArray[np.int32]) -> None:
        """Subjects of the cells that do not have enough yet."""
        open_cells = [code for code, key in named.items() if not self.held[key].shown]
        if not open_cells:
            return
        wanted = np.zeros(max(named) + 1, dtype=np.bool_)
        wanted[open_cells] = True
        at = wanted[place]
        if not at.any():
            return
        people = int(who.max()) + 2  # -1 is nobody
        flat = cells.in_order(place[at] * people + who[at] + 1)
        for code, subject in zip((flat // people).tolist(), (flat % people - 1).tolist(), strict=True):
            cell = self.held[named[code]]
            if not cell.shown:
                cell.subjects.add(subject)


def total_variation(one: Mapping[Key, float], other: Mapping[Key, float]) -> float:
    """Half the sum of the absolute differences of two distributions, from 0 (alike) to 1 (nothing in common)."""
    sums = [sum(found.values()) or 1.0 for found in (one, other)]
    keys = {*one, *other}
    return sum(abs(one.get(key, 0.0) / sums[0] - other.get(key, 0.0) / sums[1]) for key in keys) / 2
