"""The figures of the analyst's pictures, protected: nothing here can be counted back to fewer than 11 subjects.

Shares are whole percents. A class of 1 to 10 subjects is pooled with other small ones, or left blank, and never alone:
what is missing from the whole would tell it. Two counts whose difference is small are told as one. Distances have two
digits. Of a survival curve what fewer than 11 at risk have written is not drawn.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pseudonymization import survival, tabulate
from pseudonymization.tabulate import SMALLEST

BLANK = "(blank)"
_AGE_STEP, _GRID = 5, 60
_NAMED = 3
"""A pool of so many classes is called by their names."""
_BAND = re.compile(r"^(\d+)[-–](\d+)$")
_Row = tuple[str, float, float]
Times = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]
"""A time per row, and whether the event happened then."""


def told(before: tabulate.Cell | None, after: tabulate.Cell | None) -> dict[str, int | None]:
    """Rows of a cell, none of a small one. Two counts so near that their difference is small are told as one."""
    old, new = (cell.rows if cell is not None and cell.shown else None for cell in (before, after))
    if old is not None and new is not None and abs(old - new) < SMALLEST:
        old = new
    return {"before": old, "after": new}


def near(distance: float) -> float:
    """A distance to two digits: a finer one would tell of single subjects."""
    return round(distance, 2)


def digits(value: float) -> float:
    """A mean to three digits."""
    return float(f"{value:.3g}")


def categories(title: str, old: Sequence[str], new: Sequence[str]) -> dict[str, Any]:
    """Shares per released label; an original value counts under the label that most of its subjects now carry."""
    pairs: dict[tuple[str, str], int] = {}
    for pair in zip(old, new, strict=True):
        pairs[pair] = pairs.get(pair, 0) + 1
    becomes: dict[str, str] = {}
    for (value, label), _ in sorted(pairs.items(), key=lambda item: item[1]):
        if label != BLANK or value not in becomes:
            becomes[value] = label
    before, after = _count([becomes[value] for value in old]), _count(new)
    labels = [*sorted({*before, *after} - {BLANK}, key=lambda name: -after.get(name, 0)), BLANK]
    return _bars(title, [(label, before.get(label, 0), after.get(label, 0)) for label in labels], len(old), pool=True)


def ages(old: Sequence[str], new: Sequence[str]) -> dict[str, Any]:
    """Five-year classes; a released band is spread evenly over the years it covers."""
    years = [year for text in (*old, *new) for year in _covered(text)]
    if not years:
        return categories("Age", old, new)
    low, high = min(years) // _AGE_STEP * _AGE_STEP, max(years)
    starts = list(range(low, high + 1, _AGE_STEP))
    sides = []
    for side in (old, new):
        counts = dict.fromkeys([*starts, -1], 0.0)
        for text in side:
            covered = _covered(text)
            for year in covered or [-1]:
                counts[year // _AGE_STEP * _AGE_STEP if covered else -1] += 1 / max(1, len(covered))
        sides.append(counts)
    rows = [(f"{start}–{start + _AGE_STEP - 1}", sides[0][start], sides[1][start]) for start in starts]
    return _bars("Age", [*rows, (BLANK, sides[0][-1], sides[1][-1])], len(old), pool=False)


def _covered(text: str) -> list[int]:
    """The years of age that a cell may mean."""
    band = _BAND.match(text)
    if band:
        return list(range(int(band[1]), int(band[2]) + 1))
    if text.startswith(">") and text.lstrip(">=").isdecimal():
        first = int(text.lstrip(">=")) + (not text.startswith(">="))
        return list(range(first, first + _AGE_STEP))
    try:
        return [int(float(text))]
    except ValueError:
        return []


def _count(values: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return found


def _bars(title: str, rows: Sequence[_Row], subjects: int, *, pool: bool) -> dict[str, Any]:
    """Rows of shares, before and after."""
    far = tabulate.total_variation({(r[0],): r[1] for r in rows}, {(r[0],): r[2] for r in rows})
    small = _too_small(rows)
    if pool and small:
        names = sorted((row[0] for row in small), key=lambda name: name == BLANK)
        name = " or ".join(names) if len(names) <= _NAMED else "all others"
        pooled = (name, sum(row[1] for row in small), sum(row[2] for row in small))
        rows = [*(row for row in rows if row not in small), pooled]
        small = [row for row in [pooled] if _is_small(row)]
    shown: list[dict[str, Any]] = []
    for row in rows:
        if any(row[1:]):
            hidden = row in small
            told = [None if hidden else round(100 * count / subjects) for count in row[1:]]
            shown.append({"label": row[0], "before": told[0], "after": told[1]})
    return {"kind": "shares", "title": title, "rows": shown, "distance": near(far)}


def _is_small(row: _Row) -> bool:
    return any(0 < count < SMALLEST for count in row[1:])


def _too_small(rows: Sequence[_Row]) -> list[_Row]:
    """Rows of few subjects, and where there is only one, the next smallest with it."""
    small = [row for row in rows if _is_small(row)]
    rest = sorted((row for row in rows if row not in small and any(row[1:])), key=lambda row: row[2])
    return [*small, rest[0]] if len(small) == 1 and rest else small


def curves(
    title: str,
    unit: str,
    arms: Sequence[npt.NDArray[np.str_]],
    times: Sequence[Times],
) -> list[dict[str, Any]]:
    """Survival by arm on a grid, before and after; arms with fewer than 11 subjects or events are not drawn."""
    finite = times[0][0][np.isfinite(times[0][0])]
    if not len(finite):
        return []
    grid = np.linspace(0.0, float(finite.max()), _GRID + 1)
    drawn, far = [], 0.0
    for arm in sorted(set(arms[0].tolist()) - {""}):
        both = [
            survival.kaplan_meier(time[of == arm], happened[of == arm])
            for (time, happened), of in zip(times, arms, strict=True)
        ]
        if both[0].subjects < SMALLEST or both[0].events < SMALLEST:
            continue
        if both[1].subjects >= SMALLEST:
            far = max(far, survival.furthest(*both))
        lines = {side: _line(curve, grid) for side, curve in zip(("before", "after"), both, strict=True)}
        drawn.append({"label": arm, **lines})
    if not drawn:
        return []
    ticks = [digits(float(t)) for t in grid]
    return [{"kind": "curves", "title": title, "unit": unit, "grid": ticks, "arms": drawn, "distance": near(far)}]


def _line(curve: survival.Curve, grid: npt.NDArray[np.float64]) -> list[float | None]:
    """Survival in whole percents; None from where fewer than 11 are at risk."""
    enough = curve.still(grid) >= SMALLEST
    return [round(100 * float(s)) if known else None for s, known in zip(curve.at(grid), enough, strict=True)]
