"""Who takes part in the synthetic trial: sites, subjects, and the rare persons that make de-identification hard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

import numpy as np
from faker import Faker

from gateway.demo.terms import ARMS, COUNTRIES, STUDY, TRIAL_START, VISITS, Country

FEWEST_SUBJECTS = 60

Visit = tuple[float, str, int, date]
"""VISITNUM, VISIT, VISITDY, the day it took place."""


class Case(StrEnum):
    """A hard case that is planted on one subject, so that every seed has it."""

    DIES_AT_89 = "dies at 89"
    DIES = "dies"
    TURNS_90 = "turns 90 on study"
    IS_90 = "is 90"
    IS_93 = "is 93"
    IS_97 = "is 97"
    TWO_RACES = "reports two races"
    THREE_RACES = "reports three races"
    WRONG_STUDY_DAY = "has one AESTDY that does not follow from AESTDTC"


_AGES: Mapping[Case, int] = {
    Case.DIES_AT_89: 89,
    Case.TURNS_90: 89,
    Case.IS_90: 90,
    Case.IS_93: 93,
    Case.IS_97: 97,
}


@dataclass(frozen=True, slots=True)
class Site:
    """A trial site. `code` spells the country (`DEU-03`), as sponsors like to."""

    code: str
    country: Country
    investigator: str
    city: str
    laboratory: str


@dataclass(frozen=True, slots=True)
class Subject:
    """One person of the trial. `started` is None for a screening failure; all dates are calendar days."""

    number: str
    site: Site
    cases: frozenset[Case]
    born: date
    sex: str
    races: tuple[str, ...]
    ethnic: str
    arm: int | None
    consented: date
    started: date | None
    ended: date
    completed: bool
    died: date | None
    visits: tuple[Visit, ...]

    @property
    def usubjid(self) -> str:
        """The unique id as sponsors build it: study, site and number in one string."""
        return f"{STUDY}-{self.site.code}-{self.number}"

    @property
    def age(self) -> int:
        """Age in completed years at consent, which is what AGE says."""
        return years_between(self.born, self.consented)

    def study_day(self, day: date) -> int | None:
        """SDTM study day: 1 is the first day of treatment, there is no day 0 (SDTMIG 3.4, 4.4.4)."""
        if self.started is None:
            return None
        distance = (day - self.started).days
        return distance + 1 if distance >= 0 else distance


def years_between(born: date, day: date) -> int:
    """Completed years from birth to a day."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def fakers(seed: int) -> dict[str, Faker]:
    """One seeded Faker per country code."""
    made = {}
    for offset, country in enumerate(COUNTRIES):
        made[country.code] = Faker(country.locale)
        made[country.code].seed_instance(seed + offset)
    return made


