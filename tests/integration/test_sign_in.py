"""Signing in to the pages: what gets in, what stays out, what the log and the browser are told."""

import re
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from starlette.testclient import TestClient

from gateway.actions import accounts, sessions
from gateway.app import build
from gateway.errors import NotAllowed
from gateway.web import limits

WORDS = "four words and a number 7"
ORIGIN = {"Origin": "http://testserver"}
WHO = "r.okafor"


@pytest.fixture
def world(fresh):
    return fresh


@pytest.fixture
def operator(world):
    return accounts.local_actor(world.gateway, accounts.OPERATOR)


@pytest.fixture
def browser(world, operator):
    sessions.set_password(world.gateway, operator, key=WHO, password=WORDS, must_change=False)
    with TestClient(build(world.gateway), follow_redirects=False) as client:
        yield client


def sign_in(browser, password=WORDS, account=WHO, **more):
    form = {"account": account, "password": password, **more}
    return browser.post("/sign-in", data=form, headers=ORIGIN)


def token_of(answer):
    return re.search(r'name="form_token" value="([0-9a-f]{64})"', answer.text).group(1)


def kinds(world, kind):
    """Newest first."""
    return [e for e in world.events() if e.kind == kind]


def test_the_right_password_opens_the_start_page_and_is_logged(world, browser):
    assert browser.get("/").headers["location"] == "/sign-in?next=%2F"
    answer = sign_in(browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "HttpOnly" in answer.headers["set-cookie"]
    page = browser.get("/")
    assert page.status_code == 200
    assert "My requests" in page.text
    done = [e for e in kinds(world, "sign_in") if e.outcome == "done"]
    assert done[0].actor == WHO
    assert done[0].facts["method"] == "password"


def test_wrong_and_unknown_accounts_get_the_same_answer(browser):
    wrong, unknown = sign_in(browser, "not these words 7"), sign_in(browser, account="nobody.here")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace(WHO, "X") == unknown.text.replace("nobody.here", "X")


def test_after_five_failures_even_the_right_password_waits(world, browser):
    for _ in range(5):
        assert sign_in(browser, "not these words 7").status_code == 401
    waiting = sign_in(browser)
    assert waiting.status_code == 401
    assert "too many tries" in waiting.text.lower()
    world.clock.forward(minutes=2)
    assert sign_in(browser).status_code == 303


def test_a_session_ends_when_unused_when_old_and_at_sign_out(world, browser):
    sign_in(browser)
    world.clock.forward(minutes=29)
    assert browser.get("/").status_code == 200
    world.clock.forward(minutes=31)
    assert browser.get("/").status_code == 303
    sign_in(browser)
    for _ in range(25):
        world.clock.forward(minutes=29)
        browser.get("/")
    assert browser.get("/").status_code == 303
    sign_in(browser)
    cookie = browser.cookies["gateway-session"]
    left = browser.post("/sign-out", data={"form_token": token_of(browser.get("/"))}, headers=ORIGIN)
    assert left.status_code == 303
    browser.cookies.clear()
    browser.cookies.set("gateway-session", cookie)
    assert browser.get("/").status_code == 303
    assert kinds(world, "sign_out")


def test_a_session_planted_before_signing_in_is_worth_nothing(browser):
    browser.cookies.set("gateway-session", "planted-by-an-attacker")
    answer = sign_in(browser)
    assert "planted-by-an-attacker" not in answer.headers["set-cookie"]
    with TestClient(browser.app, follow_redirects=False) as attacker:
        attacker.cookies.set("gateway-session", "planted-by-an-attacker")
        assert attacker.get("/").status_code == 303


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"} | ORIGIN],
    ids=["no origin", "foreign origin", "null origin", "cross-site"],
)
def test_a_form_from_elsewhere_is_refused(world, browser, headers):
    sign_in(browser)
    token = token_of(browser.get("/"))
    assert browser.post("/sign-out", data={"form_token": token}, headers=headers).status_code == 403
    assert browser.get("/").status_code == 200
    assert kinds(world, "access.denied")[0].facts["rule"] == "own-form"


def test_a_form_without_the_token_of_this_session_is_refused(browser):
    sign_in(browser)
    old = token_of(browser.get("/"))
    sign_in(browser)
    for token in ("", "0" * 64, old):
        assert browser.post("/sign-out", data={"form_token": token}, headers=ORIGIN).status_code == 403
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "evil", "/a\r\nX: y"]
)
def test_the_way_back_never_leaves_this_site(browser, back):
    assert sign_in(browser, next=back).headers["location"] == "/"


