"""Tables that repeat the subject table say what it says; where they do not, rows are named and the steward chooses."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest

from pseudonymization import dates, deidentify
from pseudonymization.columns import Column, ColumnRef, Kind, Role, Study, Table
from pseudonymization.faults import Unresolved
from pseudonymization.options import Copies, Options
from pseudonymization.pseudonyms import ProjectKey
from pseudonymization.safeguards import DateRule, Safeguards
from pseudonymization.treat import treat

KEY = ProjectKey.derive(bytes(range(32)), "p1")
STARTS = [date(2013, 3, 1), date(2013, 5, 2), date(2014, 1, 31)]
ONES = (Column("USUBJID", Role.SUBJECT_KEY), Column("AGE", Role.QUASI, Kind.NUMBER), Column("SEX", Role.QUASI))


def trial() -> tuple[Study, dict[str, pa.Table]]:
    """DM with three subjects, ADSL with two of them, ADAE with copies of ADSL."""
    dm = Table("DM", (*ONES, Column("DOMAIN", Role.KEPT), Column("RFSTDTC", Role.DATE)), "DM")
    adsl = Table("ADSL", (*ONES, Column("TRTSDT", Role.DATE, Kind.DATE)), "ADSL")
    adae = Table("ADAE", (*ONES, Column("TRTSDT", Role.DATE, Kind.DATE), Column("ASTDT", Role.DATE, Kind.DATE)), "ADAE")
    ids = ["S-1-01", "S-1-02", "S-2-03"]
    who = [1, 0, 1, 0]
    tables = {
        "DM": pa.table(
            {
                "USUBJID": ids,
                "AGE": [61.0, 45.0, 70.0],
                "SEX": ["F", "M", "M"],
                "DOMAIN": ["DM"] * 3,
                "RFSTDTC": [day.isoformat() for day in STARTS],
            }
        ),
        "ADSL": pa.table({"USUBJID": ids[:2], "AGE": [61.0, 45.0], "SEX": ["F", "M"], "TRTSDT": STARTS[:2]}),
        "ADAE": pa.table(
            {
                "USUBJID": [ids[at] for at in who],
                "AGE": [[61.0, 45.0][at] for at in who],
                "SEX": pa.array([["F", "M"][at] for at in who]).dictionary_encode(),
                "TRTSDT": [STARTS[at] for at in who],
                "ASTDT": [STARTS[at] + timedelta(days) for at, days in zip(who, [0, 3, 40, -2], strict=True)],
            }
        ),
    }
    return Study("S", (adae, adsl, dm), "USA", ColumnRef("DM", "RFSTDTC")), tables


def released(study: Study, tables: dict[str, pa.Table], held: Callable[..., Any]) -> dict[str, pa.Table]:
    source = held(tables, 2)
    prepared = deidentify.prepare(study, study, source, Safeguards(dates=DateRule.SHIFT), KEY)
    looked_up = deidentify.lookups(prepared, study, study, KEY)
    out: dict[str, pa.Table] = {}
    for name in tables:
        first, batches = 0, []
        for batch in source.batches(name):
            batches.append(treat(looked_up, name, batch, first))
            first += batch.num_rows
        out[name] = pa.Table.from_batches(batches)
    return out


def changed(tables: dict[str, pa.Table], name: str, column: str, values: Any) -> dict[str, pa.Table]:
    table = tables[name]
    return {**tables, name: table.set_column(table.column_names.index(column), column, values)}


def test_case_13_copies_agree_with_the_subject_table_after_treatment(held: Any) -> None:
    out = released(*trial(), held)
    subject = {row["USUBJID"]: row for row in out["ADSL"].to_pylist()}
    rows = out["ADAE"].to_pylist()
    assert len(rows) == 4
    for row in rows:
        assert {name: row[name] for name in ("AGE", "SEX", "TRTSDT")} == {
            name: subject[row["USUBJID"]][name] for name in ("AGE", "SEX", "TRTSDT")
        }
    assert sorted((row["ASTDT"] - row["TRTSDT"]).days for row in rows) == [-2, 0, 3, 40]


@pytest.mark.parametrize(
    ("name", "column", "values", "rows", "source"),
    [
        ("ADAE", "SEX", ["M", "F", "F", None], (3,), "ADSL.SEX"),
        ("ADAE", "AGE", [45.0, 62.0, None, 60.0], (2, 4), "ADSL.AGE"),
        ("ADSL", "SEX", ["F", "F"], (2,), "DM.SEX"),
    ],
)
def test_case_13_a_copy_that_disagrees_with_its_source_is_named_with_its_rows(
    held: Any, name: str, column: str, values: Any, rows: tuple[int, ...], source: str
) -> None:
    study, tables = trial()
    with pytest.raises(Unresolved, match=f"does not say what its source `{source}`") as caught:
        released(study, changed(tables, name, column, pa.array(values)), lambda kept, _: held(kept, 10))
    assert [(place.table, place.column, place.rows) for place in caught.value.places] == [(name, column, rows)]


def test_case_13_the_steward_may_choose_what_the_subject_table_says(held: Any) -> None:
    study, tables = trial()
    tables = changed(tables, "ADAE", "SEX", pa.array(["F", "F", "F", None]).dictionary_encode())
    out = released(replace(study, options=Options(copies=Copies.SOURCE)), tables, held)
    assert [row["SEX"] for row in out["ADAE"].to_pylist()] == ["M", "F", "M", None]
    moved = changed(tables, "ADAE", "TRTSDT", pa.array([day + timedelta(1) for day in [STARTS[0]] * 4]))
    out = released(replace(study, options=Options(copies=Copies.SOURCE)), moved, held)
    subject = {row["USUBJID"]: row["TRTSDT"] for row in out["ADSL"].to_pylist()}
    assert all(row["TRTSDT"] == subject[row["USUBJID"]] for row in out["ADAE"].to_pylist())


@pytest.mark.parametrize("days", [dates.EPOCHS_APART, -dates.EPOCHS_APART])
def test_case_29_dates_of_another_epoch_stop_the_release_with_their_rows(held: Any, days: int) -> None:
    study, tables = trial()
    late = pa.array([day + timedelta(days) for day in STARTS[:2]])
    tables = changed(tables, "ADSL", "TRTSDT", late)
    both = changed(tables, "ADAE", "TRTSDT", pa.array([STARTS[at] + timedelta(days) for at in (1, 0, 1, 0)]))
    with pytest.raises(Unresolved, match="exactly 3,653 days") as caught:
        released(study, dict(reversed(both.items())), held)
    assert {(place.table, place.column) for place in caught.value.places} <= {("ADSL", "TRTSDT"), ("ADAE", "TRTSDT")}
    assert caught.value.places[0].rows == (1, 2)


def test_case_29_one_day_off_the_reference_start_is_no_other_epoch(held: Any) -> None:
    study, tables = trial()
    tables = changed(tables, "ADSL", "TRTSDT", pa.array([day + timedelta(1) for day in STARTS[:2]]))
    tables = changed(tables, "ADAE", "TRTSDT", pa.array([STARTS[at] + timedelta(1) for at in (1, 0, 1, 0)]))
    assert released(study, tables, held)["ADAE"].num_rows == 4


def test_two_rows_of_one_subject_in_adsl_stop_the_release(held: Any) -> None:
    study, tables = trial()
    double = pa.concat_tables([tables["ADSL"], tables["ADSL"].slice(1, 1)])
    with pytest.raises(Unresolved, match="two rows carry one subject id") as caught:
        released(study, {**tables, "ADSL": double}, held)
    assert caught.value.places[0].table == "ADSL"