def recruit(subjects: int, seed: int) -> tuple[Subject, ...]:
    """Invent the subjects of a trial, ordered by USUBJID.

    About one in eleven is a screening failure; every `Case` is on exactly one treated subject; the first two
    countries have a site with a single patient; the last country has very few patients.
    Raises `ValueError` below `FEWEST_SUBJECTS`.
    """
    if subjects < FEWEST_SUBJECTS:
        raise ValueError(f"the demo trial needs at least {FEWEST_SUBJECTS} subjects to hold its hard cases")
    rng = np.random.default_rng([seed, 1])
    sites = _open_sites(subjects, rng, fakers(seed))
    numbers = 1001 + np.sort(rng.choice(max(subjects * 3, 999), size=subjects, replace=False))
    failed = set(rng.choice(subjects, size=max(2, subjects // 11), replace=False).tolist())
    cases = _plant(sites, failed, rng)
    people = [
        _enrol(str(number), site, cases.get(at, frozenset()), rng, failed=at in failed)
        for at, (number, site) in enumerate(zip(numbers, sites, strict=True))
    ]
    return tuple(sorted(people, key=lambda person: person.usubjid))


def _open_sites(subjects: int, rng: np.random.Generator, names: Mapping[str, Faker]) -> list[Site]:
    """The site of each subject in turn."""
    counts = [max(2, round(subjects * country.share)) for country in COUNTRIES]
    counts[0] += subjects - sum(counts)
    places: list[Site] = []
    for position, (country, count) in enumerate(zip(COUNTRIES, counts, strict=True)):
        lonely = 1 if position < 2 else 0
        wanted = max(1, round(count / 16))
        pull = rng.pareto(1.5, size=wanted) + 0.3
        sizes = 1 + rng.multinomial(count - lonely - wanted, pull / pull.sum())
        sizes = np.append(sizes, np.ones(lonely, dtype=sizes.dtype))
        for ordinal, size in enumerate(sizes.tolist(), start=1):
            places += [_site(country, ordinal, names[country.code])] * size
    return places


def _site(country: Country, ordinal: int, fake: Faker) -> Site:
    city = fake.city()
    return Site(
        code=f"{country.code}-{ordinal:02d}",
        country=country,
        investigator=f"{fake.first_name()} {fake.last_name()}",
        city=city,
        laboratory=f"{fake.last_name()} Laboratory, {city}",
    )


def _plant(sites: Sequence[Site], failed: set[int], rng: np.random.Generator) -> dict[int, frozenset[Case]]:
    """Give each case its subject. Who turns 90 lives where full birth dates are collected."""
    treated = [at for at in rng.permutation(len(sites)).tolist() if at not in failed]
    precise = next(at for at in treated if sites[at].country.birth == 10)
    treated.remove(precise)
    others = [case for case in Case if case is not Case.TURNS_90]
    planted = dict(zip(treated, others, strict=False))
    return {at: frozenset({case}) for at, case in [*planted.items(), (precise, Case.TURNS_90)]}


def _enrol(number: str, site: Site, cases: frozenset[Case], rng: np.random.Generator, *, failed: bool) -> Subject:
    consented = date.fromisoformat(TRIAL_START) + timedelta(days=int(rng.integers(0, 540)))
    started = None if failed else consented + timedelta(days=int(rng.integers(8, 22)))
    completed = bool(rng.random() < 0.75) or bool(cases & {Case.TURNS_90, Case.WRONG_STUDY_DAY})
    died = None
    if cases & {Case.DIES, Case.DIES_AT_89}:
        completed = False
    last_day = 169 if completed else int(rng.integers(20, 160))
    ended = (started or consented) + timedelta(days=last_day - 1 if started else 0)
    if started and cases & {Case.DIES, Case.DIES_AT_89}:
        died = ended
    races, ethnic = _origins(site.country, cases, rng)
    return Subject(
        number=number,
        site=site,
        cases=cases,
        born=_birth(consented, cases, rng),
        sex="F" if rng.random() < 0.46 else "M",
        races=races,
        ethnic=ethnic,
        arm=None if failed else int(rng.integers(0, len(ARMS))),
        consented=consented,
        started=started,
        ended=ended,
        completed=completed and not failed,
        died=died,
        visits=_visits(consented, started, ended, rng),
    )


def _birth(consented: date, cases: frozenset[Case], rng: np.random.Generator) -> date:
    """A birth date that gives the age a case asks for, else one from 45 to 88."""
    planted = [_AGES[case] for case in cases if case in _AGES]
    age = planted[0] if planted else int(np.clip(rng.normal(70, 9), 45, 88))
    since_birthday = int(rng.integers(5, 200))
    if Case.TURNS_90 in cases:
        since_birthday = 365 - 60
    return _years_before(consented, age) - timedelta(days=since_birthday)


def _years_before(day: date, years: int) -> date:
    return day.replace(year=day.year - years, day=min(day.day, 28))


def _origins(country: Country, cases: frozenset[Case], rng: np.random.Generator) -> tuple[tuple[str, ...], str]:
    one = str(rng.choice(list(country.races), p=list(country.races.values())))
    races: tuple[str, ...] = (one,)
    ethnic = "HISPANIC OR LATINO" if rng.random() < 0.08 else "NOT HISPANIC OR LATINO"
    if one == "NOT REPORTED":
        ethnic = "NOT REPORTED"
    if Case.TWO_RACES in cases:
        races = ("WHITE", "BLACK OR AFRICAN AMERICAN")
    if Case.THREE_RACES in cases:
        races = ("ASIAN", "WHITE", "AMERICAN INDIAN OR ALASKA NATIVE")
    return races, ethnic


def _visits(consented: date, started: date | None, ended: date, rng: np.random.Generator) -> tuple[Visit, ...]:
    """The visits that took place: screening on the day of consent, then near the planned day until the end."""
    held: list[Visit] = [(*VISITS[0], consented)]
    if started is None:
        return tuple(held)
    for number, name, planned in VISITS[1:]:
        on_time = started + timedelta(days=planned - 1)
        jitter = 0 if planned == 1 else int(rng.integers(-3, 4))
        if on_time <= ended:
            held.append((number, name, planned, min(on_time + timedelta(days=jitter), ended)))
    return tuple(held)
