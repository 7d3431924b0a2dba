"""Dates: read with their exact precision, moved by a secret shift, cut, or counted from the baseline."""

import re
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pseudonymization import dates, isodates
from pseudonymization.faults import Place, Unreadable
from pseudonymization.isodates import NO_DAY, Precision
from pseudonymization.pseudonyms import ProjectKey
from pseudonymization.safeguards import TimeOfDay

PLACE = Place("ae", "AESTDTC")
KEY = ProjectKey.derive(bytes(range(32)), "p1")

FORMS = {
    "2013": "2150",
    "2013-07": "2150-06",
    "2013-07-04": "2150-05-27",
    "2013-07-04T08:30": "2150-05-27T08:30",
    "2013-07-04T08:30:15.25+02:00": "2150-05-27T08:30:15.25+02:00",
    "2013-07-04 08:30": "2150-05-27 08:30",
    "2013-07-04T-:15": "2150-05-27T-:15",
    "2003---15": "2140---06",
    "--12-15": "--11-07",
    "--12": "--11",
    "----15": "----07",
    "-----T07:15": "-----T07:15",
    "2003-12--T07:15": "2140-11--T07:15",
    "2013-01/2014-02-03": "2149-12/2150-12-27",
    "2013-07-04/P10D": "2150-05-27/P10D",
    "2012-02-29": "2149-01-21",
}
NO_DATES = [
    "2013-13", "2013-00-10", "2013-02-29", "1900-02-29", "0000-01-01", "04JUL2013", "2013-7-4", "20130704",
    "2013-07-04T", "2013-07-04T25:00", "2013-07-04X", "2013-07-04T08:61", "-", "----", "-----", "P10D", "a/b",
    "2013/2014/2015", "unknown", " 2013", "２０１３", "2013-07-04T08:30/", "sty-91",
]  # fmt: skip


def read(*texts: str | None) -> dates.Dates:
    return dates.read(pa.array(texts, pa.string()), PLACE)


def shifted(texts: list[str | None], by: int, *, time_of_day: TimeOfDay = TimeOfDay.KEEP) -> list[str | None]:
    column = read(*texts)
    steps = np.full(len(texts), by)
    answer: list[str | None] = dates.shift(column, steps, column.days + steps, time_of_day=time_of_day).to_pylist()
    return answer


def form(text: str) -> str:
    """The text with every digit made one: what was written, without when."""
    return re.sub(r"\d", "9", text)


@pytest.mark.parametrize(("text", "moved"), FORMS.items())
def test_each_sdtm_form_is_moved_in_its_own_form(text: str, moved: str) -> None:
    assert shifted([text], 50_000) == [moved]


@pytest.mark.parametrize("text", NO_DATES)
def test_what_is_no_date_stops_with_its_row_and_without_its_value(text: str) -> None:
    with pytest.raises(Unreadable) as caught:
        dates.read(pa.array(["2013", None, text, "2013", text]), PLACE, first_row=100)
    assert caught.value.places == (Place("ae", "AESTDTC", (103, 105)),)
    assert text not in str(caught.value)


def test_blank_cells_stay_blank() -> None:
    assert shifted([None, "", "2013", None], 50_000) == [None, None, "2150", None]


def test_time_of_day_goes_when_the_safeguards_say_so() -> None:
    texts = ["2013-07-04T08:30", "2013-07-04", "2003-12--T07:15", "-----T07:15", "2013-01-01T10:00/2013-01-02T11:00"]
    assert shifted(texts, 50_000, time_of_day=TimeOfDay.DROP) == [
        "2150-05-27",
        "2150-05-27",
        "2140-11",
        None,
        "2149-11-24/2149-11-25",
    ]


