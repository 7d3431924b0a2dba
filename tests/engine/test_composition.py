from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudonymization.classes import table_of
from pseudonymization.composition import Reason, ReleaseView, Unsafe, compose, joint_sizes, least, offers, view_of
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


def oracle(views, safeguards):
    """The joint view, told by plain loops: whether it is safe, classes and holders alike."""
    seen, held = Counter(), Counter()
    everybody = {subject for view in views for subject in view.subjects}
    for subject in everybody:
        row = tuple(dict(zip(v.subjects, v.classes.tolist(), strict=True)).get(subject) for v in views)
        seen[row] += 1
        held[tuple(cell is not None for cell in row)] += 1
    alone = sum(1 for count in seen.values() if count == 1)
    average = safeguards.attempt * len(seen) / len(everybody)
    safe = min(seen.values()) >= safeguards.k and average <= safeguards.average_risk + 1e-12
    return safe and alone <= safeguards.uniques * len(everybody) and min(held.values()) >= least(safeguards)


demands = st.sampled_from(
    [
        Safeguards(k=3, blank_limit=0.4),
        Safeguards(average_risk=0.25, uniques=0.0, blank_limit=0.4),
        Safeguards(k=2, average_risk=0.3, blank_limit=0.4),
    ]
)
levels_of = st.fixed_dictionaries({"AGE": st.integers(0, 3), "SEX": st.integers(0, 1)})
taken_of = st.one_of(st.just(0.0), st.sampled_from([0.1, 0.5]))


@settings(max_examples=120, deadline=None)
@given(demands, st.lists(st.tuples(levels_of, taken_of, taken_of), min_size=2, max_size=3), st.integers(0, 2**16))
def test_the_guard_and_a_plain_joiner_agree_and_every_offer_is_safe_by_the_plain_one(demanded, plans, seed):
    generator = np.random.default_rng(seed)
    codes = np.stack([generator.integers(0, 16, 24), generator.integers(0, 2, 24)], axis=1).astype(np.int32)
    views, tables = [], []
    for at, (levels, left_out, blanked) in enumerate(plans):
        stay = np.flatnonzero(generator.random(24) >= left_out)[: 24 - at]
        ids = [f"s{one}" for one in stay]
        tables.append(table_of(ids, ["AGE", "SEX"], codes[stay], [AGES, ["F", "M"]]))
        views.append(view_of(f"R{at}", tables[-1], LADDERS, levels, generator.random(len(stay)) < blanked))
    *earlier, new = views
    found = compose(earlier, new, demanded)
    if found.passes:
        nothing_new = len(joint_sizes(earlier)) == len(joint_sizes(views))
        assert oracle(views, demanded) or nothing_new
    else:
        assert found.because_of
        assert found.reasons == (Reason.BLANKED,) or not oracle(views, demanded)
    for offer in offers(tables[-1], LADDERS, demanded, earlier):
        offered = view_of("offer", tables[-1], LADDERS, offer.found.levels, offer.found.blanked)
        assert oracle([offered], demanded)
        assert oracle([*earlier, offered], demanded) or len(joint_sizes([*earlier, offered])) == len(
            joint_sizes(earlier)
        )


def test_a_cell_blanked_once_stays_blank_at_that_level_and_finer():
    table, mask = study(), np.zeros(64, dtype=bool)
    mask[:8] = True
    first = view_of("R1", table, LADDERS, {"AGE": 2, "SEX": 0}, mask)
    loose = Safeguards(k=1)
    for levels, passes in (({"AGE": 2, "SEX": 0}, False), ({"AGE": 1, "SEX": 0}, False), ({"AGE": 3, "SEX": 0}, True)):
        found = compose([first], released("R2", table, **levels), loose)
        assert found.passes == passes
        assert found.because_of == (() if passes else ("R1",))
        assert found.reasons == (() if passes else (Reason.BLANKED,))


def test_the_pinned_offer_blanks_whom_the_earlier_release_blanked():
    """Though nobody would have to be blanked in the second by itself."""
    table, mask = study(), np.zeros(64, dtype=bool)
    mask[:8] = True
    first = view_of("R1", table, LADDERS, {"AGE": 2, "SEX": 0}, mask)
    demanded = Safeguards(k=4, blank_limit=0.2)
    pinned = [offer for offer in offers(table, LADDERS, demanded, [first]) if "pinned" in offer.how]
    assert [(dict(one.found.levels), one.found.blanked.tolist()) for one in pinned] == [
        ({"AGE": 2, "SEX": 0}, mask.tolist())
    ]


@pytest.mark.parametrize("fewer", [1, 3])
def test_releases_of_nearly_the_same_subjects_are_refused_even_without_a_quasi_identifier(fewer):
    ids = tuple(f"s{at}" for at in range(40))
    everybody = ReleaseView("R1", ids, np.zeros(40, dtype=np.int64), {})
    part = ReleaseView("R2", ids[fewer:], np.zeros(40 - fewer, dtype=np.int64), {})
    for earlier, new in ((everybody, part), (part, everybody)):
        found = compose([earlier], new, DEMANDED)
        assert (found.passes, found.because_of) == (False, (earlier.name,))
        assert Reason.SUBJECTS in found.reasons
    enough = ReleaseView("R3", ids[4:], np.zeros(36, dtype=np.int64), {})
    assert compose([everybody], enough, DEMANDED).passes


def test_the_fewest_to_be_released_follow_from_every_demand():
    assert [least(one) for one in (Safeguards(), Safeguards(uniques=0.0), Safeguards(k=5))] == [1, 2, 5]
    assert least(Safeguards(average_risk=0.09)) == 12
    assert least(Safeguards(average_risk=0.09, attempt=0.27)) == 3


def test_what_adds_nothing_passes_though_the_earlier_ones_are_unsafe_together():
    table = study()
    earlier = [released("R1", table, AGE=0, SEX=1), released("R2", table, AGE=2, SEX=0)]
    assert not compose(earlier[:1], earlier[1], DEMANDED).passes
    assert compose(earlier, released("R3", table, AGE=2, SEX=0), DEMANDED).passes
