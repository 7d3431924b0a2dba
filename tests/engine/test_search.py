import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudonymization.classes import table_of
from pseudonymization.faults import Unreachable, Unresolved
from pseudonymization.hierarchies import of_labels
from pseudonymization.objective import Loss
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import optimal
from pseudonymization.utility import utility_of
from tests.engine.oracle import best, classes_of, holds, rows_at, settle
from tests.engine.studies import safeguards, studies


@settings(max_examples=500, deadline=None)
@given(studies(), safeguards)
def test_the_optimum_is_the_oracles(study, demanded):
    table, ladders = study
    lifted, rows = table.lifted(ladders), table.codes.tolist()
    expected = best(rows, lifted, demanded)
    if expected is None:
        with pytest.raises(Unreachable):
            optimal(table, ladders, demanded)
        return
    found = optimal(table, ladders, demanded)
    node = tuple(found.levels[name] for name in table.names)
    assert found.proven_optimal
    assert found.loss == pytest.approx(float(expected[0]), abs=1e-9)
    assert float(settle(rows, lifted, node, demanded)[0]) == pytest.approx(float(expected[0]), abs=1e-9)


@pytest.mark.parametrize("loss", [Loss.DISCERNIBILITY, Loss.AVERAGE_CLASS, Loss.ENTROPY])
@settings(max_examples=150, deadline=None)
@given(studies(), safeguards, st.data())
def test_the_optimum_is_the_oracles_for_every_loss(loss, study, demanded, data):
    table, ladders = study
    lifted, rows = table.lifted(ladders), table.codes.tolist()
    weights = {name: data.draw(st.integers(1, 3)) for name in table.names}
    listed = list(weights.values())
    expected = best(rows, lifted, demanded, listed, loss=loss.value)
    if expected is None:
        with pytest.raises(Unreachable):
            optimal(table, ladders, demanded, loss=loss, weights=weights)
        return
    found = optimal(table, ladders, demanded, loss=loss, weights=weights)
    node = tuple(found.levels[name] for name in table.names)
    assert found.proven_optimal
    assert found.loss == found.bound == pytest.approx(float(expected[0]), abs=1e-9)
    lost, blanked = settle(rows, lifted, node, demanded, listed, loss.value)
    assert float(lost) == pytest.approx(found.loss, abs=1e-9)
    assert blanked == found.blanked.sum()


