"""Speed of the audit log: `python -m tests.bench.audit`.

Events per second that are durable when their writer goes on, for 1, 8 and 32 writers, with the sequencer at work
beside them; what publishing and full verification cost; what logging
adds to a read of the API; one flush of the disk as the floor of all of it.
"""

import argparse
import json
import os
import secrets
import shutil
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, create_engine, text

from gateway import audit
from gateway.actions import accounts
from gateway.app import build
from gateway.context import Arrivals, Gateway, open_gateway
from gateway.domain.event import Event, EventKind
from gateway.settings import Settings
from gateway.storage.database import open_database
from gateway.storage.store import Store

SIGNER = audit.Signer("bench.example.org/log", Ed25519PrivateKey.generate())
KEY = secrets.token_bytes(32)
WRITERS = (1, 8, 32)
Write = Callable[[], int]


def now() -> datetime:
    return datetime.now(UTC)


def event() -> Event:
    return Event(
        EventKind.DATASET_READ,
        "user-0123456789abcdef",
        about={"dataset": "pilot-01", "request": "r-0123456789"},
        facts={"rule": "catalogue.read", "rows": 254, "digest": "0" * 64},
        personal={"name": "Somebody", "address": "192.0.2.1"},
    )


@contextmanager
def database(url: str | None, work: Path) -> Iterator[Engine]:
    """An empty log: in a file, or in a schema of its own on the server."""
    if url is None:
        engine = open_database(f"sqlite:///{work / 'bench.db'}")
        audit.guard(engine, KEY)
        audit.metadata.create_all(engine)
        yield engine
        engine.dispose()
        return
    schema = f"bench_{secrets.token_hex(6)}"
    server = create_engine(url)
    with server.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    options = {"options": f"-csearch_path={schema}"}
    engine = create_engine(url, connect_args=options, pool_size=10, max_overflow=40)
    audit.guard(engine, KEY)
    audit.metadata.create_all(engine)
    yield engine
    engine.dispose()
    with server.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    server.dispose()


def write_for(write: Write, writers: int, seconds: float) -> dict[str, float]:
    """Events per second, and milliseconds each call took (median, 99th percentile)."""
    end = time.perf_counter() + seconds
    taken: list[list[float]] = [[] for _ in range(writers)]
    counts = [0] * writers

    def work(number: int) -> None:
        while (start := time.perf_counter()) < end:
            counts[number] += write()
            taken[number].append(time.perf_counter() - start)

    began, spent = time.perf_counter(), time.process_time()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed, spent = time.perf_counter() - began, time.process_time() - spent
    times = sorted(1000 * each for part in taken for each in part)
    return {
        "events_per_s": round(sum(counts) / elapsed),
        "median_ms": round(statistics.median(times), 2),
        "p99_ms": round(times[int(len(times) * 0.99)], 2),
        "cpu_us_per_event": round(1e6 * spent / sum(counts)),
    }


def ways(engine: Engine, recorder: audit.Recorder) -> dict[str, Write]:
    """The ways an event gets into the log."""

    def shared() -> int:
        recorder.record(event())
        return 1

    def alone() -> int:
        with engine.begin() as connection:
            audit.append(connection, event(), now())
        return 1

    def batch() -> int:
        with engine.begin() as connection:
            audit.append_all(connection, [event() for _ in range(100)], now())
        return 100

    return {"recorder": shared, "own transaction": alone, "batches of 100": batch}


def measure_writing(name: str, url: str | None, work: Path, seconds: float) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for way in ("recorder", "own transaction", "batches of 100"):
        for writers in WRITERS:
            folder = Path(tempfile.mkdtemp(dir=work))
            faults: list[Exception] = []
            with (
                database(url, folder) as engine,
                audit.Recorder(engine, now) as recorder,
                audit.Sequencer(engine, SIGNER, folder / "log", now, on_fault=faults.append) as sequencer,
            ):
                result = write_for(ways(engine, recorder)[way], writers, seconds)
                behind = audit.waiting(engine)
            size = sequencer.checkpoint.size if sequencer.checkpoint else 0
            line: dict[str, object] = {"database": name, "way": way, "writers": writers, **result}
            found.append(line | {"waiting": behind, "published": size} | ({"faults": len(faults)} if faults else {}))
            shutil.rmtree(folder)
            print(json.dumps(found[-1]), flush=True)
    return found


