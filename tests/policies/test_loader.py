"""Rule files and lists that are wrong: each is refused whole, naming file and line."""

import shutil
from datetime import date

import pytest

from policies.conditions import words_of
from policies.decide import decide
from policies.faults import FactFault, RuleFault
from policies.loader import HOME, load

GOOD = """\
regime: test
title: A test regime
jurisdiction: test
rules:
- id: T-1
  article: article 1
  says: Nothing goes to nowhere.
  kind: transfer
  effective_from: 2020-01-01
  effective_to: 2020-12-31
  verified: true
  source: the article
  verified_on: 2026-11-22
  when: {field: exporter.country, is: FR}
  otherwise: {decision: deny, cure: none}
"""


@pytest.fixture
def home(tmp_path):
    (tmp_path / "jurisdictions").mkdir()
    (tmp_path / "lists").mkdir()
    return tmp_path


def put(home, text, name="test.yaml"):
    (home / "jurisdictions" / name).write_text(text, encoding="utf-8")


def test_the_good_file_loads(home):
    put(home, GOOD)
    assert load(home).rule("T-1")[0].line == 5


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("  article: article 1\n", "", 5, "article"),
        ("  source: the article\n", "", 5, "source"),
        ("  verified_on: 2026-11-22\n", "", 5, "verified_on"),
        ("  verified: true\n", "  verified: perhaps\n", 11, "boolean"),
        ("  kind: transfer\n", "  kind: magic\n", 8, "magic"),
        ("  kind: transfer\n", "  kind: transfer\n  colour: red\n", 9, "colour"),
        ("title: A test regime\n", "titel: A test regime\n", 2, "titel"),
        ("effective_to: 2020-12-31", "effective_to: 2019-12-31", 5, "ends before it starts"),
        ("effective_from: 2020-01-01", "effective_from: soon", 9, "date"),
        ("exporter.country", "exporter.contry", 5, "no such fact"),
        ("is: FR", "is: XX", 5, "country"),
        ("is: FR", "equals: FR", 5, "operator"),
        ("is: FR", "in: {list: nowhere}", 5, "no such list"),
        ("{field: exporter.country, is: FR}", "{term: undefined_term}", 5, "undefined_term"),
        ("{field: exporter.country, is: FR}", "{test: no_such_test}", 5, "no such test"),
        ("{field: exporter.country, is: FR}", "{measure: smallest_class, at_least: eleven}", 5, "number"),
        ("{field: exporter.country, is: FR}", "{field: categories, has: helth}", 5, "never"),
        ("{field: exporter.country, is: FR}", "{field: recipient.org, is: 7}", 5, "words only"),
        ("decision: deny", "decision: perhaps", 15, "perhaps"),
        ("  otherwise: {decision: deny, cure: none}\n", "  data: {k: many}\n", 5, "whole number"),
        ("  otherwise: {decision: deny, cure: none}\n", "  data: {kay: 3}\n", 5, "kay"),
        ("  otherwise: {decision: deny, cure: none}\n", "  data: {attempt: 0.5}\n", 5, "average_risk"),
        ("  otherwise: {decision: deny, cure: none}\n", "  sets: {no_such_flag: true}\n", 5, "no_such_flag"),
        ("  when: {field", "  when: {{field", 15, "YAML"),
    ],
)
def test_a_wrong_rule_file_is_refused_with_file_and_line(home, old, new, line, word):
    assert old in GOOD
    put(home, GOOD.replace(old, new))
    with pytest.raises(RuleFault) as caught:
        load(home)
    assert caught.value.place == f"test.yaml:{line}"
    assert word in str(caught.value)


def test_versions_of_a_rule_that_overlap_are_refused(home):
    later = (
        GOOD.split("rules:\n")[1]
        .replace("2020-01-01", "2020-12-31")
        .replace("2020-12-31\n  verified", "2021-12-31\n  verified")
    )
    put(home, GOOD + later)
    with pytest.raises(RuleFault, match="overlaps"):
        load(home)


