"""The scan finds every kind of planted leak, and nothing in a clean release."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pseudonymization import cells
from pseudonymization.columns import Column, ColumnRef, Role, Study, Table
from pseudonymization.faults import Leak, Place
from pseudonymization.leaks import Scanner
from pseudonymization.leaks.numbers import _strangers
from pseudonymization.plan import Act, ColumnPlan, Plan
from pseudonymization.safeguards import DateRule, Safeguards
from pseudonymization.subjects import Subjects, collect

Small = tuple[Study, Any]
NOTE = Place("out", "TEXT")


@pytest.fixture
def scanner(small: Small) -> Scanner:
    study, source = small
    return scanner_for(study, collect(study, source))


def scanner_for(study: Study, subjects: Subjects, safeguards: Safeguards | None = None, **options: Any) -> Scanner:
    """A scanner of a table `out` with a kept column TEXT, an embedded one ID and a date WHEN."""
    columns = (
        Column("TEXT", Role.SENSITIVE),
        Column("ID", Role.DIRECT),
        Column("WHEN", Role.DATE),
        Column("GONE", Role.DIRECT),
    )
    wide = replace(study, tables=(*study.tables, Table("out", columns)))
    acts = {"TEXT": Act.KEEP, "ID": Act.EMBEDDED, "WHEN": Act.SHIFT, "GONE": Act.REMOVE}
    plan = Plan(
        tuple(ColumnPlan("out", name, act, "") for name, act in acts.items()),
        {},
        safeguards or Safeguards(dates=DateRule.SHIFT),
    )
    return Scanner(wide, subjects, plan, **options)


def scan(scanner: Scanner, column: str, values: Any, label: str = "") -> list[tuple[str, str]]:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    field = pa.field(column, array.type, metadata={"label": label} if label else None)
    scanner.scan("out", pa.RecordBatch.from_arrays([array], schema=pa.schema([field])))
    return [(hit.kind, hit.place.column) for hit in scanner.hits]


PLANTED = {
    "a subject id": ("TEXT", "S1-103-20011", "subject id"),
    "an id inside an id": ("TEXT", "see S1-103-20011-E09", "subject id"),
    "an id punctuated otherwise": ("TEXT", "(s1/103/20011)", "subject id"),
    "an id after an umlaut": ("TEXT", "Gruß S1-103-20011", "subject id"),
    "a part of an id in text": ("TEXT", "patient 20011 fell", "part of a subject id"),
    "a part of an id as an id": ("ID", "20011", "part of a subject id"),
    "a site in text": ("TEXT", "seen at 103", "recoded id"),
    "a site as an id": ("ID", "103", "recoded id"),
    "a name": ("TEXT", "called dr BO MARSH at noon", "direct identifier"),
    "an ISO date": ("TEXT", "since 2013-07-19", "date"),
    "a SAS date": ("TEXT", "since 19JUL2013", "date"),
    "an American date": ("TEXT", "on 7/19/2013", "date"),
    "a European date": ("TEXT", "am 19.07.2013", "date"),
    "a spelled date": ("TEXT", "July 19, 2013", "date"),
    "a date without signs": ("TEXT", "20130719", "date"),
    "a date with a time": ("WHEN", "2013-05-02T09:30", "date"),
}


@pytest.mark.parametrize(("column", "value", "kind"), PLANTED.values(), ids=PLANTED)
@pytest.mark.parametrize("encoded", [True, False])
def test_a_planted_leak_is_found(scanner: Scanner, column: str, value: str, kind: str, encoded: bool) -> None:
    array = pa.array(["fine", value, None, ""])
    assert (kind, column) in scan(scanner, column, array.dictionary_encode() if encoded else array)
    with pytest.raises(Leak) as caught:
        scanner.verdict()
    assert caught.value.places == (Place("out", column),)
    assert value not in str(caught.value)


CLEAN = ["120011", "20011", "103", "<103", "103.0", "VERBATIM_20011", "S1-1030-200110", "2013", "2013-07", "1.03",
    "2143-07-19", "Marshall", "", "S-7KQ2-9XTM-4BHW", "103E2", "2099-01-01"]  # fmt: skip


def test_what_only_looks_alike_is_no_leak(scanner: Scanner) -> None:
    assert scan(scanner, "TEXT", CLEAN) == []
    scanner.verdict()


def test_a_year_that_looks_like_a_short_id_and_a_race_that_looks_like_a_name_are_no_leaks() -> None:
    names = Column("INVNAM", Role.DIRECT)
    dm = Table("dm", (Column("ID", Role.SUBJECT_KEY), Column("SUBJID", Role.DIRECT), names), "DM")
    rows = {"ID": ["X-2150", "X-2151"], "SUBJID": ["2150", "2151"], "INVNAM": ["White", "Chad"]}
    study = Study("S", (dm,), "DE")
    scanner = scanner_for(study, collect(study, Held({"dm": pa.table(rows)})))
    assert scan(scanner, "WHEN", ["2150", "2150-07", "2151-07-19T08:30", "2150-07/2151-08", "2151---15"]) == []
    assert scan(scanner, "TEXT", ["WHITE", "Chad", "2150-07-19"]) == []
    assert scan(scanner, "ID", ["Dr White"]) == [("direct identifier", "ID")]
    assert ("part of a subject id", "TEXT") in scan(scanner, "TEXT", ["as 2150 was"])


def test_dates_among_direct_identifiers_are_searched_and_partial_ones_are_no_tokens() -> None:
    dm = Table("dm", (Column("ID", Role.SUBJECT_KEY), Column("BRTHDTC", Role.DIRECT)), "DM")
    study = Study("S", (dm,), "DE")
    rows = {"ID": ["X-abc", "X-def"], "BRTHDTC": ["1932-04", "1933-05-06"]}
    scanner = scanner_for(study, collect(study, Held({"dm": pa.table(rows)})))
    assert scan(scanner, "TEXT", ["1932-04", "born 1932-04"]) == []
    assert scan(scanner, "TEXT", ["born 6 May 1933"]) == [("date", "TEXT")]


class Held:
    def __init__(self, tables: dict[str, pa.Table]) -> None:
        self.tables = tables

    def batches(self, table: str, columns: Any = None) -> Any:
        return self.tables[table].to_batches()


@pytest.mark.parametrize(
    "values",
    [
        pa.array([date(2013, 7, 19)]),
        pa.array([datetime(2013, 7, 19, 8)], pa.timestamp("us")),  # noqa: DTZ001
        pa.array([datetime(2013, 7, 19)], pa.timestamp("s")),  # noqa: DTZ001
    ],
)
def test_an_original_day_in_a_date_column_is_found(scanner: Scanner, values: pa.Array) -> None:
    assert scan(scanner, "WHEN", pa.nulls(2, values.type)) == []
    assert scan(scanner, "WHEN", values) == [("date", "WHEN")]


def test_an_entry_that_no_row_uses_is_found(scanner: Scanner) -> None:
    hidden = pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.array(["fine", "S1-103-20011"]))
    assert ("subject id", "TEXT") in scan(scanner, "TEXT", hidden)


def test_labels_file_names_and_other_text_are_searched(scanner: Scanner) -> None:
    assert scan(scanner, "TEXT", ["fine"], label="Site 103 only") == [("recoded id", "TEXT")]
    scanner.scan_text("subject_20011.csv", Place("out"))
    scanner.scan_text("cut off on 2013-07-19", Place("report"))
    assert [(hit.kind, hit.place.table) for hit in scanner.hits[1:]] == [
        ("part of a subject id", "out"),
        ("date", "report"),
    ]


def test_a_column_that_should_be_gone_or_is_unknown_is_found(scanner: Scanner) -> None:
    kind = "a column that the plan does not let through"
    assert scan(scanner, "GONE", ["fine"]) == [(kind, "GONE")]
    assert scan(scanner, "NEW", [1.0])[1:] == [(kind, "NEW")]


def test_a_column_that_a_steward_cleared_is_not_searched(small: Small) -> None:
    study, source = small
    scanner = scanner_for(study, collect(study, source), allowed={ColumnRef("out", "TEXT")})
    assert scan(scanner, "TEXT", ["S1-103-20011"]) == []


def test_true_dates_are_no_leak_where_they_may_leave(small: Small) -> None:
    study, source = small
    scanner = scanner_for(study, collect(study, source), Safeguards(dates=DateRule.KEEP))
    assert scan(scanner, "WHEN", ["2013-07-19"]) == []
    assert ("date", "TEXT") not in scan(scanner, "TEXT", ["S1-103-20011 on 2013-07-19"])
    assert ("subject id", "TEXT") in scan(scanner, "TEXT", [])


def test_ids_that_are_as_common_as_numbers_are_not_searched_and_that_is_said() -> None:
    dm = Table("dm", (Column("ID", Role.SUBJECT_KEY),), "DM")

    class Source:
        def batches(self, table: str, columns: object = None) -> object:
            return pa.table({"ID": [str(at) for at in range(100, 1000)]}).to_batches()

    study = Study("S", (dm,), "DE")
    scanner = scanner_for(study, collect(study, Source()))
    assert scanner.unsearched == {3}
    assert scan(scanner, "TEXT", ["take 500 mg"]) == []


def test_a_release_of_every_kind_of_column_is_clean(small: Small, release: Callable[..., Any]) -> None:
    done = release(*small)
    scanner = Scanner(done.study, done.subjects, done.plan)
    for name, table in done.tables.items():
        for batch in table.to_batches():
            scanner.scan(name, batch)
    assert scanner.hits == ()


def test_an_untreated_study_is_nothing_but_leaks(small: Small, release: Callable[..., Any]) -> None:
    study, source = small
    done = release(study, source)
    scanner = Scanner(done.study, done.subjects, done.plan)
    for name, table in source.tables.items():
        for batch in table.to_batches():
            scanner.scan(name, batch)
    found = {(hit.place.table, hit.place.column) for hit in scanner.hits}
    assert found >= {("dm", name) for name in ("USUBJID", "SUBJID", "SITEID", "INVNAM", "NAME", "RFSTDTC", "NOTE")} | {
        ("ae", name) for name in ("USUBJID", "AELNKID", "AESTDTC", "AEENDTC", "AEDT", "AEDTM")
    }
    assert not re.search(r"\d{3}", " ".join(hit.kind for hit in scanner.hits))


def test_neighbours_with_ids_alike_are_no_leak_where_everybody_holds_the_same_small_numbers() -> None:
    # Rows come by subject: the first subjects of a batch have small numbers in their ids, and visits are small numbers.
    subject = np.repeat(np.arange(200), 10)
    shared = {int(number) for number in range(1, 11)}
    own = {at << 44 | (at + 1) for at in range(2000)}
    hits = sum(1 for at in range(200) if at + 1 in shared)
    strangers = [
        sum(int(key in own) for key in (other << 44 | np.tile(np.arange(1, 11), 200)).tolist())
        for other in _strangers(subject, 2000)
    ]
    assert len(strangers) > 1
    assert sum(strangers) / len(strangers) >= hits - 1


@given(st.lists(st.integers(-50, 50)), st.lists(st.integers(-50, 50)))
def test_distinct_values_and_membership_are_those_of_sets(values: list[int], known: list[int]) -> None:
    given_, there = np.array(values, dtype=np.int64), np.array(sorted(set(known)), dtype=np.int64)
    assert cells.in_order(given_).tolist() == sorted(set(values))
    assert cells.among(given_, there).tolist() == [value in set(known) for value in values]
