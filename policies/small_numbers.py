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
        row, column = place
        line = [(int(full[row, at]), row, at) for at in range(full.shape[1]) if not hidden[row, at] and full[row, at]]
        line += [(int(full[at, column]), at, column) for at in range(full.shape[0])
                 if not hidden[at, column] and full[at, column]]  # fmt: skip
        if not line:
            break
        _, at_row, at_column = min(line)
        hidden[at_row, at_column] = True
    return [
        [HIDDEN if hidden[row, at] else rule.shown(int(full[row, at])) for at in range(full.shape[1])]
        for row in range(full.shape[0])
    ]


def _fixed(full: Any, hidden: Any, small: Any, rule: CellRule) -> tuple[int, int] | None:
    """A small cell that the sums fix: alone in a line, squeezed in it, or solved for by several lines together."""
    rows, columns = full.shape
    lines = [[(row, at) for at in range(columns)] for row in range(rows)]
    lines += [[(row, at) for row in range(rows)] for at in range(columns)]
    for line in lines:
        *parts, total = line
        if hidden[total] or not any(hidden[part] for part in parts):
            continue
        gone = {index for index, part in enumerate(parts) if hidden[part]}
        if _derivable([int(full[part]) for part in parts], int(full[total]), gone, rule):
            return next(parts[index] for index in sorted(gone) if small[parts[index]])
    if rule.round_to > 1:
        return None
    unknown: list[tuple[int, int]] = [(int(row), int(column)) for row, column in np.argwhere(hidden)]
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
