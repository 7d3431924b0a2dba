"""A study in which every telling cell is a token found nowhere else, to show that no cell leaks into messages.

Put it through everything that can go wrong, then look for the tokens in whatever came out.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from gateway.demo.shapes import SHAPES, TEXT, Cell
from gateway.demo.writing import Format, write_table

STUDY = "GWCANARY"
TABLES = ("DM", "AE", "LB", "RELREC", "SUPPAE")
SUBJECTS, EVENTS_EACH, RESULTS_EACH = 60, 2, 4

_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_FIRST_STUDY_DAY, _DAYS_EACH = date(1903, 1, 1), 280
_FIRST_BIRTH = date(1840, 1, 1)
_COUNTRIES = ("USA", "DEU", "FRA", "NLD", "POL", "ESP")


class _Tokens:
    """Hands out words, numbers and days, none of them twice, and keeps the list."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 1])
        self.given: set[str] = set()

    def word(self, length: int = 10) -> str:
        """Consonants only: no word of any language, nothing a program would print by chance."""
        while True:
            token = "".join(self.rng.choice(list(_LETTERS), size=length).tolist())
            if token not in self.given:
                return self.keep(token)

    def number(self) -> float:
        """A decimal number whose printed form is the token."""
        while True:
            value = float(self.rng.integers(10_000_001, 99_999_999)) / 1000
            if repr(value) not in self.given:
                self.keep(repr(value))
                return value

    def days(self, first: date, many: int) -> Iterator[str]:
        """Different days from `first` on, shuffled; each is a token once it is drawn."""
        for offset in self.rng.permutation(many).tolist():
            day = (first + timedelta(days=offset)).isoformat()
            if day not in self.given:
                yield self.keep(day)

    def keep(self, token: str) -> str:
        """Remember a token."""
        self.given.add(token)
        return token


