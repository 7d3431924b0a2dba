"""Builders of ladders: ages, countries, bands of numbers, code prefixes, pooled rare values, a steward's file."""

import bisect
import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from pseudonymization.faults import Place, Unreadable, Unresolved
from pseudonymization.hierarchies.ladder import MISSING, TOP, Ladder, of_labels
from pseudonymization.hierarchies.places import place
from pseudonymization.safeguards import GeographyRule, Safeguards

OTHER = "OTHER"
SMALL = 11  # a value of fewer subjects is rare: the k of EMA/90915/2016 and of Health Canada PRCI
_BOUND = re.compile(r"^\s*(>=|<=|>|<)?\s*(-?\d+(?:\.\d+)?)\s*(\+)?\s*$")


def numbers(name: str, domain: Sequence[str]) -> list[float | None]:
    """Each text of the domain as a number; None where it is missing. `>89`, `>=90` and `90+` are read too.

    Raises:
        Unreadable: a value is no number.
    """
    read: list[float | None] = []
    for text in domain:
        if text == MISSING:
            read.append(None)
            continue
        match = _BOUND.match(text)
        if match is None:
            raise Unreadable(
                "a value is no number, so no band holds it",
                places=(Place("study", name),),
                cure="give the column a hierarchy file, or the hierarchy `flat` or `pool`",
            )
        step = {">": 1.0, "<": -1.0}.get(match[1] or "", 0.0)
        read.append(float(match[2]) + step)
    return read


