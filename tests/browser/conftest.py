"""A running gateway with real data and people, and Chromium before it; what a page complains of fails its test."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from starlette.routing import Mount

from gateway import audit
from gateway.actions import accounts, datasets, requests, sessions
from gateway.app import build
from gateway.context import Gateway, open_gateway
from gateway.crypto import recipients
from gateway.demo.trial import write_trial
from gateway.domain.actor import Actor
from gateway.settings import Settings

CHROMIUM = Path("/usr/bin/chromium")
WORDS = "four words and a number 7"
PEOPLE = {
    "researcher": ("r.okafor", "researcher", "*", "Maple Bay University"),
    "other": ("r.lind", "researcher", "*", "Northgate Institute"),
    "steward": ("s.moreau", "steward", "*", "Aldergrove Trials"),
    "second": ("s.adeyemi", "steward", "*", "Aldergrove Trials"),
    "narrow": ("s.narrow", "steward", "pair", "Aldergrove Trials"),
    "auditor": ("a.vega", "auditor", "*", "Aldergrove Trials"),
}


class Clock:
    """The true time, moved on as far as a test says."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def forward(self, **by: float) -> None:
        self.ahead += timedelta(**by)


@dataclass
class Site:
    """One running gateway. `trial` needs one approval, `pair` two; both hold the same synthetic subjects."""

    url: str
    home: Path
    study: Path
    gateway: Gateway
    clock: Clock
    app: Any
    people: dict[str, Actor] = field(default_factory=dict)
    cookies: dict[str, Any] = field(default_factory=dict)
    key: str = ""

    def document(self, **changes: Any) -> dict[str, Any]:
        """A request document that a person must judge and may let pass."""
        return {
            "dataset": "trial",
            "tables": {"DM": ["AGE", "SEX"], "AE": ["AEDECOD"]},
            "mode": "controlled",
            "project": "hypertension-9",
            "purpose": "scientific_research",
            "exporter": {"org": "Aldergrove Trials", "country": "US", "roles": ["trial_sponsor"]},
            "recipient": {"org": "Maple Bay University", "country": "CA"},
            "destination": "CA",
            "keys": [self.key],
            "format": "csv",
        } | changes

    def request(self, who: str = "researcher", **changes: Any) -> str:
        """A submitted request, made without the pages."""
        drafted = requests.draft(self.gateway, self.people[who], self.document(**changes))
        return requests.submit(self.gateway, self.people[who], drafted.id)[0].id

    def released(self, **changes: Any) -> str:
        """A request whose extract is ready."""
        key = self.request(**changes)
        requests.approve(self.gateway, self.people["steward"], key, note="papers on file")
        return self.ready(key)

    def ready(self, key: str) -> str:
        """Wait until the worker has delivered."""
        for _ in range(300):
            release = self.gateway.store.request(key, seen_by=self.people["researcher"])
            if release.status.value == "released":
                return key
            time.sleep(0.1)
        raise AssertionError(f"the release of {key} was not delivered within half a minute")


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trial(tmp_path_factory.mktemp("trial"), subjects=80, fmt="parquet")


