"""Rules in words, and changing them by two people: nothing holds before somebody else activated what they saw."""

import html
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.actions import accounts, decisions, regimes, replay, requests, rule_drafts
from gateway.context import open_gateway
from gateway.domain.event import EventKind
from gateway.errors import Invalid, NotAllowed, NotPossible
from policies import loader

ORIGIN = {"Origin": "http://testserver"}
REGIME = "house-controlled"
TEXT = loader.text_of("house-controlled.yaml")
STRICTER = TEXT.replace("{age_top: 89}", "{age_top: 79}")
REFUSES = TEXT.replace(
    "rules:\n",
    "rules:\n- id: HOUSE-STOP\n  article: house rule 99\n  says: Nothing leaves for a while.\n  when: {always: true}\n"
    "  otherwise: {decision: deny, cure: wait until it is lifted}\n",
)


@pytest.fixture
def world(fresh):
    return fresh


def send(browser, page, to, **form):
    """Post a form with the token that stands on a page."""
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', browser.get(page).text).group(1)
    return browser.post(to, data={"form_token": token, **form}, headers=ORIGIN)


def propose(world, text=STRICTER, who="steward", **more):
    return rule_drafts.propose(world.gateway, world.people[who], REGIME, text, "the board decided so", **more)


def activate(world, draft, who="second", **more):
    seen = rule_drafts.show(world.gateway, world.people["second"], draft.id).seen
    return rule_drafts.activate(world.gateway, world.people[who], draft.id, **({"seen": seen} | more))


def top_age(world, key):
    decision = requests.decision_of(world.gateway, world.people["steward"], key)
    return decision.verdict["policy"]["age_top"]["value"]


@pytest.mark.parametrize("who", ["researcher", "steward", "auditor"])
def test_everyone_reads_the_rules_in_words(world, browse, who):
    reader = browse(who)
    text = html.unescape(reader.get("/rules").text)
    assert all(regime.title in text for regime in world.gateway.rules.regimes)
    found = reader.get("/rules/HOUSE-CONTROLLED-AGES")
    assert (found.status_code, found.headers["location"]) == (303, f"/rules/{REGIME}#HOUSE-CONTROLLED-AGES")
    page = reader.get(f"/rules/{REGIME}").text
    assert 'id="HOUSE-CONTROLLED-AGES"' in page
    assert "Ages above 89 leave as one class." in page
    assert "age top 89" in page
    assert ("Draft a change" in page) is (who == "steward")


def test_every_regime_has_a_page_and_no_other_name_has(world, browse):
    reader = browse("researcher")
    for regime in world.gateway.rules.regimes:
        assert reader.get(f"/rules/{regime.id}").status_code == 200
    assert reader.get("/rules/no-such-thing").status_code == 404


@pytest.mark.parametrize("who", ["researcher", "auditor"])
def test_only_stewards_see_and_make_drafts(world, browse, who):
    draft, reader = propose(world), browse(who)
    for address in ("~drafts", f"~drafts/{draft.id}", f"~drafts/{draft.id}/flips", f"~edit?of={REGIME}"):
        assert reader.get(f"/rules/{address}").status_code == 403
    assert send(reader, "/rules", "/rules/~edit", of=REGIME, text=STRICTER, reason="x").status_code == 403
    assert send(reader, "/rules", f"/rules/~drafts/{draft.id}/answer", answer="activate").status_code == 403


def test_a_change_goes_from_draft_to_force_by_pages_of_two_people(world, browse):
    one, two = browse("steward"), browse("second")
    before = world.gateway.rules.bundle
    edit = one.get(f"/rules/~edit?of={REGIME}")
    assert "{age_top: 89}" in html.unescape(edit.text)
    crlf = STRICTER.replace("\n", "\r\n")
    saved = send(one, f"/rules/~edit?of={REGIME}", "/rules/~edit", of=REGIME, text=crlf, reason="the <b>board</b>")
    place = saved.headers["location"]
    assert saved.status_code == 303
    own = one.get(place).text
    assert "HOUSE-CONTROLLED-AGES: age top 89 → 79" in own
    assert "the &lt;b&gt;board&lt;/b&gt;" in own
    assert 'value="activate"' not in own
    seen = re.search(r'name="seen" value="([0-9a-f]{64})"', two.get(place).text).group(1)
    assert send(one, place, f"{place}/answer", answer="activate", seen=seen).status_code == 403
    assert world.gateway.rules.bundle == before
    assert send(two, place, f"{place}/answer", answer="activate", seen=seen).status_code == 303
    assert world.gateway.rules.bundle != before
    assert "age top 79" in one.get(f"/rules/{REGIME}").text
    assert "changed here" in one.get("/rules").text
    assert loader.text_of("house-controlled.yaml") == TEXT


def test_nobody_activates_their_own_draft_even_with_the_action_itself(world):
    draft = propose(world)
    with pytest.raises(NotAllowed) as told:
        activate(world, draft, who="steward")
    assert told.value.rule == "no-own-rules"
    assert world.events(kind=EventKind.ACCESS_DENIED)
    assert world.gateway.rules is world.gateway.shipped