def _edge(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _band(value: float, width: float, *, whole: bool, start: float = 0.0, top: float = math.inf) -> str:
    low = math.floor((value - start) / width + 1e-9) * width + start
    if not whole:
        return f"[{_edge(round(low, 9))}, {_edge(round(low + width, 9))})"
    high = min(low + width - 1, top)
    return f"{_edge(low)}-{_edge(high)}" if high > low else _edge(low)


def age(name: str, domain: Sequence[str], *, top: int | None) -> Ladder:
    """Ages in years: exact, bands of 5, 10 and 20 years, below or from 65, one label.

    Wider bands start at 5, so that they meet at 65. Ages above `top` are one class (45 CFR 164.514(b)(2)(i)(C):
    90 or older), which wider bands join to those from 85.
    """
    years = numbers(name, domain)
    limit = math.inf if top is None else top

    def label(year: float | None, text: str, width: int) -> str:
        if year is None:
            return MISSING
        if width > 5 and 85 <= limit < math.inf and year >= 85:
            return ">=85"
        if math.floor(year) > limit:
            return f">{top}"
        if not width:
            return text
        start = 5 if width > 5 and year >= 5 else 0
        return _band(year, 5 if not start and width > 5 else width, whole=True, start=start, top=limit)

    cut = 65 if limit >= 64 else int(limit) + 1
    split = [MISSING if year is None else f"<{cut}" if year < cut else f">={cut}" for year in years]
    exact = "exact" if top is None else f"exact up to {top}"
    titles = (exact, "5-year bands", "10-year bands", "20-year bands", f"below or from {cut}", "not released")
    levels = [[label(y, text, w) for y, text in zip(years, domain, strict=True)] for w in (0, 5, 10, 20)]
    return of_labels(name, domain, [*levels, split, [TOP] * len(domain)], titles)


def country(name: str, domain: Sequence[str], *, geography: GeographyRule) -> Ladder:
    """Countries: the value itself, UN M49 region, continent, one label. Unknown names are `OTHER` above level 0."""
    places = [(MISSING, MISSING) if text == MISSING else place(text) or (OTHER, OTHER) for text in domain]
    levels = [list(domain), [p[0] for p in places], [p[1] for p in places], [TOP] * len(domain)]
    floor = {GeographyRule.REGION: 1, GeographyRule.NONE: 3}.get(geography, 0)
    return of_labels(name, domain, levels, ("country", "region", "continent", "not released"), floor=floor)


def site(name: str, domain: Sequence[str], countries: Mapping[str, str], *, geography: GeographyRule) -> Ladder:
    """Sites: the code, then (where `countries` tells each site's country) country, region, continent, one label."""
    top = [TOP] * len(domain)
    if not countries:
        floor = 0 if geography is GeographyRule.SITE else 1
        return of_labels(name, domain, [list(domain), top], ("code", "not released"), floor=floor)
    lands = [MISSING if text == MISSING else countries.get(text, "") or OTHER for text in domain]
    above = country(name, tuple(dict.fromkeys(lands)), geography=geography)
    place_of = {land: at for at, land in enumerate(above.domain)}
    levels = [[above.labels_of(level)[place_of[land]] for land in lands] for level in range(above.height + 1)]
    floor = {GeographyRule.COUNTRY: 1, GeographyRule.REGION: 2, GeographyRule.NONE: 4}.get(geography, 0)
    return of_labels(name, domain, [list(domain), *levels], ("code", *above.titles), floor=floor)


def flat(name: str, domain: Sequence[str]) -> Ladder:
    """The value or nothing."""
    return of_labels(name, domain, [list(domain), [TOP] * len(domain)], ("value", "not released"))


def pool(name: str, domain: Sequence[str], counts: Sequence[int], *, least: int) -> Ladder:
    """The value; rare values pooled as `OTHER`; one label.

    Rare is fewer than `least` subjects; the next rarest join until the pool itself holds `least`. A missing value
    is never pooled.
    """
    ranked = sorted((count, text) for text, count in zip(domain, counts, strict=True) if text != MISSING)
    pooled: set[str] = set()
    held = 0
    for count, text in ranked:
        if count >= least and (not pooled or held >= least):
            break
        pooled.add(text)
        held += count
    if not pooled or len(pooled) == len(ranked):
        return flat(name, domain)
    levels = [list(domain), [OTHER if text in pooled else text for text in domain], [TOP] * len(domain)]
    return of_labels(name, domain, levels, ("value", "rare values pooled", "not released"))


def interval(name: str, domain: Sequence[str], width: float, *, start: float = 0.0) -> Ladder:
    """Numbers: exact, bands of `width` counted from `start`, each level twice as wide, until one band holds all.

    Raises:
        Unreadable: a value is no number. Unresolved: the width is not above zero.
    """
    if not width > 0 or not math.isfinite(width):
        raise Unresolved(f"the band width of `{name}` is not above zero", cure="write `interval:5`, for instance")
    read = numbers(name, domain)
    whole = float(width).is_integer() and float(start).is_integer()
    whole = whole and all(value is None or value.is_integer() for value in read)
    levels, titles = [list(domain)], ["exact"]
    while len(set(levels[-1]) - {MISSING}) > 1 and len(levels) < 24:
        levels.append([MISSING if v is None else _band(v, width, whole=whole, start=start) for v in read])
        titles.append(f"bands of {_edge(width)}")
        width *= 2
    return of_labels(name, domain, [*levels, [TOP] * len(domain)], [*titles, "not released"])


def cuts(name: str, domain: Sequence[str], edges: Sequence[Sequence[float]]) -> Ladder:
    """Numbers cut at custom edges, one list of edges per level, each a subset of the one below (quantiles, say)."""
    read = numbers(name, domain)
    levels = [list(domain)]
    for bounds in edges:
        marks = sorted(bounds)
        texts = [f"<{_edge(marks[0])}"]
        texts += [f"[{_edge(low)}, {_edge(high)})" for low, high in pairwise(marks)]
        texts.append(f">={_edge(marks[-1])}")
        levels.append([MISSING if v is None else texts[bisect.bisect_right(marks, v)] for v in read])
    titles = ["exact", *(f"{len(bounds) + 1} bands" for bounds in edges), "not released"]
    return of_labels(name, domain, [*levels, [TOP] * len(domain)], titles)


def quantiles(name: str, domain: Sequence[str], counts: Sequence[int], *, bands: int = 8) -> Ladder:
    """Numbers in bands of about equally many subjects: `bands`, then half as many, down to two."""
    read = numbers(name, domain)
    known = sorted((v, c) for v, c in zip(read, counts, strict=True) if v is not None)
    total, run = sum(c for _, c in known), 0
    marks: list[float] = []
    for value, count in known:
        if len(marks) < bands - 1 and run >= total * (len(marks) + 1) / bands:
            marks.append(value)
        run += count
    edges: list[list[float]] = []
    step = 1
    while marks[step - 1 :: step]:
        edges.append(marks[step - 1 :: step])
        step *= 2
    return cuts(name, domain, edges) if edges else flat(name, domain)


def prefix(name: str, domain: Sequence[str], lengths: Sequence[int]) -> Ladder:
    """Codes cut to shorter prefixes (ATC `7,5,4,3,1`, ICD `3,1`, ZIP `3`); no lengths: one sign less per level."""
    longest = max((len(text) for text in domain), default=1)
    kept = sorted({n for n in lengths if n < longest}, reverse=True) or list(range(longest - 1, 0, -1))
    levels = [list(domain), *([text[:n] for text in domain] for n in kept), [TOP] * len(domain)]
    return of_labels(name, domain, levels, ("code", *(f"first {n} signs" for n in kept), "not released"))


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
    """A steward's hierarchy as ARX writes it: no header, `;` or `,` separated, level 0 first."""
    first = text.lstrip("\ufeff").split("\n", 1)[0]
    sign = ";" if ";" in first else ","
    rows = [row for row in csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter=sign) if row]
    return from_rows(name, rows, domain)


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


def proposed(name: str, domain: Sequence[str], counts: Sequence[int], safeguards: Safeguards) -> Ladder:
    """A ladder from the data alone: ages by name, countries by content, numbers in bands, few or rare values pooled."""
    known = [text for text in domain if text != MISSING]
    numeric = bool(known) and all(_BOUND.match(text) for text in known)
    if numeric and name.upper() in {"AGE", "AAGE", "AGEYR", "BRTHAGE"}:
        return age(name, domain, top=safeguards.age_top)
    if numeric and len(known) > 12:
        values = [value for value in numbers(name, known) if value is not None]
        rough = (max(values) - min(values)) / 20
        scale = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
        width = next(step * scale for step in (1, 2, 5, 10) if step * scale >= rough * 0.999)
        return interval(name, domain, width if rough < 1 else max(1.0, width))
    if known and sum(place(text) is not None for text in known) >= 0.8 * len(known) and len(known[0]) > 1:
        return country(name, domain, geography=safeguards.geography)
    return pool(name, domain, counts, least=max(SMALL, safeguards.k))
