"""The whole product put together: its command line in this process, and a small trial with people around it."""

import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from gateway import audit, worker
from gateway.actions import accounts, datasets, requests, sessions
from gateway.app import build
from gateway.cli.main import main
from gateway.context import Gateway, open_gateway
from gateway.crypto import recipients
from gateway.demo.trial import write_trial
from gateway.domain.actor import Actor
from gateway.domain.release import Release, Step
from gateway.release import shelf
from gateway.settings import Settings

TABLES = ("DM", "AE", "CM", "LB", "RELREC", "SV")


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        return json.loads(self.out)


def run_cli(home: Path, *words: object) -> Ran:
    """`gateway …` in this process, with its exit code; the environment names only the home."""
    out, err = io.StringIO(), io.StringIO()
    argv, before = sys.argv, dict(os.environ)
    sys.argv = ["gateway", *(str(word) for word in words)]
    os.environ |= {"GATEWAY_HOME": str(home), "COLUMNS": "200"}
    code: object = None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as ended:
                code = ended.code
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ |= before
    assert isinstance(code, int)
    return Ran(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def cli() -> Callable[..., Ran]:
    return run_cli


@dataclass
class Clock:
    """A clock that goes only when told."""

    time: datetime = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **by: float) -> None:
        self.time += timedelta(**by)


@dataclass
class World:
    """One gateway with a small trial, its people, their keys and tokens, and an API client for each.

    `people`: account → actor; `keys`: account → age public key; `identities`: account → file with the secret.
    """

    home: Path
    study: Path
    clock: Clock
    gateway: Gateway
    client: TestClient
    people: dict[str, Actor] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    identities: dict[str, Path] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def document(self, **changes: Any) -> dict[str, Any]:
        """A request document that works."""
        return {
            "dataset": "trial",
            "tables": list(TABLES),
            "mode": "controlled",
            "project": "hypertension-2026",
            "purpose": "scientific_research",
            "exporter": {"org": "Aldergrove Trials", "country": "US", "roles": ["trial_sponsor"]},
            "recipient": {"org": "Maple Bay University", "country": "CA"},
            "destination": "CA",
            "keys": [self.keys["researcher"]],
            "format": "parquet",
        } | changes

    def request(self, **changes: Any) -> str:
        """A submitted request of the researcher."""
        drafted = requests.draft(self.gateway, self.people["researcher"], self.document(**changes))
        return requests.submit(self.gateway, self.people["researcher"], drafted.id)[0].id

    def approved(self, **changes: Any) -> str:
        """A release that waits in the queue."""
        key = self.request(**changes)
        return requests.approve(self.gateway, self.people["steward"], key, note="reviewed: all papers on file").release

    def run(self, release: str) -> Release:
        """Let the worker do all that waits; the release as it then stands."""
        while worker.work_once(self.gateway, name="worker-1") is not None:
            pass
        return self.gateway.store.release(release)

    def released(self, **changes: Any) -> Release:
        """A delivered release."""
        release = self.run(self.approved(**changes))
        assert (release.step, release.fault) == (Step.DELIVERED, "")
        return release

    def folder(self, release: Release) -> Path:
        return shelf.extract(self.gateway.settings.releases_folder, release.id)

    def call(self, who: str, method: str, path: str, **given: Any) -> Any:
        """One HTTP call with the token of an account."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}", **given.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **given)

    def events(self, **wanted: Any) -> list[Any]:
        """The newest events from the log itself, without adding to it."""
        with self.gateway.store.reading() as connection:
            return list(audit.events(connection, limit=200, **wanted).events)


PEOPLE = {
    "researcher": ("r.okafor", "researcher"),
    "other": ("r.lind", "researcher"),
    "auditor": ("a.vega", "auditor"),
    "second": ("s.moreau", "steward"),
}


def found_world(base: Path, trial: Path, *, database_url: str = "") -> World:
    home, study, clock = base / "home", base / "study", Clock()
    shutil.copytree(trial, study)
    gateway = replace(open_gateway(Settings(home=home, database_url=database_url)), now=clock)
    steward = accounts.found(gateway, steward="local", name="S. Steward")
    world = World(home, study, clock, gateway, TestClient(build(gateway), raise_server_exceptions=False))
    operator = gateway.store.actor("operator")
    for name, (account, role) in PEOPLE.items():
        accounts.add(gateway, operator, key=account, name=f"Person {name}", organisation="Maple Bay University")
        accounts.grant(gateway, operator, key=account, role=role)
        world.people[name] = gateway.store.actor(account)
        secret, world.keys[name] = recipients.generate()
        world.identities[name] = base / f"{name}.key"
        world.identities[name].write_text(f"# a comment\n{secret}\n", "utf-8")
    world.people |= {"steward": steward, "operator": operator}
    for name, actor in world.people.items():
        world.tokens[name] = accounts.issue_token(gateway, operator, key=actor.id)[1]
    datasets.add(gateway, steward, study, key="trial", accept=True)
    return world


@pytest.fixture(scope="session")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic trial of 80 subjects as CSV."""
    return write_trial(tmp_path_factory.mktemp("trial"), subjects=80, fmt="csv")


@pytest.fixture(scope="module")
def world(trial: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One gateway for all tests of a module."""
    built = found_world(tmp_path_factory.mktemp("world"), trial)
    with built.client:
        yield built
    built.gateway.store.engine.dispose()


@pytest.fixture
def world_on(trial: Path, tmp_path: Path) -> Iterator[Callable[[str], World]]:
    """Makes a gateway on a database of one's choice."""
    made: list[World] = []

    def make(database_url: str) -> World:
        made.append(found_world(tmp_path, trial, database_url=database_url))
        return made[-1]

    yield make
    for one in made:
        one.gateway.store.engine.dispose()


@pytest.fixture
def fresh(trial: Path, tmp_path: Path) -> Iterator[World]:
    """A gateway of its own, for tests that break things."""
    built = found_world(tmp_path, trial)
    yield built
    built.gateway.store.engine.dispose()


@pytest.fixture
def browse(fresh: World) -> Iterator[Callable[[str], TestClient]]:
    """A browser of one of the people, signed in to the pages of a fresh gateway."""
    operator = accounts.local_actor(fresh.gateway, accounts.OPERATOR)
    app, opened = build(fresh.gateway), []
    words = "four words and a number 7"

    def browser(who: str) -> TestClient:
        account = fresh.people[who].id
        sessions.set_password(fresh.gateway, operator, key=account, password=words, must_change=False)
        client = TestClient(app, follow_redirects=False)
        form = {"account": account, "password": words}
        client.post("/sign-in", data=form, headers={"Origin": "http://testserver"})
        opened.append(client)
        return client

    yield browser
    for client in opened:
        client.close()
