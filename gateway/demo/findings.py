"""What was measured and given: laboratory with times of day, vital signs, exposure, visits."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from gateway.demo.people import Subject, Visit
from gateway.demo.shapes import Cell
from gateway.demo.terms import ARMS, LAB_TESTS, STUDY, VITAL_SIGNS, LabTest


def laboratory(people: Sequence[Subject], rng: np.random.Generator) -> list[dict[str, Cell]]:
    """LB rows: each test at each visit, with the time of day; American sites report in their own units.

    One creatine kinase result reads like another person's SUBJID: an honest number must survive the search for ids.
    """
    rows: list[dict[str, Cell]] = []
    for subject in people:
        american = subject.site.country.code == "USA"
        levels = rng.normal(0, 0.8, size=len(LAB_TESTS))
        number = 0
        for visit in subject.visits:
            minutes = int(rng.integers(7 * 60, 12 * 60))
            noise = rng.normal(0, 0.5, size=len(LAB_TESTS))
            for test, score in zip(LAB_TESTS, levels + noise, strict=True):
                number += 1
                value = max(test.centre + test.spread * float(score), test.low / 4)
                rows.append(
                    _keys(subject, "LB", number, visit)
                    | _result(test, value, american=american)
                    | {
                        "LBNAM": subject.site.laboratory,
                        "LBBLFL": "Y" if visit[1] == "BASELINE" else None,
                        "LBDTC": f"{visit[3].isoformat()}T{minutes // 60:02d}:{minutes % 60:02d}",
                        "LBDY": subject.study_day(visit[3]),
                    }
                )
    _collide(rows, people)
    return rows


def _collide(rows: list[dict[str, Cell]], people: Sequence[Subject]) -> None:
    kinase = next(test for test in LAB_TESTS if test.code == "CK")
    row = next(row for row in rows if row["LBTESTCD"] == kinase.code and row["LBORRESU"] == kinase.unit)
    other = next(subject for subject in people if subject.usubjid != row["USUBJID"])
    row |= _result(kinase, float(other.number), american=False)


def _result(test: LabTest, value: float, *, american: bool) -> dict[str, Cell]:
    """A result in original and standard units; the standard value is the rounded one that is also printed."""
    standard = round(value, test.digits)
    text, original, unit = f"{standard:.{test.digits}f}", "", test.unit
    if american and test.american_unit:
        original, unit = f"{value * test.american_factor:.2f}", test.american_unit
    return {
        "LBTESTCD": test.code,
        "LBTEST": test.name,
        "LBCAT": test.group,
        "LBORRES": original or text,
        "LBORRESU": unit,
        "LBSTRESC": text,
        "LBSTRESN": standard,
        "LBSTRESU": test.unit,
        "LBNRIND": "LOW" if standard < test.low else "HIGH" if standard > test.high else "NORMAL",
    }


def vital_signs(people: Sequence[Subject], rng: np.random.Generator) -> list[dict[str, Cell]]:
    """VS rows: four signs at each visit; height once, weight at screening."""
    rows: list[dict[str, Cell]] = []
    for subject in people:
        number = 0
        height = float(rng.normal(163 if subject.sex == "F" else 176, 7))
        weight = float(rng.normal(27, 4)) * (height / 100) ** 2
        for visit in subject.visits:
            measured = [
                (code, name, unit, float(rng.normal(centre, spread)))
                for code, name, unit, centre, spread in VITAL_SIGNS
            ]
            if visit[1] == "SCREENING":
                measured += [("HEIGHT", "Height", "cm", height), ("WEIGHT", "Weight", "kg", weight)]
            for code, name, unit, value in measured:
                number += 1
                rows.append(
                    _keys(subject, "VS", number, visit)
                    | _sign(code, name, unit, value)
                    | {
                        "VSBLFL": "Y" if visit[1] == "BASELINE" else None,
                        "VSDTC": visit[3].isoformat(),
                        "VSDY": subject.study_day(visit[3]),
                    }
                )
    return rows


def _sign(code: str, name: str, unit: str, value: float) -> dict[str, Cell]:
    rounded = round(value, 1 if unit in {"C", "kg", "cm"} else 0)
    return {
        "VSTESTCD": code,
        "VSTEST": name,
        "VSORRES": f"{rounded:g}",
        "VSORRESU": unit,
        "VSSTRESC": f"{rounded:g}",
        "VSSTRESN": rounded,
        "VSSTRESU": unit,
    }


def exposures(people: Sequence[Subject]) -> list[dict[str, Cell]]:
    """EX rows: one per interval between visits, from baseline to the last dose."""
    rows: list[dict[str, Cell]] = []
    for subject in people:
        if subject.started is None or subject.arm is None:
            continue
        _, name, dose = ARMS[subject.arm]
        dosed = subject.visits[1:]
        for number, visit in enumerate(dosed, start=1):
            last = subject.ended if number == len(dosed) else dosed[number][3] - timedelta(days=1)
            rows.append(
                _keys(subject, "EX", number, visit)
                | {
                    "EXTRT": "PLACEBO" if dose == 0 else name.split(" ")[0].upper(),
                    "EXDOSE": dose,
                    "EXDOSU": "mg",
                    "EXDOSFRM": "TABLET",
                    "EXDOSFRQ": "QD",
                    "EXROUTE": "ORAL",
                    "EXSTDTC": visit[3].isoformat(),
                    "EXENDTC": last.isoformat(),
                    "EXSTDY": subject.study_day(visit[3]),
                    "EXENDY": subject.study_day(last),
                }
            )
    return rows


def visits(people: Sequence[Subject]) -> list[dict[str, Cell]]:
    """SV rows: every visit that took place."""
    rows: list[dict[str, Cell]] = []
    for subject in people:
        for visit in subject.visits:
            keys = _keys(subject, "SV", 0, visit)
            del keys["SVSEQ"]
            day = visit[3]
            rows.append(
                keys
                | {
                    "SVSTDTC": day.isoformat(),
                    "SVENDTC": day.isoformat(),
                    "SVSTDY": subject.study_day(day),
                    "SVENDY": subject.study_day(day),
                }
            )
    return rows


def _keys(subject: Subject, domain: str, number: int, visit: Visit) -> dict[str, Cell]:
    return {
        "STUDYID": STUDY,
        "DOMAIN": domain,
        "USUBJID": subject.usubjid,
        f"{domain}SEQ": number,
        "VISITNUM": visit[0],
        "VISIT": visit[1],
        "VISITDY": visit[2],
    }
