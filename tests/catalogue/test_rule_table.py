"""The rule table speaks the standard's words, says where each rule comes from, and goes by domain, not by file."""

from collections.abc import Callable

import pytest

from gateway.actions.datasets import rule_table
from gateway.catalogue.columnfile import accept, unresolved
from gateway.catalogue.profile import profile_study
from gateway.catalogue.propose import propose
from gateway.catalogue.rules import QUALIFIERS, SECTIONS, Rule, parse, rules_for, variable_rules
from gateway.catalogue.vocabulary import MEANING, Class, Treatment, implied
from gateway.errors import Broken
from gateway.formats import Folder
from pseudonymization.columns import ColumnRef, Handling, Role

Written = Callable[..., Folder]


# What the standard says (clinical reference, rules by pattern): class, primary rule, alternative.
STANDARD = [
    ("USUBJID", "DM", "direct", "recode_subject", ""), ("SUBJID", "DM", "direct", "recode_subject", "remove"),
    ("SITEID", "DM", "quasi1", "recode_id", "remove"), ("INVNAM", "DM", "direct", "remove", "recode_id"),
    ("AEREFID", "AE", "direct", "recode_id", "remove"), ("SPDEVID", "DI", "direct", "remove", "recode_id"),
    ("BRTHDTC", "DM", "direct", "remove", ""), ("AGE", "DM", "quasi1", "derive_age", "aggregate_age"),
    ("SEX", "DM", "quasi1", "keep", ""), ("RACE", "DM", "quasi1", "keep", ""), ("ETHNIC", "DM", "quasi1", "keep", ""),
    ("COUNTRY", "DM", "quasi1", "elevate", "keep"), ("RFSTDTC", "DM", "quasi1", "offset", "remove"),
    ("AESTDTC", "AE", "quasi1", "offset", "remove"), ("VISIT", "SV", "quasi2", "no_further", ""),
    ("AEDY", "AE", "quasi2", "no_further", ""), ("AETERM", "AE", "sensitive", "remove", "review_and_redact"),
    ("DSTERM", "DS", "sensitive", "review_and_redact", "remove"), ("COVAL", "CO", "direct", "remove_dataset", ""),
    ("STUDYID", "AE", "none", "keep", ""), ("AESEQ", "AE", "none", "keep", ""), ("AGEU", "DM", "none", "keep", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "domain", "identifies", "treatment", "alternative"), STANDARD)
def test_a_verified_rule_is_the_standards(
    name: str, domain: str, identifies: str, treatment: str, alternative: str
) -> None:
    found = next(rule for rule in rules_for(domain) if rule.names(name) and (not rule.when or rule.verified))
    told = (found.identifies.value, found.treatment.value, found.alternative.value if found.alternative else "")
    assert told == (identifies, treatment, alternative)
    assert found.verified
    assert found.source == "PHUSE"


def test_only_the_standards_own_rules_are_called_verified() -> None:
    assert {rule.source for rule in variable_rules() if rule.verified} == {"PHUSE"}
    assert {rule.verified for rule in variable_rules() if rule.source == "PHUSE"} == {True}
    customs = {"HEIGHT": "VS", "AEDECOD": "AE", "AELNKID": "AE", "EXTRT": "EX", "DTHFL": "DM"}
    assert not any(first_of(name, domain).verified for name, domain in customs.items())


def first_of(name: str, domain: str) -> Rule:
    return next(rule for rule in rules_for(domain) if rule.names(name))


def test_every_word_of_the_vocabulary_is_explained_and_every_section_is_asked() -> None:
    assert set(MEANING) == set(Treatment)
    assert {rule.section for rule in variable_rules()} == set(SECTIONS)
    unused = set(Treatment) - {rule.treatment for rule in variable_rules()}
    assert unused == set()


