"""What a steward chooses can ask for more than the rules do, never for less."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pseudonymization.faults import Unresolved
from pseudonymization.options import DEFAULT, Options, joined
from pseudonymization.plan import Act, Plan
from pseudonymization.safeguards import DateRule, Safeguards, TimeOfDay, join_dates

choices = st.builds(Options, dates=st.sampled_from(DateRule), time_of_day=st.sampled_from(TimeOfDay))
demands = st.builds(Safeguards, dates=st.sampled_from(DateRule), time_of_day=st.sampled_from(TimeOfDay))


@given(choices, demands)
def test_the_rules_hold_whatever_the_steward_chooses(options: Options, asked: Safeguards) -> None:
    both = joined(options, asked)
    assert join_dates(both.dates, asked.dates) is both.dates
    assert list(TimeOfDay).index(both.time_of_day) >= list(TimeOfDay).index(asked.time_of_day)
    assert joined(options, both) == both
    assert joined(DEFAULT, asked) == asked


@given(demands)
def test_a_plan_keeps_its_safeguards_word_for_word(asked: Safeguards) -> None:
    plan = Plan((), {}, asked)
    assert Plan.from_dict(plan.to_dict()) == plan


def test_a_plan_stored_with_a_truth_for_the_time_of_day_is_still_read() -> None:
    content = Plan((), {}, Safeguards()).to_dict()
    content["safeguards"]["time_of_day"] = False
    assert Plan.from_dict(content).safeguards.time_of_day is TimeOfDay.DROP


def test_anchored_subjects_start_on_one_day_and_keep_their_intervals(small: Any, release: Callable[..., Any]) -> None:
    study, source = small
    dm = source.tables["dm"].set_column(7, "RFSTDTC", pa.array(["2013-07-19", "2013-05-02T09:30", "2012-01-31"]))
    source = replace(source, tables={**source.tables, "dm": dm})
    done = release(study, source, date_act=Act.ANCHOR)
    assert done.tables["dm"].column("RFSTDTC").to_pylist() == ["2150-01-01", "2150-01-01T09:30", "2150-01-01"]
    ends = done.tables["ae"].column("AEENDTC").to_pylist()
    assert ends == ["2151-01-03", "2149-12-16", "2150-01"]
    assert (date.fromisoformat(ends[0]) - date(2150, 1, 1)).days == (date(2013, 2, 1) - date(2012, 1, 31)).days


def test_a_subject_that_cannot_be_anchored_stops_the_release_with_its_rows(
    small: Any, release: Callable[..., Any]
) -> None:
    study, source = small
    dm = source.tables["dm"].set_column(7, "RFSTDTC", pa.array(["2013-07-19", "2013-05-02", ""]))
    ae = source.tables["ae"].set_column(5, "AEENDTC", pa.array(["2013-02", "2013-07-03", "2013-08"]))
    ae = ae.set_column(7, "AEDTM", pa.nulls(3, pa.timestamp("us")))
    with pytest.raises(Unresolved, match="no complete date") as caught:
        release(study, replace(source, tables={"dm": dm, "ae": ae}), date_act=Act.ANCHOR)
    assert [(place.table, place.column, place.rows) for place in caught.value.places] == [("ae", "AESTDTC", (1,))]
