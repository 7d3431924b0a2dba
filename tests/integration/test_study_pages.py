"""The steward's pages of studies: what waits, the evidence, settling a variable, registering, rare terms."""

import html
import re
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from gateway.actions import accounts, columns, datasets
from gateway.domain.event import Event, EventKind
from gateway.domain.rare_term import RareTerm
from gateway.errors import NotAllowed

ORIGIN = {"Origin": "http://testserver"}


@pytest.fixture
def world(fresh):
    return fresh


def send(browser, page, to, **form):
    """Post a form with the token that stands on a page."""
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', browser.get(page).text).group(1)
    return browser.post(to, data={"form_token": token, **form}, headers=ORIGIN)


def register(world, steward, key="again", **changes):
    form = {"path": str(world.study), "key": key, "title": "Once more", "categories": ["health"], "approvers": "1"}
    return send(steward, "/studies/~register", "/studies/~register", **(form | changes))


def test_the_list_tells_what_waits_in_each_study_of_the_steward(world, browse):
    steward = browse("second")
    waiting = world.gateway.store.dataset("trial").version.unresolved
    text = steward.get("/studies").text
    assert 'href="/studies/trial"' in text
    assert (f"{waiting} unresolved" if waiting else "all settled") in text


def test_a_steward_of_one_study_sees_that_one_alone(world, browse):
    operator = world.gateway.store.actor("operator")
    accounts.add(world.gateway, operator, key="s.one", name="One", organisation="Maple Bay University")
    accounts.grant(world.gateway, operator, key="s.one", role="steward", study="trial")
    datasets.add(world.gateway, world.people["steward"], world.study, key="secret")
    world.people["one"] = world.gateway.store.actor("s.one")
    text = browse("one").get("/studies").text
    assert "/studies/trial" in text
    assert "/studies/secret" not in text
    assert browse("one").get("/studies/secret").status_code == 403


@pytest.mark.parametrize("address", ["/studies", "/studies/~register", "/studies/trial", "/studies/trial/checks",
                                     "/studies/trial/terms", "/studies/trial/variable?of=DM.AGE"])  # fmt: skip
@pytest.mark.parametrize("who", ["researcher", "auditor"])
def test_nobody_but_a_steward_sees_them(browse, who, address):
    assert browse(who).get(address).status_code == 403


def test_a_study_is_registered_accepted_and_settled_by_pages_alone(world, browse):
    steward = browse("second")
    sent = register(world, steward)
    assert (sent.status_code, sent.headers["location"]) == (303, "/studies/again")
    before = steward.get("/studies/again").text
    assert "Nothing of this study is accepted yet" in before
    assert send(steward, "/studies/again", "/studies/again/accept").status_code == 303
    after = steward.get("/studies/again").text
    assert "Nothing of this study is accepted yet" not in after
    held = columns.settling(world.gateway, world.people["steward"], "again")
    assert held.accepted
    left = [line for table in held.tables for line in table.lines if line.waiting]
    one = left[0]
    of = f"/studies/again/variable?of={quote(one.ref)}"
    assert "waits for you" in steward.get(of).text
    done = send(steward, of, "/studies/again/variable", of=one.ref, treat="remove", reason="nobody asks for it")
    assert (done.status_code, done.headers["location"]) == (303, "/studies/again#waiting")
    now = columns.settling(world.gateway, world.people["steward"], "again")
    assert sum(table.waiting for table in now.tables) < len(left)
    assert now.dataset.version.id != held.dataset.version.id
    assert world.events(kind=EventKind.DATASET_OVERRIDDEN)


def test_the_evidence_names_the_rule_its_source_and_what_the_column_holds_without_a_value(world, browse):
    text = html.unescape(browse("second").get("/studies/trial/variable?of=DM.AGE").text)
    assert "The rule that speaks of it" in text
    assert "PHUSE" in text
    assert "derive_age" in text
    assert "Stored as number" in text
    assert "One value for each subject" in text
    dates = html.unescape(browse("second").get("/studies/trial/variable?of=AE.AESTDTC").text)
    assert "of its values are ISO 8601 dates" in dates
    subjects = [line.split(",")[2] for line in (world.study / "dm.csv").read_text("utf-8").splitlines()[1:]]
    assert not any(subject in text + dates for subject in subjects if len(subject) > 4)