def test_time_of_day_is_cut_to_the_hour_and_a_time_zone_goes_with_the_minutes() -> None:
    texts = ["2013-07-04T08:30:59+05:30", "2013-07-04", "2013-07-04T-:15", "2003-12--T07:15", "-----T07:15"]
    assert shifted(texts, 50_000, time_of_day=TimeOfDay.HOUR) == [
        "2150-05-27T08",
        "2150-05-27",
        "2150-05-27",
        "2140-11--T07",
        "-----T07",
    ]
    stamps = pa.array([15_890 * 86_400 + 8 * 3600 + 59 * 60, None], pa.timestamp("s"))
    moved = dates.shift_arrow(stamps, np.array([50_000, 1]), time_of_day=TimeOfDay.HOUR)
    assert moved.cast(pa.int64()).to_pylist() == [65_890 * 86_400 + 8 * 3600, None]
    days = pa.array([date(2013, 7, 4)], pa.date32())
    assert dates.shift_arrow(days, np.array([50_000]), time_of_day=TimeOfDay.HOUR).to_pylist() == [date(2150, 5, 27)]


def test_anchored_everyone_starts_on_one_day_of_the_22nd_century() -> None:
    start = np.array([15_000, 16_789, NO_DAY])
    moved = dates.to_anchor(start)
    assert (start[:2] + moved[:2]).tolist() == [dates.ANCHOR, dates.ANCHOR]
    assert (moved[2], date(1970, 1, 1) + timedelta(dates.ANCHOR)) == (0, date(2150, 1, 1))


