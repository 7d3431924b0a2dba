import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudonymization.classes import table_of
from pseudonymization.composition import ReleaseView, Unsafe, compose, joint_sizes, offers, view_of
from pseudonymization.hierarchies import of_labels
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import optimal

DEMANDED = Safeguards(k=4, blank_limit=0.0)
AGES = [str(age) for age in range(60, 76)]
LADDERS = {
    "AGE": of_labels(
        "AGE",
        AGES,
        [AGES, *[[f"{int(a) // w * w}+" for a in AGES] for w in (4, 8)], ["*"] * len(AGES)],
        ["exact", "4", "8", "none"],
    ),
    "SEX": of_labels("SEX", ["F", "M"], [["F", "M"]], ["exact"]),
}


def study():
    """64 subjects: four of each age, two of them of each sex."""
    codes = np.array([(age, sex) for age in range(16) for sex in (0, 1) for _ in range(2)], dtype=np.int32)
    return table_of([f"s{at}" for at in range(64)], ["AGE", "SEX"], codes, [AGES, ["F", "M"]])


def released(name, table, **levels):
    return view_of(name, table, LADDERS, levels, np.zeros(len(table.subjects), dtype=bool))


def test_three_releases_safe_one_by_one_are_refused_together_by_the_name_of_the_second():
    table = study()
    first, second = released("R1", table, AGE=2, SEX=1), released("R2", table, AGE=2, SEX=0)
    third = released("R3", table, AGE=0, SEX=1)
    for view in (first, second, third):
        assert compose([], view, DEMANDED).passes
    assert compose([first], second, DEMANDED).passes
    verdict = compose([first, second], third, DEMANDED)
    assert not verdict.passes
    assert verdict.because_of == ("R2",)
    assert verdict.risk.k == 2
    with pytest.raises(Unsafe, match="`R2`") as caught:
        verdict.refuse()
    assert "2" not in str(caught.value).replace("R2", "")


def test_the_guard_offers_a_plan_that_passes_and_is_the_best_of_those():
    table = study()
    earlier = [released("R1", table, AGE=2, SEX=1), released("R2", table, AGE=2, SEX=0)]
    found = offers(table, LADDERS, DEMANDED, earlier)
    assert found
    losses = [offer.found.loss for offer in found]
    assert losses == sorted(losses)
    for offer in found:
        view = view_of("R3", table, LADDERS, offer.found.levels, offer.found.blanked)
        assert compose(earlier, view, DEMANDED).passes
    assert found[0].found.levels == {"AGE": 1, "SEX": 0}
    assert any("R2" in offer.how for offer in found)


def test_one_subject_more_is_found_by_differencing_and_no_recoding_helps():
    table = study()
    part = table_of(table.subjects[:-1], table.names, table.codes[:-1], table.domains)
    earlier = [released("R1", part, AGE=3, SEX=1)]
    assert not compose(earlier, released("R2", table, AGE=3, SEX=1), DEMANDED).passes
    assert offers(table, LADDERS, DEMANDED, earlier) == []


def test_bands_that_overlap_refine_each_other():
    ids = tuple(f"s{at}" for at in range(12))
    one = ReleaseView("R1", ids, np.repeat([0, 1], 6), {})
    two = ReleaseView("R2", ids, np.repeat([0, 1, 2], [2, 8, 2]), {})
    assert sorted(joint_sizes([one, two]).tolist()) == [2, 2, 4, 4]


def test_the_same_release_again_adds_nothing():
    table = study()
    view = released("R1", table, AGE=2, SEX=0)
    assert compose([view, view], view, DEMANDED).passes


partitions = st.lists(st.lists(st.integers(-1, 2), min_size=12, max_size=12), min_size=1, max_size=4)


@settings(max_examples=200, deadline=None)
@given(partitions)
def test_joint_classes_are_what_a_plain_loop_intersects(columns):
    views = []
    for at, column in enumerate(columns):
        here = [(f"s{s}", c) for s, c in enumerate(column) if c >= 0]
        views.append(
            ReleaseView(str(at), tuple(s for s, _ in here), np.array([c for _, c in here], dtype=np.int64), {})
        )
    joint = {}
    for key in zip(*columns, strict=True):
        if any(c >= 0 for c in key):
            joint[key] = joint.get(key, 0) + 1
    assert sorted(joint_sizes(views).tolist()) == sorted(joint.values())


def test_a_pinned_recoding_of_the_same_subjects_blanks_the_same_and_composes():
    generator = np.random.default_rng(5)
    codes = np.stack([generator.integers(0, 16, 90), generator.integers(0, 2, 90)], axis=1).astype(np.int32)
    table = table_of([f"s{at}" for at in range(90)], ["AGE", "SEX"], codes, [AGES, ["F", "M"]])
    demanded = Safeguards(k=4, blank_limit=0.3)
    first = optimal(table, LADDERS, demanded)
    again = optimal(table, LADDERS, demanded, fixed=first.levels)
    views = [view_of(n, table, LADDERS, f.levels, f.blanked) for n, f in (("R1", first), ("R2", again))]
    assert np.array_equal(first.blanked, again.blanked)
    assert compose(views[:1], views[1], demanded).passes
