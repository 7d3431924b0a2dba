"""What stewards and auditors do, from sign-in to the answer, in a real browser."""

import pyotp
from playwright.sync_api import expect

from gateway import audit


def test_a_case_is_understood_and_approved_and_its_release_runs(either, visit):
    key = either.request(project="approve-me")
    reader = visit(either)
    reader.expected.append("422")
    page = reader.go("/queue")
    reader.sign_in("s.moreau")
    page.get_by_role("link", name="approve-me").click()
    expect(page.get_by_role("heading", name="Machine pre-check")).to_be_visible()
    expect(page.get_by_role("img", name="Histogram of class sizes")).to_be_visible()
    expect(page.get_by_role("heading", name="Which rule asks for what")).to_be_visible()
    page.get_by_role("button", name="Refuse").click()
    expect(page.locator("#e-note")).to_be_visible()
    expect(page.get_by_label("Reason or question")).to_be_focused()
    page.get_by_label("Reason or question").fill("ethics and agreement are on file")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("1 of 1")).to_be_visible()
    either.ready(key)
    page.reload()
    page.get_by_label("Why it must end").fill("the agreement ended")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("Nothing is to be answered: the request is revoked")).to_be_visible()


def test_a_case_is_returned_with_a_question_and_another_refused_with_a_reason(site, visit):
    returned, refused = site.request(project="return-me"), site.request(project="refuse-me")
    page = visit(site, "steward").go("/queue")
    for project, words, button in (
        ("return-me", "why these events?", "Return with the question"),
        ("refuse-me", "consent does not cover this; ask for aggregates", "Refuse"),
    ):
        page.goto(f"{site.url}/queue")
        page.get_by_role("link", name=project).click()
        page.get_by_label("Reason or question").fill(words)
        page.get_by_role("button", name=button).click()
        expect(page.get_by_text("Nothing is to be answered")).to_be_visible()
    researcher = visit(site, "researcher")
    page = researcher.go(f"/requests/{returned}")
    expect(page.get_by_text("why these events?")).to_be_visible()
    page = researcher.go(f"/requests/{refused}")
    expect(page.get_by_text("consent does not cover this")).to_be_visible()


def test_four_eyes_are_two_stewards(either, visit):
    key = either.request(dataset="pair", project="four-eyes")
    first, second = visit(either, "steward"), visit(either, "second")
    page = first.go(f"/queue/{key}")
    page.get_by_label("Reason or question").fill("papers on file")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("It waits for another steward")).to_be_visible()
    expect(page.get_by_text("1 of 2")).to_be_visible()
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    page = second.go(f"/queue/{key}")
    page.get_by_label("Reason or question").fill("seen too")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("2 of 2")).to_be_visible()
    either.ready(key)


def test_an_auditor_finds_who_received_data_proves_it_and_verifies_the_log(either, visit):
    key = either.released(project="audit-me")
    either.gateway.publish()
    reader = visit(either)
    page = reader.go("/log-book")
    reader.sign_in("a.vega")
    page.get_by_label("What happened").select_option("request.approved")
    page.get_by_label("About").fill(key)
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("link", name="request: approved").click()
    expect(page.get_by_text("Its proof holds.")).to_be_visible()
    with page.expect_download() as saving:
        page.get_by_role("link", name="Save the proof").click()
    proof = saving.value.path().read_text("utf-8")
    assert audit.verify_proof(proof, either.gateway.signer.verifier)[1].size > 0
    page.locator("dl.facts").first.get_by_role("link", name=key).click()
    for happened in ("request: submitted", "request: approved", "release: step"):
        expect(page.get_by_role("link", name=happened).first).to_be_visible()
    page.get_by_role("link", name="Access log").first.click()
    page.get_by_role("button", name="verify").click()
    expect(page.get_by_role("heading", name="The log is sound")).to_be_visible()
    page.goto(f"{either.url}/log-book?who=a.vega&kind=audit.verified")
    expect(page.get_by_role("link", name="audit: verified").first).to_be_visible()


def test_an_authenticator_is_enrolled_and_asked_for_at_the_next_sign_in(site, visit):
    reader = visit(site, "other")
    reader.expected += ["422", "401"]
    page = reader.go("/account")
    secret = page.locator('input[name="secret"]').input_value()
    page.get_by_label("Code").fill("000000")
    page.get_by_label("Your password").fill("four words and a number 7")
    page.get_by_role("button", name="Enrol").click()
    expect(page.locator("#e-code")).to_be_visible()
    assert page.locator('input[name="secret"]').input_value() == secret
    page.get_by_label("Code").fill(pyotp.TOTP(secret).at(site.clock()))
    page.get_by_label("Your password").fill("four words and a number 7")
    page.get_by_role("button", name="Enrol").click()
    expect(page.get_by_text("Each sign-in asks for a code")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    reader.sign_in("r.lind")
    site.clock.forward(seconds=60)
    page.get_by_label("Code").fill("123456")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Code").fill(pyotp.TOTP(secret).at(site.clock()))
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="Good day")).to_be_visible()
    site.cookies["other"] = next(one["value"] for one in reader.context.cookies() if one["name"] == "gateway-session")
