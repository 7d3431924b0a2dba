"""Who may do what: every row named, nobody approves their own request, nothing in a row is ever evaluated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.enforcer import ACTS, CONDITIONS, ROLES, AccessVerdict, Enforcer, Row, checked, read_rows
from policies.faults import RuleFault

ROWS = read_rows()
ENFORCER = Enforcer(ROWS)


def may(role, obj, act, env=None, *, study="S1", held_for="*", actor="me") -> AccessVerdict:
    return ENFORCER.may({held_for: {role}}, actor, study, obj, act, env or {})


@pytest.mark.parametrize(
    ("role", "obj", "act", "env"),
    [
        ("researcher", "dataset", "read", {}),
        ("researcher", "request", "draft", {}),
        ("researcher", "request", "submit", {"requester": "me"}),
        ("researcher", "request", "withdraw", {"requester": "me"}),
        ("researcher", "release", "download", {"recipient": "me"}),
        ("steward", "dataset", "add", {}),
        ("steward", "request", "approve", {"requester": "you"}),
        ("steward", "request", "refuse", {"requester": "you"}),
        ("steward", "request", "return", {"requester": "you"}),
        ("steward", "release", "start", {}),
        ("steward", "release", "revoke", {}),
        ("auditor", "audit", "verify", {}),
        ("auditor", "release", "read", {}),
        ("auditor", "request", "read", {}),
        ("operator", "user", "add", {}),
        ("operator", "user", "grant", {"account": "you"}),
        ("operator", "worker", "run", {}),
    ],
)
def test_a_role_may_do_its_work_and_the_row_is_named(role, obj, act, env):
    verdict = may(role, obj, act, env)
    row = next(row for row in ROWS if row.name == verdict.name)
    assert verdict.allowed
    assert (row.obj, row.act, row.because) == (obj, act, verdict.because)


@pytest.mark.parametrize(
    ("role", "obj", "act", "env", "row"),
    [
        ("steward", "request", "approve", {"requester": "me"}, "no-own-approval"),
        ("steward", "request", "approve", {}, "no-row-allows"),
        ("steward", "request", "refuse", {"requester": "me"}, "no-own-refusal"),
        ("researcher", "request", "approve", {"requester": "you"}, "no-row-allows"),
        ("researcher", "request", "submit", {"requester": "you"}, "no-row-allows"),
        ("researcher", "request", "read", {"requester": "you"}, "no-row-allows"),
        ("researcher", "release", "download", {"recipient": "you"}, "no-row-allows"),
        ("researcher", "release", "download", {}, "no-row-allows"),
        ("researcher", "dataset", "add", {}, "no-row-allows"),
        ("steward", "release", "download", {"recipient": "you"}, "no-row-allows"),
        ("steward", "user", "add", {}, "no-row-allows"),
        ("auditor", "release", "download", {"recipient": "me"}, "auditor-never-data"),
        ("auditor", "request", "approve", {"requester": "you"}, "no-row-allows"),
        ("operator", "release", "download", {"recipient": "me"}, "operator-never-data"),
        ("operator", "request", "approve", {"requester": "you"}, "operator-never-approves"),
        ("operator", "user", "grant", {"account": "me"}, "no-own-grant"),
        ("operator", "dataset", "read", {}, "no-row-allows"),
    ],
)
def test_what_a_role_may_not_do_is_denied_with_its_row(role, obj, act, env, row):
    verdict = may(role, obj, act, env)
    assert not verdict.allowed
    assert verdict.name == row
    assert verdict.because


def test_a_denial_by_default_says_which_roles_could():
    verdict = may("researcher", "request", "approve", {"requester": "you"})
    assert verdict.roles_that_could == ("steward",)
    assert "steward may" in verdict.because


def test_a_role_held_for_one_study_says_nothing_of_another():
    assert may("steward", "dataset", "add", study="S1", held_for="S1").allowed
    assert not may("steward", "dataset", "add", study="S2", held_for="S1").allowed


def test_a_deny_on_one_role_beats_an_allow_on_another():
    both = {"*": {"steward", "operator"}}
    assert ENFORCER.may(both, "me", "S1", "request", "approve", {"requester": "you"}).name == "operator-never-approves"


@given(
    st.sets(st.sampled_from(sorted(ROLES))),
    st.sampled_from([(obj, act) for obj in sorted(ACTS) for act in sorted(ACTS[obj])]),
    st.dictionaries(st.sampled_from(["requester", "recipient", "account"]), st.sampled_from(["me", "you", ""])),
)
def test_what_is_allowed_is_what_some_row_allows_and_no_row_denies(roles, what, env):
    obj, act = what
    verdict = ENFORCER.may({"*": roles}, "me", "S1", obj, act, env)
    case = {**env, "actor": "me"}
    fitting = [
        row
        for row in ROWS
        if row.role in (*roles, "*") and roles and (row.obj, row.act) == (obj, act) and CONDITIONS[row.condition](case)
    ]
    effects = {row.effect for row in fitting}
    assert verdict.allowed == (effects == {"allow"})


def test_a_row_for_one_study_denies_there_and_nowhere_else():
    closed = Row("*", "S9", "release", "start", "always", "deny", "s9-is-closed", "the sponsor closed study nine")
    enforcer = Enforcer([*ROWS, closed])
    roles = {"*": {"steward"}}
    assert enforcer.may(roles, "me", "S9", "release", "start").name == "s9-is-closed"
    assert enforcer.may(roles, "me", "S1", "release", "start").allowed


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"condition": "r.sub.age > 3"}, "condition"),
        ({"condition": "regexMatch(env, '(a+)+$')"}, "condition"),
        ({"condition": ""}, "condition"),
        ({"effect": "dney"}, "effect"),
        ({"effect": ""}, "effect"),
        ({"role": "king"}, "role"),
        ({"act": "explode"}, "act"),
        ({"obj": "moon"}, "thing"),
        ({"study": "x, read"}, "study"),
        ({"study": ""}, "study"),
        ({"name": ""}, "name"),
        ({"name": "a(b"}, "name"),
        ({"because": ""}, "because"),
    ],
)
def test_a_row_outside_the_vocabulary_is_refused(change, word):
    fields = {name: getattr(ROWS[0], name) for name in Row.__slots__}
    with pytest.raises(RuleFault, match=word):
        checked(Row(**{**fields, **change}))


def test_every_shipped_row_has_a_name_a_because_and_a_known_condition():
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(row.because and row.condition in CONDITIONS for row in ROWS)


def test_every_act_is_allowed_to_somebody():
    allowed = {(row.obj, row.act) for row in ROWS if row.effect == "allow"}
    assert allowed == {(obj, act) for obj, acts in ACTS.items() for act in acts}


def test_a_comma_in_a_because_moves_nothing():
    odd = Row("researcher", "*", "audit", "read", "always", "allow", "odd-row", "yes, read, allow, and (so on")
    verdict = Enforcer([odd]).may({"*": {"researcher"}}, "me", "S1", "audit", "read")
    assert (verdict.allowed, verdict.because) == (True, odd.because)
    assert not Enforcer([odd]).may({"*": {"steward"}}, "me", "S1", "audit", "read").allowed


def test_no_rows_and_empty_words_never_allow():
    with pytest.raises(RuleFault):
        Enforcer([])
    for who, study, obj, act in [("", "S1", "audit", "read"), ("me", "", "audit", "read"), ("me", "S1", "", "")]:
        with pytest.raises(RuleFault):
            ENFORCER.may({"*": {"auditor"}}, who, study, obj, act)


def test_a_role_nobody_defined_is_no_role():
    assert not ENFORCER.may({"*": {"*"}}, "me", "S1", "request", "read", {"requester": "me"}).allowed


def test_a_broken_policy_file_names_file_and_line(tmp_path):
    bad = tmp_path / "policy.csv"
    header = "role,study,object,act,condition,effect,name,because\n"
    bad.write_text(header + "steward,*,dataset,add,eval(1),allow,x,because of something\n")
    with pytest.raises(RuleFault) as caught:
        read_rows(bad)
    assert caught.value.place == "policy.csv:2"
