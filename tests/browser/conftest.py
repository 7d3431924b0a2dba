"""A running gateway with real data and people, and Chromium before it; what a page complains of fails its test."""

import os
import secrets
import shutil
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
    server = uvicorn.Server(uvicorn.Config(site.app, host="127.0.0.1", port=port, log_level="error"))
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


def _cookie(site: Site, who: str) -> Any:
    """The session of a person, begun once for all tests of a site."""
    held = site.cookies.get(who)
    if held is None or sessions.resume(site.gateway, held) is None:
        done = sessions.begin(site.gateway, account=PEOPLE[who][0], password=WORDS)
        held = site.cookies[who] = done.secret
    return {"name": "gateway-session", "value": held, "url": site.url, "httpOnly": True, "sameSite": "Lax"}


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Path], Path]:
    def copied(study: Path) -> Path:
        return Path(shutil.copytree(study, tmp_path / "study"))

    return copied
