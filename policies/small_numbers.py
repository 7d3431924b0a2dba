"""Tables of counts: small cells hidden, others rounded, and enough hidden beside them that none can be worked out.

A hidden cell can be derived when what is shown leaves it only one value: alone beside a total, or among hidden
neighbours whose sum is at the end of what they can be. Then the smallest cell that still shows is hidden too
(complementary suppression), until nothing follows. Zero may show.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from policies.registry import finding

HIDDEN = "*"


@dataclass(frozen=True, slots=True)
class CellRule:
    """Counts from 1 to `suppress_to` are hidden; all others are rounded to the nearest `round_to` (1 leaves them)."""

    suppress_to: int
    round_to: int = 1

    def __post_init__(self) -> None:
        if self.suppress_to < 0 or self.round_to < 1:
            raise ValueError("`suppress_to` is at least 0 and `round_to` at least 1")

    def shown(self, count: int) -> int | str:
        """How one count shows when nothing beside it matters. Halves go up."""
        if 1 <= count <= self.suppress_to:
            return HIDDEN
        return (count + self.round_to // 2) // self.round_to * self.round_to


def join(one: CellRule, other: CellRule) -> CellRule | None:
    """The rule that meets both: all suppressions, then the coarser rounding; None if the roundings do not nest."""
    coarse, fine = max(one.round_to, other.round_to), min(one.round_to, other.round_to)
    if coarse % fine:
        return None
    return CellRule(max(one.suppress_to, other.suppress_to), coarse)


def protect_row(row: Sequence[int], total: int | None, rule: CellRule) -> tuple[list[int | str], int | str | None]:
    """A row of counts and its total as they may show. The total is worked out first, then rounded.

    If every cell that shows were hidden and a small one still followed from the total, the total is hidden.
    """
    hidden = {index for index, count in enumerate(row) if 1 <= count <= rule.suppress_to}
    shows_total = total is not None
    if total is not None and 1 <= total <= rule.suppress_to:
        shows_total = False
    while total is not None and shows_total and _derivable(row, total, hidden, rule):
        rest = [index for index, count in enumerate(row) if index not in hidden and count > 0]
        if not rest:
            shows_total = False
            break
        hidden.add(min(rest, key=lambda index: (row[index], index)))
    cells = [HIDDEN if index in hidden else rule.shown(count) for index, count in enumerate(row)]
    if total is None:
        return cells, None
    return cells, rule.shown(total) if shows_total else HIDDEN


def _derivable(row: Sequence[int], total: int, hidden: set[int], rule: CellRule) -> bool:
    """Whether someone who knows the rule can tell a hidden cell exactly from the total and what shows."""
    if not any(1 <= row[index] <= rule.suppress_to for index in hidden):
        return False
    slack = (rule.round_to // 2) * (len(row) - len(hidden) + 1)  # how far rounding may have moved each shown value
    shown = sum(int(rule.shown(count)) for index, count in enumerate(row) if index not in hidden)
    rest = int(rule.shown(total)) - shown if rule.round_to > 1 else total - shown
    least, most, number = rest - slack, rest + slack, len(hidden)
    open_high = most - (number - 1)  # every other hidden cell is at least one
    if open_high <= 1:
        return True
    # If all hidden cells can be small, an attacker who assumes so gets a narrower range.
    if least <= number * rule.suppress_to:
        low = max(1, least - (number - 1) * rule.suppress_to)
        return min(rule.suppress_to, open_high) <= low
    return number == 1


def protect_table(cells: Sequence[Sequence[int]], rule: CellRule) -> list[list[int | str]]:
    """A table with its row totals, column totals and grand total added, as it may show.

    Returns rows × columns plus one of each for the totals. Rows and columns are protected in turn until no small
    cell is fixed by the totals that show, alone or through several of them together.
    """
    grid = np.array(cells, dtype=np.int64)
    full = np.block([[grid, grid.sum(1, keepdims=True)], [grid.sum(0, keepdims=True), grid.sum().reshape(1, 1)]])
    hidden = (full >= 1) & (full <= rule.suppress_to)
    small = hidden.copy()
    while (place := _fixed(full, hidden, small, rule)) is not None:
        open_cells = [(int(full[at]), at) for at in map(tuple, np.argwhere(~hidden & (full > 0)).tolist())]
        if not open_cells:
            break
        near = [(count, at) for count, at in open_cells if at[0] == place[0] or at[1] == place[1]]
        hidden[min(near or open_cells)[1]] = True
    return [
        [HIDDEN if hidden[row, at] else rule.shown(int(full[row, at])) for at in range(full.shape[1])]
        for row in range(full.shape[0])
    ]


Place = tuple[int, int]


def _lines(full: Any) -> list[list[Place]]:
    """Every row and column of a table with totals; the last place of each is the sum of the others."""
    rows, columns = full.shape
    across = [[(row, at) for at in range(columns)] for row in range(rows)]
    return across + [[(row, at) for row in range(rows)] for at in range(columns)]


def _fixed(full: Any, hidden: Any, small: Any, rule: CellRule) -> Place | None:
    """A small cell that the sums fix: squeezed in its line, bounded by several, or solved for by several together."""
    lines = _lines(full)
    for line in lines:
        *parts, total = line
        gone = {index for index, part in enumerate(parts) if hidden[part]}
        if gone and not hidden[total] and _derivable([int(full[part]) for part in parts], int(full[total]), gone, rule):
            fixed = [parts[index] for index in sorted(gone) if small[parts[index]]]
            if fixed:
                return fixed[0]
    bounded = _bounded(full, hidden, lines, rule)
    for row, column in np.argwhere(hidden & small):
        least, most = bounded[int(row), int(column)]
        if least >= most:
            return int(row), int(column)
    return _solved(hidden, small, lines) if rule.round_to == 1 else None


def _bounded(full: Any, hidden: Any, lines: list[list[Place]], rule: CellRule) -> dict[Place, tuple[int, int]]:
    """What each cell can be at least and at most, from what shows and from every line, until nothing narrows.

    A hidden cell is at least one; a shown one lies within half a rounding step of what shows.
    """
    slack, top = rule.round_to // 2, int(full.max()) + rule.round_to * full.size
    bounds: dict[Place, tuple[int, int]] = {}
    for place in (place for line in lines for place in line):
        shown = rule.shown(int(full[place]))
        value = shown if isinstance(shown, int) else int(full[place])
        bounds[place] = (1, top) if hidden[place] else (max(0, value - slack), value + slack)
    narrowed = True
    while narrowed:
        narrowed = False
        for *parts, total in lines:
            least = sum(bounds[part][0] for part in parts)
            most = sum(bounds[part][1] for part in parts)
            for place in (*parts, total):
                low, high = bounds[place]
                if place == total:
                    new = (max(low, least), min(high, most))
                else:
                    rest_low, rest_high = least - low, most - high
                    new = (max(low, bounds[total][0] - rest_high), min(high, bounds[total][1] - rest_low))
                if new != (low, high):
                    bounds[place], narrowed = new, True
                    least = sum(bounds[part][0] for part in parts)
                    most = sum(bounds[part][1] for part in parts)
    return bounds


def _solved(hidden: Any, small: Any, lines: list[list[Place]]) -> Place | None:
    """A small hidden cell that the equations of all lines together leave one value."""
    unknown: list[Place] = [(int(row), int(column)) for row, column in np.argwhere(hidden)]
    at = {place: index for index, place in enumerate(unknown)}
    sums = np.zeros((len(lines), len(unknown)))
    for number, line in enumerate(lines):
        for index, place in enumerate(line):
            if place in at:
                sums[number, at[place]] = -1 if index == len(line) - 1 else 1
    rank = np.linalg.matrix_rank(sums) if unknown else 0
    for place in unknown:
        if small[place]:
            alone = np.zeros((1, len(unknown)))
            alone[0, at[place]] = 1
            if np.linalg.matrix_rank(np.vstack([sums, alone])) == rank:
                return place
    return None


def _count(item: Any) -> int | None:
    value = item.get("count", item.get("value")) if isinstance(item, Mapping) else item
    return value if isinstance(value, int) and not isinstance(value, bool) else None


@finding("suppress_to", "round_to")
def protected_cells(view: dict[str, Any], arguments: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """What happens to each stated count: hidden, rounded, or hidden because a neighbour could be derived."""
    rule = CellRule(arguments["suppress_to"], arguments["round_to"])
    changes: list[Mapping[str, Any]] = []
    for index, item in enumerate(view.get("counts", ())):
        count = _count(item)
        if count is not None and rule.shown(count) != count:
            changes.append({"field": f"counts[{index}]", "from": count, "to": rule.shown(count)})
    row = [_count(item) for item in view.get("table.row", ())]
    if row and None not in row:
        counts = [count for count in row if count is not None]
        total = _count(view.get("table.total"))
        cells, shown = protect_row(counts, total, rule)
        for index, (count, cell) in enumerate(zip(counts, cells, strict=True)):
            if cell != count:
                changes.append({"field": f"table.row[{index}]", "from": count, "to": cell})
        if total is not None and shown != total:
            changes.append({"field": "table.total", "from": total, "to": shown})
    return tuple(changes)