def write_canary_study(folder: Path, seed: int, *, fmt: Format = "csv") -> set[str]:
    """Write DM, AE, LB, RELREC and SUPPAE of 60 subjects into `folder`; return every token that stands in them.

    Tokens are the ids (subject, site, investigator, and the parts they are made of), all dates (valid, but of
    a century ago; of a moment only the day), free text (each word), codes without a closed list, and results.
    Ages, sexes, countries, yes-or-no flags, the keys of joins and study days stay ordinary: a token there would
    make no valid study. No token is part of an ordinary cell.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokens = _Tokens(seed)
    rows: dict[str, list[dict[str, Cell]]] = {name: [] for name in TABLES}
    births = tokens.days(_FIRST_BIRTH, 20_000)
    sites = [(country, tokens.word()) for country in _COUNTRIES]
    for at in range(SUBJECTS):
        person = _Person(at, *sites[at % len(sites)], tokens)
        rows["DM"].append(person.demographics(next(births)))
        for number in range(1, EVENTS_EACH + 1):
            event = person.event(number)
            rows["AE"].append(event)
            rows["RELREC"].append(person.relation(event))
            rows["SUPPAE"] += person.qualifiers(event)
        rows["LB"] += [person.result(number) for number in range(1, RESULTS_EACH + 1)]
    for name in TABLES:
        write_table(folder, SHAPES[name], SHAPES[name].table(rows[name]), fmt)
    return tokens.given


class _Person:
    """One subject of the canary study; its dates lie in a stretch of days that no other subject has."""

    def __init__(self, at: int, country: str, site: str, tokens: _Tokens) -> None:
        first = _FIRST_STUDY_DAY + timedelta(days=at * _DAYS_EACH)
        self.tokens, self.country, self.site = tokens, country, site
        self.number = tokens.word()
        self.usubjid = tokens.keep(f"{STUDY}-{site}-{self.number}")
        self.start = first + timedelta(days=20)
        tokens.keep(self.start.isoformat())
        self.days = tokens.days(first, _DAYS_EACH)
        self.age = int(tokens.rng.integers(30, 80))
        self.sex = "F" if at % 2 else "M"
        self.dies = at % 20 == 7

    def demographics(self, born: str) -> dict[str, Cell]:
        """The DM row."""
        collected = next(self.days)
        fixed: dict[str, Cell] = {
            "SUBJID": self.number,
            "RFSTDTC": self.start.isoformat(),
            "DTHDTC": next(self.days) if self.dies else None,
            "DTHFL": "Y" if self.dies else None,
            "SITEID": self.site,
            "INVID": f"{self.site}-{self.tokens.word()}",
            "INVNAM": self._sentence(2),
            "BRTHDTC": born,
            "AGE": self.age,
            "AGEU": "YEARS",
            "SEX": self.sex,
            "COUNTRY": self.country,
            "DMDTC": collected,
            "DMDY": self._study_day(collected),
        }
        return self._filled("DM", fixed)

    def event(self, number: int) -> dict[str, Cell]:
        """An AE row."""
        start, end = sorted((next(self.days), next(self.days)))
        fixed: dict[str, Cell] = {
            "AESEQ": number,
            "AETERM": self._sentence(4),
            "AESER": "N",
            "AESDTH": "N",
            "AESHOSP": "N",
            "AESTDTC": start,
            "AEENDTC": end,
            "AESTDY": self._study_day(start),
            "AEENDY": self._study_day(end),
        }
        return self._filled("AE", fixed)

    def relation(self, event: dict[str, Cell]) -> dict[str, Cell]:
        """A RELREC row: RELID holds the subject's id and the event's."""
        fixed: dict[str, Cell] = {"RDOMAIN": "AE", "IDVAR": "AESEQ", "IDVARVAL": str(event["AESEQ"])}
        return self._filled("RELREC", fixed | {"RELID": f"{self.usubjid}-{event['AESPID']}"})

    def qualifiers(self, event: dict[str, Cell]) -> list[dict[str, Cell]]:
        """SUPPAE rows: a comment and a date."""
        fixed: dict[str, Cell] = {"RDOMAIN": "AE", "IDVAR": "AESEQ", "IDVARVAL": str(event["AESEQ"])}
        comment: dict[str, Cell] = {"QNAM": "AECOMM", "QLABEL": "COMMENT OF THE SITE", "QVAL": self._sentence(5)}
        admission: dict[str, Cell] = {"QNAM": "AEHOSPDT", "QLABEL": "ADMISSION", "QVAL": next(self.days)}
        return [self._filled("SUPPAE", fixed | said) for said in (comment, admission)]

    def result(self, number: int) -> dict[str, Cell]:
        """An LB row; the original, the character and the numeric result are one token."""
        value, day = self.tokens.number(), next(self.days)
        minute = int(self.tokens.rng.integers(60))
        fixed: dict[str, Cell] = {
            "LBSEQ": number,
            "LBORRES": repr(value),
            "LBSTRESC": repr(value),
            "LBSTRESN": value,
            "LBBLFL": "Y" if number == 1 else None,
            "VISITNUM": float(number),
            "VISITDY": number * 7,
            "LBDTC": f"{day}T{7 + number:02d}:{minute:02d}",
            "LBDY": self._study_day(day),
        }
        return self._filled("LB", fixed)

    def _filled(self, name: str, fixed: dict[str, Cell]) -> dict[str, Cell]:
        """A row: its keys, what is fixed, and a token in every other text or date."""
        row: dict[str, Cell] = {"STUDYID": STUDY, "USUBJID": self.usubjid, **fixed}
        for variable in SHAPES[name].variables:
            if variable.name in row or variable.kind != TEXT:
                continue
            if variable.name == "DOMAIN":
                row["DOMAIN"] = name
            elif variable.name.endswith(("DTC", "ENTPT")):
                row[variable.name] = next(self.days)
            else:
                row[variable.name] = self.tokens.word(8)
        return row

    def _sentence(self, words: int) -> str:
        return " ".join(self.tokens.word() for _ in range(words))

    def _study_day(self, day: str) -> int:
        distance = (date.fromisoformat(day) - self.start).days
        return distance + 1 if distance >= 0 else distance
