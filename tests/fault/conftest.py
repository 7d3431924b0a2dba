"""A gateway with an approved release in its queue, copied for each test; workers that die; what must hold after."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import gateway
from gateway import audit, settings, worker
from gateway.actions import accounts, audits, datasets, releases, requests
from gateway.client import package
from gateway.context import Gateway, open_gateway
from gateway.crypto import recipients
from gateway.demo.trial import write_trial
from gateway.domain.actor import Actor
from gateway.domain.release import Step
from gateway.domain.request import Status
from gateway.errors import NotPossible
from tests.fault import driver

TABLES = ("AE", "DM", "LB", "RELREC")
OVERSEER = Actor("test", "the test", roles={"*": frozenset({"operator"})})


@dataclass(frozen=True)
class Ended:
    """A worker process that has ended with a code, or has stopped (None)."""

    pid: int
    code: int | None


class Crew:
    """The process that workers are forked from. `parts` are the rules, loaded once for this process too."""

    def __init__(self) -> None:
        self.parts = driver.rules_alone()
        environment = {**os.environ, "PYTHONPATH": str(Path(gateway.__file__).resolve().parents[1])}
        self.process = subprocess.Popen(
            [sys.executable, driver.__file__], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, order: dict[str, object]) -> Ended:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return Ended(**json.loads(self.process.stdout.readline()))

    def go_on(self, stopped: Ended) -> Ended:
        """Let a halted worker continue until it ends."""
        return self.ask({"continue": stopped.pid})

    def end(self) -> None:
        """Close its input: it ends by itself."""
        self.process.communicate(timeout=30)


@dataclass(frozen=True)
class Queue:
    """A home with one approved request, its release queued; `study` are the source files, `identity` opens it."""

    home: Path
    study: Path
    identity: Path
    release: str
    request: str
    crew: Crew
    url: str = ""

    def gateway(self, hours: int = 0) -> Gateway:
        return driver.over(self.crew.parts, self.home, self.url, hours)

    def run(self, point: str = "", *, sent: str = "SIGKILL", hours: int = 0, small_disk: bool = False) -> Ended:
        """A worker process that gets its signal at the point; returns when it has stopped or ended."""
        scratch = self.home.parent / "tmp"
        scratch.mkdir(exist_ok=True)
        order = {"point": point, "signal": sent, "hours": hours, "small_disk": small_disk}
        return self.crew.ask({**order, "home": str(self.home), "url": self.url, "scratch": str(scratch)})

    def kill(self, point: str, *, hours: int = 0) -> None:
        """Run a worker until it is killed at the point. A point that is never reached fails the test."""
        assert self.run(point, hours=hours).code == driver.KILLED, f"{point} was not reached"

    def rest(self) -> dict[Path, bytes]:
        """Every file that rests on the gateway's disk, and what workers left in their temporary folder."""
        places = [self.home, self.home.parent / "tmp"]
        return {path: path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}

    def rest_of_release(self) -> dict[Path, bytes]:
        """Every file of the releases."""
        return {path: path.read_bytes() for path in (self.home / "releases").rglob("*") if path.is_file()}

    def work(self, hours: int) -> Gateway:
        """A plain worker, `hours` later, until the queue is empty."""
        gateway = self.gateway(hours)
        while worker.work_once(gateway, name=f"plain-{hours}") is not None:
            pass
        return gateway


def completions(gateway: Gateway, release: str) -> int:
    """How many completion events of a release the log holds."""
    with gateway.store.reading() as connection:
        return len(audit.events(connection, kind="release.completed", about=release, limit=50).events)


def originals(study: Path) -> set[bytes]:
    """Every original subject id."""
    with (study / "dm.csv").open(newline="") as file:
        found = {row["USUBJID"].encode() for row in csv.DictReader(file)}
    assert len(found) == 80
    return found


def nothing_plain(queue: Queue, rests: dict[Path, bytes], pseudonyms: set[bytes]) -> None:
    """No original id and no pseudonym stands in any file that rests on the gateway's disk."""
    for path, content in rests.items():
        where = path.name
        assert not any(token in content for token in originals(queue.study)), f"an original id rests in {where}"
        assert not any(token in content for token in pseudonyms), f"plaintext of the result rests in {where}"


