"""Dates in running text, in the spellings people use: ISO, numbers with strokes or dots, months in words.

Months are known in English, German, French, Spanish, Italian, Portuguese, Dutch and Polish, full and shortened, also
where a file has lost a letter (`pa?` for `paź`); Japanese dates by their signs.
"""

import re
from collections.abc import Iterator

import numpy as np

from pseudonymization import isodates

_MONTHS: tuple[str, ...] = (
    "january jan januar januari janvier janv enero ene gennaio gen janeiro styczeń stycznia sty",
    "february feb februar februari febr février fevrier févr fevr fév febrero febbraio fevereiro fev luty lutego lut",
    "march mar märz maerz mär mars marzo março marco maart mrt marzec marca",
    "april apr avril avr abril abr aprile kwiecień kwietnia kwi",
    "may mai mei mayo maggio mag maio maj maja",
    "june jun juni juin junio giugno giu junho czerwiec czerwca cze",
    "july jul juli juillet juil julio luglio lug julho lipiec lipca lip",
    "august aug août aout agosto ago augustus sierpień sierpnia sie",
    "september sep sept septembre septiembre settembre set setembro wrzesień września wrz",
    "october oct oktober okt octobre octubre ottobre ott outubro październik października paź paz pa?",
    "november nov novembre noviembre novembro listopad listopada lis",
    "december dec dezember dez décembre decembre déc diciembre dic dicembre dezembro grudzień grudnia gru",
)  # fmt: skip
_MONTH_OF = {word: number for number, words in enumerate(_MONTHS, start=1) for word in words.split()}


def _alternatives() -> str:
    """Every spelling of a month, longest first; a question mark stands for the letter that a file lost."""
    words = sorted(_MONTH_OF, key=len, reverse=True)
    return "|".join("pa[?\ufffd]" if word == "pa?" else re.escape(word) for word in words)


_LONG_WORDS = "|".join(sorted((word for word in _MONTH_OF if len(word) > 3), key=len, reverse=True))
_DAY = r"(?:st|nd|rd|th|er|º)?"
_DATE = re.compile(
    r"(?<![0-9a-z])(?:"
    r"(?P<y1>[0-9]{4})-(?P<m1>[0-9]{2})(?:-(?P<d1>[0-9]{2}))?(?:t[0-9]{2}(?::[0-9]{2}){0,2})?"
    rf"|(?P<d2>[0-9]{{1,2}}){_DAY}(?:[-/. ]{{0,2}}| de | of )(?P<m2>{_alternatives()})\.?(?:[-/., ]{{0,2}}| de )"
    r"(?P<y2>[0-9]{4}|[0-9]{2})"
    rf"|(?P<m3>{_alternatives()})\.?[- ]{{0,2}}(?:(?P<d3>[0-9]{{1,2}}){_DAY},? {{1,2}})?(?P<y3>[0-9]{{4}})"
    r"|(?P<a4>[0-9]{1,2})(?P<s4>[/.-])(?P<b4>[0-9]{1,2})(?P=s4)(?P<y4>[0-9]{4}|[0-9]{2})"
    r"|(?P<y5>(?:19|20)[0-9]{2})[/.]?(?P<m5>0[1-9]|1[0-2])[/.]?(?P<d5>0[1-9]|[12][0-9]|3[01])"
    rf"|(?P<m6>{_alternatives()})-(?P<y6>[0-9]{{2}})"
    rf"|(?P<d7>[0-9]{{1,2}}){_DAY}\.?(?: | de | of )(?P<m7>{_LONG_WORDS})"
    rf"|(?P<m8>{_LONG_WORDS}) (?P<d8>[0-9]{{1,2}}){_DAY}(?! *(?:mg|ml|g|kg|%|to|or|and))"
    r")(?![0-9a-z])",
    re.IGNORECASE,
)
_JAPANESE = re.compile(
    r"(?P<y>[0-9]{4}|(?:明治|大正|昭和|平成|令和)(?:[0-9]{1,2}|元))年"
    r"(?:(?P<m>[0-9]{1,2})月(?:(?P<d>[0-9]{1,2})日)?)?"
)
_ERAS = {"明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018}


class DateWords:
    """Dates in running text, in the spellings people use."""

    @staticmethod
    def find(text: str) -> Iterator[tuple[int, int, tuple[int, ...]]]:
        """Each date's start, end, and the days it may mean (none if partial; two if day and month may be swapped)."""
        for match in _DATE.finditer(text):
            yield match.start(), match.end(), tuple(dict.fromkeys(_meant(match)))
        if "年" in text:
            for match in _JAPANESE.finditer(text):
                yield match.start(), match.end(), tuple(_days([_japanese(match)]))


Parts = tuple[str, str, str | None]


def _meant(match: re.Match[str]) -> Iterator[int]:
    part = match.groupdict()
    if part["y1"]:
        tries: list[Parts] = [(part["y1"], part["m1"], part["d1"])]
    elif part["y2"]:
        tries = [(part["y2"], _number(part["m2"]), part["d2"])]
    elif part["y3"]:
        tries = [(part["y3"], _number(part["m3"]), part["d3"])]
    elif part["y4"]:
        tries = [(part["y4"], part["a4"], part["b4"]), (part["y4"], part["b4"], part["a4"])]
    elif part["y5"]:
        tries = [(part["y5"], part["m5"], part["d5"])]
    else:
        tries = []
    yield from _days(tries)


def _number(month: str) -> str:
    return str(_MONTH_OF[month.lower().replace("\ufffd", "?")])


def _japanese(match: re.Match[str]) -> Parts:
    year = match["y"]
    if not year.isdecimal():
        count = year[2:].replace("元", "1")
        year = str(_ERAS[year[:2]] + int(count))
    return year, match["m"] or "0", match["d"]


def _days(tries: list[Parts]) -> Iterator[int]:
    for year, month, day in tries:
        if day is None:
            continue
        centuries = (int(year),) if len(year) == 4 else (1900 + int(year), 2000 + int(year))
        for y in centuries:
            if 1 <= int(month) <= 12 and 1 <= int(day) <= isodates.days_in(y, int(month)):
                yield int(isodates.day_number(np.int64(y), np.int64(int(month)), np.int64(int(day))))
