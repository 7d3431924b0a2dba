"""Pictures as numbers for SVG: what a template draws, and the rows of the table that stands beside it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

HEIGHT = 160
BAND = 76
_LEAST_WIDTH = 640.0
_LOW = 60.0
_EDGE = 40.0
_MOST_SLICES = 40
_SLICES = (
    *(timedelta(seconds=n) for n in (1, 10)),
    *(timedelta(minutes=n) for n in (1, 10)),
    *(timedelta(hours=n) for n in (1, 6)),
    *(timedelta(days=n) for n in (1, 7, 30, 365)),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bin: its label, both shares, and where its two bars stand (pixels from the left, heights from the floor)."""

    label: str
    before: float
    after: float
    x: float
    before_height: float
    after_height: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares of subjects by size of their class, before and after. `line` is where the smallest allowed class is."""

    bars: tuple[Bar, ...]
    width: float
    height: float
    line: float | None
    smallest: int


def bars(before: Mapping[str, float], after: Mapping[str, float], smallest: int) -> Histogram:
    """A histogram from shares per bin (`1`, `2`, `3-4`, … `>=50`), bins that never occur at the end left out."""
    names = list(after)
    used = [at for at, name in enumerate(names) if before.get(name, 0.0) or after[name]]
    names = names[: (used[-1] + 1) if used else 0]
    tallest = max([*(before.get(name, 0.0) for name in names), *(after[name] for name in names), 0.01])
    drawn, line = [], None
    for at, name in enumerate(names):
        low = int(name.lstrip(">=").split("-")[0])
        x = 12.0 + at * BAND
        if smallest > 1 and line is None and low >= smallest:
            line = x - 8
        heights = (HEIGHT * before.get(name, 0.0) / tallest, HEIGHT * after[name] / tallest)
        label = name.replace("-", "–").replace(">=", "≥ ")
        drawn.append(Bar(label, before.get(name, 0.0), after[name], x, *heights))
    return Histogram(tuple(drawn), max(_LEAST_WIDTH, 16.0 + len(names) * BAND), HEIGHT, line, smallest)


@dataclass(frozen=True, slots=True)
class Tick:
    """A slice of time: when it begins, how many events, and where its bar stands."""

    begins: datetime
    count: int
    x: float
    height: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """Events over time, in slices of equal length."""

    ticks: tuple[Tick, ...]
    width: float
    height: float
    slice: timedelta


def timeline(times: Sequence[datetime]) -> Timeline:
    """The times of events (at least one) as counts in at most forty slices of a round length."""
    first, last = min(times), max(times)
    length = next((one for one in _SLICES if (last - first) / one < _MOST_SLICES), _SLICES[-1])
    start = datetime.fromtimestamp(first.timestamp() // length.total_seconds() * length.total_seconds(), first.tzinfo)
    counts = Counter(int((one - start) / length) for one in times)
    number = max(counts) + 1
    wide = _LEAST_WIDTH / max(number, 8)
    most = max(counts.values())
    ticks = tuple(Tick(start + at * length, counts[at], at * wide, _LOW * counts[at] / most) for at in range(number))
    return Timeline(ticks, _LEAST_WIDTH, _LOW, length)


@dataclass(frozen=True, slots=True)
class Point:
    """One plan in the picture of risk and utility."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Scatter:
    """Risk from left to right, utility from below to above, both as shares; the ends of the axes in their own unit."""

    points: tuple[Point, ...]
    width: float
    height: float
    most_risk: float
    least_utility: float


def scatter(plans: Sequence[tuple[float, float]]) -> Scatter:
    """Points for (risk, utility) of each plan. The utility axis begins at the tenth below the lowest."""
    most = max([risk for risk, _ in plans] + [0.01])
    least = max(0.0, min([utility for _, utility in plans] + [0.9]) // 0.1 / 10)
    wide, high = _LEAST_WIDTH - 2 * _EDGE, HEIGHT - 2 * _EDGE / 2
    points = tuple(
        Point(_EDGE + wide * risk / most, _EDGE / 2 + high * (1 - (utility - least) / (1 - least)))
        for risk, utility in plans
    )
    return Scatter(points, _LEAST_WIDTH, HEIGHT, most, least)