def test_a_code_is_asked_once_enrolled_and_works_once(world, browser):
    sign_in(browser)
    secret = re.search(r'name="secret" value="([A-Z2-7]{32})"', browser.get("/account").text).group(1)
    clock = pyotp.TOTP(secret)
    form = {"form_token": token_of(browser.get("/account")), "secret": secret, "password": WORDS}
    refused = browser.post("/account/code", data={**form, "code": "000000"}, headers=ORIGIN)
    assert refused.status_code == 422
    assert secret in refused.text
    code = clock.at(world.clock())
    assert browser.post("/account/code", data={**form, "code": code}, headers=ORIGIN).status_code == 303
    browser.cookies.clear()
    half = sign_in(browser)
    assert half.status_code == 200
    assert "authenticator" in half.text
    assert browser.get("/").status_code == 303
    assert browser.post("/sign-in/code", data={"code": code}, headers=ORIGIN).status_code == 401
    world.clock.forward(seconds=60)
    fresh = clock.at(world.clock())
    assert browser.post("/sign-in/code", data={"code": fresh, "next": "/account"}, headers=ORIGIN).status_code == 303
    assert browser.get("/").status_code == 200


def test_a_password_of_an_operator_must_be_changed_and_ends_all_sessions(world, browser, operator):
    sign_in(browser)
    made_up = sessions.set_password(world.gateway, operator, key=WHO)
    assert browser.get("/").status_code == 303
    assert sign_in(browser, made_up).headers["location"] == "/account"
    form = {"form_token": token_of(browser.get("/account")), "old": made_up, "new": WORDS + "!", "again": WORDS}
    assert "do not agree" in browser.post("/account/password", data=form, headers=ORIGIN).text
    form["again"] = WORDS + "!"
    assert browser.post("/account/password", data=form, headers=ORIGIN).status_code == 303
    assert sign_in(browser, made_up).status_code == 401
    assert sign_in(browser, WORDS + "!").headers["location"] == "/"
    assert [e.facts["by"] for e in kinds(world, "password.changed")] == ["owner", "operator", "operator"]


@pytest.mark.parametrize("short", ["", "short", "r.okafor and more words"])
def test_a_weak_password_is_refused_with_a_cure(world, operator, short):
    if not short:
        assert len(sessions.set_password(world.gateway, operator, key=WHO)) >= 12
        return
    with pytest.raises(Exception, match="password") as told:
        sessions.set_password(world.gateway, operator, key=WHO, password=short)
    assert told.value.cure


def test_a_disabled_account_is_out_at_once_and_can_come_back(world, browser, operator):
    sign_in(browser)
    accounts.disable(world.gateway, operator, key=WHO)
    assert browser.get("/").status_code == 303
    assert sign_in(browser).status_code == 401
    accounts.enable(world.gateway, operator, key=WHO)
    assert sign_in(browser).status_code == 303
    with pytest.raises(NotAllowed):
        accounts.disable(world.gateway, world.people["researcher"], key=WHO)


def test_every_page_carries_the_headers_that_protect_it(browser):
    sign_in(browser)
    for path in ("/", "/account", "/nowhere", "/static/style.css"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
    assert browser.get("/").headers["cache-control"] == "no-store"


def test_a_call_that_is_none_stays_a_problem_document(browser):
    answer = browser.get("/v1/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_an_idle_session_does_not_outlive_its_day(world, browser):
    sign_in(browser)
    world.clock.time += timedelta(hours=13)
    assert browser.get("/account").status_code == 303


def test_one_address_may_try_thirty_times_a_minute_whichever_accounts_it_tries(world, browser):
    for number in range(30):
        assert sign_in(browser, "not these words 7", account=f"nobody.{number}").status_code == 401
    events = len(world.events())
    refused = sign_in(browser)
    assert refused.status_code == 429
    assert "wait a minute" in refused.text.lower()
    assert browser.post("/sign-in/code", data={"code": "1"}, headers=ORIGIN).status_code == 429
    assert len(world.events()) == events
    world.clock.forward(seconds=61)
    assert sign_in(browser).status_code == 303


def test_an_address_of_ipv6_is_counted_by_its_network():
    tries, now = limits.Tries(), datetime(2026, 3, 2, tzinfo=UTC)
    assert all(tries.may(f"2001:db8::{number:x}", now) for number in range(limits.TRIES))
    assert not tries.may("2001:db8::ffff", now)
    assert tries.may("2001:db8:0:1::1", now)
    assert tries.may("192.0.2.1", now)
    assert tries.may("2001:db8::ffff", now + limits.SPAN)
