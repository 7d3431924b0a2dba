"""The regimes of the first line, complete to the article, on requests as the gateway makes them."""

from datetime import date

import pytest

from policies.decide import decide
from policies.faults import FactFault
from policies.model import Decision
from pseudonymization.safeguards import DateRule, GeographyRule, TextRule

TODAY = date(2026, 11, 22)


def request(*, origin="US", exporter="US", roles=("trial_sponsor",), to="GB", mode="controlled", **more):
    return {
        "subjects": [{"country": origin, "count": 306}],
        "categories": ["health"],
        "identifiability": "pseudonymised",
        "exporter": {"org": "Sponsor", "country": exporter, "roles": list(roles)},
        "recipient": {"org": "University", "country": to, "sanctions_hit": "none"},
        "transfer": {"destination": to, "mode": mode, "prior_12m": {}},
        "purpose": "scientific_research",
        **more,
    }


@pytest.mark.parametrize("to", ["GB", "CA", "US"])
def test_a_sponsors_controlled_release_to_a_university_goes_on(rules, to):
    verdict = decide(request(to=to), rules, TODAY)
    assert verdict.may_go_on, (verdict.reviews, verdict.missing)


def test_a_controlled_release_meets_the_average_risk_of_files_handed_over(rules):
    demanded = decide(request(), rules, TODAY).policy.safeguards
    assert (demanded.average_risk, demanded.attempt, demanded.uniques, demanded.blank_limit) == (0.09, 0.27, 0.0, 0.1)
    assert (demanded.k, demanded.dates, demanded.text) == (1, DateRule.SHIFT, TextRule.REDACT)


def test_a_public_release_meets_the_maximum_risk_as_k_11(rules):
    verdict = decide(request(mode="public"), rules, TODAY)
    demanded = verdict.policy.safeguards
    assert (demanded.k, demanded.attempt, demanded.text) == (11, 1.0, TextRule.DROP)
    assert verdict.policy.values["max_risk"] == 0.09
    assert verdict.flags["risk_test"] == "maximum"
    assert verdict.policy.values["approvers"] == 1
    assert {ref.regime for ref in verdict.policy.winners["k"]} == {"eu-ema-policy-0070", "ca-prci"}


def test_public_release_is_the_same_by_kind_as_by_mode(rules):
    by_kind = request()
    by_kind["transfer"] = {"destination": "GB", "kind": "public_release", "prior_12m": {}}
    assert decide(by_kind, rules, TODAY).policy.safeguards.k == 11


@pytest.mark.parametrize(
    ("metrics", "held"),
    [
        ({"k_min": 10}, True),
        ({"k_min": 11}, False),
        ({"max_risk": 0.0909}, False),
        ({"max_risk": 0.1}, True),
        ({"k_min": 11, "max_risk": 0.1}, True),
    ],
)
def test_a_measured_class_of_ten_is_not_published_and_eleven_is(rules, metrics, held):
    verdict = decide(request(mode="public", metrics=metrics), rules, TODAY)
    assert (verdict.decision is Decision.DENY) == held


def test_an_average_alone_does_not_open_publication(rules):
    verdict = decide(request(mode="public", metrics={"avg_risk": 0.01}), rules, TODAY)
    assert "metrics.max_risk" in verdict.missing
    assert not verdict.may_go_on


def test_safe_harbor_binds_a_covered_entity_to_all_eighteen(rules):
    verdict = decide(request(roles=["hipaa_covered_entity"]), rules, TODAY)
    policy = verdict.policy
    assert (
        len({ref.rule for ref in policy.winners["removed"]} & {f"US-HIPAA-SH-{x}" for x in "ABCDEFGHIJKLMNOPQR"}) == 18
    )
    assert policy.values["zip_digits"] == 3
    assert policy.safeguards.age_top == 89
    assert policy.safeguards.dates is DateRule.STUDY_DAY  # the year of Safe Harbor joined with the house's shift
    assert policy.safeguards.geography is GeographyRule.COUNTRY
    assert {ref.rule for ref in policy.winners["dates"]} == {"US-HIPAA-SH-C", "HOUSE-CONTROLLED-DATES"}


def test_safe_harbor_does_not_bind_a_sponsor_that_is_no_covered_entity(rules):
    assert "US-HIPAA-SH-A" not in {
        ref.rule for refs in decide(request(), rules, TODAY).policy.winners.values() for ref in refs
    }


