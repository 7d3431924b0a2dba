"""Hard cases of dates, each named by its number: on the pilot where it occurs there, on invented data where not."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pseudonymization import dates, isodates
from pseudonymization.columns import Column, ColumnRef, Handling, Kind, Role, Study, Table
from pseudonymization.faults import Unreadable
from pseudonymization.isodates import NO_DAY, Precision
from pseudonymization.plan import Act
from pseudonymization.pseudonyms import ProjectKey
from pseudonymization.safeguards import DateRule, Safeguards, TimeOfDay
from pseudonymization.treat import Tally, treat_counted

CLOCK = re.compile(r"T\d\d(:\d\d)?")
PARTIAL = re.compile(r"\d{4}(-\d\d)?")


def columns_of(tables: Any, ending: str = "DTC") -> list[tuple[str, str]]:
    return [
        (name, column) for name, table in tables.items() for column in table.column_names if column.endswith(ending)
    ]


def texts(tables: Any, table: str, column: str) -> list[str]:
    return [text or "" for text in tables[table].column(column).to_pylist()]


def counted(done: Any) -> Tally:
    """What is counted while the whole study is treated once more."""
    tally = Tally()
    for name in done.tables:
        first = 0
        for batch in done.source.batches(name):
            tally += treat_counted(done.lookups, name, batch, first).tally
            first += batch.num_rows
    return tally


@pytest.mark.parametrize("act", [Act.SHIFT, Act.ANCHOR])
def test_case_01_partial_dates_keep_their_precision_in_every_cell(
    pilot: Any, release: Callable[..., Any], act: Act
) -> None:
    done, partial = release(*pilot, date_act=act), Counter[str]()
    for at in columns_of(done.tables):
        before, after = texts(done.source.tables, *at), texts(done.tables, *at)
        assert [re.sub(r"\d", "9", text) for text in before] == [re.sub(r"\d", "9", text) for text in after], at
        partial[at[0]] += sum(bool(PARTIAL.fullmatch(text)) for text in before)
    assert partial["cm"] > 5_000
    assert partial["mh"] > 600


def test_case_02_flips_are_reported_and_no_start_is_after_its_end_by_our_doing(pilot_release: Any) -> None:
    flips = counted(pilot_release).flips
    assert flips["cm", "CMSTDTC"].partial > 5_000
    assert 0 < flips["cm", "CMSTDTC"].flipped < 0.02 * flips["cm", "CMSTDTC"].partial

    def after_its_end(tables: Any) -> list[int]:
        pairs = zip(texts(tables, "cm", "CMSTDTC"), texts(tables, "cm", "CMENDTC"), strict=True)
        common = [(start[: len(end)], end[: len(start)]) for start, end in pairs]
        return [at for at, (start, end) in enumerate(common) if start and end and start > end]

    assert set(after_its_end(pilot_release.tables)) <= set(after_its_end(pilot_release.source.tables))


def test_case_03_study_days_the_source_counts_otherwise_are_counted(pilot_release: Any) -> None:
    checks = counted(pilot_release).study_days["ae", "AESTDY"]
    assert (checks.checked, checks.differing) == (1_165, 1)
    for name, table in pilot_release.tables.items():
        for column in (c for c in table.column_names if c.endswith("DY") and name != "sv"):
            assert 0 not in table.column(column).to_pylist(), column


def test_case_04_screen_failures_without_a_reference_start_get_a_shift_from_their_first_date(
    pilot: Any, release: Callable[..., Any]
) -> None:
    done = release(*pilot, date_act=Act.ANCHOR)
    subjects = done.subjects
    assert (len(subjects), int((~subjects.stated).sum())) == (306, 52)
    assert NO_DAY not in subjects.baseline
    first: dict[str, str] = {}
    for name, column in columns_of(done.source.tables):
        if name in {"mh", "cm"}:
            continue
        ids = done.source.tables[name].column("USUBJID").to_pylist()
        for who, text in zip(ids, texts(done.source.tables, name, column), strict=True):
            if len(text) >= 10:
                first[who] = min(first.get(who, "9999"), text[:10])
    for who, day in zip(np.array(subjects.ids)[~subjects.stated], subjects.baseline[~subjects.stated], strict=True):
        assert isodates.spell(np.array([day]), Precision.DAY)[0].as_py() >= first[who]
    assert (done.lookups.shifts[:-1] + subjects.baseline == dates.ANCHOR).all()


def test_case_05_a_delta_needs_the_key_and_is_never_shown(pilot_release: Any) -> None:
    ids = pilot_release.subjects.ids.to_pylist()
    deltas = pilot_release.lookups.shifts[:-1]
    others = dates.shifts(ProjectKey.derive(bytes(range(1, 33)), "p1"), ids)
    elsewhere = dates.shifts(ProjectKey.derive(bytes(range(32)), "p2"), ids)
    assert (deltas != others).mean() > 0.99
    assert (deltas != elsewhere).mean() > 0.99
    assert len(set(deltas.tolist())) > 290
    shown = set(re.findall(r"\d+", repr(pilot_release.lookups)))
    assert not shown & {str(delta) for delta in deltas.tolist()}


@pytest.mark.parametrize(("left", "most"), [(TimeOfDay.KEEP, 900), (TimeOfDay.HOUR, 24), (TimeOfDay.DROP, 0)])
def test_case_06_clock_times_are_kept_rounded_or_dropped(
    pilot: Any, release: Callable[..., Any], left: TimeOfDay, most: int
) -> None:
    study, source = pilot
    study = replace(study, tables=tuple(table for table in study.tables if table.name in {"dm", "lb"}))
    source = replace(source, tables={name: source.tables[name] for name in ("dm", "lb")})
    done = release(study, source, safeguards=Safeguards(dates=DateRule.SHIFT, time_of_day=left))
    found = [match[0] for text in texts(done.tables, "lb", "LBDTC") if (match := CLOCK.search(text))]
    assert len(set(found)) <= most
    assert (len(found) > 59_000) == (left is not TimeOfDay.DROP)
    if left is TimeOfDay.KEEP:
        assert len(set(found)) > 300


def test_case_25_dates_of_the_trial_leave_as_years_and_its_texts_as_they_are(
    release: Callable[..., Any], held: Any
) -> None:
    ts = Table("ts", (Column("TSPARMCD", Role.KEPT), Column("TSVAL", Role.KEPT)), "TS")
    dm = Table("dm", (Column("USUBJID", Role.SUBJECT_KEY), Column("RFSTDTC", Role.DATE)), "DM")
    values = ["2012-10-06", "2014-11", "2012-10-06/2014-11-01", "P28W", "54", "NCT00000000", "2013", None]
    tables = {
        "ts": pa.table({"TSPARMCD": ["A"] * len(values), "TSVAL": pa.array(values).dictionary_encode()}),
        "dm": pa.table({"USUBJID": ["S-1"], "RFSTDTC": ["2013-01-01"]}),
    }
    study = Study("S", (ts, dm), "USA", ColumnRef("dm", "RFSTDTC"))

    def left(rule: DateRule) -> list[str | None]:
        done = release(study, held(tables, 10), safeguards=Safeguards(dates=rule))
        found: list[str | None] = done.tables["ts"].column("TSVAL").to_pylist()
        return found

    rest = ["P28W", "54", "NCT00000000", "2013", None]
    assert left(DateRule.SHIFT) == ["2012", "2014", "2012/2014", *rest]
    assert left(DateRule.DROP) == [None, None, None, *rest]
    assert left(DateRule.KEEP) == values


def test_case_27_two_projects_share_neither_ids_nor_dates_and_one_project_shares_both(
    pilot: Any, release: Callable[..., Any]
) -> None:
    study, source = pilot
    study = replace(study, tables=tuple(table for table in study.tables if table.name in {"dm", "sv"}))
    source = replace(source, tables={name: source.tables[name] for name in ("dm", "sv")})
    one, again, other = (release(study, source, project=project) for project in ("p1", "p1", "p2"))
    assert one.tables["dm"].equals(again.tables["dm"])
    ids = [set(done.tables["dm"].column("USUBJID").to_pylist()) for done in (one, other)]
    assert not ids[0] & ids[1]
    starts = [texts(done.tables, "dm", "RFSTDTC") for done in (one, other)]
    alike = sum(a == b and bool(a) for a, b in zip(*starts, strict=True))
    assert alike < 3
    steps = {
        (date.fromisoformat(a[:10]) - date.fromisoformat(b[:10])).days for a, b in zip(*starts, strict=True) if a and b
    }
    assert len(steps) > 200


@pytest.mark.parametrize(
    "odd", ["sty-91", "pa?-93", "paź-93", "04JUL13", "91-02-03", "03/04/2013", "2013-13-01", "2013-02-30", "UNK", "13"]
)
@pytest.mark.parametrize("act", [Act.SHIFT, Act.ANCHOR, Act.TRUNCATE_YEAR, Act.STUDY_DAY])
def test_case_30_a_date_that_no_rule_reads_stops_the_release_with_its_row_and_never_passes(
    release: Callable[..., Any], held: Any, odd: str, act: Act
) -> None:
    dm = Table("dm", (Column("USUBJID", Role.SUBJECT_KEY), Column("RFSTDTC", Role.DATE)), "DM")
    study = Study("S", (dm,), "USA", ColumnRef("dm", "RFSTDTC"))
    tables = {"dm": pa.table({"USUBJID": ["S-1", "S-2", "S-3"], "RFSTDTC": ["2013-01-01", "", odd]})}
    with pytest.raises(Unreadable) as caught:
        release(study, held(tables, 2), date_act=act)
    assert [(place.column, place.rows) for place in caught.value.places] == [("RFSTDTC", (3,))]
    assert odd not in f"{caught.value} {caught.value.cure}"


def test_case_08_dates_of_any_column_given_the_role_move_with_the_subjects_others(
    release: Callable[..., Any], held: Any
) -> None:
    dm = Table("dm", (Column("USUBJID", Role.SUBJECT_KEY), Column("RFSTDTC", Role.DATE)), "DM")
    ae = Table(
        "ae",
        (
            Column("USUBJID", Role.SUBJECT_KEY),
            Column("AEENTPT", Role.DATE),
            Column("ADT", Role.DATE, Kind.DATE),
            Column("NOTE", Role.DIRECT, handling=Handling.REMOVE),
        ),
        "AE",
    )
    tables = {
        "dm": pa.table({"USUBJID": ["S-1", "S-2"], "RFSTDTC": ["2013-01-01", "2013-02-01"]}),
        "ae": pa.table(
            {
                "USUBJID": ["S-1", "S-2"],
                "AEENTPT": ["2013-01-11", "2013-02-11"],
                "ADT": [date(2013, 1, 21), date(2013, 2, 21)],
                "NOTE": ["a", "b"],
            }
        ),
    }
    done = release(Study("S", (ae, dm), "USA", ColumnRef("dm", "RFSTDTC")), held(tables, 10)).tables
    for at in range(2):
        start = date.fromisoformat(done["dm"].column("RFSTDTC").to_pylist()[at])
        until = date.fromisoformat(done["ae"].column("AEENTPT").to_pylist()[at])
        assert ((until - start).days, (done["ae"].column("ADT").to_pylist()[at] - start).days) == (10, 20)
