"""Free text: dropped, kept, or with what the study itself knows to be identifying taken out.

The dictionary is the study's own: subject ids and their parts, sites, investigators, names; and anything shaped like a
date. What no list of the study knows (a relative's name, say) is not found here: free text is dropped by default.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from pseudonymization import isodates
from pseudonymization.subjects import Subjects
from pseudonymization.tokens import Tokens, spelling

REDACTED = "--redacted--"
"""The mark the PHUSE standard leaves where personal text stood."""

SHORTEST = 3
"""A known value with fewer letters and digits is no token: it would be found everywhere."""

FINDING = (
    r"^(?:[<>=~ ]*[-+]?[0-9]+(?:[.,][0-9]+)?(?:[eE][-+]?[0-9]+)?"
    r"|(?:[0-9]{4}|-)(?:-(?:[0-9]{2}|-)){0,2}(?:[T ][-0-9:.,+Z]*)?(?:/[-0-9T:PYMDHS.,+Z]+)?)$"
)
"""A cell that is, as a whole, a number or an ISO 8601 date: what stands in it is no id, however it looks."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?P<{}>" + "|".join(_MONTHS) + r")[a-z]*"
_DATE = re.compile(
    r"(?<![0-9a-z])(?:"
    r"(?P<y1>\d{4})-(?P<m1>\d\d)(?:-(?P<d1>\d\d))?(?:t\d\d(?::\d\d){0,2})?"
    r"|(?P<d2>\d{1,2})(?:st|nd|rd|th)?[-/. ]{0,2}" + _MONTH.format("m2") + r"[-/., ]{0,2}(?P<y2>\d{4}|\d\d)"
    r"|" + _MONTH.format("m3") + r"[-. ]{0,2}(?:(?P<d3>\d{1,2})(?:st|nd|rd|th)?,? {1,2})?(?P<y3>\d{4})"
    r"|(?P<a4>\d{1,2})(?P<s4>[/.-])(?P<b4>\d{1,2})(?P=s4)(?P<y4>\d{4}|\d\d)"
    r"|(?P<y5>(?:19|20)\d\d)[/.]?(?P<m5>0[1-9]|1[0-2])[/.]?(?P<d5>0[1-9]|[12]\d|3[01])"
    r")(?![0-9a-z])",
    re.IGNORECASE | re.ASCII,
)


def is_date(text: str) -> bool:
    """Whether the text as a whole is a date, complete or partial, but not a year alone."""
    return len(text) > 4 and isodates.readable(text)


class DateWords:
    """Dates in running text, in the spellings people use."""

    @staticmethod
    def find(text: str) -> Iterator[tuple[int, int, tuple[int, ...]]]:
        """Each date's start, end, and the days it may mean (none if partial; two if day and month may be swapped)."""
        for match in _DATE.finditer(text):
            yield match.start(), match.end(), tuple(dict.fromkeys(_meant(match)))


def _meant(match: re.Match[str]) -> Iterator[int]:
    part = match.groupdict()
    if part["y1"]:
        tries = [(part["y1"], part["m1"], part["d1"])]
    elif part["y2"]:
        tries = [(part["y2"], str(_MONTHS.index(part["m2"].lower()) + 1), part["d2"])]
    elif part["y3"]:
        tries = [(part["y3"], str(_MONTHS.index(part["m3"].lower()) + 1), part["d3"])]
    elif part["y4"]:
        tries = [(part["y4"], part["a4"], part["b4"]), (part["y4"], part["b4"], part["a4"])]
    else:
        tries = [(part["y5"], part["m5"], part["d5"])]
    for year, month, day in tries:
        if day is None:
            continue
        centuries = (int(year),) if len(year) == 4 else (1900 + int(year), 2000 + int(year))
        for y in centuries:
            if 1 <= int(month) <= 12 and 1 <= int(day) <= isodates.days_in(y, int(month)):
                yield int(isodates.day_number(np.int64(y), np.int64(int(month)), np.int64(int(day))))


class Redactor:
    """Takes out of a text every known value and every date; says how many of each kind."""

    def __init__(self, known: Mapping[str, str]) -> None:
        """`known`: each value, and its kind (`subject id`, `identifier`)."""
        self._tokens = Tokens(known)

    @classmethod
    def of(cls, subjects: Subjects) -> "Redactor":
        """A redactor that knows the ids and the identifying values of a study."""
        known = dict.fromkeys(subjects.ids.to_pylist(), "subject id")
        known |= {alias: "subject id" for alias in subjects.aliases if len(spelling(alias)) >= SHORTEST}
        for values in subjects.identifying.values():
            for value in values:
                for piece in (value, *_name_parts(value)):
                    if len(spelling(piece)) >= SHORTEST and not is_date(piece):
                        known.setdefault(piece, "identifier")
        return cls(known)

    def redact(self, text: str) -> tuple[str, Counter[str]]:
        """The text with `--redacted--` in place of what was found, and the number found of each kind."""
        spans = [(start, end, "date") for start, end, _ in DateWords.find(text)]
        spans += [(found.start, found.end, found.entry) for found in self._tokens.find(text)]
        pieces, done, kinds = [], 0, Counter[str]()
        for start, end, kind in sorted(spans):
            if end <= done:
                continue
            if start >= done:
                pieces += [text[done:start], REDACTED]
            done = end
            kinds[kind] += 1
        return "".join([*pieces, text[done:]]), kinds


def _name_parts(value: str) -> list[str]:
    """The longer words of a name: a person is also known by the last name alone."""
    words = value.replace(",", " ").split()
    if not 2 <= len(words) <= 4:
        return []
    return [word for word in words if len(word) >= 4 and word.isalpha()]
