"""Hierarchies that somebody gives: a steward's CSV file, or parent columns of the study; and how one is written."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from pseudonymization.faults import Unresolved
from pseudonymization.hierarchies.ladder import MISSING, TOP, Ladder, of_labels

OTHER = "OTHER"


def from_rows(name: str, rows: Sequence[Sequence[str]], domain: Sequence[str]) -> Ladder:
    """A steward's hierarchy: one row per value, level 0 first, restricted to the values that occur.

    A missing value that the rows do not know keeps the empty label up to the last level.

    Raises:
        Unresolved: no row, rows of unequal length, a value missing or doubled, a level that splits the one below.
    """
    if not rows:
        raise Unresolved(f"the hierarchy of `{name}` is empty", cure="write one line per value, level 0 first")
    height = len(rows[0])
    for number, row in enumerate(rows, start=1):
        if len(row) != height:
            raise Unresolved(f"line {number} of the hierarchy of `{name}` has not as many levels as line 1")
    lines = [tuple(row) for row in rows]
    if MISSING in domain and all(line[0] != MISSING for line in lines):
        top = len({line[-1] for line in lines}) == 1 and height > 1
        lines.append((*[MISSING] * (height - top), *[lines[0][-1]] * top))
    levels = [[line[at] for line in lines] for at in range(height)]
    titles = ("exact", *(f"level {level}" for level in range(1, height)))
    return of_labels(name, levels[0], levels, titles).restricted(domain)


def from_csv(name: str, text: str, domain: Sequence[str]) -> Ladder:
    """A steward's hierarchy as ARX writes it: no header, `;` or `,` separated, level 0 first.

    The separator is the one under which every line has the same number of columns, more than one; `;` if both do, for
    labels hold commas more often.
    """
    plain = text.lstrip("\ufeff")
    read = [[row for row in csv.reader(io.StringIO(plain, newline=""), delimiter=sign) if row] for sign in ";,"]
    even = [rows for rows in read if len({len(row) for row in rows}) == 1 and len(rows[0]) > 1]
    return from_rows(name, (even or [max(read, key=_widest)])[0], domain)


def _widest(rows: Sequence[Sequence[str]]) -> int:
    return max((len(row) for row in rows), default=0)


def from_file(name: str, path: Path, domain: Sequence[str]) -> Ladder:
    """`from_csv` over a file.

    Raises:
        Unresolved: the file cannot be read as UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cure = "put the hierarchy file beside the column file, in UTF-8"
        raise Unresolved(f"the hierarchy file of `{name}` cannot be read", cure=cure) from error
    return from_csv(name, text, domain)


def from_parents(name: str, domain: Sequence[str], rows: Sequence[Sequence[str]], parents: Sequence[str]) -> Ladder:
    """A hierarchy that the study tells itself, as MedDRA's do: AEDECOD, then AEHLT, then AESOC.

    rows: (value, its parent, the parent's parent, …), repeated as they may be. parents: what the columns are called. A
    parent that is missing is stood for by the next known one above it, else by `OTHER`.

    Raises:
        Unresolved: a value has two parents, or a parent two parents of its own.
    """
    known: dict[str, tuple[str, ...]] = {}
    for value, *above in rows:
        if value == MISSING:
            continue
        filled, label = [], OTHER
        for parent in reversed(above):
            label = label if parent == MISSING else parent
            filled.append(label)
        if known.setdefault(value, tuple(reversed(filled))) != tuple(reversed(filled)):
            cure = "give the column a hierarchy file with one line for each value"
            raise Unresolved(f"a value of `{name}` has two parents", cure=cure)
    blank = (MISSING,) * len(parents)
    lines = [blank if value == MISSING else known.get(value, (OTHER,) * len(parents)) for value in domain]
    levels = [list(domain), *([line[at] for line in lines] for at in range(len(parents))), [TOP] * len(domain)]
    return of_labels(name, domain, levels, ("exact", *parents, "not released"))


def to_csv(ladder: Ladder) -> str:
    """The hierarchy as `from_csv` reads it: one line per value, level 0 first, `;` between."""
    out = io.StringIO()
    rows = zip(*(ladder.labels_of(level) for level in range(ladder.height + 1)), strict=True)
    csv.writer(out, delimiter=";", lineterminator="\n").writerows(rows)
    return out.getvalue()
