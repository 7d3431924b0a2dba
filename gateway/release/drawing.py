"""Where the lines of the analyst's pictures run, in the units of their drawing; what they say is in `analyst`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.domain.release import ReleaseTable

WIDTH, HEIGHT = 280, 150
"""The inside of a drawing; axes and labels stand around it."""

_ORDER = ("shares", "events", "curves", "means")
_SIDES = ("before", "after")
_MOST_MARKS = 8
Point = tuple[float, float]


def drawn(tables: Mapping[str, ReleaseTable]) -> dict[str, list[dict[str, Any]]]:
    """The pictures of all tables by kind, each with its lines; a kind that no table has is an empty list."""
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _ORDER}
    for name in sorted(tables):
        for picture in tables[name].value.get("analyst", ()):
            found[picture["kind"]].append(_with_lines(picture))
    return found


def _with_lines(picture: Mapping[str, Any]) -> dict[str, Any]:
    match picture["kind"]:
        case "shares":
            return _bars(picture)
        case "curves":
            return _steps(picture)
        case "means":
            return _means(picture)
    return dict(picture)


def _bars(picture: Mapping[str, Any]) -> dict[str, Any]:
    """Widths of the bars in percent of the longest."""
    rows = picture["rows"]
    most = max([value for row in rows for value in (row["before"], row["after"]) if value is not None], default=1) or 1
    return {
        **picture,
        "rows": [row | {"widths": [100 * (row[s] or 0) / most for s in ("before", "after")]} for row in rows],
    }


def _steps(picture: Mapping[str, Any]) -> dict[str, Any]:
    """A step line for each arm and side, and the table beside it at a few times."""
    grid, arms = picture["grid"], []
    told = [share for arm in picture["arms"] for side in _SIDES for share in arm[side] if share is not None]
    lowest = min(told, default=0)
    bottom = max(0, lowest // 10 * 10) if lowest > 50 else 0
    for arm in picture["arms"]:
        lines = {side: _path(_stairs(grid, arm[side], bottom)) for side in _SIDES}
        every = max(1, (len(grid) - 1) // _MOST_MARKS)
        marks = [
            {"at": grid[at], "before": arm["before"][at], "after": arm["after"][at]}
            for at in range(0, len(grid), every)
            if arm["before"][at] is not None or arm["after"][at] is not None
        ]
        arms.append({"label": arm["label"], "lines": lines, "marks": marks})
    step = _round_step(grid[-1])
    times = [step * at for at in range(int(grid[-1] / step) + 1)]
    ticks = [{"x": WIDTH * time / grid[-1], "label": f"{time:g}", "anchor": "middle"} for time in times]
    return {**picture, "arms": arms, "ticks": ticks, "levels": _levels(bottom, 100)}


def _stairs(grid: Sequence[float], line: Sequence[float | None], bottom: float) -> list[Point]:
    points: list[Point] = []
    for at, value in zip(grid, line, strict=True):
        if value is None:
            break
        x, y = WIDTH * at / grid[-1], HEIGHT * (100 - value) / (100 - bottom)
        points += [(x, points[-1][1])] if points else []
        points.append((x, y))
    return points


def _means(picture: Mapping[str, Any]) -> dict[str, Any]:
    """A line over the visits for each side."""
    rows = picture["rows"]
    values = [row[side] for row in rows for side in _SIDES]
    low, high = min(values), max(values)
    room = (high - low or abs(high) or 1.0) * 0.15
    low, high = low - room, high + room
    step = WIDTH / max(1, len(rows) - 1)
    lines = {
        side: _path([(at * step, HEIGHT * (high - row[side]) / (high - low)) for at, row in enumerate(rows)])
        for side in _SIDES
    }
    places = ((0, "start"), (len(rows) // 2, "middle"), (len(rows) - 1, "end"))
    ticks = [{"x": at * step, "label": rows[at]["label"], "anchor": anchor} for at, anchor in places]
    return {**picture, "lines": lines, "ticks": ticks, "levels": _levels(low, high)}


def _round_step(longest: float) -> float:
    """A step of 1, 2 or 5 times a power of ten that cuts the axis into at most six."""
    power = 10.0 ** math.floor(math.log10(longest / 6)) if longest > 0 else 1.0
    return next(power * unit for unit in (1, 2, 5, 10) if power * unit * 6 >= longest)


def _levels(low: float, high: float) -> list[dict[str, Any]]:
    return [{"y": HEIGHT * part / 2, "label": f"{high - (high - low) * part / 2:.3g}"} for part in range(3)]


def _path(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
