"""Ages above 89 do not leave by arithmetic either: dates too long before the reference start are blanked."""

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pseudonymization import classes
from pseudonymization.columns import Column, ColumnRef, Kind, Role, Study, Table
from pseudonymization.deidentify import lookups, prepare
from pseudonymization.elders import hidden
from pseudonymization.faults import Place, Unresolved
from pseudonymization.isodates import NO_DAY
from pseudonymization.pseudonyms import ProjectKey
from pseudonymization.safeguards import DateRule, Safeguards
from pseudonymization.treat import treat

PLACE = Place("MH", "MHSTDTC")
START = int(np.datetime64("2014-07-01", "D").astype(int))


def shown(texts: list[str], top: int | None = 89, start: int = START) -> list[str | None]:
    column = pa.array(texts).dictionary_encode()
    kept: list[str | None] = hidden(column, PLACE, np.full(len(texts), start), top).to_pylist()
    return kept


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("1925-07-02", True), ("1925-06-29", False), ("1925-08", True), ("1925-07", False), ("1926", True),
        ("1925", False), ("1932", True), ("1919-03-02T10:00", False), ("2013-01-05", True), ("", True),
    ],
)  # fmt: skip
def test_case_15_a_date_that_tells_of_more_than_89_years_is_blanked(text: str, stays: bool) -> None:
    assert shown([text, "2014-01-01"]) == [text if stays else None, "2014-01-01"]


def test_nothing_is_hidden_without_a_limit_or_a_reference_start() -> None:
    assert shown(["1900-01-01"], top=None) == ["1900-01-01"]
    assert shown(["1900-01-01"], start=NO_DAY) == ["1900-01-01"]


def test_stored_dates_are_hidden_too() -> None:
    column = pa.array([date(1920, 1, 1), date(2014, 1, 1), None], pa.date32())
    assert hidden(column, PLACE, np.full(3, START), 89).to_pylist() == [None, date(2014, 1, 1), None]


class Held:
    def __init__(self, tables: dict[str, pa.Table]) -> None:
        self.tables = tables

    def batches(self, table: str, columns: Any = None) -> Any:
        whole = self.tables[table]
        yield from (whole if columns is None else whole.select(list(columns))).to_batches()


def study(unit: str = "YEARS") -> tuple[Study, Held]:
    key = Column("USUBJID", Role.SUBJECT_KEY)
    age = Column("AGE", Role.QUASI, Kind.NUMBER, hierarchy="age")
    dm = Table("DM", (key, age, Column("AGEU", Role.KEPT), Column("RFSTDTC", Role.DATE)), "DM")
    mh = Table("MH", (key, Column("MHSTDTC", Role.DATE)), "MH")
    tables = {
        "DM": pa.table({"USUBJID": ["A-1", "A-2"], "AGE": [95.0, 60.0], "AGEU": [unit] * 2,
                        "RFSTDTC": ["2014-07-01", "2014-07-03"]}),
        "MH": pa.table({"USUBJID": ["A-1", "A-1", "A-2"], "MHSTDTC": ["1921", "1990-05", "1999"]}),
    }  # fmt: skip
    return Study("S", (dm, mh), "US", ColumnRef("DM", "RFSTDTC")), Held(tables)


@pytest.mark.parametrize("rule", [DateRule.SHIFT, DateRule.YEAR, DateRule.MONTH, DateRule.STUDY_DAY])
def test_case_15_no_treatment_of_dates_lets_the_distance_out(rule: DateRule) -> None:
    whole, source = study()
    key = ProjectKey.derive(bytes(32), "p")
    prepared = prepare(whole, whole, source, Safeguards(dates=rule, age_top=89), key)
    (batch,) = source.batches("MH")
    dates = treat(lookups(prepared, whole, whole, key), "MH", batch).column("MHSTDTC").to_pylist()
    assert dates[0] is None
    assert rule is DateRule.STUDY_DAY or dates[1] is not None


@pytest.mark.parametrize("unit", ["MONTHS", "DAYS", "weeks"])
def test_case_16_ages_in_other_units_stop_the_release_and_are_not_taken_for_years(unit: str) -> None:
    whole, source = study(unit)
    with pytest.raises(Unresolved, match="other units than years") as caught:
        classes.build(whole, source)
    assert str(caught.value.places[0]) == "`DM.AGEU`"
    assert classes.build(*study("YEARS")).names == ("AGE",)


def test_case_15_who_turns_90_during_the_trial_is_told_by_no_age_at_an_event() -> None:
    whole, source = study()
    key, (dm, mh) = Column("USUBJID", Role.SUBJECT_KEY), whole.tables
    adae = Table("ADAE", (key, Column("AAGE", Role.QUASI, Kind.NUMBER, hierarchy="age")), "ADAE")
    whole = Study("S", (dm, mh, adae), "US", whole.baseline)
    source.tables["DM"] = source.tables["DM"].set_column(1, "AGE", pa.array([89.0, 60.0]))
    source.tables["ADAE"] = pa.table({"USUBJID": ["A-1", "A-1", "A-2"], "AAGE": [89.0, 90.0, 61.0]})
    secret = ProjectKey.derive(bytes(32), "p")
    prepared = prepare(
        whole, whole, source, Safeguards(dates=DateRule.SHIFT, age_top=89), secret, fixed={"AGE": 0, "AAGE": 0}
    )
    (batch,) = source.batches("ADAE")
    left = treat(lookups(prepared, whole, whole, secret), "ADAE", batch).column("AAGE").to_pylist()
    assert [str(age).removesuffix(".0") for age in left] == ["89", ">89", "61"]