@settings(max_examples=100, deadline=None)
@given(studies(), safeguards)
def test_the_losses_are_those_the_utility_room_measures(study, demanded):
    table, ladders = study
    n = len(table.subjects)
    for loss in Loss:
        try:
            found = optimal(table, ladders, demanded, loss=loss)
        except Unreachable:
            return
        left = utility_of(table, ladders, found.levels, found.blanked)
        classes = (n - found.blanked.sum()) / left.average_class if left.average_class else 0
        told = {
            Loss.GRANULARITY: 1 - left.granularity,
            Loss.DISCERNIBILITY: left.discernibility / n**2,
            Loss.AVERAGE_CLASS: 1 / (classes + found.blanked.any()),
            Loss.ENTROPY: 1 - left.entropy,
        }
        assert found.loss == pytest.approx(told[loss], abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(studies(), safeguards)
def test_the_subjects_blanked_leave_a_view_in_which_every_safeguard_holds(study, demanded):
    table, ladders = study
    try:
        found = optimal(table, ladders, demanded)
    except Unreachable:
        return
    lifted, rows = table.lifted(ladders), table.codes.tolist()
    node = tuple(found.levels[name] for name in table.names)
    keys = [key for key, gone in zip(rows_at(rows, lifted, node), found.blanked, strict=True) if not gone]
    sizes = [len(members) for members in classes_of(keys).values()]
    blanked = int(found.blanked.sum())
    assert holds(sizes, blanked, demanded, len(rows))
    assert settle(rows, lifted, node, demanded)[1] == blanked


@settings(max_examples=150, deadline=None)
@given(studies(), safeguards, st.data())
def test_weights_fixed_and_forbidden_levels_are_obeyed_optimally(study, demanded, data):
    table, ladders = study
    lifted, rows = table.lifted(ladders), table.codes.tolist()
    weights = {name: data.draw(st.integers(1, 4)) for name in table.names}
    name = data.draw(st.sampled_from(table.names))
    at = table.names.index(name)
    level = data.draw(st.integers(0, lifted[at].height))
    fixed = data.draw(st.booleans())
    steer = {"fixed": {name: level}} if fixed else {"forbidden": {name: [level]}}
    expected = best(rows, lifted, demanded, list(weights.values()), lambda node: (node[at] == level) == fixed)
    if expected is None:
        with pytest.raises((Unreachable, Unresolved)):
            optimal(table, ladders, demanded, weights=weights, **steer)
        return
    found = optimal(table, ladders, demanded, weights=weights, **steer)
    assert (found.levels[name] == level) is fixed
    assert found.loss == pytest.approx(float(expected[0]), abs=1e-9)


def study_of(rows, heights=2):
    names = [f"q{at}" for at in range(len(rows[0]))]
    domains = [sorted({row[at] for row in rows}) for at in range(len(names))]
    ladders = {n: of_labels(n, d, [d, ["*"] * len(d)], ["exact", "none"]) for n, d in zip(names, domains, strict=True)}
    codes = np.array([[d.index(v) for d, v in zip(domains, row, strict=True)] for row in rows], dtype=np.int32)
    return table_of([str(at) for at in range(len(rows))], names, codes, domains), ladders


def test_a_single_outlier_is_never_blanked_alone():
    table, ladders = study_of([("a",)] * 9 + [("b",)])
    found = optimal(table, ladders, Safeguards(k=3, blank_limit=0.3))
    assert found.levels == {"q0": 0}
    assert found.blanked.sum() == 3
    assert found.blanked[9]


def test_k_above_the_number_of_subjects_says_what_can_be_reached():
    table, ladders = study_of([("a",), ("b",), ("b",)])
    with pytest.raises(Unreachable) as caught:
        optimal(table, ladders, Safeguards(k=4))
    assert caught.value.nearest["k"] == 3


def test_a_floor_that_makes_the_demand_impossible_names_the_share_that_would_have_to_be_blanked():
    table, ladders = study_of([("a",)] * 8 + [("b",)] * 2)
    with pytest.raises(Unreachable) as caught:
        optimal(table, ladders, Safeguards(k=4, blank_limit=0.1), forbidden={"q0": [1]})
    assert caught.value.nearest["blank_limit"] == pytest.approx(0.4)
    assert "a" not in caught.value.nearest


def test_all_alike_and_one_subject_stay_as_they_are():
    for rows in ([("a", "x")], [("a", "x")] * 5):
        table, ladders = study_of(rows)
        found = optimal(table, ladders, Safeguards(k=len(rows)))
        assert found.loss == 0
        assert not found.blanked.any()


@pytest.mark.parametrize("loss", list(Loss))
def test_without_quasi_identifiers_nothing_is_recoded(loss):
    table = table_of(["1", "2", "3"], [], np.zeros((3, 0), dtype=np.int32), [])
    found = optimal(table, {}, Safeguards(k=3), loss=loss)
    assert found.levels == {}
    assert not found.blanked.any()


def test_an_average_risk_is_compared_exactly():
    rows = [("a",)] * 10 + [("b",)] * 10
    table, ladders = study_of(rows)
    assert optimal(table, ladders, Safeguards(average_risk=0.1)).levels == {"q0": 0}
    assert optimal(table, ladders, Safeguards(average_risk=0.0999, blank_limit=0.0)).levels == {"q0": 1}


def test_a_weight_for_a_column_that_is_none_is_refused():
    table, ladders = study_of([("a",)])
    with pytest.raises(Unresolved, match="weight"):
        optimal(table, ladders, Safeguards(), weights={"nope": 1.0})
