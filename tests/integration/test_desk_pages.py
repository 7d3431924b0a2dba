"""The pages of researcher and steward by plain HTTP: a request from cart to extract, and who may not."""

import re
from urllib.parse import quote

import pytest

from gateway import audit, worker

ORIGIN = {"Origin": "http://testserver"}


@pytest.fixture
def world(fresh):
    return fresh


def send(browser, page, to, **form):
    """Post a form with the token that stands on a page."""
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', browser.get(page).text).group(1)
    return browser.post(to, data={"form_token": token, **form}, headers=ORIGIN)


def form(world, **changes):
    return {
        "dataset": "trial",
        "key_of": "q-0123456789ab",
        "variables": ["DM.AGE", "DM.SEX", "AE.AEDECOD"],
        "purpose": "scientific_research",
        "mode": "controlled",
        "format": "csv",
        "project": "hypertension-9",
        "recipient_org": "Maple Bay University",
        "recipient_country": "CA",
        "destination": "CA",
        "exporter_org": "Aldergrove Trials",
        "exporter_country": "US",
        "exporter_roles": "trial_sponsor",
        "key": world.keys["researcher"],
    } | changes


def test_a_request_goes_from_cart_to_extract_by_pages_alone(world, browse):
    researcher, steward = browse("researcher"), browse("second")
    assert "trial" in researcher.get("/catalogue?q=age").text
    study = researcher.get("/catalogue/trial")
    assert 'value="DM.AGE"' in study.text
    panel = send(researcher, "/catalogue/trial", "/catalogue/trial/outlook", **form(world))
    assert "smallest class" in panel.text
    sent = send(researcher, "/catalogue/trial", "/requests", **form(world))
    assert (sent.status_code, sent.headers["location"]) == (303, "/requests/q-0123456789ab")
    assert "A steward has it" in researcher.get("/requests/q-0123456789ab").text
    assert "hypertension-9" in steward.get("/queue").text
    case = steward.get("/queue/q-0123456789ab")
    assert "Machine pre-check" in case.text
    assert 'class="threshold"' in case.text
    answered = send(steward, "/queue", "/queue/q-0123456789ab/answer", answer="approve", note="ethics is on file")
    assert answered.status_code == 303
    while worker.work_once(world.gateway, name="w") is not None:
        pass
    done = researcher.get("/requests/q-0123456789ab")
    links = re.findall(r'href="(/releases/[^"]+/files/[^"]+)"', done.text)
    names = {link.rsplit("/", 1)[1] for link in links}
    assert {"DM.csv.age", "AE.csv.age", "manifest.json", "report.html"} <= names
    sealed = next(link for link in links if link.endswith("DM.csv.age"))
    whole = researcher.get(sealed)
    assert whole.content.startswith(b"age-encryption.org/v1")
    assert "attachment" in whole.headers["content-disposition"]
    part = researcher.get(sealed, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert browse("other").get(sealed).status_code == 404
    assert browse("auditor").get(sealed).status_code == 403


def test_a_form_sent_twice_is_one_request(world, browse):
    researcher = browse("researcher")
    places = {send(researcher, "/catalogue/trial", "/requests", **form(world)).headers["location"] for _ in range(3)}
    assert places == {"/requests/q-0123456789ab"}
    assert len(world.gateway.store.requests(seen_by=world.people["researcher"])) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"key": "age1nonsense"}, "key"),
        ({"key": ""}, "key"),
        ({"project": ""}, "project"),
        ({"project": "<script>"}, "project"),
        ({"destination": "Atlantis"}, "destination"),
    ],
)
def test_a_wrong_field_is_told_beside_it_and_what_was_typed_stays(world, browse, change, field):
    researcher = browse("researcher")
    answer = send(researcher, "/catalogue/trial", "/requests", **form(world, **change))
    assert answer.status_code == 422
    assert f'id="e-{field}"' in answer.text
    assert "Maple Bay University" in answer.text
    assert 'value="DM.AGE"' in answer.text
    assert "<script>" not in answer.text.replace('<script src="/static', "")
    assert world.gateway.store.requests(seen_by=world.people["researcher"]) == []


def test_a_returned_request_is_amended_and_sent_again(world, browse):
    researcher, steward = browse("researcher"), browse("second")
    send(researcher, "/catalogue/trial", "/requests", **form(world))
    send(steward, "/queue", "/queue/q-0123456789ab/answer", answer="return", note="why do you need events?")
    assert "why do you need events?" in researcher.get("/requests/q-0123456789ab").text
    again = researcher.get("/requests/q-0123456789ab/amend").text
    assert 'value="AE.AEDECOD"' in again
    changed = form(world, variables=["DM.AGE"], amending="yes")
    assert send(researcher, "/catalogue/trial", "/requests", **changed).status_code == 303
    held = world.gateway.store.requests(seen_by=world.people["researcher"])[0]
    assert (held.status.value, held.terms.tables) == ("submitted", {"DM": ("AGE",)})


