"""Builders of ladders: ages, countries, dates, bands of numbers, code prefixes, pooled rare values, a proposal."""

import bisect
import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pseudonymization import ages
from pseudonymization.faults import Place, Unreadable, Unresolved
from pseudonymization.hierarchies.given import OTHER, from_csv, from_file, from_rows
from pseudonymization.hierarchies.ladder import MISSING, TOP, Ladder, of_labels
from pseudonymization.hierarchies.places import place
from pseudonymization.safeguards import GeographyRule, Safeguards

__all__ = [
    "OTHER", "SMALL", "age", "country", "cuts", "date", "flat", "from_csv", "from_file", "from_rows", "interval",
    "numbers", "pool", "prefix", "proposed", "quantiles", "site",
]  # fmt: skip
SMALL = 11  # a value of fewer subjects is rare: the k of EMA/90915/2016 and of Health Canada PRCI
_DATE = re.compile(r"^(\d{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01])(?:T[\d:.+Z-]*)?)?)?$")
_ATC = re.compile(r"^[A-Z]\d\d[A-Z]{2}\d\d$")
_ICD = re.compile(r"^[A-Z]\d[\dA-Z](?:\.[\dA-Z]{1,4})?$")
_NUMBER = r"^-?\d+(\.\d+)?$"
_BOUND = re.compile(r"^\s*(>=|<=|>|<)?\s*(-?\d+(?:\.\d+)?)\s*(\+)?\s*$")


def numbers(name: str, domain: Sequence[str]) -> list[float | None]:
    """Each text of the domain as a number; None where it is missing. `>89`, `>=90` and `90+` are read too.

    Raises:
        Unreadable: a value is no number.
    """
    if (plain := _plain(domain)) is not None:
        return plain
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


def _plain(domain: Sequence[str]) -> list[float | None] | None:
    """The numbers where every text is missing or a plain number, read at once; else None."""
    texts = pa.array(domain, pa.string())
    texts = pc.if_else(pc.equal(texts, MISSING), pa.scalar(None, pa.string()), texts)
    if pc.all(pc.match_substring_regex(texts, _NUMBER)).as_py() is False:
        return None
    found: list[float | None] = texts.cast(pa.float64()).to_pylist()
    return found


def _edge(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _band(value: float, width: float, *, whole: bool, start: float = 0.0, top: float = math.inf) -> str:
    low = math.floor((value - start) / width + 1e-9) * width + start
    if not whole:
        return f"[{_edge(round(low, 9))}, {_edge(round(low + width, 9))})"
    high = min(low + width - 1, top)
    return f"{_edge(low)}-{_edge(high)}" if high > low else _edge(low)


def _bands(values: Sequence[float | None], width: float, *, whole: bool, start: float) -> list[str]:
    """The band of each value; each band is spelled once."""
    known = np.array([math.nan if value is None else value for value in values])
    _, first, band = np.unique(np.floor((known - start) / width + 1e-9), return_index=True, return_inverse=True)
    chosen = [values[at] for at in first.tolist()]
    texts = [MISSING if value is None else _band(value, width, whole=whole, start=start) for value in chosen]
    return [texts[at] for at in band.tolist()]


def age(name: str, domain: Sequence[str], *, top: int | None) -> Ladder:
    """Ages, in years or with their unit (see `ages`): exact, bands of 5, 10 and 20 years, below or from 65, one label.

    Wider bands start at 5, so that they meet at 65. Ages above `top` are one class (45 CFR 164.514(b)(2)(i)(C):
    90 or older), which wider bands join to those from 85.
    """
    years = numbers(name, [ages.in_years(text) for text in domain])
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
        levels.append(_bands(read, width, whole=whole, start=start))
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


def date(name: str, domain: Sequence[str]) -> Ladder:
    """ISO 8601 dates: exact, day, month, quarter, year, decade, one label. A partial date stays as partial as it is.

    Raises:
        Unreadable: a value is no date, not even a partial one.
    """
    parts = []
    for text in domain:
        match = _DATE.match(text)
        if text != MISSING and match is None:
            raise Unreadable(
                "a value is no ISO 8601 date, so no month holds it",
                places=(Place("study", name),),
                cure="write dates as YYYY-MM-DD, YYYY-MM or YYYY, or give the column a hierarchy file",
            )
        parts.append((text, *(match.groups() if match else (None, None, None))))
    days = [text if day is None else text[:10] for text, _, _, day in parts]
    months = [text if month is None else text[:7] for text, _, month, _ in parts]
    quarters = [text if month is None else f"{year}-Q{(int(month) + 2) // 3}" for text, year, month, _ in parts]
    years = [year or MISSING for _, year, _, _ in parts]
    decades = [f"{year[:3]}0-{year[:3]}9" if year else MISSING for year in years]
    levels = [list(domain), days, months, quarters, years, decades, [TOP] * len(domain)]
    titles = ["exact", "day", "month", "quarter", "year", "decade", "not released"]
    if list(domain) == days:
        del levels[1], titles[1]
    return of_labels(name, domain, levels, titles)


def prefix(name: str, domain: Sequence[str], lengths: Sequence[int]) -> Ladder:
    """Codes cut to shorter prefixes (ATC `7,5,4,3,1`, ICD `3,1`, ZIP `3`); no lengths: one sign less per level."""
    longest = max((len(text) for text in domain), default=1)
    kept = sorted({n for n in lengths if n < longest}, reverse=True) or list(range(longest - 1, 0, -1))
    levels = [list(domain), *([text[:n] for text in domain] for n in kept), [TOP] * len(domain)]
    return of_labels(name, domain, levels, ("code", *(f"first {n} signs" for n in kept), "not released"))


def proposed(name: str, domain: Sequence[str], counts: Sequence[int], safeguards: Safeguards) -> Ladder:
    """A ladder from the data alone.

    Ages by name; countries, dates, ATC and ICD codes by content; numbers in bands; few or rare values pooled.
    """
    known = [text for text in domain if text != MISSING]
    if len(known) > 12 and all(len(text) >= 7 and _DATE.match(text) for text in known):
        return date(name, domain)
    if len(known) > 12 and all(_ATC.match(text) for text in known):
        return prefix(name, domain, (5, 4, 3, 1))
    if len(known) > 12 and any("." in text for text in known) and all(_ICD.match(text) for text in known):
        return prefix(name, domain, (3, 1))
    numeric = bool(known) and (_plain(known) is not None or all(_BOUND.match(text) for text in known))
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