parts = st.dates(date(1890, 1, 1), date(2090, 12, 31))
times = st.sampled_from(["", "T08:30", "T23:59:59", "T-:15"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    day = draw(parts).isoformat()
    shape = draw(st.sampled_from(["y", "ym", "ymd", "y--d", "-md", "time", "interval"]))
    other = draw(parts).isoformat()
    return {
        "y": day[:4],
        "ym": day[:7],
        "ymd": day + draw(times),
        "y--d": f"{day[:4]}---{day[8:]}",
        "-md": f"--{day[5:]}",
        "time": "-----T07:15",
        "interval": f"{day}/{other[:7]}",
    }[shape]


@given(st.lists(texts(), min_size=1, max_size=30), st.integers(40_000, 60_000))
def test_precision_in_is_precision_out_for_every_cell(cells: list[str], by: int) -> None:
    moved = shifted(list(cells), by)
    assert [form(text) for text in cells] == [form(text or "") for text in moved]


@given(parts, parts, st.integers(1, 60_000))
def test_intervals_between_complete_dates_are_exact_to_the_day(first: date, second: date, by: int) -> None:
    a, b = (date.fromisoformat(text or "") for text in shifted([first.isoformat(), second.isoformat()], by))
    assert a - first == timedelta(days=by)
    assert b - a == second - first


@given(st.dates(date(1, 1, 1), date(9999, 12, 31)))
def test_days_agree_with_the_calendar_of_python(day: date) -> None:
    number = (day - date(1970, 1, 1)).days
    assert read(day.isoformat()).days.tolist() == [number]
    assert isodates.spell(np.array([number]), Precision.DAY).to_pylist() == [day.isoformat()]


def test_a_shift_lies_in_the_window_and_differs_between_subjects_and_projects() -> None:
    ids = [f"S{at}" for at in range(2000)]
    here = dates.shifts(KEY, ids)
    assert here.min() >= dates.SHIFT_WINDOW[0]
    assert here.max() <= dates.SHIFT_WINDOW[1]
    assert here.max() - here.min() > 7000
    assert here.tolist() == dates.shifts(KEY, ids).tolist()
    there = dates.shifts(ProjectKey.derive(bytes(range(32)), "p2"), ids)
    assert (here == there).sum() < 5
    assert abs(np.corrcoef(here, there)[0, 1]) < 0.1


def test_a_shift_window_may_not_reach_the_true_dates() -> None:
    with pytest.raises(ValueError, match="window"):
        dates.shifts(KEY, ["a"], (-10, 10))


def test_truncation_keeps_what_is_coarser() -> None:
    column = read("2013-07-04T08:30", "2013-07", "2013", "--12-15", "2003---15", "2013-01-02/2014-02", None)
    assert dates.truncate(column, Precision.MONTH).to_pylist() == [
        "2013-07", "2013-07", "2013", None, "2003", "2013-01/2014-02", None,
    ]  # fmt: skip
    assert dates.truncate(column, Precision.YEAR).to_pylist() == [
        "2013", "2013", "2013", None, "2003", "2013/2014", None,
    ]  # fmt: skip


def test_there_is_no_day_zero() -> None:
    column = read("2013-07-03", "2013-07-04", "2013-07-05", "2013-07", None)
    baseline = np.array([*read("2013-07-04").days] * 4 + [NO_DAY])
    days = dates.study_days(column.days, column.precision == Precision.DAY, baseline)
    assert days.to_pylist() == [-1, 1, 2, None, None]


coarseness = st.sampled_from([4, 7, 10])


@given(parts, st.integers(0, 500), coarseness, coarseness, st.integers(47_000, 47_400))
def test_no_start_comes_after_its_end_by_our_doing(first: date, apart: int, left: int, right: int, by: int) -> None:
    pair = first.isoformat()[:left], (first + timedelta(days=apart)).isoformat()[:right]
    start, end = read(pair[0]), read(pair[1])
    step = np.array([by])
    new_start, new_end, *_ = dates.clamp(start, end, start.days + step, end.days + step)
    moved = [
        dates.shift(start, step, new_start).to_pylist()[0],
        dates.shift(end, step, new_end).to_pylist()[0],
    ]
    width = min(left, right)
    assert [len(text) for text in moved] == [left, right]
    assert moved[0][:width] <= moved[1][:width]


def test_the_coarser_of_start_and_end_gives_way_and_is_counted() -> None:
    start, end = read("2013", "2013-05-20", "2014"), read("2013-02-01", "2013-05", "2013-02-01")
    by = np.array([50_250, 50_080, 50_250])
    new_start, new_end, starts, ends = dates.clamp(start, end, start.days + by, end.days + by)
    assert dates.shift(start, by, start.days + by).to_pylist()[0] == "2151"
    assert dates.shift(start, by, new_start).to_pylist() == ["2150", "2150-07-01", "2152"]
    assert dates.shift(end, by, end.days + by).to_pylist()[1] == "2150-06"
    assert dates.shift(end, by, new_end).to_pylist() == ["2150-09-01", "2150-07", "2150-09-01"]
    assert (starts.tolist(), ends.tolist()) == ([True, False, False], [False, True, False])


def test_a_changed_relation_to_the_baseline_is_counted() -> None:
    column = read("2013", "2013-07", "2013-07-04", "2012", None)
    baseline = np.full(5, read("2013-01-10").days[0])
    by = np.full(5, 365 * 130 + 40 + 200)
    assert dates.flips(column, column.days + by, baseline, by) == 2  # 2013: same, then after; 2012: before, then same
    assert dates.flips(column, column.days + by, np.full(5, NO_DAY), by) == 0


def test_arrow_dates_and_timestamps_move_by_whole_days() -> None:
    day = pa.array([date(2013, 7, 4), None], pa.date32())
    assert dates.shift_arrow(day, np.array([50_000, 1])).to_pylist() == [date(2150, 5, 27), None]
    for unit, per in (("s", 1), ("ms", 10**3), ("us", 10**6)):
        noon = pa.array([(15_890 * 86_400 + 45_000) * per, None], pa.timestamp(unit))
        moved = dates.shift_arrow(noon, np.array([50_000, 1]))
        assert moved.type == noon.type
        assert moved.cast(pa.int64()).to_pylist() == [((15_890 + 50_000) * 86_400 + 45_000) * per, None]
        plain = dates.shift_arrow(noon, np.array([50_000, 1]), time_of_day=TimeOfDay.DROP)
        assert plain.cast(pa.int64()).to_pylist() == [(15_890 + 50_000) * 86_400 * per, None]
    assert dates.truncate_arrow(day, Precision.MONTH).to_pylist() == ["2013-07", None]