@pytest.mark.parametrize(
    ("treatment", "identifies", "role", "handling"),
    [
        ("recode_id", "quasi1", Role.QUASI, Handling.RECODE), ("recode_id", "direct", Role.DIRECT, Handling.RECODE),
        ("keep", "quasi1", Role.QUASI, None), ("keep", "quasi2", Role.KEPT, None),
        ("keep", "sensitive", Role.SENSITIVE, None), ("remove", "direct", Role.DIRECT, Handling.REMOVE),
        ("remove", "none", Role.SENSITIVE, Handling.REMOVE), ("offset", "quasi1", Role.DATE, None),
    ],
)  # fmt: skip
def test_role_and_handling_follow_from_the_rule(
    treatment: str, identifies: str, role: Role, handling: Handling | None
) -> None:
    assert implied(Treatment(treatment), Class(identifies)) == (role, handling)


def test_a_line_that_says_its_role_is_not_given_the_implied_handling() -> None:
    (rule,) = parse("rules: [{match: [A], class: direct, rule: remove, role: free_text, because: x, source: own}]")
    assert (rule.role, rule.handling) == (Role.FREE_TEXT, None)


@pytest.mark.parametrize("field", ["class", "rule", "because", "source", "match"])
def test_a_line_without_what_it_must_say_is_a_fault(field: str) -> None:
    line = {"match": "[A]", "class": "none", "rule": "keep", "because": "x", "source": "own"}
    text = ", ".join(f"{name}: {value}" for name, value in line.items() if name != field)
    with pytest.raises(Broken, match="rule 1"):
        parse(f"rules: [{{{text}}}]")


def test_the_table_that_people_read_holds_every_rule_of_the_domain() -> None:
    everywhere, ex = rule_table(), rule_table("ex")
    assert len(everywhere) == len(variable_rules(QUALIFIERS))
    assert len(ex) < len(everywhere)
    assert any(row["because"] == "the study treatment" and row["domains"] == "EX, EC, EXP" for row in ex)
    assert not any(row["domains"] == "CO" for row in ex)
    (subject,) = [row for row in everywhere if row["variables"] == "USUBJID"]
    assert (subject["class"], subject["rule"], subject["source"]) == ("direct", "recode_subject", "PHUSE, verified")


def test_case_12_split_domains_are_read_by_their_domain_not_their_file(study: Written) -> None:
    dm = "STUDYID,DOMAIN,USUBJID,AGE\n" + "".join(f"S,DM,S-1-{i},4{i % 9}\n" for i in range(1001, 1031))
    doses = "STUDYID,DOMAIN,USUBJID,EXTRT\n" + "".join(f"S,EX,S-1-{i},DRUG\n" for i in range(1001, 1031))
    chem = "STUDYID,RDOMAIN,USUBJID,IDVAR,IDVARVAL,QNAM,QLABEL,QVAL,QORIG,QEVAL\n" + "".join(
        f"S,LB,S-1-{i},LBSEQ,1,LBFL,Flag,Y,CRF,\n" for i in range(1001, 1031)
    )
    found = propose(profile_study(study(dm=dm, doses=doses, supplbch=chem)), name="s")
    assert {table.name: table.domain for table in found.tables} == {"DM": "DM", "DOSES": "EX", "SUPPLBCH": "SUPPLB"}
    assert found["DOSES"]["EXTRT"].role is Role.KEPT


@pytest.mark.parametrize("column", ["DOMAIN", "RDOMAIN"])
def test_case_12_a_table_with_rows_of_several_domains_waits_for_a_steward(study: Written, column: str) -> None:
    rows = "".join(f"S,{'LB' if i % 2 else 'AE'},S-1-{i},LBSEQ,1,LBFL,Y\n" for i in range(1001, 1031))
    folder = study(supplb=f"STUDYID,{column},USUBJID,IDVAR,IDVARVAL,QNAM,QVAL\n{rows}")
    found = accept(propose(profile_study(folder), name="s", country="USA"))
    waiting = dict(unresolved(found))
    assert set(waiting) == {ColumnRef("SUPPLB", c.name) for c in found["SUPPLB"].columns}
    assert "several domains" in waiting[ColumnRef("SUPPLB", column)]