def test_a_steward_of_one_study_does_not_change_the_rules_of_all(world):
    operator = world.gateway.store.actor("operator")
    accounts.add(world.gateway, operator, key="s.one", name="One", organisation="Maple Bay University")
    accounts.grant(world.gateway, operator, key="s.one", role="steward", study="trial")
    world.people["one"] = world.gateway.store.actor("s.one")
    draft = propose(world)
    with pytest.raises(NotAllowed):
        propose(world, who="one")
    with pytest.raises(NotAllowed):
        activate(world, draft, who="one")


def test_decisions_follow_a_change_from_its_moment_on_and_earlier_ones_are_made_again_as_they_were(world):
    first = world.request()
    assert top_age(world, first) == 89
    activate(world, propose(world), starts="2026-03-02T12:00")
    between = world.request(project="between")
    assert top_age(world, between) == 89
    world.clock.forward(hours=3)
    later = world.request(project="later")
    assert top_age(world, later) == 79
    for key in (first, between, later):
        decision = requests.decision_of(world.gateway, world.people["steward"], key)
        again = replay.replay(world.gateway, world.people["auditor"], decision.id)
        assert (again.same, again.same_rules) == (True, True)
    tried = decisions.try_facts(world.gateway, world.people["researcher"], decision.facts)
    assert tried["policy"]["age_top"]["value"] == 79


def test_an_approval_after_the_change_is_held_against_the_new_rules(world):
    key = world.request()
    activate(world, propose(world, REFUSES))
    with pytest.raises(NotPossible, match=r"deny|refuse|rules"):
        requests.approve(world.gateway, world.people["steward"], key, note="all papers on file")


def test_what_would_flip_is_told_with_the_old_and_the_new_verdict(world, browse):
    key = world.request()
    steward = browse("second")
    stop, ages = propose(world, REFUSES), propose(world, STRICTER)
    found = rule_drafts.flips(world.gateway, world.people["second"], stop.id)
    assert [(flip.request, flip.after, flip.flips) for flip in found.found] == [(key, "deny", True)]
    same = rule_drafts.flips(world.gateway, world.people["second"], ages.id)
    assert [(flip.flips, flip.demands) for flip in same.found] == [(False, ("age top 89 → 79",))]
    text = steward.get(f"/rules/~drafts/{stop.id}/flips").text
    assert "1 would flip" in text
    assert key in text
    assert "0 would flip" in steward.get(f"/rules/~drafts/{ages.id}/flips", headers={"HX-Request": "1"}).text
    assert "this is no day" in steward.get(f"/rules/~drafts/{ages.id}/flips?day=soon").text.lower()
    world.clock.forward(days=91)
    assert rule_drafts.flips(world.gateway, world.people["second"], stop.id).looked_at == 0


def test_a_rule_that_begins_later_flips_only_as_of_its_day(world):
    world.request()
    later = REFUSES.replace("  article: house rule 99\n", "  article: house rule 99\n  effective_from: 2026-06-01\n")
    draft = propose(world, later)
    second = world.people["second"]
    assert rule_drafts.flips(world.gateway, second, draft.id).found == ()
    on_its_day = rule_drafts.flips(world.gateway, second, draft.id, day=datetime(2026, 6, 1, tzinfo=UTC).date())
    assert [flip.flips for flip in on_its_day.found] == [True]


BAD = {
    "no yaml": ("rules: [", "line "),
    "an unknown field": (TEXT.replace("{age_top: 89}", "{age_tip: 89}"), "line "),
    "a value off its scale": (TEXT.replace("{age_top: 89}", "{age_top: old}"), "line "),
    "a wrong condition": (TEXT.replace("when: {always: true}", "when: {field: mode, eats: x}", 1), "line "),
    "another id": (TEXT.replace("regime: house-controlled", "regime: mine"), "line 1"),
    "the id of another regime": (TEXT.replace("regime: house-controlled", "regime: us-doj"), "line 1"),
    "a rule of another regime": (TEXT.replace("id: HOUSE-CONTROLLED-AGES", "id: US-HIPAA-SH-A"), "overlaps"),
    "no rules": (TEXT.split("rules:")[0] + "rules: []\n", "line "),
    "nothing": ("", "line 1"),
    "no change": (TEXT, "the same"),
    "only a comment": ("# new\n" + TEXT, "the same"),
    "an alias": (TEXT.replace("when: {always: true}", "when: &a {always: true}", 1), "another place"),
    "a bomb": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "another place"),
    "itself": ("a: &a [*a]\n", "another place"),
    "a type": ("regime: !!python/object/apply:os.system [id]\n", "names a type"),
    "a deep text": ("a: " + "[" * 500 + "]" * 500, "nested too deep"),
    "a deep block": ("\n".join("  " * depth + "a:" for depth in range(80)), "nested too deep"),
    "two documents": (TEXT + "---\n" + TEXT, "second document"),
    "a control character": (TEXT + "# \x1b[2J\n", "printed"),
    "a great deal": ("# " + "x" * 300_001, "too large"),
}


