"""Tables of counts: what is hidden cannot be worked out from what shows, checked by going through all tables."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.small_numbers import HIDDEN, CellRule, join, protect_row, protect_table

CMS = CellRule(10)
HES = CellRule(7, 5)


def test_both_sides_of_each_line():
    assert [CMS.shown(count) for count in (0, 1, 10, 11)] == [0, HIDDEN, HIDDEN, 11]
    assert [HES.shown(count) for count in (0, 1, 7, 8, 12, 13)] == [0, HIDDEN, HIDDEN, 10, 10, 15]


def test_a_lone_hidden_cell_takes_the_smallest_neighbour_with_it():
    assert protect_row([5, 20, 30], 55, CMS) == ([HIDDEN, HIDDEN, 30], 55)


def test_two_hidden_cells_at_the_end_of_their_range_take_a_third():
    assert protect_row([10, 10, 30], 50, CMS) == ([HIDDEN, HIDDEN, HIDDEN], 50)
    assert protect_row([1, 1, 30], 32, CMS) == ([HIDDEN, HIDDEN, HIDDEN], 32)


def test_where_nothing_is_left_to_hide_the_total_goes():
    assert protect_row([4], 4, CMS) == ([HIDDEN], HIDDEN)
    assert protect_row([0, 9, 0], 9, CMS) == ([0, HIDDEN, 0], HIDDEN)


def test_zero_shows_and_a_row_without_small_cells_is_left_alone():
    assert protect_row([0, 11, 12], 23, CMS) == ([0, 11, 12], 23)


def test_without_a_total_nothing_can_be_derived():
    assert protect_row([5, 20], None, CMS) == ([HIDDEN, 20], None)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 14), min_size=1, max_size=4))
def test_every_small_cell_keeps_at_least_two_possible_values(row):
    rule = CellRule(5)
    cells, total = protect_row(row, sum(row), rule)
    hidden = [index for index, cell in enumerate(cells) if cell == HIDDEN]
    small = [index for index, count in enumerate(row) if 1 <= count <= rule.suppress_to]
    assert set(small) <= set(hidden)
    if total == HIDDEN or not small:
        return
    rest = total - sum(cell for cell in cells if cell != HIDDEN)
    fits = [values for values in product(range(1, 15), repeat=len(hidden)) if sum(values) == rest]
    for index in small:
        assert len({values[hidden.index(index)] for values in fits}) >= 2


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=2), min_size=2, max_size=2))
def test_no_small_cell_of_a_table_is_fixed_by_its_totals(cells):
    rule = CellRule(3)
    shown = protect_table(cells, rule)
    full = [[*row, sum(row)] for row in cells] + [[sum(column) for column in zip(*cells, strict=True)]]
    full[2].append(sum(map(sum, cells)))
    free = [(row, at) for row in range(2) for at in range(2) if shown[row][at] == HIDDEN]
    possible = set()
    for values in product(range(1, 19), repeat=len(free)):
        guess = [[shown[row][at] for at in range(2)] for row in range(2)]
        for (row, at), value in zip(free, values, strict=True):
            guess[row][at] = value
        sums = [sum(row) for row in guess] + [sum(column) for column in zip(*guess, strict=True)]
        totals = [shown[0][2], shown[1][2], shown[2][0], shown[2][1]]
        if all(total in (HIDDEN, got) for total, got in zip(totals, sums, strict=True)) and (
            shown[2][2] in (HIDDEN, sum(map(sum, guess)))
        ):
            possible.add(values)
    for index, (row, at) in enumerate(free):
        if 1 <= cells[row][at] <= rule.suppress_to:
            assert len({values[index] for values in possible}) >= 2, (cells, shown)


def test_rounding_that_nests_joins_and_rounding_that_does_not_is_for_a_person():
    assert join(CellRule(7, 5), CellRule(10, 10)) == CellRule(10, 10)
    assert join(CellRule(7, 5), CellRule(4, 3)) is None
    assert join(CMS, HES) == CellRule(10, 5)