def _found(base: Path, study: Path, database_url: str, url: str) -> Site:
    clock = Clock()
    gateway = replace(open_gateway(Settings(home=base / "home", database_url=database_url)), now=clock)
    local = accounts.found(gateway, steward="local", name="S. Steward")
    operator = gateway.store.actor("operator")
    site = Site(url, base / "home", study, gateway, clock, build(gateway, with_worker=True))
    datasets.add(gateway, local, study, key="trial", title="Hypertension in five countries", accept=True)
    datasets.add(gateway, local, study, key="pair", title="The same, with four eyes", approvers=2, accept=True)
    for name, (account, role, where, organisation) in PEOPLE.items():
        accounts.add(gateway, operator, key=account, name=f"Person {name}", organisation=organisation)
        accounts.grant(gateway, operator, key=account, role=role, study=where)
        sessions.set_password(gateway, operator, key=account, password=WORDS, must_change=False)
        site.people[name] = gateway.store.actor(account)
    site.key = recipients.generate()[1]
    return site


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def _run(base: Path, study: Path, database_url: str = "") -> Iterator[Site]:
    port = _free_port()
    site = _found(base, study, database_url, f"http://localhost:{port}")
    server = uvicorn.Server(
        uvicorn.Config(site.app, host="127.0.0.1", port=port, log_level="error", server_header=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield site
    server.should_exit = True
    thread.join(timeout=30)
    site.gateway.store.engine.dispose()


@pytest.fixture(scope="session")
def on_sqlite(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from _run(tmp_path_factory.mktemp("site"), study)


@pytest.fixture(scope="session")
def on_postgresql(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    server = os.environ.get("GATEWAY_TEST_POSTGRES")
    if not server:
        pytest.skip("GATEWAY_TEST_POSTGRES names no server")
    name = f"browser_{secrets.token_hex(6)}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    yield from _run(tmp_path_factory.mktemp("site"), study, url)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def site(on_sqlite: Site) -> Site:
    return on_sqlite


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest) -> Site:
    """The gateway on each database, for the tasks of the three people."""
    found: Site = request.getfixturevalue(f"on_{request.param}")
    return found


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.is_file():
        pytest.skip("there is no /usr/bin/chromium: apt-get install chromium")
    with sync_playwright() as play:
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=options)
        yield browser
        browser.close()


@dataclass
class Reader:
    """Somebody before a browser. What a page complains of is kept; `expected` is what a test means to provoke."""

    page: Page
    context: BrowserContext
    site: Site
    expected: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        self.page.goto(self.site.url + path)
        return self.page

    def sign_in(self, account: str, password: str = WORDS) -> Page:
        self.page.get_by_label("Account", exact=True).fill(account)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        return self.page

    def watch(self, page: Page) -> None:
        page.on("console", lambda said: self._keep(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda fault: self._keep(str(fault)))

    def _keep(self, words: str) -> None:
        if not any(part in words for part in self.expected):
            self.complaints.append(words)


Open = Callable[..., Reader]


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Open]:
    """Opens a browser of its own; for a person of the site signed in already, unless `who` is empty."""
    opened: list[Reader] = []

    def browser(site: Site, who: str = "", **options: Any) -> Reader:
        context = chromium.new_context(accept_downloads=True, **options)
        context.set_default_timeout(10_000)
        # No first-run tour in the way of tests that are about something else.
        context.add_init_script("try { localStorage.setItem('tour', 'seen'); } catch {}")
        if who:
            context.add_cookies([_cookie(site, who)])
        reader = Reader(context.new_page(), context, site)
        reader.watch(reader.page)
        context.on("page", reader.watch)
        opened.append(reader)
        return reader

    yield browser
    for reader in opened:
        try:
            reader.context.close()
        except Error:
            continue
    complaints = [words for reader in opened for words in reader.complaints]
    assert complaints == []


def session_of(site: Site, who: str) -> str:
    """The secret of a person's session, begun once for all tests of a site."""
    held = site.cookies.get(who)
    if held is None or sessions.resume(site.gateway, held) is None:
        done = sessions.begin(site.gateway, account=PEOPLE[who][0], password=WORDS)
        held = site.cookies[who] = done.secret
    return str(held)


def _cookie(site: Site, who: str) -> Any:
    return {
        "name": "gateway-session",
        "value": session_of(site, who),
        "url": site.url,
        "httpOnly": True,
        "sameSite": "Lax",
    }


@dataclass(frozen=True)
class Things:
    """What pages are about: a study, a request that waits, one that was released, an event."""

    dataset: str
    waiting: str
    released: str
    release: str
    event: str


def things(site: Site, dataset: str = "trial", **changes: Any) -> Things:
    """One of each, made without the pages."""
    waiting = site.request(dataset=dataset, **changes)
    released = site.released(dataset=dataset, **changes)
    site.gateway.publish()
    release = site.gateway.store.request(released, seen_by=site.people["researcher"]).release
    with site.gateway.store.reading() as connection:
        event = audit.events(connection, about=released, limit=1).events[0].event_id
    return Things(dataset, waiting, released, release, event)


def addresses(about: Things) -> dict[str, tuple[str, str]]:
    """Route → whose page it is, and its address with these things in it."""
    return {
        "/sign-in": ("", "/sign-in"),
        "/docs": ("", "/docs"),
        "/": ("researcher", "/"),
        "/account": ("researcher", "/account"),
        "/catalogue": ("researcher", "/catalogue?q=age"),
        "/catalogue/{key}": ("researcher", f"/catalogue/{about.dataset}"),
        "/requests": ("researcher", "/requests"),
        "/requests/{key}": ("researcher", f"/requests/{about.released}"),
        "/requests/{key}/amend": ("researcher", f"/requests/{about.waiting}/amend"),
        "/releases/{key}/progress": ("researcher", f"/releases/{about.release}/progress"),
        "/releases/{key}/files/{name}": ("researcher", f"/releases/{about.release}/files/report.html"),
        "/queue": ("steward", "/queue"),
        "/queue/{key}": ("steward", f"/queue/{about.waiting}"),
        "/queue/{key}/choices": ("steward", f"/queue/{about.waiting}/choices"),
        "/studies": ("steward", "/studies"),
        "/studies/~register": ("steward", "/studies/~register"),
        "/studies/{key}": ("steward", f"/studies/{about.dataset}"),
        "/studies/{key}/checks": ("steward", f"/studies/{about.dataset}/checks"),
        "/studies/{key}/variable": ("steward", f"/studies/{about.dataset}/variable?of=DM.AGE"),
        "/studies/{key}/terms": ("steward", f"/studies/{about.dataset}/terms"),
        "/rules": ("steward", "/rules"),
        "/rules/~drafts": ("steward", "/rules/~drafts"),
        "/rules/~drafts/{key}": ("steward", "/rules/~drafts/none"),
        "/rules/~drafts/{key}/flips": ("steward", "/rules/~drafts/none/flips"),
        "/rules/~edit": ("steward", "/rules/~edit?of=ca"),
        "/rules/{name}": ("steward", "/rules/ca"),
        "/log-book": ("auditor", "/log-book"),
        "/log-book/event/{key}": ("auditor", f"/log-book/event/{about.event}"),
        "/log-book/event/{key}/proof": ("auditor", f"/log-book/event/{about.event}/proof"),
        "/log-book/of/{thing}": ("auditor", f"/log-book/of/{about.released}"),
        "/log-book/verify": ("auditor", "/log-book/verify"),
    }


NO_PAGES = {
    "/log-book/event/{key}/proof",
    "/releases/{key}/progress",
    "/releases/{key}/files/{name}",
    "/queue/{key}/choices",
}
"""Routes that answer with a file (its sandbox runs no script of a test either), or with a part of a page."""


def site_routes(site: Site) -> list[tuple[str, str]]:
    """Method and path of every route of the pages."""
    pages = next(route.app for route in site.app.routes if isinstance(route, Mount))
    paths = pages.openapi()["paths"]
    assert len(paths) > 20
    return sorted((method.upper(), path) for path, calls in paths.items() for method in calls)
