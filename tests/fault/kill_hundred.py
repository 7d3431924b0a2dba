"""Web process, worker and writer of events, killed (SIGKILL) at random moments under load: `python -m
tests.fault.kill_hundred`.

The processes are the product's own (`gateway serve`, `gateway worker`), each started again after each kill, with
callers of the API, a queue of releases, and threads that write events beside them. Then everything is looked at: each
answer that was given is in the log, once; the log is sound and no seal complains; every release is delivered, once.
"""

import argparse
import json
import operator
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx2
from sqlalchemy import func, select

import gateway
from gateway import audit, settings, worker
from gateway.actions import accounts, audits, datasets, releases, requests
from gateway.context import Gateway, open_gateway, utc_now
from gateway.crypto import recipients
from gateway.demo.trial import write_trial
from gateway.domain.event import Event, EventKind
from gateway.domain.release import Step

SIGN_SECONDS = 120
"""How long a process may take to show a sign of life."""
WRITERS = 4
AGAIN = "begun several times"
COMMAND = "from gateway.cli.main import main; main()"
KILLERS = ("web", "worker", "writer")


@dataclass
class Tally:
    """What the callers of the API were told."""

    sent: int = 0
    read: int = 0
    drafted: list[str] = field(default_factory=list)


class Part:
    """One process of the gateway: started, watched for a sign of life, killed, started again."""

    def __init__(
        self, arguments: list[str], output: Path, environment: dict[str, str], sign: Callable[[str], int]
    ) -> None:
        self.arguments, self.output, self.environment, self.sign = arguments, output, environment, sign
        self.lines: list[str] = []
        self.kills = 0
        self.start()

    def start(self) -> None:
        """Start it; `sign`, which sees what it printed, counts higher as soon as it is at work."""
        self.before = self.sign("")
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments], env=self.environment, stdout=file, stderr=subprocess.STDOUT
            )
        self.began = time.monotonic()

    def alive(self) -> bool:
        """Whether it has begun its work. Fails if it ended by itself or takes too long."""
        if self.process.poll() is not None or time.monotonic() - self.began > SIGN_SECONDS:
            raise SystemExit(f"a process does not run: {self.output.read_text()[-2000:]}")
        return self.sign(self.output.read_text()) > self.before

    def kill(self) -> None:
        """Kill it, and keep the lines that it had written to the end."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.lines += self.output.read_text().split("\n")[:-1]
        self.kills += 1


def write(home: Path, url: str) -> None:
    """The writer: events of many threads, each id told once it is durable, beside a sequencer at work all the time."""
    here = open_gateway(settings.Settings(home=home, database_url=url))

    def alone(event: Event) -> str:
        return here.store.save(event=event, now=here.now())

    def run(number: int) -> None:
        event = Event(EventKind.KEY_USED, "writer", about={"dataset": "trial"}, personal={"name": "N"})
        while True:
            event_id = recorder.record(event) if number % 2 else alone(event)
            sys.stdout.write(f"durable {event_id}\n")
            sys.stdout.flush()
            time.sleep(0.01)

    folder = here.settings.log_folder
    with (
        audit.Recorder(here.store.engine, here.now) as recorder,
        audit.Sequencer(here.store.engine, here.signer, folder, here.now, interval=0.05),
    ):
        threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def terms(project: str, key: str) -> dict[str, object]:
    return {
        "dataset": "trial",
        "tables": ["AE", "DM", "LB", "RELREC"],
        "mode": "controlled",
        "project": project,
        "purpose": "scientific_research",
        "exporter": {"org": "Aldergrove Trials", "country": "US", "roles": ["trial_sponsor"]},
        "recipient": {"org": "Maple Bay University", "country": "CA"},
        "destination": "CA",
        "keys": [key],
        "format": "csv",
    }


def furnish(here: Gateway, study: Path, queued: int) -> tuple[str, list[str], str]:
    """A gateway with a queue of approved releases: the researcher's token, the releases, the recipient's key."""
    steward = accounts.found(here, steward="local", name="steward")
    keeper = accounts.local_actor(here, "operator")
    accounts.add(here, keeper, key="researcher", name="researcher")
    accounts.grant(here, keeper, key="researcher", role="researcher")
    researcher = here.store.actor("researcher")
    datasets.add(here, steward, study, key="trial", accept=True)
    public = recipients.generate()[1]
    found = []
    for _ in range(queued):
        request = requests.draft(here, researcher, terms("p-1", public))
        requests.submit(here, researcher, request.id)
        found.append(requests.approve(here, steward, request.id, note="the review points are settled").release)
    return accounts.issue_token(here, keeper, key="researcher")[1], found, public


def call(base: str, token: str, key: str, tally: Tally, stop: threading.Event, number: int) -> None:
    """One caller of the API, who goes on whatever happens, and counts what was answered."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=base, headers=headers, timeout=60) as client:
        while not stop.wait(0.01):
            try:
                if number:
                    tally.sent += 1
                    tally.read += client.get("/v1/datasets").status_code == httpx2.codes.OK
                else:
                    answer = client.post("/v1/requests", json=terms(f"load-{time.monotonic_ns()}", key))
                    if answer.status_code == httpx2.codes.CREATED:
                        tally.drafted.append(answer.json()["id"])
            except (httpx2.HTTPError, json.JSONDecodeError):
                stop.wait(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def strike(parts: dict[str, Part], kills: int, seed: int, tell: Callable[[str], None]) -> None:
    """Kill, each time one of those at work, at a moment that differs each time; start it again."""
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    for number in range(kills):
        # Each of the three is killed as often as the others, whatever it takes to start.
        part = parts[KILLERS[number % len(KILLERS)]]
        while not part.alive():
            time.sleep(0.02)
        time.sleep(chance.random())
        part.kill()
        part.start()
        if number % 10 == 9:
            tell(f"{number + 1} kills")
    for part in parts.values():
        part.kill()


def settle(here: Gateway, queued: list[str]) -> int:
    """Work until the queue is empty; how many releases had to be started again because too many workers had died."""
    again = 0
    while True:
        while worker.work_once(here, name="last") is not None:
            pass
        stopped = [key for key in queued if AGAIN in here.store.release(key).fault]
        if not stopped:
            return again
        for key in stopped:
            releases.start(here, here.store.actor("local"), key)
        again += len(stopped)


def judge(here: Gateway, queued: list[str], told: set[str], readers: list[Tally]) -> dict[str, object]:
    """What must hold. Returns the figures; `wrong` names what does not hold."""
    here.publish()
    event = audit.tables.event.c
    with audit.tables.reading(here.store.engine) as connection:
        logged = connection.execute(select(event.event_id)).scalars().all()
        last = connection.execute(select(func.max(event.idx))).scalar_one()
        reads = connection.execute(
            select(func.count()).where(event.kind == EventKind.DATASET_READ, event.actor == "researcher")
        ).scalar_one()
        drafts = Counter(
            connection.execute(
                select(audit.tables.about.c.thing)
                .join(audit.tables.event)
                .where(event.kind == EventKind.REQUEST_DRAFTED, audit.tables.about.c.role == "request")
            ).scalars()
        )
        completed = Counter(
            connection.execute(
                select(audit.tables.about.c.thing)
                .join(audit.tables.event)
                .where(event.kind == EventKind.RELEASE_COMPLETED, audit.tables.about.c.role == "release")
            ).scalars()
        )
        alarms = audit.events(connection, kind=EventKind.LOG_ALARM).events
    verdict = audits.verify(here, here.store.actor("local"))
    read, sent = sum(tally.read for tally in readers), sum(tally.sent for tally in readers)
    drafted = [key for tally in readers for key in tally.drafted]
    checks = {
        "there was no load": bool(told and read),
        "an acknowledged event is lost": told <= set(logged),
        "an event is there twice": len(logged) == len(set(logged)) == last + 1,
        "a page was shown without its event": read <= reads,
        "more reads are logged than were asked for": reads <= sent,
        "a draft that was acknowledged is not logged once": all(drafts[key] == 1 for key in drafted),
        "the log is not sound": verdict.sound,
        "a seal complains though nobody touched the log": not alarms,
        "a release is not delivered": all(here.store.release(key).step is Step.DELIVERED for key in queued),
        "a release is not completed once": dict(completed) == dict.fromkeys(queued, 1),
        "the queue is not at its end": here.store.queue_length() == {"done": len(queued)},
        "half a file rests": not list(here.settings.home.rglob("*.part")),
    }
    return {
        "events": len(logged),
        "acknowledged": len(told),
        "reads_answered": read,
        "reads_logged": reads,
        "drafts": len(drafted),
        "releases": len(queued),
        "wrong": [wrong for wrong, holds in checks.items() if not holds] + list(verdict.findings),
    }


def play(folder: Path, kills: int, *, url: str = "", seed: int = 1, tell: Callable[[str], None] = print) -> dict:  # type: ignore[type-arg]
    """Furnish a home, kill, settle and judge; the figures."""
    study, home = write_trial(folder / "study", subjects=200, fmt="csv"), folder / "home"
    held = settings.Settings(home=home, database_url=url, lease_seconds=5)
    here = open_gateway(held, now=utc_now)
    token, queued, key = furnish(here, study, kills)
    here.store.engine.dispose()
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(gateway.__file__).resolve().parents[1]),
        "GATEWAY_HOME": str(home),
        "GATEWAY_DATABASE_URL": url,
        "GATEWAY_LEASE_SECONDS": "5",
        "TMPDIR": str(folder),
    }
    serve = ["-c", COMMAND, "serve", "--port", str(port), "--no-with-worker"]
    tallies, stop = [Tally() for _ in range(3)], threading.Event()
    own = [__file__, "--write", str(home), url]
    begun = operator.methodcaller("count", "worker started")
    parts = {
        "web": Part(serve, folder / "web.txt", environment, lambda _: sum(tally.read for tally in tallies)),
        "worker": Part(["-c", COMMAND, "worker"], folder / "worker.txt", environment, begun),
        "writer": Part(own, folder / "writer.txt", environment, operator.methodcaller("count", "durable")),
    }
    base = f"http://127.0.0.1:{port}"
    threads = [
        threading.Thread(target=call, args=(base, token, key, tally, stop, number))
        for number, tally in enumerate(tallies)
    ]
    for thread in threads:
        thread.start()
    try:
        strike(parts, kills, seed, tell)
    finally:
        stop.set()
        for part in parts.values():
            part.process.kill()
        for thread in threads:
            thread.join()
    told = {line.removeprefix("durable ") for line in parts["writer"].lines if line.startswith("durable ")}
    later = open_gateway(held, now=lambda: utc_now() + timedelta(hours=2))
    again = settle(later, queued)
    figures = judge(later, queued, told, tallies)
    later.store.engine.dispose()
    return {"kills": {name: part.kills - 1 for name, part in parts.items()}, "started_again": again, **figures}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fault.kill_hundred", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which it strikes")
    parser.add_argument("--postgres", default="", help="SQLAlchemy URL of an empty database; without it SQLite")
    parser.add_argument("--write", nargs=2, metavar=("HOME", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write(Path(options.write[0]), options.write[1])
        return
    with tempfile.TemporaryDirectory(prefix="kill-hundred-", ignore_cleanup_errors=True) as folder:
        figures = play(Path(folder), options.kills, url=options.postgres, seed=options.seed)
    print(json.dumps(figures))
    if figures["wrong"]:
        raise SystemExit("; ".join(figures["wrong"]))


if __name__ == "__main__":
    main()
