"""Tables of counts made fit to show: small cells hidden, and enough beside them that none can be worked out."""

import csv
from pathlib import Path

from gateway.errors import Invalid
from policies.small_numbers import CellRule, protect_table

# The rule of each source, as its regime file states it: (counts from 1 to … hidden, others rounded to …).
SOURCES = {"NHS_HES": CellRule(7, 5), "CMS_RIF": CellRule(10, 1), "smallest-cell-5": CellRule(4, 1)}


def protect_file(table: Path, out: Path, rule: CellRule) -> tuple[int, int]:
    """Protect a CSV of counts (first row and first column are names) and add totals; returns its rows and columns.

    Raises:
        Invalid: the file is no such table; names the line, never a count.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError, csv.Error):
        raise Invalid("the table cannot be read", place=str(table), cure="give a UTF-8 CSV file") from None
    if len(lines) < 2 or len(lines[0]) < 2:
        raise Invalid(
            "the table has no counts", place=str(table), cure="a row of names, then a name and counts per row"
        )
    cells = [_counts(table, number, line, len(lines[0])) for number, line in enumerate(lines[1:], start=2)]
    shown = protect_table(cells, rule)
    try:
        with out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*lines[0], "total"])
            writer.writerows(
                [name, *row] for name, row in zip([*(line[0] for line in lines[1:]), "total"], shown, strict=True)
            )
    except OSError:
        raise Invalid("the output cannot be written", place=str(out), cure="name another file") from None
    return len(cells), len(cells[0])


def _counts(table: Path, number: int, line: list[str], width: int) -> list[int]:
    if len(line) != width:
        raise Invalid("a row has another number of cells than the first", place=f"{table}:{number}")
    try:
        counts = [int(cell) for cell in line[1:]]
    except ValueError:
        raise Invalid("a cell is no whole number", place=f"{table}:{number}", cure="counts only, from 0 up") from None
    if min(counts) < 0:
        raise Invalid("a count is below zero", place=f"{table}:{number}", cure="counts only, from 0 up")
    return counts