def nothing_delivered_without_record(queue: Queue) -> None:
    """If the extract is there for all to fetch, its completion is in the log; before that nobody gets a file."""
    gateway = queue.gateway()
    delivered = (queue.home / "releases" / queue.release / "extract").exists()
    logged = completions(gateway, queue.release)
    assert logged <= 1
    assert logged or not delivered, "a delivery without a record"
    if gateway.store.release(queue.release).step is not Step.DELIVERED:
        with pytest.raises(NotPossible):
            releases.files(gateway, gateway.store.actor("researcher"), queue.release)
    gateway.store.engine.dispose()


def ended_once(queue: Queue, gateway: Gateway, out: Path) -> set[bytes]:
    """One release, delivered, logged once, whole and openable; returns its pseudonyms."""
    release = gateway.store.release(queue.release)
    request = gateway.store.request(queue.request, seen_by=OVERSEER)
    assert (release.step, release.fault, request.status) == (Step.DELIVERED, "", Status.RELEASED)
    assert completions(gateway, queue.release) == 1
    assert sorted(path.name for path in (queue.home / "releases").iterdir()) == [queue.release]
    assert [path.name for path in (queue.home / "releases" / queue.release).iterdir()] == ["extract"]
    assert not list(queue.home.rglob("*.part"))
    extract = queue.home / "releases" / queue.release / "extract"
    checked, opened = package.open_release(extract, queue.identity, out)
    assert checked.sound, checked.problems
    assert sorted(path.name for path in opened) == [f"{name}.csv" for name in TABLES]
    found = audits.verify(gateway, gateway.store.actor("local"))
    assert found.sound, found.findings
    assert gateway.store.queue_length() == {"done": 1}
    with (out / "DM.csv").open(newline="") as file:
        pseudonyms = {row["USUBJID"].encode() for row in csv.DictReader(file)}
    assert len(pseudonyms) == 80
    gateway.store.engine.dispose()
    return pseudonyms


def enqueue(folder: Path, study: Path, crew: Crew, url: str = "") -> Queue:
    """A gateway over `folder`/home with one approved request for four tables of the study."""
    held = settings.Settings(home=folder / "home", database_url=url)
    gateway = open_gateway(held)
    steward = accounts.found(gateway, steward="local", name="steward")
    operator = accounts.local_actor(gateway, "operator")
    accounts.add(gateway, operator, key="researcher", name="researcher")
    accounts.grant(gateway, operator, key="researcher", role="researcher")
    researcher = gateway.store.actor("researcher")
    datasets.add(gateway, steward, study, key="trial", accept=True)
    secret, public = recipients.generate()
    identity = folder / "identity.txt"
    identity.write_text(secret + "\n")
    content = {
        "dataset": "trial",
        "tables": list(TABLES),
        "mode": "controlled",
        "project": "p-1",
        "purpose": "scientific_research",
        "exporter": {"org": "Aldergrove Trials", "country": "US", "roles": ["trial_sponsor"]},
        "recipient": {"org": "Maple Bay University", "country": "CA"},
        "destination": "CA",
        "keys": [public],
        "format": "csv",
    }
    request = requests.draft(gateway, researcher, content)
    requests.submit(gateway, researcher, request.id)
    request = requests.approve(gateway, steward, request.id, note="the review points are settled")
    gateway.store.engine.dispose()
    return Queue(folder / "home", study, identity, request.release, request.id, crew, url)


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trial(tmp_path_factory.mktemp("study"), subjects=80, fmt="csv")


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    crew = Crew()
    yield crew
    crew.end()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, study: Path, crew: Crew) -> Queue:
    return enqueue(tmp_path_factory.mktemp("queued"), study, crew)


@pytest.fixture
def queue(template: Queue, tmp_path: Path) -> Queue:
    """An own copy of the gateway with its queued release."""
    shutil.copytree(template.home, tmp_path / "home")
    return replace(template, home=tmp_path / "home")
