import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudonymization.analysis import association_changes, cramers_v, marginal_distances
from pseudonymization.classes import table_of
from pseudonymization.hierarchies import of_labels
from pseudonymization.utility import utility_of
from tests.engine.plain import plain_v
from tests.engine.studies import studies


def plain_distance(values, ladder, level, blanked):
    """Half the sum of differences, leaf by leaf in fractions; here a hierarchy's leaves are its domain."""
    labels = ladder.labels_of(level)
    before = [Fraction(0)] * len(labels)
    after = list(before)
    for members, gone in zip(values, blanked, strict=True):
        shown = {labels[member] for member in members}
        covered = [v for v, label in enumerate(labels) if gone or label in shown]
        for member in members:
            before[member] += Fraction(1, len(members))
        for leaf in covered:
            after[leaf] += Fraction(1, len(covered))
    return sum(abs(a - b) for a, b in zip(before, after, strict=True)) / 2 / len(values)


@settings(max_examples=200, deadline=None)
@given(studies(columns=3, subjects=20), st.data())
def test_marginals_and_associations_are_what_plain_loops_find(study, data):
    table, ladders = study
    n = len(table.subjects)
    levels = {name: data.draw(st.integers(0, ladders[name].height)) for name in table.names}
    blanked = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    distances = marginal_distances(table, ladders, levels, blanked)
    for at, name in enumerate(table.names):
        values = [(code,) for code in table.codes[:, at].tolist()]
        expected = plain_distance(values, ladders[name], levels[name], blanked)
        assert distances[name] == pytest.approx(float(expected), abs=1e-12)
    columns = {
        name: (table.codes[:, at].tolist(), ladders[name].codes[levels[name]][table.codes[:, at]].tolist())
        for at, name in enumerate(table.names)
    }
    for (one, other), change in association_changes(table, ladders, levels, blanked).items():
        before = plain_v(list(zip(columns[one][0], columns[other][0], strict=True)))
        shown = zip(columns[one][1], columns[other][1], blanked.tolist(), strict=True)
        assert change == pytest.approx(plain_v([(a, b) for a, b, gone in shown if not gone]) - before, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(0, 3), min_size=1), min_size=1, max_size=10), st.integers(0, 2), st.data())
def test_a_subject_with_several_values_is_spread_over_all_that_its_labels_cover(values, level, data):
    domain = list("abcd")
    ladder = of_labels("Q", domain, [domain, ["x", "x", "y", "y"], ["*"] * 4], ["0", "1", "2"])
    held = [tuple(sorted(members)) for members in values]
    sets = sorted(set(held))
    codes = np.array([[sets.index(members)] for members in held], dtype=np.int32)
    table = table_of([str(at) for at in range(len(held))], ["Q"], codes, [domain], [sets])
    blanked = np.array(data.draw(st.lists(st.booleans(), min_size=len(held), max_size=len(held))))
    found = marginal_distances(table, {"Q": ladder}, {"Q": level}, blanked)["Q"]
    assert found == pytest.approx(float(plain_distance(held, ladder, level, blanked)), abs=1e-12)


def test_perfect_association_is_one_and_independence_none():
    one = np.repeat(np.arange(4), 25)
    assert cramers_v(one, one, np.ones(100)) == pytest.approx(1.0)
    assert cramers_v(one, np.tile(np.arange(4), 25), np.ones(100)) == 0.0
    assert cramers_v(one, np.zeros(100, dtype=np.int64), np.ones(100)) == 0.0


def test_what_is_spread_onto_values_that_nobody_has_is_lost_and_the_report_is_json():
    domain = list("abcd")
    ladder = of_labels("Q", domain, [domain, ["*"] * 4], ["exact", "none"])
    table = table_of(["1", "2"], ["Q"], np.array([[0], [1]], dtype=np.int32), [["a", "b"]])
    utility = utility_of(table, {"Q": ladder}, {"Q": 1}, np.zeros(2, dtype=bool))
    assert utility.marginals == {"Q": 0.5}
    assert json.loads(json.dumps(utility.to_dict()))["associations"] == []
