"""What a page must withstand: scripts in any text, foreign forms and frames, planted sessions, doors of others."""

import html
import re
from pathlib import Path

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import expect

from gateway.actions import datasets, requests, sessions
from tests.browser import conftest as desk

MARKUP = "\"'><img src=x onerror='window.ran=1'><script>window.ran=1</script>{{7*7}}"
LABEL = "<img src=x onerror=window.ran=1>"


@pytest.fixture(scope="module")
def about(on_sqlite: desk.Site) -> desk.Things:
    return desk.things(on_sqlite, project="intruders")


# Scripts


@pytest.fixture(scope="module")
def hostile(on_sqlite: desk.Site, tmp_path_factory: pytest.TempPathFactory) -> desk.Things:
    """A study whose labels are markup, and requests whose words are."""
    folder = tmp_path_factory.mktemp("hostile")
    for file in Path(on_sqlite.study).glob("*.parquet"):
        table = pq.read_table(file)
        fields = [field.with_metadata({"label": f"{LABEL} {field.name}"}) for field in table.schema]
        pq.write_table(table.cast(pa.schema(fields)), folder / file.name)
    (folder / f"{LABEL}.txt").write_text("beside the tables", "utf-8")
    steward = on_sqlite.people["steward"]
    datasets.add(on_sqlite.gateway, steward, folder, key="hostile", title=MARKUP, accept=True)
    words = {
        "recipient": {"org": MARKUP, "country": "CA"},
        "exporter": {"org": MARKUP, "country": "US", "roles": ["trial_sponsor"]},
    }
    made = desk.things(on_sqlite, "hostile", project="hostile", **words)
    for answer in (requests.give_back, requests.refuse):
        key = on_sqlite.request(dataset="hostile", project=answer.__name__, **words)
        answer(on_sqlite.gateway, steward, key, note=MARKUP)
    return made


def test_no_text_of_a_user_or_a_study_runs_as_a_script(site, hostile, visit):
    table, routes = desk.addresses(hostile), {path for method, path in desk.site_routes(site) if method == "GET"}
    own = site.gateway.store.requests(seen_by=site.people["researcher"])
    extra = [("researcher", f"/requests/{one.id}") for one in own if one.terms.dataset == "hostile"]
    extra += [("researcher", f"/catalogue?q={html.escape('<img src=x onerror=window.ran=1>')}")]
    extra += [("auditor", "/log-book?who=%3Cimg%20src%3Dx%20onerror%3Dwindow.ran%3D1%3E")]
    extra += [("auditor", "/log-book/of/%3Cimg%20src%3Dx%20onerror%3Dwindow.ran%3D1%3E")]
    readers, shown, ran = {}, 0, []
    for who, path in [table[route] for route in sorted(routes & set(table))] + extra:
        if path.endswith("/proof"):
            continue
        if who not in readers:
            readers[who] = visit(site, who)
            readers[who].page.on("dialog", lambda dialog: ran.append(dialog.message))
        readers[who].expected += ["404", "422"]
        page = readers[who].go(path)
        if page.locator("[hx-trigger*=load]").count():
            page.wait_for_load_state("networkidle")
        shown += "onerror=" in page.inner_text("body")
        if page.evaluate("window.ran") or page.locator("img[src=x]").count():
            ran.append(path)
    assert ran == []
    assert shown > 5


# Forms and frames of others


@pytest.fixture
def client(site):
    """A plain HTTP client with the session of a person."""
    opened = []

    def made(who=""):
        jar = {"gateway-session": desk.session_of(site, who)} if who else {}
        opened.append(httpx2.Client(base_url=site.url, cookies=jar, follow_redirects=False))
        return opened[-1]

    yield made
    for one in opened:
        one.close()


def token(site, who):
    return sessions.form_token(site.gateway, desk.session_of(site, who))


POSTS = {
    "/sign-out": "",
    "/account/password": "",
    "/account/code": "",
    "/catalogue/{key}/outlook": "trial",
    "/requests/new": "",
    "/requests": "",
    "/requests/{key}/withdraw": "waiting",
    "/queue/{key}/answer": "waiting",
    "/queue/{key}/revoke": "released",
    "/queue/{key}/start": "released",
    "/studies/~register": "",
    "/studies/{key}/{change}": "trial",
    "/rules/~edit": "",
    "/rules/~drafts/{key}/answer": "none",
    "/log-book/verify": "",
}
BEFORE_SIGN_IN = {"/sign-in", "/sign-in/code"}


def posts(site, about):
    """Every address that takes a form of a session, with things in it."""
    told = {path for method, path in desk.site_routes(site) if method == "POST"} - BEFORE_SIGN_IN
    assert told - set(POSTS) == set(), "a new form: add it to POSTS and to ALLOWED"
    return {path: _address(path, about) for path in sorted(told)}


def _address(path, about):
    thing = getattr(about, POSTS[path], POSTS[path])
    return path.replace("{key}", thing).replace("{change}", "accept")


