"""Who is in a study, where they live and since when; and what stops it from being told."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pseudonymization import subjects
from pseudonymization.columns import Column, ColumnRef, Role, Study, Table
from pseudonymization.faults import Place, Unreadable, Unresolved
from pseudonymization.isodates import NO_DAY
from pseudonymization.subjects import collect, country_code
from pseudonymization.tokens import Tokens

Small = tuple[Study, Any]


class Source:
    """Tables in memory, one batch per row."""

    size = 1

    def __init__(self, **tables: dict[str, list[Any]]) -> None:
        self.tables = {name: pa.table(columns) for name, columns in tables.items()}

    def batches(self, table: str, columns: list[str] | None = None) -> Any:
        whole = self.tables[table]
        return (whole.select(columns) if columns else whole).to_batches(self.size)


class Lacking(Source):
    """A source that gives the columns it has."""

    def batches(self, table: str, columns: list[str] | None = None) -> Any:
        return self.tables[table].to_batches()


KEY = Column("USUBJID", Role.SUBJECT_KEY)
DM = Table("dm", (KEY, Column("COUNTRY", Role.QUASI), Column("RFSTDTC", Role.DATE), Column("DMDTC", Role.DATE)), "DM")
AE = Table("ae", (KEY, Column("AESTDTC", Role.DATE)), "AE")
MH = Table("mh", (KEY, Column("MHSTDTC", Role.DATE)), "MH")
STUDY = Study("S", (AE, MH, DM), ColumnRef("dm", "COUNTRY"), ColumnRef("dm", "RFSTDTC"))
NONE: dict[str, list[Any]] = {"USUBJID": [], "AESTDTC": [], "MHSTDTC": []}


def dm(*rows: tuple[str, str, str, str]) -> dict[str, list[Any]]:
    return {name: [row[at] for row in rows] for at, name in enumerate(("USUBJID", "COUNTRY", "RFSTDTC", "DMDTC"))}


def test_every_subject_once_in_a_fixed_order_with_country_and_baseline() -> None:
    people = collect(
        STUDY,
        Source(
            dm=dm(("b", "DEU", "2013-07-04", "2013-07-01"), ("a", "", "", "2013-06-01"), ("c", "Narnia", "", "")),
            ae={"USUBJID": ["c", "b", "c"], "AESTDTC": ["2014", "2013-07-04", "2014-02-03"]},
            mh={"USUBJID": ["a", "c"], "MHSTDTC": ["1990-01-01", "1991-01-01"]},
        ),
    )
    assert people.ids.to_pylist() == ["a", "b", "c"]
    assert people.countries.tolist() == ["", "DE", ""]
    days = [str(np.datetime64(int(day), "D")) for day in people.baseline]
    assert days == ["2013-06-01", "2013-07-04", "2014-02-03"]
    assert people.stated.tolist() == [False, True, False]
    assert len(people.days) == 6


def test_a_subject_without_any_complete_date_has_no_baseline_and_history_is_the_last_resort() -> None:
    source = Source(
        dm=dm(("a", "US", "", "2013"), ("b", "US", "", "")),
        ae=NONE,
        mh={"USUBJID": ["a", "b"], "MHSTDTC": ["1990", "1991-02-03"]},
    )
    people = collect(STUDY, source)
    assert people.baseline[0] == NO_DAY
    assert str(np.datetime64(int(people.baseline[1]), "D")) == "1991-02-03"


def test_a_subject_missing_from_dm_stops_with_table_column_and_rows() -> None:
    source = Source(dm=dm(("a", "US", "", "")), ae={"USUBJID": ["a", "xyz", "a", "xyz"], "AESTDTC": [""] * 4}, mh=NONE)
    with pytest.raises(Unresolved, match="missing from `dm`") as caught:
        collect(STUDY, source)
    assert caught.value.places == (Place("ae", "USUBJID", (2,)),)
    assert "xyz" not in str(caught.value)


@pytest.mark.parametrize("size", [1, 10])
def test_two_rows_of_dm_with_one_id_stop(size: int) -> None:
    source = Source(dm=dm(("a", "US", "", ""), ("b", "US", "", ""), ("a", "US", "", "")), ae=NONE, mh=NONE)
    source.size = size
    with pytest.raises(Unresolved, match="one subject id") as caught:
        collect(STUDY, source)
    assert caught.value.places == (Place("dm", "USUBJID", (3,)),)


def test_a_row_of_dm_without_an_id_stops() -> None:
    with pytest.raises(Unresolved, match=r"no subject id .`dm.USUBJID` row 2"):
        collect(STUDY, Source(dm=dm(("a", "US", "", ""), ("", "US", "", "")), ae=NONE, mh=NONE))


def test_a_date_that_does_not_parse_stops_before_anything_is_treated() -> None:
    source = Source(
        dm=dm(("a", "US", "2013-01-01", "")), ae={"USUBJID": ["a", "a"], "AESTDTC": ["2013", "13/7/4"]}, mh=NONE
    )
    with pytest.raises(Unreadable, match=r"`ae.AESTDTC` row 2"):
        collect(STUDY, source)


def test_two_countries_of_one_subject_stop() -> None:
    long = Table("long", (KEY, Column("COUNTRY", Role.QUASI)))
    study = Study("S", (long,), ColumnRef("long", "COUNTRY"))
    source = Source(long={"USUBJID": ["a", "a", "a", "b"], "COUNTRY": ["DE", "DEU", "FR", "FR"]})
    with pytest.raises(Unresolved, match=r"two countries .`long.COUNTRY` row 3"):
        collect(study, source)
    good = Source(long={"USUBJID": ["a", "a", "b"], "COUNTRY": ["DE", "DEU", "FR"]})
    assert collect(study, good).countries.tolist() == ["DE", "FR"]


def test_a_column_that_the_file_lacks_stops() -> None:
    with pytest.raises(Unresolved, match=r"missing from its table .`dm.USUBJID`"):
        collect(STUDY, Lacking(dm={"X": ["a"]}, ae=NONE, mh=NONE))


@pytest.mark.parametrize(
    ("text", "code"),
    [("USA", "US"), ("us", "US"), ("GBR", "GB"), ("UK", "GB"), ("EL", "GR"), ("Germany", "DE"), ("XXX", ""), (" ", "")],
)
def test_countries_are_spelled_by_iso(text: str, code: str) -> None:
    assert country_code(text) == code


def test_one_country_may_hold_for_all() -> None:
    study = Study("S", (AE,), "DEU")
    assert collect(study, Source(ae={"USUBJID": ["b", "a"], "AESTDTC": ["", ""]})).countries.tolist() == ["DE", "DE"]


def test_other_ids_of_a_subject_are_known_and_shared_ones_belong_to_nobody() -> None:
    table = Table("dm", (KEY, Column("SUBJID", Role.DIRECT), Column("NAME", Role.DIRECT)), "DM")
    rows = {
        "USUBJID": ["1-701-20", "1-702-20", "1-702-21", "1-702-22"],
        "SUBJID": ["20", "20", "21", "22"],
        "NAME": ["A", "B", "C", "D"],
    }
    people = collect(Study("S", (table,), "DE"), Source(dm=rows))
    assert people.aliases == {"20": subjects.AMBIGUOUS, "21": 2, "22": 3}
    assert people.identifying[ColumnRef("dm", "NAME")] == ("A", "B", "C", "D")


def test_a_site_is_no_other_id_of_its_only_subject() -> None:
    table = Table("dm", (KEY, Column("SITEID", Role.DIRECT)), "DM")
    rows = {"USUBJID": ["701-20", "701-21", "702-22", "701-23"], "SITEID": ["701", "701", "702", "701"]}
    assert collect(Study("S", (table,), "DE"), Source(dm=rows)).aliases == {}


def test_more_identifying_values_than_are_held_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subjects, "MOST_VALUES", 3)
    table = Table("lb", (KEY, Column("LBREFID", Role.DIRECT)))
    people = collect(
        Study("S", (table,), "DE"), Source(lb={"USUBJID": ["a"] * 9, "LBREFID": [f"R{n}" for n in range(9)]})
    )
    assert people.not_held == (ColumnRef("lb", "LBREFID"),)
    assert people.identifying[ColumnRef("lb", "LBREFID")] == ()


def test_tokens_are_whole_longest_first_and_of_any_punctuation() -> None:
    known = Tokens({"01-701-1015": "A", "701-1015": "B", "1015": "C", "Ann Lee": "D", "Ann": "E"})
    found = {
        "01-701-1015-E09": ["A"],
        "x701-1015": ["C"],
        "701_1015": ["B"],
        "TERM_1015": [],
        "110150": [],
        "ann  LEE, Ann": ["D", "E"],
        "Ann ------ Lee": ["E"],
        "01.701/1015 1015": ["A", "C"],
    }
    assert {text: [hit.entry for hit in known.find(text)] for text in found} == found
    assert [hit.entry for hit in known.find("TERM_1015", loose=True)] == ["C"]
    assert known.replace("(01-701-1015) by Ann Lee.") == "(A) by D."
