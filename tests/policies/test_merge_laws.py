"""The join of data demands: its laws, for any demands whatever."""

from hypothesis import given
from hypothesis import strategies as st

from policies.merge import ACCESS_MODES, NOTHING, SCALES, JoinedPolicy, demands_of, join_dates
from policies.model import RuleRef
from pseudonymization.safeguards import DateRule, GeographyRule, Safeguards, TextRule, TimeOfDay

SHARE = st.floats(0, 1, allow_nan=False)
WORDS = st.frozensets(st.sampled_from("abcd"), max_size=3).map(sorted)
VALUES = {
    "k": st.integers(1, 30),
    "average_risk": SHARE,
    "uniques": SHARE,
    "blank_limit": SHARE,
    "dates": st.sampled_from([rule.value for rule in DateRule]),
    "text": st.sampled_from([rule.value for rule in TextRule]),
    "geography": st.sampled_from([rule.value for rule in GeographyRule]),
    "age_top": st.integers(60, 95),
    "time_of_day": st.booleans() | st.sampled_from([left.value for left in TimeOfDay]),
    "max_risk": SHARE,
    "min_cell": st.integers(0, 20),
    "zip_digits": st.integers(0, 5),
    "removed": WORDS,
    "approvers": st.integers(0, 3),
    "expiry_days": st.integers(1, 900),
    "records_years": st.integers(0, 30),
    "data_retention_days": st.integers(1, 900),
    "breach_notice_hours": st.integers(1, 100),
    "access_mode": st.sampled_from(ACCESS_MODES),
    "destinations": WORDS,
    "recipients": WORDS,
    "purposes": WORDS,
    "instruments": WORDS,
    "conditions": WORDS,
}
REFS = st.builds(RuleRef, st.just("r"), st.sampled_from(["A", "B", "C", "D"]), st.just("art"), st.just("says"))


@st.composite
def policies(draw):
    policy = NOTHING
    for _ in range(draw(st.integers(0, 3))):
        names = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, min_size=1, max_size=4))
        data = {name: draw(VALUES[name]) for name in names}
        if "average_risk" in data and draw(st.booleans()):
            data["attempt"] = draw(SHARE)
        policy = policy.join(JoinedPolicy(frozenset(demands_of(data, draw(REFS)))))
    return policy


def test_every_field_of_the_policy_is_drawn():
    assert set(VALUES) | {"attempt"} == set(SCALES)


def test_every_safeguard_has_a_scale_whose_bottom_demands_nothing():
    assert NOTHING.safeguards == Safeguards()


@given(policies(), policies())
def test_join_is_commutative(one, other):
    assert one.join(other) == other.join(one)
    assert one.join(other).values == other.join(one).values


@given(policies(), policies(), policies())
def test_join_is_associative(one, two, three):
    left, right = one.join(two).join(three), one.join(two.join(three))
    assert left == right
    assert left.winners == right.winners


@given(policies())
def test_join_is_idempotent(one):
    assert one.join(one) == one


@given(policies(), policies())
def test_join_is_never_weaker_than_a_part(one, other):
    both = one.join(other)
    assert both.weaker_than(one) == ()
    assert both.weaker_than(other) == ()


@given(policies(), policies())
def test_the_value_of_a_join_is_the_join_of_the_values(one, other):
    both = one.join(other)
    for name, scale in SCALES.items():
        assert both.values[name] == scale.join(one.values[name], other.values[name])


@given(policies())
def test_every_demanded_field_names_a_rule_and_no_other_does(one):
    assert set(one.provenance) == {demand.field for demand in one.demands}
    for name, refs in one.winners.items():
        assert refs
        assert all(any(d.ref == ref and d.field == name for d in one.demands) for ref in refs)


def test_shift_and_truncation_meet_at_study_days():
    assert join_dates(DateRule.SHIFT, DateRule.MONTH) is DateRule.STUDY_DAY
    assert join_dates(DateRule.YEAR, DateRule.SHIFT) is DateRule.STUDY_DAY
    assert join_dates(DateRule.MONTH, DateRule.YEAR) is DateRule.YEAR
    assert join_dates(DateRule.KEEP, DateRule.SHIFT) is DateRule.SHIFT
    assert join_dates(DateRule.STUDY_DAY, DateRule.YEAR) is DateRule.STUDY_DAY
    assert join_dates(DateRule.DROP, DateRule.STUDY_DAY) is DateRule.DROP
    assert join_dates(DateRule.SHIFT, DateRule.ANCHOR) is DateRule.ANCHOR
    assert join_dates(DateRule.ANCHOR, DateRule.STUDY_DAY) is DateRule.STUDY_DAY
    assert join_dates(DateRule.ANCHOR, DateRule.MONTH) is DateRule.STUDY_DAY


def test_a_risk_without_a_probability_of_attempt_assumes_the_attack():
    ref = RuleRef("r", "A", "art", "says")
    bare = JoinedPolicy(frozenset(demands_of({"average_risk": 0.2}, ref)))
    with_attempt = JoinedPolicy(frozenset(demands_of({"average_risk": 0.09, "attempt": 0.27}, ref)))
    assert bare.join(with_attempt).safeguards.attempt == 1.0