def test_refusing_without_a_reason_is_told_beside_the_field(world, browse):
    researcher, steward = browse("researcher"), browse("second")
    send(researcher, "/catalogue/trial", "/requests", **form(world))
    answer = send(steward, "/queue", "/queue/q-0123456789ab/answer", answer="refuse", note=" ")
    assert answer.status_code == 422
    assert 'id="e-note"' in answer.text


def test_pages_of_others_do_not_exist_or_are_refused(world, browse):
    researcher, other, auditor = browse("researcher"), browse("other"), browse("auditor")
    send(researcher, "/catalogue/trial", "/requests", **form(world))
    assert other.get("/requests/q-0123456789ab").status_code == 404
    assert other.get("/queue/q-0123456789ab").status_code == 404
    assert "hypertension-9" not in other.get("/queue").text
    for browser in (researcher, auditor):
        answer = send(browser, "/", "/queue/q-0123456789ab/answer", answer="approve", note="yes")
        assert answer.status_code == 403
        assert "may not approve" in answer.text
    assert world.gateway.store.request("q-0123456789ab", seen_by=world.people["researcher"]).approvals == ()


@pytest.mark.parametrize(
    "text", ['"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "</script><script>alert(1)</script>"]
)
def test_text_of_users_is_never_markup(world, browse, text):
    researcher, steward = browse("researcher"), browse("second")
    found = researcher.get(f"/catalogue?q={quote(text)}").text
    send(researcher, "/catalogue/trial", "/requests", **form(world, recipient_org=text, exporter_org=text))
    for page in (found, researcher.get("/requests/q-0123456789ab").text, steward.get("/queue/q-0123456789ab").text):
        assert text not in page or text == "{{ 7 * 7 }}"
        assert ">49<" not in page


def test_an_auditor_finds_an_event_checks_its_proof_and_verifies_the_log(world, browse):
    researcher, auditor = browse("researcher"), browse("auditor")
    send(researcher, "/catalogue/trial", "/requests", **form(world))
    world.gateway.publish()
    found = auditor.get("/log-book?kind=request.submitted&about=q-0123456789ab").text
    link = re.search(r'href="(/log-book/event/[0-9a-f]+)"', found).group(1)
    shown = auditor.get(link)
    assert "Its proof holds" in shown.text
    saved = auditor.get(f"{link}/proof").text
    assert saved.startswith("c2sp.org/tlog-proof@v1\n")
    assert audit.verify_proof(saved, world.gateway.signer.verifier)[1].size > 0
    for thing in ("q-0123456789ab", "r.okafor", "trial"):
        assert "request: submitted" in auditor.get(f"/log-book/of/{thing}").text
    assert "The log is sound" in send(auditor, "/log-book", "/log-book/verify").text
    own = auditor.get("/log-book?who=a.vega&kind=audit.read").text
    assert "audit: read" in own


@pytest.mark.parametrize("page", ["/log-book", "/log-book/of/trial", "/log-book/event/00"])
@pytest.mark.parametrize("who", ["researcher", "second"])
def test_the_log_is_the_auditors_alone(browse, who, page):
    assert browse(who).get(page).status_code in {403, 404}


def test_a_wrong_date_in_the_log_search_is_told_beside_its_field(browse):
    answer = browse("auditor").get("/log-book?after=yesterday&who=r.okafor")
    assert answer.status_code == 422
    assert 'id="e-after"' in answer.text
    assert 'value="r.okafor"' in answer.text


def test_a_steward_picks_another_plan_and_it_is_the_one_released(world, browse):
    researcher, steward = browse("researcher"), browse("second")
    send(researcher, "/catalogue/trial", "/requests", **form(world, variables=["DM.AGE", "DM.SEX", "DM.RACE"]))
    offered = steward.get("/queue/q-0123456789ab/choices").text
    numbers = re.findall(r'name="alternative" value="(\d+)"', offered)
    assert numbers
    assert offered.count("<circle") == len(numbers) + 1
    picked = {"answer": "approve", "note": "ethics is on file", "alternative": numbers[-1]}
    assert send(steward, "/queue", "/queue/q-0123456789ab/answer", **picked).status_code == 303
    while worker.work_once(world.gateway, name="w") is not None:
        pass
    held = world.gateway.store.requests(seen_by=world.people["researcher"])[0]
    plan = world.gateway.store.release(held.release).values["plan"]
    assert plan["search"]["chosen"].startswith(f"alternative {numbers[-1]} ")
    assert researcher.get("/queue/q-0123456789ab/choices").status_code == 403
