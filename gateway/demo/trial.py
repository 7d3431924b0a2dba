"""A synthetic trial in several countries with the hard cases of real ones, the same for the same seed."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from gateway.demo.events import adverse_events, dispositions, histories, medicines
from gateway.demo.findings import exposures, laboratory, visits, vital_signs
from gateway.demo.people import Subject, fakers, recruit
from gateway.demo.remarks import Remarks
from gateway.demo.shapes import SHAPES, Cell
from gateway.demo.terms import ARMS, STUDY
from gateway.demo.writing import Format, write_table

Rows = list[dict[str, Cell]]


def write_trial(folder: Path, *, subjects: int = 400, seed: int = 20260101, fmt: Format = "xport") -> Path:
    """Write a trial of DM, AE, CM, DS, EX, LB, MH, RELREC, SUPPAE, SUPPDM, SV and VS into `folder`; return it.

    Nobody in it exists. Equal arguments give equal bytes. Raises `ValueError` for fewer than
    `people.FEWEST_SUBJECTS` subjects, or for an unknown format.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in trial_rows(subjects, seed).items():
        write_table(folder, SHAPES[name], SHAPES[name].table(rows), fmt)
    return folder


def trial_rows(subjects: int, seed: int) -> dict[str, Rows]:
    """The rows of every table by SDTM name, ordered by USUBJID and sequence number."""
    people = recruit(subjects, seed)
    remarks = Remarks(np.random.default_rng([seed, 3]), fakers(seed + 1000))
    dice = {name: np.random.default_rng([seed, 2, at]) for at, name in enumerate(SHAPES)}
    reactions = adverse_events(people, dice["AE"], remarks)
    taken = medicines(people, dice["CM"])
    return {
        "DM": [_demographics(subject) for subject in people],
        "AE": reactions,
        "CM": taken,
        "DS": dispositions(people, dice["DS"], remarks),
        "EX": exposures(people),
        "LB": laboratory(people, dice["LB"]),
        "MH": histories(people, dice["MH"]),
        "RELREC": _related(reactions, taken, dice["RELREC"]),
        "SUPPAE": _about_reactions(people, reactions, dice["SUPPAE"], remarks),
        "SUPPDM": _about_people(people),
        "SV": visits(people),
        "VS": vital_signs(people, dice["VS"]),
    }


def _demographics(subject: Subject) -> dict[str, Cell]:
    code, name = ("SCRNFAIL", "Screen Failure") if subject.arm is None else ARMS[subject.arm][:2]
    started = subject.started.isoformat() if subject.started else None
    ended = subject.ended.isoformat() if subject.started else None
    return {
        "STUDYID": STUDY,
        "DOMAIN": "DM",
        "USUBJID": subject.usubjid,
        "SUBJID": subject.number,
        "RFSTDTC": started,
        "RFENDTC": ended,
        "RFXSTDTC": started,
        "RFXENDTC": ended,
        "RFICDTC": subject.consented.isoformat(),
        "RFPENDTC": subject.ended.isoformat() + ("T10:15" if subject.completed else ""),
        "DTHDTC": subject.died.isoformat() if subject.died else None,
        "DTHFL": "Y" if subject.died else None,
        "SITEID": subject.site.code,
        "INVID": f"{subject.site.code}-INV",
        "INVNAM": subject.site.investigator,
        "BRTHDTC": subject.born.isoformat()[: subject.site.country.birth],
        "AGE": subject.age,
        "AGEU": "YEARS",
        "SEX": subject.sex,
        "RACE": subject.races[0] if len(subject.races) == 1 else "MULTIPLE",
        "ETHNIC": subject.ethnic,
        "ARMCD": code,
        "ARM": name,
        "ACTARMCD": code,
        "ACTARM": name,
        "COUNTRY": subject.site.country.code,
        "DMDTC": subject.consented.isoformat(),
        "DMDY": subject.study_day(subject.consented),
    }


def _related(reactions: Sequence[Mapping[str, Cell]], taken: Rows, rng: np.random.Generator) -> Rows:
    """RELREC: a medicine given for an adverse event; RELID holds the subject's id (`<USUBJID>-E03`)."""
    given: dict[Cell, list[Cell]] = {}
    for row in taken:
        given.setdefault(row["USUBJID"], []).append(row["CMSEQ"])
    rows: Rows = []
    for event in reactions:
        subject = event["USUBJID"]
        if subject not in given or rng.random() >= 0.25:
            continue
        medicine = given[subject][int(rng.integers(len(given[subject])))]
        for domain, number in (("AE", event["AESEQ"]), ("CM", medicine)):
            rows.append(
                {
                    "STUDYID": STUDY,
                    "RDOMAIN": domain,
                    "USUBJID": subject,
                    "IDVAR": f"{domain}SEQ",
                    "IDVARVAL": str(number),
                    "RELID": f"{subject}-{event['AESPID']}",
                }
            )
    return rows


def _about_reactions(
    people: Sequence[Subject],
    reactions: Sequence[Mapping[str, Cell]],
    rng: np.random.Generator,
    remarks: Remarks,
) -> Rows:
    """SUPPAE: a flag for each event, the date of admission for some, a comment for some."""
    by_id = {subject.usubjid: subject for subject in people}
    rows: Rows = []
    for event in reactions:
        subject = by_id[str(event["USUBJID"])]
        said = [("AETRTEM", "TREATMENT EMERGENT FLAG", "Y", "DERIVED")]
        start = str(event["AESTDTC"])
        if event["AESHOSP"] == "Y" and len(start) == 10:
            said.append(("AEHOSPDT", "DATE OF ADMISSION TO HOSPITAL", start, "CRF"))
        if rng.random() < 0.06:
            day = date.fromisoformat(start) if len(start) == 10 else subject.ended
            text = remarks.comment(subject, day)
            said.append(("AECOMM", "COMMENT OF THE SITE", text, "CRF"))
        rows += [_qualifier("AE", subject, entry, number=str(event["AESEQ"])) for entry in said]
    return rows


def _about_people(people: Sequence[Subject]) -> Rows:
    """SUPPDM: population flags, and the races behind `MULTIPLE`."""
    rows: Rows = []
    for subject in people:
        said = []
        if subject.started:
            said.append(("SAFETY", "SAFETY POPULATION FLAG", "Y", "DERIVED"))
        if subject.completed:
            said.append(("COMPLT24", "COMPLETER OF WEEK 24 POPULATION FLAG", "Y", "DERIVED"))
        if len(subject.races) > 1:
            said += [(f"RACE{n}", f"RACE {n}", race, "CRF") for n, race in enumerate(subject.races, start=1)]
        rows += [_qualifier("DM", subject, entry) for entry in said]
    return rows


def _qualifier(domain: str, subject: Subject, said: tuple[str, str, str, str], *, number: str = "") -> dict[str, Cell]:
    name, label, value, origin = said
    return {
        "STUDYID": STUDY,
        "RDOMAIN": domain,
        "USUBJID": subject.usubjid,
        "IDVAR": f"{domain}SEQ" if number else None,
        "IDVARVAL": number or None,
        "QNAM": name,
        "QLABEL": label,
        "QVAL": value,
        "QORIG": origin,
        "QEVAL": "CLINICAL STUDY SPONSOR" if origin == "DERIVED" else None,
    }