def test_versions_of_a_rule_that_follow_each_other_are_fine(home):
    later = GOOD.split("rules:\n")[1].replace("effective_to: 2020-12-31", "effective_to: 2021-12-31")
    put(home, GOOD + later.replace("effective_from: 2020-01-01", "effective_from: 2021-01-01"))
    assert len(load(home).rule("T-1")) == 2


def test_one_id_in_two_regimes_is_refused(home):
    put(home, GOOD)
    put(home, GOOD.replace("regime: test", "regime: other"), "other.yaml")
    with pytest.raises(RuleFault, match="T-1"):
        load(home)


LIST = """\
list: places
title: Places
version: "1"
source: a notice
verified_on: 2026-11-22
countries: true
entries:
- {value: FR, since: 2020-01-01, until: 2020-12-31}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("value: FR", "value: XX", 8, "country"),
        ("until: 2020-12-31", "until: 2019-12-31", 8, "before"),
        ("until: 2020-12-31}\n", "until: 2020-12-31}\n- {value: FR, since: 2020-06-01}\n", 9, "twice"),
        ('version: "1"\n', "", 1, "version"),
    ],
)
def test_a_wrong_list_is_refused_with_file_and_line(home, old, new, line, word):
    put(home, GOOD)
    (home / "lists" / "places.yaml").write_text(LIST.replace(old, new), encoding="utf-8")
    with pytest.raises(RuleFault) as caught:
        load(home)
    assert caught.value.place == f"places.yaml:{line}"
    assert word in str(caught.value)


def test_two_versions_of_a_list_are_refused(home):
    put(home, GOOD)
    (home / "lists" / "one.yaml").write_text(LIST, encoding="utf-8")
    (home / "lists" / "two.yaml").write_text(LIST.replace('"1"', '"2"'), encoding="utf-8")
    with pytest.raises(RuleFault, match="version 2"):
        load(home)


def test_an_empty_folder_is_no_set_of_rules(home):
    with pytest.raises(RuleFault, match="no rule files"):
        load(home)


def test_the_bundle_changes_with_any_byte_of_a_rule_or_list(tmp_path, rules):
    for name in ("jurisdictions", "lists"):
        shutil.copytree(HOME / name, tmp_path / name)
    assert load(tmp_path).bundle == rules.bundle
    touched = tmp_path / "lists" / "eea.yaml"
    touched.write_text(touched.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert load(tmp_path).bundle != rules.bundle


@pytest.mark.parametrize(
    ("facts", "place"),
    [
        ({"exporter": {"country": "US", "roles": ["hipaa_coverd_entity"]}}, "exporter.roles"),
        ({"instruments": ["standard_contractual_clause"]}, "instruments"),
        ({"contract_terms": {"onward_transfer_ban_countries_of_concerns": True}}, "contract_terms"),
        ({"legal_basis": {"art89_safeguard": True}}, "legal_basis"),
    ],
)
def test_a_near_miss_of_a_known_word_is_an_error(rules, facts, place):
    with pytest.raises(FactFault) as caught:
        decide(facts, rules, date(2026, 11, 22))
    assert caught.value.place == place


def test_no_rule_starts_before_the_terms_it_turns_on(rules):
    every = [rule for regime in rules.regimes for rule in regime.rules]
    starts = {}
    for rule in every:
        if rule.defines:
            starts[rule.defines] = min(starts.get(rule.defines, date.max), rule.effective_from)
    late = [
        (rule.id, term)
        for rule in every
        for term in words_of([rule.when, rule.requires], "term")
        if rule.effective_from < starts[term]
    ]
    # Certificates came later than the duty they meet; NIH's rule of 4 April 2025 widens by DOJ's words of 8 April.
    assert late == [("CN-CAC-8", "cn_certified"), ("US-NIH-083", "us_doj_covered_person")]