def test_a_text_that_is_wrong_is_refused_beside_its_field_and_stays(world, browse):
    steward = browse("steward")
    for name, (text, said) in BAD.items():
        answer = send(steward, f"/rules/~edit?of={REGIME}", "/rules/~edit", of=REGIME, text=text, reason="why not")
        assert answer.status_code == 422, name
        fault = re.search(r'id="e-text">(.*?)</p>', answer.text, re.DOTALL)
        assert fault, name
        assert said in html.unescape(re.sub("<[^>]*>", "", fault.group(1))).lower(), name
        kept = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", answer.text, re.DOTALL).group(1)
        assert html.unescape(kept).strip() == text.strip(), name
        assert "why not" in answer.text
    assert world.gateway.store.rule_drafts() == []


def test_a_draft_without_a_reason_is_not_saved(world):
    with pytest.raises(Invalid) as told:
        rule_drafts.propose(world.gateway, world.people["steward"], REGIME, STRICTER, "  ")
    assert told.value.place == "reason"


def test_a_form_sent_twice_is_one_draft(world):
    assert propose(world).id == propose(world).id
    assert len(world.gateway.store.rule_drafts()) == 1


def test_only_the_author_edits_a_draft_and_only_until_it_is_decided(world):
    draft = propose(world)
    with pytest.raises(NotPossible, match="somebody else"):
        propose(world, REFUSES, who="second", key=draft.id)
    changed = propose(world, REFUSES, key=draft.id)
    assert (changed.id, changed.text) == (draft.id, REFUSES)
    activate(world, changed)
    with pytest.raises(NotPossible, match="activated already"):
        propose(world, STRICTER, key=draft.id)


def test_what_is_activated_is_what_was_looked_at(world):
    draft = propose(world)
    seen = rule_drafts.show(world.gateway, world.people["second"], draft.id).seen
    propose(world, REFUSES, key=draft.id)
    with pytest.raises(NotPossible, match="changed since you looked"):
        activate(world, draft, seen=seen)
    other = propose(world, STRICTER)
    stale = rule_drafts.show(world.gateway, world.people["second"], other.id).seen
    activate(world, draft)
    with pytest.raises(NotPossible, match="changed since you looked"):
        activate(world, other, seen=stale)


@pytest.mark.parametrize("starts", ["2026-03-02T09:29", "1999-01-01", "soon", "2099-01-01T00:00"])
def test_a_change_starts_neither_in_the_past_nor_at_no_time(world, starts):
    with pytest.raises(Invalid) as told:
        activate(world, propose(world), starts=starts)
    assert told.value.place == "starts"
    assert world.gateway.rules is world.gateway.shipped


def test_a_change_that_waits_for_its_day_can_be_withdrawn_and_one_in_force_cannot(world):
    waits = activate(world, propose(world), starts="2026-03-03T00:00")
    with pytest.raises(NotPossible, match="already waits"):
        activate(world, propose(world, REFUSES))
    rule_drafts.withdraw(world.gateway, world.people["steward"], waits.id)
    world.clock.forward(days=2)
    assert world.gateway.rules is world.gateway.shipped
    done = activate(world, propose(world, REFUSES))
    with pytest.raises(NotPossible, match="in force"):
        rule_drafts.withdraw(world.gateway, world.people["steward"], done.id)
    with pytest.raises(NotPossible, match="already"):
        activate(world, done)
    assert any(rule.id == "HOUSE-STOP" for regime in world.gateway.rules.regimes for rule in regime.rules)


def test_a_later_change_takes_the_place_of_an_earlier_one(world):
    before = world.gateway.rules.bundle
    activate(world, propose(world, REFUSES))
    world.clock.forward(minutes=1)
    back = propose(world, TEXT)
    sentences = rule_drafts.show(world.gateway, world.people["second"], back.id).sentences
    assert sentences == ("HOUSE-STOP is taken out: Nothing leaves for a while.",)
    activate(world, back)
    assert world.gateway.rules.bundle == before
    shown = regimes.show(world.gateway, world.people["auditor"], REGIME)
    assert [change.in_force for change in shown.history] == [True, False]


def test_the_log_tells_who_changed_what_and_never_why_in_the_open(world):
    done = activate(world, propose(world))
    drafted = world.events(kind=EventKind.POLICY_DRAFTED)[0]
    activated = world.events(kind=EventKind.POLICY_ACTIVATED)[0]
    assert (drafted.actor, activated.actor) == (world.people["steward"].id, world.people["second"].id)
    assert drafted.facts["text_sha256"] == activated.facts["text_sha256"]
    assert activated.facts["bundle"] == world.gateway.rules.bundle
    assert activated.about == {"draft": done.id}
    assert "board" not in str((drafted.facts, activated.facts))
    rule_drafts.withdraw(world.gateway, world.people["steward"], propose(world, REFUSES).id)
    assert world.events(kind=EventKind.POLICY_WITHDRAWN)


def test_another_process_sees_the_change_at_once(world):
    other = replace(open_gateway(world.gateway.settings), now=world.clock)
    activate(world, propose(world))
    assert other.rules.bundle == world.gateway.rules.bundle != other.shipped.bundle
    other.store.engine.dispose()