def test_an_unknown_role_takes_safe_harbor_as_binding(rules):
    unsaid = request()
    del unsaid["exporter"]["roles"]
    assert decide(unsaid, rules, TODAY).policy.values["zip_digits"] == 3


ED = {"type": "expert_determination", "k": 7, "expert": "Dr B", "scope": "this study", "expires": "2026-12-31"}


def test_an_experts_thresholds_are_the_ones_demanded(rules):
    facts = request(roles=["hipaa_covered_entity"], identifiability="expert_determination", instruments=[ED])
    verdict = decide(facts, rules, TODAY)
    assert verdict.may_go_on, verdict.reviews
    assert verdict.policy.safeguards.k == 7
    assert verdict.policy.provenance["k"].rule == "US-HIPAA-ED-THRESHOLDS"
    assert verdict.policy.values["zip_digits"] is None
    assert verdict.expires_at == date(2026, 12, 31)


@pytest.mark.parametrize("day", [date(2026, 12, 31), date(2027, 1, 1)])
def test_an_experts_determination_ends_with_its_last_day(rules, day):
    facts = request(roles=["hipaa_covered_entity"], identifiability="expert_determination", instruments=[ED])
    assert decide(facts, rules, day).may_go_on == (day == date(2026, 12, 31))


@pytest.mark.parametrize("left_out", ["k", "expert", "scope", "expires"])
def test_an_experts_determination_that_does_not_say_enough_is_reviewed(rules, left_out):
    paper = {name: value for name, value in ED.items() if name != left_out}
    facts = request(roles=["hipaa_covered_entity"], identifiability="expert_determination", instruments=[paper])
    verdict = decide(facts, rules, TODAY)
    assert verdict.decision is Decision.REVIEW
    assert f"expert_determination.{left_out}" in verdict.missing


@pytest.mark.parametrize(
    ("origin", "exporter", "to", "bound"),
    [("DE", "US", "US", True), ("US", "DE", "US", True), ("US", "US", "DE", True), ("US", "US", "CA", False)],
)
def test_european_controlled_release_binds_by_origin_exporter_and_destination(rules, origin, exporter, to, bound):
    verdict = decide(request(origin=origin, exporter=exporter, to=to), rules, TODAY)
    named = {ref.regime for refs in verdict.policy.winners.values() for ref in refs}
    assert ("eu-gdpr-controlled" in named) == bound


def test_a_mode_nobody_stated_meets_both(rules):
    unsaid = request()
    del unsaid["transfer"]["mode"]
    demanded = decide(unsaid, rules, TODAY).policy.safeguards
    assert (demanded.k, demanded.uniques, demanded.attempt) == (11, 0.0, 1.0)


def test_subjects_of_several_origins_meet_the_rules_of_each(rules):
    mixed = request()
    mixed["subjects"] = [{"country": "US", "count": 200}, {"country": "DE", "count": 106}]
    verdict = decide(mixed, rules, TODAY)
    assert [part.label for part in verdict.partitions] == ["US", "DE"]
    named = [{ref.regime for refs in part.policy.winners.values() for ref in refs} for part in verdict.partitions]
    assert "eu-gdpr-controlled" not in named[0]
    assert "eu-gdpr-controlled" in named[1]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"recipiant": {}}, "recipiant"),
        ({"recipient": {"org": "U", "contry": "GB"}}, "recipient.contry"),
        ({"recipient": {"org": "U", "country": "UK"}}, "recipient.country"),
        ({"recipient": {"ownership": [{"owner": "A", "pct": "half"}]}}, "recipient.ownership[0].pct"),
        ({"subjects": [{"country": "US", "count": -1}]}, "subjects[0].count"),
        ({"categories": ["helth"]}, "categories[0]"),
        ({"identifiability": "anon"}, "identifiability"),
        ({"transfer": {"kind": "gift"}}, "transfer.kind"),
        ({"metrics": {"k": 3}}, "metrics.k"),
        ({"licences": [{"valid_from": "soon"}]}, "licences[0].valid_from"),
    ],
)
def test_a_fact_outside_the_vocabulary_is_an_error_with_its_path(rules, change, place):
    with pytest.raises(FactFault) as caught:
        decide({**request(), **change}, rules, TODAY)
    assert caught.value.place == place