@pytest.mark.parametrize(
    ("change", "beside"),
    [
        ({"reason": " "}, "e-reason"),
        ({"treat": "nonsense"}, "e-treat"),
        ({"treat": ""}, "e-treat"),
    ],
)
def test_a_wrong_answer_stands_beside_its_field_and_what_was_typed_stays(browse, change, beside):
    steward, of = browse("second"), "/studies/trial/variable?of=DM.AGE"
    form = {"of": "DM.AGE", "treat": "no_further", "reason": "because I say <b>so</b>"} | change
    answer = send(steward, of, "/studies/trial/variable", **form)
    assert answer.status_code == 422
    assert f'id="{beside}"' in answer.text
    assert html.escape(form["reason"]) in answer.text
    assert "<b>so</b>" not in answer.text


def test_less_care_than_proposed_asks_for_the_risk_to_be_accepted(world, browse):
    steward, of = browse("second"), "/studies/trial/variable?of=DM.AGE"
    form = {"of": "DM.AGE", "treat": "no_further", "reason": "the protocol shows it"}
    asked = send(steward, of, "/studies/trial/variable", **form)
    assert asked.status_code == 422
    assert 'name="accept_risk"' in asked.text
    done = send(steward, of, "/studies/trial/variable", **form, accept_risk="yes")
    assert done.status_code == 303
    assert world.events(kind=EventKind.DATASET_OVERRIDDEN)[0].facts["accepted_risk"] is True


@pytest.mark.parametrize(
    ("change", "beside"),
    [
        ({"path": "trial"}, "e-path"),
        ({"path": "/no/such/folder"}, "e-path"),
        ({"path": "/"}, "e-path"),
        ({"path": "HOME"}, "e-path"),
        ({"key": "../x"}, "e-key"),
        ({"key": "trial"}, "e-key"),
        ({"categories": []}, "e-categories"),
        ({"categories": ["palm lines"]}, "e-categories"),
        ({"country": "ZZ"}, "e-country"),
        ({"country": "DM.NOWHERE"}, "e-path"),
        ({"approvers": "none"}, "e-approvers"),
    ],
)
def test_a_study_that_cannot_be_registered_says_why_beside_the_field(world, browse, change, beside):
    if change.get("path") == "HOME":
        change = {"path": str(world.home / "keys")}
    answer = register(world, browse("second"), **change)
    assert answer.status_code == 422
    assert f'id="{beside}"' in answer.text
    assert 'value="Once more"' in answer.text
    assert [dataset.id for dataset in world.gateway.store.datasets()] == ["trial"]


def test_what_does_not_fit_in_the_data_is_told_and_so_are_documents_beside_it(world, browse):
    (world.study / "narratives.pdf").write_bytes(b"%PDF-1.7 a narrative")
    steward = browse("second")
    datasets.check(world.gateway, world.people["steward"], "trial")
    text = steward.get("/studies/trial/checks").text
    assert "narratives.pdf" in text
    part = steward.get("/studies/trial/checks?brief=true", headers={"HX-Request": "true"}).text
    assert "1 file held back" in part
    assert "<html" not in part


def _term(world, key="t-1"):
    now = datetime(2026, 3, 1, tzinfo=UTC)
    term = RareTerm(key, "trial", "AE", "Kuru <i>", "AE.AEDECOD", "few subjects", now)
    event = Event(EventKind.TERMS_WAITING, "system", about={"dataset": "trial"})
    world.gateway.store.save(term, event=event, now=now)


def test_a_rare_term_is_looked_at_and_decided(world, browse):
    _term(world)
    steward = browse("second")
    assert "Kuru &lt;i&gt;" in steward.get("/studies/trial/terms").text
    page = "/studies/trial/terms"
    none = send(steward, page, page, choice="blank", reason="too rare")
    assert none.status_code == 422
    assert 'id="e-terms"' in none.text
    assert "too rare" in none.text
    unsaid = send(steward, page, page, terms="t-1", choice="blank", reason="")
    assert 'id="e-reason"' in unsaid.text
    assert "checked" in unsaid.text
    assert send(steward, page, page, terms="t-1", choice="blank", reason="too rare").status_code == 303
    assert "Kuru" not in steward.get(page).text
    assert "Kuru" in steward.get(page + "?every=yes").text


def test_an_action_asks_for_the_role_not_the_page_alone(world):
    for look in (
        columns.settling,
        lambda g, a, k: columns.explained(g, a, k, "DM.AGE"),
        lambda g, a, _k: columns.mine(g, a),
    ):
        with pytest.raises(NotAllowed):
            look(world.gateway, world.people["researcher"], "trial")
