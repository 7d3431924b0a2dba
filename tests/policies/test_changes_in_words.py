"""Versions of a regime compared in plain sentences, conditions in words, and other texts for a rule file."""

from dataclasses import fields, replace
from datetime import date

import pytest

from policies import changes, loader, wording
from policies.faults import RuleFault
from policies.model import Decision, Otherwise, Rule

RULES = loader.load()
FILE = "us-hipaa-safe-harbor.yaml"
TEXT = loader.text_of(FILE)


def _replaced(old, new, text=TEXT, file=FILE):
    assert old in text
    rules = loader.load(replaced={file: text.replace(old, new)})
    pick = lambda all_of: next(regime for regime in all_of.regimes if regime.file == file)  # noqa: E731
    return changes.between(pick(RULES), pick(rules)), rules


def test_the_same_text_says_nothing():
    assert _replaced("a", "a")[0] == []
    assert _replaced("regime:", "# a comment\nregime:")[0] == []


def test_a_number_that_changed_is_told_from_what_to_what():
    assert _replaced("age_top: 89", "age_top: 84")[0] == ["US-HIPAA-SH-C-AGE: age top 89 → 84"]


def test_a_rule_added_or_taken_out_is_told_with_its_sentence():
    head, rule = TEXT.split("- id: US-HIPAA-SH-A\n")[0], "- id: US-HIPAA-SH-A\n"
    body = TEXT.split(rule)[1].split("- id:")[0]
    gone = loader.load(replaced={FILE: head + TEXT.split(rule + body)[1]})
    before, after = (next(r for r in rules.regimes if r.file == FILE) for rules in (RULES, gone))
    sentence = RULES.rule("US-HIPAA-SH-A")[0].ref.sentence
    assert changes.between(before, after) == [f"US-HIPAA-SH-A is taken out: {sentence}"]
    added = changes.between(after, before)
    assert len(added) == 1
    assert "US-HIPAA-SH-A is added" in added[0]
    assert sentence in added[0]


def test_the_end_of_a_rule_is_told():
    told, _ = _replaced("- id: US-HIPAA-SH-D\n", "- id: US-HIPAA-SH-D\n  effective_to: 2027-03-31\n")
    assert told == ["US-HIPAA-SH-D: no longer in force after 2027-03-31"]


OTHER = {
    "kind": "records", "verified": False, "source": "elsewhere", "verified_on": date(2001, 1, 1),
    "effective_from": date(2001, 1, 1), "effective_to": date(2090, 1, 1), "when": {"given": "purpose"},
    "defines": "a_term", "requires": {"given": "purpose"}, "otherwise": Otherwise(Decision.DENY, "do otherwise"),
    "duties": RULES.rule("US-HIPAA-SH-APPLY")[0].duties, "data": {"k": 99}, "sets": {"a_flag": "on"},
    "expires": {"on": date(2090, 1, 1)}, "transforms_by": {"finding": "safe_harbor_changes"}, "data_from": "a_paper",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted({each.name for each in fields(Rule)} - {"file", "line"}))
def test_no_field_of_a_rule_changes_in_silence(name):
    regime = next(regime for regime in RULES.regimes if regime.file == FILE)
    first = regime.rules[0]
    value = replace(first.ref, sentence="Something else is said here.") if name == "ref" else OTHER[name]
    changed = replace(regime, rules=(replace(first, **{name: value}), *regime.rules[1:]))
    assert changes.between(regime, changed)


@pytest.mark.parametrize("change", [{"title": "x"}, {"jurisdiction": "x"}, {"binds": {"given": "purpose"}},
                                    {"publishes": {"a": {"term": "b"}}}])  # fmt: skip
def test_no_field_of_a_regime_changes_in_silence(change):
    regime = next(regime for regime in RULES.regimes if regime.file == FILE)
    assert changes.between(regime, replace(regime, **change))


def test_every_condition_and_effect_of_every_rule_can_be_told():
    for regime in RULES.regimes:
        assert "{" not in wording.condition(regime.binds)
        for rule in regime.rules:
            told = [wording.condition(rule.when), *wording.effects(rule), wording.span(rule)]
            assert all(told)
            assert not any("{" in words or "None" in words for words in told if "{destination}" not in words)
            assert wording.effects(rule)


def test_conditions_read_like_sentences():
    given = {"all": [{"field": "mode", "is": "controlled"}, {"any": [{"given": "a.b"}, {"not": {"term": "x_y"}}]}]}
    assert wording.condition(given) == "`mode` is controlled and (`a.b` is stated or not (“x y” holds))"


def test_another_text_makes_another_bundle_and_leaves_the_rest():
    _, rules = _replaced("age_top: 89", "age_top: 84")
    assert rules.bundle != RULES.bundle
    assert loader.load(replaced={FILE: TEXT}).bundle == RULES.bundle
    assert [r for r in rules.regimes if r.file != FILE] == [r for r in RULES.regimes if r.file != FILE]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("age_top: 89", "age_top: old"),
        ("age_top: 89", "age_tip: 89"),
        ("regime: us-hipaa-safe-harbor", "regime: mine"),
        ("  when: {always: true}", "  when: {always: false}"),
        ("- id: US-HIPAA-SH-B", "- id: US-HIPAA-SH-A"),
        ("rules:", "rules: []\nmore:"),
    ],
)
def test_another_text_is_checked_like_a_file(old, new):
    with pytest.raises(RuleFault) as told:
        loader.load(replaced={FILE: TEXT.replace(old, new, 1)})
    assert told.value.place.startswith(f"{FILE}:")


def test_only_a_file_that_exists_is_replaced():
    with pytest.raises(RuleFault, match="no such rule file"):
        loader.load(replaced={"mine.yaml": TEXT})