def test_no_form_works_from_another_site_without_the_token_or_with_that_of_another(site, about, client):
    own, other = token(site, "steward"), token(site, "auditor")
    browser = client("steward")
    same = {"Sec-Fetch-Site": "same-origin"}
    for address in posts(site, about).values():
        for headers, held in (
            ({"Sec-Fetch-Site": "cross-site"}, own),
            ({"Sec-Fetch-Site": "same-site"}, own),
            ({"Origin": "https://elsewhere.example"}, own),
            ({}, own),
            (same, ""),
            (same, other),
        ):
            answer = browser.post(address, headers=headers, data={"form_token": held, "note": "x"})
            assert answer.status_code == 403, (address, headers)
            assert "did not come from a page of yours" in answer.text
    for address in BEFORE_SIGN_IN:
        assert client().post(address, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_a_form_of_another_origin_does_nothing_in_the_browser(site, visit):
    key = site.request(project="forged")
    reader = visit(site, "steward")
    reader.expected.append("403")
    page = reader.page
    page.route(
        "https://elsewhere.example/", lambda route: route.fulfill(body=_forged(site, key), content_type="text/html")
    )
    page.goto("https://elsewhere.example/")
    page.get_by_role("button").click()
    page.wait_for_url(f"{site.url}/**")
    assert site.gateway.store.request(key, seen_by=site.people["researcher"]).status.value == "submitted"


def _forged(site, key):
    return (
        f'<form method="post" action="{site.url}/queue/{key}/answer"><input name="answer" value="refuse">'
        '<input name="note" value="x"><button>A prize</button></form>'
    )


def test_a_framed_page_stays_blank(site, visit):
    reader = visit(site, "steward")
    reader.expected += ["frame", "Framing", "X-Frame-Options"]
    page = reader.page
    framing = f'<iframe src="{site.url}/queue" width="800" height="600"></iframe>'
    page.route(f"{site.url}/framing", lambda route: route.fulfill(body=framing, content_type="text/html"))
    page.goto(f"{site.url}/framing")
    page.wait_for_timeout(500)
    assert all("Queue" not in frame.content() for frame in page.frames[1:])


# Sessions


def test_a_session_planted_before_signing_in_is_not_the_one_after(site, visit):
    reader = visit(site)
    planted = {"name": "gateway-session", "value": "planted", "url": site.url, "httpOnly": True, "sameSite": "Lax"}
    reader.context.add_cookies([planted])
    reader.go("/account")
    reader.sign_in("s.adeyemi")
    expect(reader.page.get_by_role("heading", name="Your account")).to_be_visible()
    held = next(one for one in reader.context.cookies() if one["name"] == "gateway-session")
    assert held["value"] != "planted"
    assert (held["httpOnly"], held["sameSite"]) == (True, "Lax")
    assert sessions.resume(site.gateway, "planted") is None
    reader.page.get_by_role("button", name="Sign out").click()
    reader.page.wait_for_url("**/sign-in")
    assert sessions.resume(site.gateway, held["value"]) is None


# Doors of others

ROLES = ("", "researcher", "other", "steward", "narrow", "auditor")
# Route → the roles that get in, in the order of ROLES ("researcher" made the requests, "narrow" answers for another
# study). Everyone else is sent to sign in, refused (403), or told that there is no such thing (404).
EVERYONE = "researcher other steward narrow auditor"
ALLOWED = {
    ("GET", "/"): EVERYONE,
    ("GET", "/account"): EVERYONE,
    ("GET", "/catalogue"): "researcher other steward auditor",
    ("GET", "/catalogue/{key}"): "researcher other steward",
    ("GET", "/requests"): EVERYONE,
    ("GET", "/requests/{key}"): "researcher steward auditor",
    ("GET", "/requests/{key}/amend"): "researcher steward",
    ("GET", "/releases/{key}/progress"): "researcher steward auditor",
    ("GET", "/releases/{key}/files/{name}"): "researcher steward auditor",  # the report; sealed files: test_desk_pages
    ("GET", "/queue"): EVERYONE,
    ("GET", "/queue/{key}"): "researcher steward auditor",
    ("GET", "/queue/{key}/choices"): "steward",
    ("GET", "/studies"): "steward narrow",
    ("GET", "/studies/~register"): "steward narrow",
    ("GET", "/studies/{key}"): "steward",
    ("GET", "/studies/{key}/checks"): "steward",
    ("GET", "/studies/{key}/variable"): "steward",
    ("GET", "/studies/{key}/terms"): "steward",
    ("GET", "/rules"): "researcher other steward auditor",
    ("GET", "/rules/{name}"): "researcher other steward auditor",
    ("GET", "/rules/~drafts"): "steward",
    ("GET", "/rules/~drafts/{key}"): "",  # there is no draft
    ("GET", "/rules/~drafts/{key}/flips"): "steward",
    ("GET", "/rules/~edit"): "steward",
    ("GET", "/log-book"): "auditor",
    ("GET", "/log-book/event/{key}"): "auditor",
    ("GET", "/log-book/event/{key}/proof"): "auditor",
    ("GET", "/log-book/of/{thing}"): "auditor",
}


def test_no_page_opens_to_whom_it_is_not_meant_for(site, about, client):
    table = desk.addresses(about)
    found = {}
    for method, path in desk.site_routes(site):
        if method != "GET" or path in {"/sign-in", "/docs", "/log-book/verify"}:  # for all; leads elsewhere
            continue
        in_ = []
        for who in ROLES:
            answer = client(who).get(table[path][1])
            if who == "":
                assert answer.status_code == 303, path
                assert answer.headers["location"].startswith("/sign-in?next=")
            elif answer.status_code < 400:
                in_.append(who)
            else:
                assert answer.status_code in {403, 404}, (who, path, answer.status_code)
        found["GET", path] = " ".join(in_)
    assert found == ALLOWED


def test_every_answer_carries_the_headers_that_protect_it(site, about, client):
    table = desk.addresses(about)
    sent = [(client(who).get(address), path) for path, (who, address) in table.items()]
    sent += [(client().get(path), path) for path in ("/nowhere", "/static/style.css", "/static/vendor/htmx.js")]
    sent += [(client("steward").post("/queue/none/answer"), "a refused form")]
    for answer, path in sent:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "frame-ancestors 'none'" in policy or "sandbox" in policy, path
        assert not re.search(r"script-src[^;]*unsafe", policy), path
        assert answer.headers["x-frame-options"] == "DENY", path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert "server" not in answer.headers, path
        if "/static/" not in path:
            assert "no-store" in answer.headers["cache-control"], path
