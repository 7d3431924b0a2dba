"""The tables of policies/README.md are the rules that are loaded, and every rule it speaks of exists."""

import re

from policies.describe import PAGE, renewed


def test_the_generated_tables_are_up_to_date(rules):
    page = PAGE.read_text(encoding="utf-8")
    assert page == renewed(page, rules), "run: python -m policies.describe"


def test_every_rule_named_in_the_text_exists(rules):
    text = PAGE.read_text(encoding="utf-8").split("<!-- generated")[0]
    named = set(re.findall(r"\b(?:EU|US|CN|SANCTIONS|RECORDS)-[A-Z0-9-]+[A-Z0-9]\b", text))
    assert named
    assert [name for name in sorted(named) if not rules.rule(name)] == []


def test_every_rule_has_one_sentence_that_ends(rules):
    for regime in rules.regimes:
        for rule in regime.rules:
            assert rule.ref.sentence.endswith("."), rule.id
            assert rule.ref.sentence[0].isupper() or rule.ref.sentence[0].isdigit(), rule.id
