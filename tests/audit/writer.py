"""A process to be killed: threads that record events and say their ids once durable, and a background sequencer."""

import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, create_engine

from gateway import audit
from gateway.domain.event import Event, EventKind
from gateway.storage.database import open_database


def signer() -> audit.Signer:
    return audit.Signer("killed.example.org/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def open_engine(url: str, search_path: str) -> Engine:
    if search_path:
        return create_engine(url, connect_args={"options": f"-csearch_path={search_path}"})
    return open_database(url)


def main(url: str, search_path: str, log_dir: str, role: str) -> None:
    engine = open_engine(url, search_path)

    def clock() -> datetime:
        return datetime.now(UTC)

    def write(number: int) -> None:
        while True:
            event = Event(EventKind.KEY_USED, role, about={"request": f"r-{number}"}, personal={"name": "N"})
            event_id = recorder.record(event) if number % 2 else alone(event)
            sys.stdout.write(event_id + "\n")
            sys.stdout.flush()

    def alone(event: Event) -> str:
        with engine.begin() as connection:
            return audit.append(connection, event, clock())

    with (
        audit.Recorder(engine, clock) as recorder,
        audit.Sequencer(engine, signer(), Path(log_dir), clock, interval=0.01),
    ):
        threads = [threading.Thread(target=write, args=(number,), daemon=True) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
