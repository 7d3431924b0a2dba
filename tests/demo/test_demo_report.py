"""The report's picture of class sizes: where the line of the smallest class allowed stands."""

import pytest

from gateway.release.report import bins, share

SIZES = ("1", "2", "3-4", "5-10", "11-20", "21-50", ">=51")


def drawn(smallest: int, **shares: float):
    after = dict.fromkeys(SIZES, 0.0) | {"11-20": 1.0}
    return bins({"1": 0.9, "2": 0.1} | shares, after, smallest)


@pytest.mark.parametrize(
    ("smallest", "line", "below"),
    [
        (2, "2", ["1"]),
        (3, "3–4", ["1", "2"]),
        (11, "11–20", ["1", "2", "3–4", "5–10"]),
        (51, "from 51", ["1", "2", "3–4", "5–10", "11–20", "21–50"]),
    ],
)
def test_the_line_stands_before_the_first_size_allowed(smallest: int, line: str, below: list[str]) -> None:
    found = drawn(smallest)
    assert [one.label for one in found if one.line] == [line]
    assert [one.label for one in found if one.below] == below


def test_a_line_inside_a_bin_says_so_in_its_label() -> None:
    assert [one.label for one in drawn(4) if one.line] == ["3–4 (from 4)"]
    assert [one.label for one in drawn(100) if one.line] == ["from 51 (from 100)"]


def test_no_line_where_no_size_is_demanded() -> None:
    assert not [one for one in drawn(1) if one.line or one.below]


def test_sizes_that_do_not_occur_are_left_out_at_the_end_only() -> None:
    assert [one.label for one in drawn(2)] == ["1", "2", "3–4", "5–10", "11–20"]


def test_the_longest_bar_is_whole_and_the_others_in_proportion() -> None:
    found = {one.label: one for one in drawn(2)}
    assert found["11–20"].after_width == 100
    assert found["1"].before_width == pytest.approx(90)


def test_a_small_share_is_not_shown_as_nothing() -> None:
    assert share(0) == "0 %"
    assert share(0.001) == "<1 %"
    assert share(0.8875) == "89 %"
