"""What a text looks like: a date, an id of a subject, an address, a name, a sentence. Judged by form alone."""

import re
from collections.abc import Collection

import pycountry

ISO_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])([T ][\d:.+Z-]*)?)?$|\d{4}(-|---\d\d)?T?$")
"""ISO 8601 with at least a year; a bare year is a partial date (SDTMIG 3.4, 4.4.2)."""
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
DATE_INSIDE = re.compile(
    r"(?<!\d)(18|19|20)\d\d-(0[1-9]|1[0-2])(?!\d)"
    rf"|(?<!\d)\d{{1,2}}[-/ .]?({_MONTHS})[a-z]*[-/ .,]*(\d\d)?\d\d(?!\d)"
    rf"|\b({_MONTHS})[a-z]*\.? \d{{1,2}},? (18|19|20)\d\d"
    r"|(?<!\d)\d{1,2}(?P<mark>[/.])\d{1,2}(?P=mark)((18|19|20)\d\d|\d\d)(?![\d/.])"
    r"|(?<!\d)(18|19|20)\d\d/\d{1,2}/\d{1,2}(?!\d)",
    re.IGNORECASE,
)
EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w{2,}")
PHONE = re.compile(r"(?<![\w.-])(\+|00|\(0)\d[\d ()/.-]{6,}\d(?![\w.-])|(?<![\w.-])\d{3}[ -]\d{3}[ -]\d{4}(?![\w.-])")
TITLED = re.compile(r"\b(dr|prof|mr|mrs|ms|mme|herr|frau|sra?)\.? ?[A-Z][\w'-]+", re.UNICODE)
_PERSON = re.compile(r"[A-Z][a-zà-ÿ'’-]+,? ([A-Z]\. )?[A-Z][A-Za-zà-ÿ'’-]+$")
_WORD = re.compile(r"[^\W\d_]{2,}")
_TOKEN = re.compile(r"[A-Za-z0-9]+")

_COUNTRIES = frozenset(
    name.upper()
    for country in pycountry.countries
    for name in (country.alpha_2, country.alpha_3, country.name, getattr(country, "common_name", country.name))
)


NUMBER = re.compile(r"\s*[-+]?\d+(\.\d+)?\s*$")


def is_person(text: str) -> bool:
    """Whether a text has the form of a person's name: a title before a name, or two capitalised words."""
    return bool(TITLED.search(text) or _PERSON.match(text))


def is_country(text: str) -> bool:
    """Whether a text is an ISO 3166-1 code or country name."""
    return text.strip().upper() in _COUNTRIES


def is_prose(text: str) -> bool:
    """Whether a text reads like words someone wrote: four words or more, or longer than 60 characters."""
    return len(text) > 60 or len(_WORD.findall(text)) >= 4


def tokens(text: str) -> tuple[str, ...]:
    """The runs of letters and digits of a text, upper case: what an id is made of."""
    return tuple(token.upper() for token in _TOKEN.findall(text))


class IdSet:
    """The ids of a study's subjects, found as whole tokens in other texts.

    An id of several tokens (`01-701-1023`) is looked for anywhere in a text. An id of one token shorter than six
    characters (`1015`) is only recognised as a whole text: it would match doses and counts.
    """

    def __init__(self, ids: Collection[str]) -> None:
        self._ids = {found for text in ids if (found := tokens(text))}
        self._lengths = sorted({len(found) for found in self._ids})
        self._searched = {found for found in self._ids if len(found) > 1 or len(found[0]) >= 6}

    def __len__(self) -> int:
        return len(self._ids)

    def is_id(self, text: str) -> bool:
        """Whether the whole text is an id."""
        return tokens(text) in self._ids

    def inside(self, text: str) -> bool:
        """Whether an id stands in the text as whole tokens, with more around it or alone."""
        parts = tokens(text)
        return any(
            parts[at : at + length] in self._searched
            for length in self._lengths
            for at in range(len(parts) - length + 1)
        )
