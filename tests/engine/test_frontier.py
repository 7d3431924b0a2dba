"""Alternatives for a person to choose from: all safe, none beaten, the optimum among them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudonymization.classes import table_of
from pseudonymization.faults import Unreachable
from pseudonymization.frontier import alternatives
from pseudonymization.hierarchies import of_labels
from pseudonymization.risk import limits
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import optimal

AGES = [str(age) for age in range(60, 76)]
LADDERS = {
    "AGE": of_labels(
        "AGE",
        AGES,
        [AGES, *[[f"{int(a) // w * w}+" for a in AGES] for w in (4, 8)], ["*"] * len(AGES)],
        ["exact", "4", "8", "none"],
    ),
    "SEX": of_labels("SEX", ["F", "M"], [["F", "M"], ["*", "*"]], ["exact", "none"]),
    "RACE": of_labels("RACE", ["A", "B", "W"], [["A", "B", "W"], ["other", "other", "W"], ["*"] * 3], ["", "w", "*"]),
}


def study(seed, subjects=70):
    generator = np.random.default_rng(seed)
    codes = np.stack([generator.integers(0, size, subjects) for size in (16, 2, 3)], axis=1).astype(np.int32)
    domains = [AGES, ["F", "M"], ["A", "B", "W"]]
    return table_of([f"s{at}" for at in range(subjects)], list(LADDERS), codes, domains)


def figures(one):
    return (-one.maximum_risk, -one.average_risk, -one.uniques, -one.blanked, *one.columns.values())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**16), st.sampled_from([1, 3, 5]), st.sampled_from([0.0, 0.1, 0.3]))
def test_every_alternative_meets_the_safeguards_and_none_is_beaten_in_everything(seed, k, blank_limit):
    table, demanded = study(seed), Safeguards(k=k, uniques=0.0, average_risk=0.5, blank_limit=blank_limit)
    found = alternatives(table, LADDERS, demanded)
    bounds = limits(demanded, 70)
    assert found
    for one in found:
        again = optimal(table, LADDERS, Safeguards(k=one.k, uniques=0.0, average_risk=0.5, blank_limit=one.blank_limit),
                        fixed=one.levels)  # fmt: skip
        assert 1 - again.loss == pytest.approx(one.granularity), "picked by its levels and demands, it is the same"
        assert one.k >= k
        assert one.blank_limit <= blank_limit
        assert 1 / one.maximum_risk >= max(k, 2) - 1e-9
        assert one.average_risk * 70 <= bounds.classes + 1e-9
        assert one.blanked * 70 <= bounds.blanks + 1e-9
        assert not any(
            min(b - a for a, b in zip(figures(one), figures(other), strict=True)) >= 0
            and figures(one) != figures(other)
            for other in found
        )
    assert max(one.granularity for one in found) == pytest.approx(1 - optimal(table, LADDERS, demanded).loss)


def test_each_column_can_be_asked_to_stay_precise():
    table, demanded = study(3), Safeguards(k=5, blank_limit=0.1)
    found = alternatives(table, LADDERS, demanded)
    whole = {one.why: one for one in found}
    best = {name: max(one.columns[name] for one in found) for name in LADDERS}
    assert best["SEX"] > 0.9
    assert best["AGE"] > min(one.columns["AGE"] for one in found)
    assert all(one.proven for one in whole.values())


def test_alternatives_are_told_with_all_figures():
    (*_, last) = alternatives(study(4), LADDERS, Safeguards(k=5))
    told = last.to_dict()
    assert set(told) == {"why", "k", "blank_limit", "levels", "columns", "granularity", "blanked", "maximum_risk",
                         "average_risk", "uniques", "proven"}  # fmt: skip


def test_what_cannot_be_reached_leaves_no_alternative():
    assert alternatives(study(5, subjects=4), LADDERS, Safeguards(k=5, blank_limit=0.0)) == []


def test_too_many_recodings_are_refused(monkeypatch):
    monkeypatch.setattr("pseudonymization.frontier.LARGEST", 10)
    with pytest.raises(Unreachable, match="too many recodings"):
        alternatives(study(6), LADDERS, Safeguards(k=5))
