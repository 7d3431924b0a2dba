"""Hard case of ages in other units than years: the ladder, the top-code and what leaves, on invented data."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pseudonymization import ages
from pseudonymization.ages import UnitedAges
from pseudonymization.columns import Column, ColumnRef, Kind, Role, Study, Table
from pseudonymization.deidentify import lookups, prepare
from pseudonymization.faults import Unresolved
from pseudonymization.hierarchies import builders
from pseudonymization.pseudonyms import ProjectKey
from pseudonymization.safeguards import Safeguards
from pseudonymization.treat import treat

KEY = ProjectKey.derive(bytes(32), "p")
UNITS = st.sampled_from(["YEARS", *ages.IN_A_YEAR])
DAYS = {"YEARS": 365.2425, "MONTHS": 365.2425 / 12, "WEEKS": 7.0, "DAYS": 1.0, "HOURS": 1 / 24}


class Held:
    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def batches(self, _: str, columns: Sequence[str] | None = None) -> Iterator[Any]:
        yield from (self.table if columns is None else self.table.select(list(columns))).to_batches(max_chunksize=3)


def study(values: Sequence[float | None], units: Sequence[str | None]) -> tuple[Study, UnitedAges]:
    columns = (
        Column("USUBJID", Role.SUBJECT_KEY),
        Column("AGE", Role.QUASI, Kind.NUMBER, hierarchy="age"),
        Column("AGEU", Role.KEPT),
        Column("RFSTDTC", Role.DATE),
    )
    whole = Study("S", (Table("DM", columns, "DM"),), "US", ColumnRef("DM", "RFSTDTC"))
    held = {
        "USUBJID": [f"A-{at}" for at in range(len(values))],
        "AGE": pa.array(values, pa.float64()),
        "AGEU": pa.array(units, pa.string()),
        "RFSTDTC": ["2014-07-01"] * len(values),
    }
    return whole, UnitedAges(Held(pa.table(held)), whole)


def left(values: Sequence[float | None], units: Sequence[str | None], level: int = 0, **rules: Any) -> list[Any]:
    whole, source = study(values, units)
    prepared = prepare(whole, whole, source, Safeguards(age_top=89, **rules), KEY, fixed={"AGE": level})
    looked_up = lookups(prepared, whole, whole, KEY)
    found = [treat(looked_up, "DM", batch, 0) for batch in source.batches("DM")]
    table = pa.Table.from_batches(found)
    return list(zip(table.column("AGE").to_pylist(), table.column("AGEU").to_pylist(), strict=True))


VALUES = [18.0, 18.0, 100.0, 30.0, 6000.0, 45.0, None]
NAMED = ["MONTHS", "YEARS", "weeks", "Days", "HOURS", "", "MONTHS"]


def test_case_16_an_age_that_leaves_exact_leaves_with_its_own_unit() -> None:
    assert left(VALUES, NAMED) == [
        (18.0, "MONTHS"), (18.0, "YEARS"), (100.0, "weeks"), (30.0, "Days"), (6000.0, "HOURS"), (45.0, None),
        (None, "YEARS"),
    ]  # fmt: skip


def test_case_16_a_band_is_in_years_and_says_so() -> None:
    assert left(VALUES, NAMED, level=1) == [
        ("0-4", "YEARS"), ("15-19", "YEARS"), ("0-4", "YEARS"), ("0-4", "YEARS"), ("0-4", "YEARS"), ("45-49", None),
        (None, "YEARS"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "unit", "above"),
    [
        (1080, "MONTHS", True), (1079, "months", False), (1100, "MONTH", True), (32872, "DAYS", True),
        (32871, "DAYS", False), (4696, "WEEKS", True), (4695, "WEEKS", False), (788_940, "HOURS", True),
        (780_000, "HOURS", False), (90, "YEARS", True), (89, "YEAR", False),
    ],
)  # fmt: skip
def test_case_16_the_limit_of_89_holds_after_conversion(value: int, unit: str, above: bool) -> None:
    found = left([float(value), 50.0], [unit, "YEARS"])
    assert found[1] == (("50" if above else 50.0), "YEARS")
    assert found[0] == ((">89", "YEARS") if above and unit != "YEARS" else (">89", unit) if above else (value, unit))


@pytest.mark.parametrize("unit", ["DECADES", "Y", "18"])
def test_case_16_an_unknown_unit_stops_with_its_rows(unit: str) -> None:
    with pytest.raises(Unresolved, match="none of years") as caught:
        left([50.0] * 5, ["YEARS", "YEARS", "YEARS", "MONTHS", unit])
    assert [str(place) for place in caught.value.places] == ["`DM.AGEU` row 5"]


def test_case_16_the_unit_of_a_blanked_subject_or_of_a_removed_age_tells_nothing() -> None:
    alone = left([50.0] * 9 + [3.0], ["YEARS"] * 9 + ["DAYS"], k=2, blank_limit=0.2)
    assert alone[-1] == (None, "YEARS")
    whole, source = study([3.0], ["DAYS"])
    (table,) = whole.tables
    columns = tuple(replace(c, role=Role.DIRECT) if c.name == "AGE" else c for c in table.columns)
    whole = replace(whole, tables=(replace(table, columns=columns),))
    prepared = prepare(whole, whole, source, Safeguards(), KEY)
    (batch,) = (treat(lookups(prepared, whole, whole, KEY), "DM", b) for b in source.batches("DM"))
    assert batch.column("AGEU").to_pylist() == ["YEARS"]


@given(number=st.integers(0, 1_000_000), unit=UNITS)
def test_case_16_conversion_keeps_the_length_of_life(number: int, unit: str) -> None:
    spelled = str(number) if unit == "YEARS" else f"{number} {unit}"
    years = float(ages.in_years(spelled))
    assert years * 365.2425 == pytest.approx(number * DAYS[unit])
    (label,) = builders.age("AGE", [spelled], top=89).labels_of(0)
    assert label == (">89" if int(years) > 89 else spelled)


@given(st.lists(st.tuples(st.integers(0, 120) | st.none(), st.sampled_from([*ages.IN_A_YEAR, "YEARS", "", "Day"]))))
def test_case_16_a_unit_is_spelled_out_once_and_only_where_it_is_none_of_years(rows: list[Any]) -> None:
    batch = pa.RecordBatch.from_pydict(
        {
            "AGE": pa.array([number for number, _ in rows], pa.float64()),
            "AGEU": pa.array([unit for _, unit in rows], pa.string()),
        }
    )
    once = ages.united(batch)
    assert ages.united(once).to_pydict() == once.to_pydict()
    for made, (number, unit) in zip(once.column("AGE").to_pylist(), rows, strict=True):
        known = ages.unit_of(unit)
        assert ages.parts(str(made) if made is not None else "")[1] == (known if number is not None else "YEARS")
