"""The analyst's figures: right against a textbook, and never countable back to a few subjects."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.release import drawing, figures
from pseudonymization import survival
from pseudonymization.tabulate import SMALLEST, Cells, total_variation

SUBJECTS = st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=60)


def textbook(subjects: list[tuple[int, bool]], until: float) -> float:
    """S(t) = Π over event times ≤ t of (1 - d/n), written as it stands in any textbook."""
    left = 1.0
    for time in sorted({t for t, happened in subjects if happened and t <= until}):
        at_risk = sum(1 for t, _ in subjects if t >= time)
        events = sum(1 for t, happened in subjects if t == time and happened)
        left *= 1 - events / at_risk
    return left


@settings(max_examples=60, deadline=None)
@given(SUBJECTS)
def test_kaplan_meier_is_the_textbooks(subjects: list[tuple[int, bool]]) -> None:
    times, happened = np.array([t for t, _ in subjects], dtype=float), np.array([h for _, h in subjects])
    curve = survival.kaplan_meier(times, happened)
    grid = np.arange(-1.0, 32.0, 0.5)
    assert curve.at(grid).tolist() == pytest.approx([textbook(subjects, t) for t in grid])
    assert curve.still(grid).tolist() == [sum(1 for t, _ in subjects if t >= at) for at in grid]
    assert (curve.subjects, curve.events) == (len(subjects), int(happened.sum()))
    assert (np.diff(curve.survival) <= 0).all()


def test_kaplan_meier_of_a_published_example() -> None:
    """Remission times under 6-MP (Freireich et al., Blood 1963), as most textbooks show them: S(10) = 0.753."""
    events, censored = [6, 6, 6, 7, 10, 13, 16, 22, 23], [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    times = np.array([*events, *censored], dtype=float)
    curve = survival.kaplan_meier(times, np.array([True] * len(events) + [False] * len(censored)))
    assert curve.at(np.array([6.0, 7.0, 10.0, 13.0, 16.0, 22.0, 23.0])).tolist() == pytest.approx(
        [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=0.0005
    )


def test_who_has_no_time_is_left_out_and_two_curves_lie_apart_by_their_largest_gap() -> None:
    times = np.array([1.0, 2.0, np.nan, 3.0])
    one = survival.kaplan_meier(times, np.array([True, True, True, True]))
    assert one.subjects == 3
    other = survival.kaplan_meier(times + 1, np.array([True, True, True, True]))
    assert survival.furthest(one, one) == 0
    assert survival.furthest(one, other) == pytest.approx(1 / 3)


ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", ""]), st.sampled_from(["x", "y"]), st.integers(-1, 20), st.integers(0, 9)),
    max_size=120,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(1, 40))
def test_cells_count_and_sum_as_a_plain_loop_does_however_the_rows_are_cut(rows: list[Any], size: int) -> None:
    held = Cells()
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        first, second = (pa.array([row[at] for row in part], pa.string()) for at in (0, 1))
        who = np.array([row[2] for row in part], dtype=np.int32)
        held.add([first.dictionary_encode(), second], who, pa.array([float(row[3]) for row in part]))
    counted = [row for row in rows if row[0] and row[2] >= 0]
    assert {key: cell.rows for key, cell in held.held.items()} == Counter((a, b) for a, b, _, _ in counted)
    for key, cell in held.held.items():
        mine = [row for row in counted if row[:2] == key]
        assert cell.mean == pytest.approx(sum(row[3] for row in mine) / len(mine))
        assert cell.shown == (len({row[2] for row in mine}) >= SMALLEST)
        assert len(cell.subjects) <= SMALLEST


def test_a_missing_number_counts_for_no_mean() -> None:
    held = Cells()
    held.add([pa.array(["a", "a", "a"])], np.array([0, 1, 2], dtype=np.int32), pa.array([1.0, None, math.nan]))
    assert (held.held["a",].rows, held.held["a",].mean) == (1, 1.0)


COUNTS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(COUNTS, st.booleans())
def test_no_share_of_few_subjects_is_shown_and_none_is_hidden_alone(counts: Any, pool: bool) -> None:
    rows = [(f"v{at}", old, new) for at, (old, new) in enumerate(counts)]
    subjects = max(1, *(sum(row[side] for row in rows) for side in (1, 2)))
    told = figures._bars("Sex", rows, subjects, pool=pool)["rows"]
    given_rows = {name: (old, new) for name, old, new in rows}
    for row in told:
        if row["before"] is not None and row["label"] in given_rows:
            assert not any(0 < count < SMALLEST for count in given_rows[row["label"]])
    hidden = [row for row in told if row["before"] is None]
    assert not (len(hidden) == 1 and len(told) > 1 and not pool)


def test_counts_that_differ_by_few_are_told_as_one() -> None:
    def cell(rows: int) -> Any:
        held = Cells()
        held.add([pa.array(["a"] * rows)], np.arange(rows, dtype=np.int32))
        return held.held["a",]

    assert figures.told(cell(30), cell(25)) == {"before": 25, "after": 25}
    assert figures.told(cell(40), cell(25)) == {"before": 40, "after": 25}
    assert figures.told(cell(10), cell(25)) == {"before": None, "after": 25}
    assert figures.told(None, cell(10)) == {"before": None, "after": None}


def test_age_bands_are_spread_over_their_years_and_compared_with_the_true_ages() -> None:
    ages = [str(60 + at % 20) for at in range(400)]
    same = figures.ages(ages, ages)
    assert (same["distance"], {row["before"] for row in same["rows"]}) == (0.0, {25})
    bands = figures.ages(ages, ["60-69" if int(age) < 70 else "70-79" for age in ages])
    assert bands["distance"] == 0.0
    lost = figures.ages(ages, ["60-69"] * 200 + [""] * 200)
    assert lost["distance"] > 0.4


def test_a_generalized_place_is_compared_under_its_released_name() -> None:
    old = ["FR"] * 30 + ["DE"] * 30 + ["US"] * 40
    told = figures.categories("Country", old, ["Europe"] * 60 + ["America"] * 40)
    assert {row["label"]: (row["before"], row["after"]) for row in told["rows"]} == {
        "Europe": (60, 60),
        "America": (40, 40),
    }
    assert told["distance"] == 0.0


def test_a_curve_ends_where_fewer_than_eleven_are_at_risk_and_arms_of_few_events_are_not_drawn() -> None:
    arm = np.array(["A"] * 40 + ["B"] * 40)
    times = np.arange(80, dtype=float) % 40
    happened = (arm == "A") | (times < 10)
    found = figures.curves("death", "days", [arm, arm], [(times, happened), (times, happened)])
    assert [line["label"] for line in found[0]["arms"]] == ["A"]
    line = found[0]["arms"][0]["before"]
    drawn = [at for at, share in zip(found[0]["grid"], line, strict=True) if share is not None]
    assert 27 <= max(drawn) <= 29.5
    assert min(share for share in line if share is not None) >= 100 * 10 / 40


def test_total_variation() -> None:
    assert total_variation({("a",): 1.0}, {("a",): 7.0}) == 0.0
    assert total_variation({("a",): 1.0}, {("b",): 1.0}) == 1.0
    assert total_variation({("a",): 1.0, ("b",): 1.0}, {("a",): 3.0, ("b",): 1.0}) == pytest.approx(0.25)


def test_time_axes_have_round_steps() -> None:
    assert [drawing._round_step(longest) for longest in (212, 6, 0.9, 1000)] == [50, 1, 0.2, 200]
