"""What happened to subjects: adverse events, disposition, histories and medicines, with partial dates and free text."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from gateway.demo.people import Case, Subject, years_between
from gateway.demo.remarks import Remarks
from gateway.demo.shapes import Cell
from gateway.demo.terms import (
    COMMON_REACTIONS,
    FATAL_REACTIONS,
    HISTORIES,
    HOME_REMEDIES,
    MEDICINES,
    PRIMARY_DIAGNOSIS,
    RARE_REACTIONS,
    STUDY,
)

PARTIAL = 0.7
"""The share of CMSTDTC and MHSTDTC that is a year or a month only (73 % and 68 % in the CDISC pilot)."""

_YEAR_ONLY = 0.7
_SEVERITIES = ("MILD", "MODERATE", "SEVERE")


_Illness = tuple[str, str | None, str | None, date]
"""MHTERM, MHDECOD, MHBODSYS, the day it began."""


@dataclass(frozen=True, slots=True)
class _Reaction:
    """One adverse event before it becomes a row."""

    term: str
    system: str
    start: date
    end: date | None
    fatal: bool = False


def partly(day: date, rng: np.random.Generator, share: float = PARTIAL) -> str:
    """An ISO date, or with probability `share` only its year or its month."""
    text = day.isoformat()
    if rng.random() >= share:
        return text
    return text[:4] if rng.random() < _YEAR_ONLY else text[:7]


def study_day_of(subject: Subject, text: str | None) -> int | None:
    """The study day of a complete ISO date; none for a partial or missing one."""
    return subject.study_day(date.fromisoformat(text)) if text and len(text) == 10 else None


def adverse_events(people: Sequence[Subject], rng: np.random.Generator, remarks: Remarks) -> list[dict[str, Cell]]:
    """AE rows. Each rare term occurs once in the trial; one AESTDY is wrong, as in real data."""
    treated = [subject for subject in people if subject.started]
    rare = dict(zip(rng.permutation(len(treated)).tolist(), RARE_REACTIONS, strict=False))
    rows: list[dict[str, Cell]] = []
    for at, subject in enumerate(treated):
        reactions = _reactions(subject, rare.get(at), rng)
        own = [_adverse_event(subject, number, r, rng, remarks) for number, r in enumerate(reactions, start=1)]
        if Case.WRONG_STUDY_DAY in subject.cases:
            own[0] |= {"AESTDTC": min(day for *_, day in subject.visits[1:]).isoformat(), "AESTDY": 366}
        rows += own
    return rows


def _reactions(subject: Subject, rare: tuple[str, str] | None, rng: np.random.Generator) -> list[_Reaction]:
    started = subject.started or subject.consented
    length = (subject.ended - started).days
    terms = [COMMON_REACTIONS[int(i)] for i in rng.integers(0, len(COMMON_REACTIONS), size=rng.poisson(2.5))]
    terms += [rare] if rare else []
    if not terms and subject.cases:
        terms = [COMMON_REACTIONS[0]]
    found = []
    for term, system in terms:
        start = started + timedelta(days=int(rng.integers(0, length + 1)))
        ends = start + timedelta(days=int(rng.integers(1, 30)))
        found.append(_Reaction(term, system, start, ends if ends <= subject.ended else None))
    if Case.TURNS_90 in subject.cases:
        late = started + timedelta(days=100)
        found.append(_Reaction("FALL", dict(COMMON_REACTIONS)["FALL"], late, late + timedelta(days=3)))
    if subject.died:
        term, system = FATAL_REACTIONS[int(rng.integers(len(FATAL_REACTIONS)))]
        found.append(_Reaction(term, system, subject.died, subject.died, fatal=True))
    return sorted(found, key=lambda reaction: reaction.start)


def _adverse_event(
    subject: Subject, number: int, reaction: _Reaction, rng: np.random.Generator, remarks: Remarks
) -> dict[str, Cell]:
    personal = rng.random() < 0.18
    text = reaction.term
    if personal:
        text = remarks.about_reaction(reaction.term, subject, reaction.start)
    severity = 2 if reaction.fatal else int(rng.choice(3, p=[0.6, 0.3, 0.1]))
    serious = reaction.fatal or severity == 2
    keep_whole = reaction.fatal or bool(subject.cases & {Case.TURNS_90, Case.WRONG_STUDY_DAY})
    start = partly(reaction.start, rng, 0.0 if keep_whole else 0.08)
    end = reaction.end.isoformat() if reaction.end else None
    outcome = "FATAL" if reaction.fatal else "RECOVERED/RESOLVED" if end else "NOT RECOVERED/NOT RESOLVED"
    return {
        "STUDYID": STUDY,
        "DOMAIN": "AE",
        "USUBJID": subject.usubjid,
        "AESEQ": number,
        "AESPID": f"E{number:02d}",
        "AETERM": text,
        "AEDECOD": reaction.term,
        "AEBODSYS": reaction.system,
        "AESEV": _SEVERITIES[severity],
        "AESER": "Y" if serious else "N",
        "AEACN": "DRUG WITHDRAWN" if serious else "DOSE NOT CHANGED",
        "AEREL": str(rng.choice(["NONE", "REMOTE", "POSSIBLE", "PROBABLE"])),
        "AEOUT": outcome,
        "AESDTH": "Y" if reaction.fatal else "N",
        "AESHOSP": "Y" if serious and not reaction.fatal else "N",
        "AEDTC": max(day for *_, day in subject.visits).isoformat(),
        "AESTDTC": start,
        "AEENDTC": end,
        "AESTDY": study_day_of(subject, start),
        "AEENDY": study_day_of(subject, end),
        "AEENRTPT": None if end else "ONGOING",
        "AEENTPT": None if end else subject.ended.isoformat(),
    }


def dispositions(people: Sequence[Subject], rng: np.random.Generator, remarks: Remarks) -> list[dict[str, Cell]]:
    """DS rows: consent, randomisation, how it ended; the reason for leaving is what the site wrote."""
    rows: list[dict[str, Cell]] = []
    for subject in people:
        reason = _reason(subject, rng)
        steps = [("INFORMED CONSENT OBTAINED", "INFORMED CONSENT OBTAINED", subject.consented, "")]
        if subject.started:
            steps.append(("RANDOMIZED", "RANDOMIZED", subject.started, f"T{rng.integers(8, 16):02d}:30"))
        text = remarks.about_leaving(reason, subject, subject.ended)
        steps.append((text, reason, subject.ended, ""))
        for number, (term, coded, day, time) in enumerate(steps, start=1):
            rows.append(
                {
                    "STUDYID": STUDY,
                    "DOMAIN": "DS",
                    "USUBJID": subject.usubjid,
                    "DSSEQ": number,
                    "DSTERM": term,
                    "DSDECOD": coded,
                    "DSCAT": "DISPOSITION EVENT" if number == len(steps) else "PROTOCOL MILESTONE",
                    "DSDTC": day.isoformat() + time,
                    "DSSTDTC": day.isoformat(),
                    "DSSTDY": subject.study_day(day),
                }
            )
    return rows


def _reason(subject: Subject, rng: np.random.Generator) -> str:
    if subject.started is None:
        return "SCREEN FAILURE"
    if subject.died:
        return "DEATH"
    if subject.completed:
        return "COMPLETED"
    return str(rng.choice(["ADVERSE EVENT", "WITHDRAWAL BY SUBJECT", "LOST TO FOLLOW-UP"]))


def medicines(people: Sequence[Subject], rng: np.random.Generator) -> list[dict[str, Cell]]:
    """CM rows: most are not coded (`UNCODED`, as in the pilot), most start dates are partial."""
    rows: list[dict[str, Cell]] = []
    for subject in people:
        many = int(rng.poisson(4)) + (subject.started is not None)
        rows += [_medicine(subject, number, rng) for number in range(1, many + 1)]
    return rows


def _medicine(subject: Subject, number: int, rng: np.random.Generator) -> dict[str, Cell]:
    coded, indication, dose, unit = MEDICINES[int(rng.integers(len(MEDICINES)))]
    text, decod = coded, coded
    if rng.random() < 0.25:
        text, decod, indication = str(rng.choice(HOME_REMEDIES)), "UNCODED", "OTHER"
    elif rng.random() < 0.65:
        text, decod = f"{coded} {dose:g} {unit.upper()}", "UNCODED"
    begun = subject.consented - timedelta(days=int(rng.integers(5, 4000)))
    start = partly(begun, rng) if rng.random() < 0.93 else None
    ended = subject.consented + timedelta(days=int(rng.integers(0, 120)))
    ongoing = rng.random() < 0.6 or ended > subject.ended
    end = None if ongoing else ended.isoformat()
    return {
        "STUDYID": STUDY,
        "DOMAIN": "CM",
        "USUBJID": subject.usubjid,
        "CMSEQ": number,
        "CMSPID": f"C{number:02d}",
        "CMTRT": text,
        "CMDECOD": decod,
        "CMINDC": indication,
        "CMDOSE": dose,
        "CMDOSU": unit,
        "CMDOSFRQ": str(rng.choice(["QD", "BID", "PRN"])),
        "CMROUTE": "ORAL",
        "CMDTC": subject.consented.isoformat(),
        "CMSTDTC": start,
        "CMENDTC": end,
        "CMSTDY": study_day_of(subject, start),
        "CMENDY": study_day_of(subject, end),
        "CMENRTPT": "ONGOING" if ongoing else None,
        "CMENTPT": subject.ended.isoformat() if ongoing else None,
    }


def histories(people: Sequence[Subject], rng: np.random.Generator) -> list[dict[str, Cell]]:
    """MH rows: the primary diagnosis of each subject is not coded; for those over 89 an old illness tells the age."""
    rows: list[dict[str, Cell]] = []
    for subject in people:
        known: list[_Illness] = []
        heart = subject.consented - timedelta(days=int(rng.integers(200, 5000)))
        known.append((PRIMARY_DIAGNOSIS, None, None, heart))
        for choice in rng.choice(len(HISTORIES), size=min(int(rng.poisson(3)), 8), replace=False).tolist():
            term, system = HISTORIES[choice]
            since = subject.consented - timedelta(days=int(rng.integers(300, 15000)))
            known.append((term, term, system, since))
        if subject.age > 89:
            child = subject.born.replace(year=subject.born.year + 9, day=min(subject.born.day, 28))
            text = f"POLIOMYELITIS AT AGE {years_between(subject.born, child)}"
            known.append((text, "POLIOMYELITIS", "INFECTIONS AND INFESTATIONS", child))
        rows += [_history(subject, number, entry, rng) for number, entry in enumerate(known, start=1)]
    return rows


def _history(subject: Subject, number: int, illness: _Illness, rng: np.random.Generator) -> dict[str, Cell]:
    term, decod, system, since = illness
    return {
        "STUDYID": STUDY,
        "DOMAIN": "MH",
        "USUBJID": subject.usubjid,
        "MHSEQ": number,
        "MHTERM": term,
        "MHDECOD": decod,
        "MHCAT": "PRIMARY DIAGNOSIS" if decod is None else "GENERAL MEDICAL HISTORY",
        "MHBODSYS": system,
        "MHDTC": subject.consented.isoformat(),
        "MHSTDTC": partly(since, rng) if rng.random() < 0.9 else None,
        "MHDY": subject.study_day(subject.consented),
    }