def measure_whole(name: str, url: str | None, work: Path, events: int) -> dict[str, object]:
    """Sequencing, publishing and verifying a large log."""
    with database(url, work) as engine:
        began = time.perf_counter()
        for start in range(0, events, 5000):
            with engine.begin() as connection:
                audit.append_all(connection, [event() for _ in range(min(5000, events - start))], now())
        written = time.perf_counter()
        checkpoint = audit.sequence(engine, SIGNER, work / "log", now())
        published, spent = time.perf_counter(), time.process_time()
        verdict = audit.verify(engine, work / "log", [SIGNER.verifier])
        verified, spent = time.perf_counter(), time.process_time() - spent
        with audit.tables.reading(engine) as connection:
            one = audit.events(connection, limit=1).events[0]
        proofs = []
        for _ in range(50):
            start_of_proof = time.perf_counter()
            audit.prove(engine, work / "log", one.event_id)
            proofs.append(time.perf_counter() - start_of_proof)
    return {
        "database": name,
        "events": checkpoint.size if checkpoint else 0,
        "write_s": round(written - began, 1),
        "sequence_and_publish_s": round(published - written, 1),
        "verify_s": round(verified - published, 1),
        "verify_cpu_s": round(spent, 1),
        "sound": verdict.sound,
        "proof_ms": round(1000 * statistics.median(proofs), 2),
    }


class Unlogged(Store):
    """A store that logs no read, for comparison. It exists here alone."""

    def record(self, event: Event, *, now: datetime) -> str:
        return ""


@contextmanager
def served(gateway: Gateway) -> Iterator[httpx2.Client]:
    """A client of the gateway, over HTTP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(build(gateway), host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
        yield client
    server.should_exit = True
    thread.join()


def measure_read(name: str, url: str | None, work: Path, reads: int) -> dict[str, object]:
    """What logging adds to one read of the API: the same call with and without it, turn by turn.

    floor_ms: the least any log can add, one row of one column committed on the same database in the same minute.
    """
    logged = open_gateway(Settings(home=work / "home", database_url=url or ""))
    accounts.found(logged, steward="local", name="steward")
    operator = accounts.local_actor(logged, "operator")
    headers = {"Authorization": f"Bearer {accounts.issue_token(logged, operator, key='local')[1]}"}
    plain = replace(logged, store=Unlogged(logged.store.engine, audit.append), arrivals=Arrivals())
    times: dict[bool, list[float]] = {True: [], False: []}
    with served(logged) as with_log, served(plain) as without:
        for turn in range(reads + 20):
            for client in (with_log, without) if turn % 2 else (without, with_log):
                start = time.perf_counter()
                answer = client.get("/v1/datasets", headers=headers)
                if turn >= 20:
                    times[client is with_log].append(1000 * (time.perf_counter() - start))
                if answer.status_code != httpx2.codes.OK:
                    raise SystemExit(f"the read was answered {answer.status_code}")
    floor = commit_ms(logged.store.engine)
    logged.store.engine.dispose()
    added = [one - other for one, other in zip(times[True], times[False], strict=True)]
    return {
        "database": name,
        "reads": reads,
        "logged_ms": round(statistics.median(times[True]), 2),
        "unlogged_ms": round(statistics.median(times[False]), 2),
        "added_median_ms": round(statistics.median(added), 2),
        "added_p99_ms": round(sorted(added)[int(reads * 0.99)], 2),
        "floor_ms": floor,
        "flush_ms": flush_ms(work),
    }


def commit_ms(engine: Engine) -> float:
    """One row of one column, committed."""
    times = []
    with engine.connect() as connection:
        with connection.begin():
            connection.exec_driver_sql("CREATE TABLE floor (number INTEGER)")
        for _ in range(200):
            start = time.perf_counter()
            with connection.begin():
                connection.exec_driver_sql("INSERT INTO floor VALUES (1)")
            times.append(time.perf_counter() - start)
        with connection.begin():
            connection.exec_driver_sql("DROP TABLE floor")
    return round(1000 * statistics.median(times), 2)


def flush_ms(work: Path) -> float:
    """One write and flush of 4 KiB."""
    times = []
    with (work / "flush").open("wb") as file:
        for _ in range(200):
            start = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    return round(1000 * statistics.median(times), 2)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.audit", description=__doc__)
    parser.add_argument("--postgres", default=os.environ.get("GATEWAY_TEST_POSTGRES"), help="SQLAlchemy URL")
    parser.add_argument("--seconds", type=float, default=5, help="for each line; 0 leaves them out")
    parser.add_argument("--reads", type=int, default=300, help="of the API, with and without the log; 0 leaves it out")
    parser.add_argument("--events", type=int, default=1_000_000, help="to verify; 0 leaves it out")
    options = parser.parse_args()
    databases = {"sqlite": None} | ({"postgresql": options.postgres} if options.postgres else {})
    with tempfile.TemporaryDirectory(prefix="audit-bench-") as folder:
        print(json.dumps({"flush_ms": flush_ms(Path(folder)), "cores": os.cpu_count(), "load": os.getloadavg()}))
        for name, url in databases.items():
            if options.seconds:
                measure_writing(name, url, Path(folder), options.seconds)
            if options.reads:
                work = Path(tempfile.mkdtemp(dir=folder))
                print(json.dumps(measure_read(name, url, work, options.reads)), flush=True)
                shutil.rmtree(work)
            if options.events:
                work = Path(tempfile.mkdtemp(dir=folder))
                print(json.dumps(measure_whole(name, url, work, options.events)), flush=True)
                shutil.rmtree(work)


if __name__ == "__main__":
    main()
