"""The cases of the law: each must come out as its article says; leaving out any rule of the main files must show."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from policies.decide import decide
from tests.policies import cases, chapter, mutation

ALL = cases.read()
EXAMPLES = Path(__file__).resolve().parents[3] / "shared" / "examples" / "decisions.yaml"


@pytest.mark.parametrize("case", ALL, ids=[case.id for case in ALL])
def test_case(rules, case):
    assert cases.misses(case.expected, decide(case.facts, rules, case.as_of)) == []


def test_there_are_enough_cases():
    assert len(ALL) >= 150


def test_the_worked_examples_come_out_as_expected(rules):
    if not EXAMPLES.exists():
        pytest.skip("the shared worked examples are not beside this checkout")
    scenarios = YAML(typ="safe", pure=True).load(EXAMPLES.read_text(encoding="utf-8"))["scenarios"]
    assert scenarios
    for scenario in scenarios:
        verdict = decide(scenario["request"], rules, cases._day(scenario["as_of"]))
        expected = scenario["expected"]
        assert verdict.decision in [expected["decision"], *expected.get("acceptable", [])], scenario["id"]
        assert set(expected.get("missing", [])) <= set(verdict.missing), scenario["id"]
        for name, value in expected.get("flags", {}).items():
            assert verdict.flags.get(name) == value, (scenario["id"], name)


def test_rules_are_law_on_the_days_their_articles_say(rules):
    assert mutation.out_of_calendar(rules) == []


@pytest.mark.parametrize("name", mutation.NAMED)
def test_leaving_out_any_rule_is_noticed_by_a_case(rules, name):
    regime = next(regime for regime in rules.regimes if regime.id == name)
    left_out = [mutant for mutant in mutation.mutants(rules, regime) if mutant.what == "left out"]
    assert left_out
    unnoticed = [
        mutant.rule.id
        for mutant in left_out
        if not mutation.noticed(mutant.rules, mutation.ordered(ALL, mutant.rule), by_calendar=False)
    ]
    assert unnoticed == []


def test_the_chapter_is_the_one_that_is_committed():
    assert chapter.PAGE.read_text(encoding="utf-8") == chapter.text(), "run: python -m tests.policies.chapter"
