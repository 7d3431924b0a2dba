"""Pictures as numbers for SVG: what a template draws, and the rows of the table that stands beside it."""

from collections.abc import Mapping
from dataclasses import dataclass

HEIGHT = 160
BAND = 76
_LEAST_WIDTH = 640.0


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
