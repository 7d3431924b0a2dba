"""Dates of planned visits leave as the planned day, study days with them; what nobody planned is left alone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from pseudonymization import deidentify
from pseudonymization.columns import Column, ColumnRef, Kind, Role, Study, Table
from pseudonymization.faults import Unresolved
from pseudonymization.options import Options
from pseudonymization.pseudonyms import ProjectKey
from pseudonymization.safeguards import DateRule, Safeguards
from pseudonymization.treat import treat

KEY = ProjectKey.derive(bytes(range(32)), "p1")
ID = Column("USUBJID", Role.SUBJECT_KEY)


def numbers(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, Role.KEPT, Kind.NUMBER) for name in names)


def days(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, Role.DATE) for name in names)


def trial() -> tuple[Study, dict[str, pa.Table]]:
    """One subject: a screening visit, a first and a late second visit, one that nobody planned."""
    dm = Table("DM", (ID, *days("RFSTDTC")), "DM")
    sv = Table("SV", (ID, *numbers("VISITNUM", "VISITDY", "SVSTDY"), *days("SVSTDTC", "SVENDTC")), "SV")
    lb = Table("LB", (ID, *numbers("VISITNUM", "VISITDY", "LBDY"), *days("LBDTC")), "LB")
    ad = Table("ADLB", (ID, *numbers("VISITNUM", "ADY"), Column("ADT", Role.DATE, Kind.DATE)), "ADLB")
    ids, seen = ["S-1"] * 4, ["2013-07-10", "2013-07-19T08:30", "2013-08-05", "2013-08-09"]
    tables = {
        "DM": pa.table({"USUBJID": ["S-1"], "RFSTDTC": ["2013-07-19"]}),
        "SV": pa.table(
            {
                "USUBJID": ids,
                "VISITNUM": [1.0, 2.0, 3.0, 3.1],
                "VISITDY": [-7.0, 1.0, 14.0, None],
                "SVSTDY": [-9.0, 1.0, 18.0, 22.0],
                "SVSTDTC": seen,
                "SVENDTC": seen,
            }
        ),
        "LB": pa.table(
            {
                "USUBJID": ids,
                "VISITNUM": [1.0, 2.0, 3.0, 3.1],
                "VISITDY": [-7.0, 1.0, 14.0, None],
                "LBDY": [-9.0, None, 18.0, 22.0],
                "LBDTC": ["2013-07-10T07:05", "2013-07", "2013-08-05", "2013-08-09"],
            }
        ),
        "ADLB": pa.table(
            {
                "USUBJID": ids,
                "VISITNUM": [1.0, 2.0, 3.0, 3.1],
                "ADY": [-9.0, 1.0, 18.0, 22.0],
                "ADT": [date.fromisoformat(text[:10]) for text in seen],
            }
        ),
    }
    study = Study("S", (dm, sv, lb, ad), "USA", ColumnRef("DM", "RFSTDTC"), Options(snap_to_visits=True))
    return study, tables


def released(study: Study, source: Any, asked: Study | None = None, rule: DateRule = DateRule.SHIFT) -> Any:
    asked = asked or study
    prepared = deidentify.prepare(study, asked, source, Safeguards(dates=rule), KEY)
    looked_up = deidentify.lookups(prepared, study, asked, KEY)
    return {
        table.name: treat(looked_up, table.name, next(source.batches(table.name, [c.name for c in table.columns])))
        for table in asked.tables
    }


def study_day(text: str, baseline: str) -> int:
    apart = (date.fromisoformat(text[:10]) - date.fromisoformat(baseline[:10])).days
    return apart + (apart >= 0)


def test_case_07_visits_leave_on_their_planned_days_in_every_table(held: Callable[..., Any]) -> None:
    study, tables = trial()
    out = released(study, held(tables, 10))
    start = out["DM"].column("RFSTDTC").to_pylist()[0]
    for table, column in (("SV", "SVSTDTC"), ("SV", "SVENDTC")):
        assert [study_day(text, start) for text in out[table].column(column).to_pylist()] == [-7, 1, 14, 22]
    assert out["SV"].column("SVSTDTC").to_pylist()[1].endswith("T08:30")
    seen = out["LB"].column("LBDTC").to_pylist()
    assert [study_day(seen[at], start) for at in (0, 2, 3)] == [-7, 14, 22]
    assert len(seen[1]) == len("2013-07")
    assert [study_day(day.isoformat(), start) for day in out["ADLB"].column("ADT").to_pylist()] == [-7, 1, 14, 22]
    assert out["SV"].column("SVSTDY").to_pylist() == out["ADLB"].column("ADY").to_pylist() == [-7, 1, 14, 22]
    assert out["LB"].column("LBDY").to_pylist() == [-7, None, 14, 22]


def test_case_07_unless_the_steward_asks_for_it_no_visit_is_moved(held: Callable[..., Any]) -> None:
    study, tables = trial()
    out = released(replace(study, options=Options()), held(tables, 10))
    start = out["DM"].column("RFSTDTC").to_pylist()[0]
    assert [study_day(text, start) for text in out["SV"].column("SVSTDTC").to_pylist()] == [-9, 1, 18, 22]
    assert out["SV"].column("SVSTDY").to_pylist() == [-9, 1, 18, 22]


def test_days_counted_from_the_baseline_are_the_planned_ones(held: Callable[..., Any]) -> None:
    study, tables = trial()
    out = released(study, held(tables, 10), rule=DateRule.STUDY_DAY)
    assert out["SV"].column("SVSTDTC").to_pylist() == [-7, 1, 14, 22]
    assert out["LB"].column("LBDTC").to_pylist() == [-7, None, 14, 22]


def test_dates_asked_for_without_their_visit_stop_the_release(held: Callable[..., Any]) -> None:
    study, tables = trial()
    lb = Table("LB", (ID, *days("LBDTC")), "LB")
    with pytest.raises(Unresolved, match="without the visit"):
        released(study, held(tables, 10), replace(study, tables=(lb,)))
