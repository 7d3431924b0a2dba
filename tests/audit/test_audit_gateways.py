"""Two running gateways that witness each other over HTTP; one shows another history, and is found out."""

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn

from gateway import audit, settings
from gateway.actions import accounts, audits
from gateway.app import build
from gateway.audit.merkle import consistency_proof
from gateway.audit.tiles import TileReader
from gateway.audit.witnessing import write_submission
from gateway.client import watching
from gateway.context import Gateway, open_gateway
from gateway.domain.event import Event, EventKind
from gateway.release import receipts

PATIENCE = 60.0


def wait_for(what: Callable[[], bool]) -> None:
    """Until it is so; how long that takes decides nothing."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Town:
    """A gateway of its own home, key, port and log, that a neighbour witnesses."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.home, self.port = name, folder / name, free_port()
        self.neighbour: Town | None = None
        with self.opened() as gateway:
            accounts.found(gateway, steward="local", name="steward")
            self.vkey, self.witness = str(gateway.signer.verifier), str(gateway.witness.verifier)

    def settings(self) -> settings.Settings:
        given: dict[str, object] = {"home": self.home, "origin": f"{self.name}.example.org/log"}
        if self.neighbour is not None:
            given |= {
                "witnesses": f"http://127.0.0.1:{self.neighbour.port}/witness {self.neighbour.witness}",
                "witness_for": self.neighbour.vkey,
            }
        return settings.Settings(**given)  # type: ignore[arg-type]

    @contextmanager
    def opened(self) -> Iterator[Gateway]:
        gateway = open_gateway(self.settings())
        try:
            yield gateway
        finally:
            gateway.store.engine.dispose()

    @contextmanager
    def running(self) -> Iterator[None]:
        with self.opened() as gateway:
            config = uvicorn.Config(build(gateway), host="127.0.0.1", port=self.port, log_level="warning")
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run)
            thread.start()
            wait_for(lambda: server.started)
            try:
                yield
            finally:
                server.should_exit = True
                thread.join()

    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def visits(self, count: int) -> None:
        """So many calls without a token: each is refused, and an event."""
        for _ in range(count):
            assert httpx2.get(f"{self.url()}/v1/datasets").status_code == 401

    def checkpoint(self) -> audit.Checkpoint:
        answer = httpx2.get(f"{self.url()}/log/checkpoint")
        return audit.open_checkpoint(answer.text, audit.VerifierKey.parse(self.vkey))

    def cosigned(self, at_least: int) -> bool:
        """Whether the checkpoint served covers so many events and carries the neighbour's cosignature."""
        assert self.neighbour is not None
        if httpx2.get(f"{self.url()}/log/checkpoint").status_code != 200:
            return False
        found = self.checkpoint()
        return found.size >= at_least and f"— {self.neighbour.witness.split('+')[0]} " in found.note

    def alarms(self) -> list[audit.LoggedEvent]:
        with self.opened() as gateway, gateway.store.reading() as connection:
            return list(audit.events(connection, kind=EventKind.LOG_ALARM, personal=True).events)


@pytest.fixture
def towns(tmp_path: Path) -> tuple[Town, Town]:
    north, south = Town("north", tmp_path), Town("south", tmp_path)
    north.neighbour, south.neighbour = south, north
    return north, south


def test_a_gateway_that_forks_its_history_is_refused_by_its_witness_and_its_log_says_why(
    towns: tuple[Town, Town], tmp_path: Path
) -> None:
    north, south = towns
    with south.running():
        with north.running():
            north.visits(3)
            south.visits(2)
            wait_for(lambda: north.cosigned(4) and south.cosigned(3))
        shutil.copytree(north.home, tmp_path / "backup")
        with north.running():
            north.visits(5)
            wait_for(lambda: north.cosigned(9))
            seen = watching.visit(f"{north.url()}/log", key=north.vkey, state=tmp_path / "watcher")
            assert seen.alarms == ()
        first = seen.size

        shutil.rmtree(north.home)
        shutil.copytree(tmp_path / "backup", north.home)
        assert north.alarms() == []
        with north.running():
            north.visits(first + 2)
            wait_for(lambda: bool(north.alarms()))
            (alarm, *_) = north.alarms()
            assert alarm.about == {"witness": "south.example.org/witness"}
            assert alarm.facts["what"] == "a witness does not cosign: it has seen another history of this log"
            # What the neighbour said, in its own words.
            assert "another history of this log" in str(alarm.personal["reason"])
            wait_for(lambda: north.checkpoint().size > first + 2)
            refused(north, south, first)
            told = watching.visit(f"{north.url()}/log", key=north.vkey, state=tmp_path / "watcher")
            assert "does not continue the one of" in told.alarms[0]
            assert (tmp_path / "watcher.evidence").read_text() == told.evidence
    # From inside nothing is wrong: only others can tell.
    with north.opened() as gateway:
        assert audits.verify(gateway, gateway.store.actor("local")).sound


def refused(north: Town, south: Town, witnessed: int) -> None:
    """The rewritten history, submitted by hand with the best proof there is: 422, and the sentence says why."""
    checkpoint = north.checkpoint()
    assert "south.example.org" not in checkpoint.note
    tree = TileReader(lambda path: _file(north.home / "log" / path), checkpoint.size, checkpoint.root)
    body = write_submission(witnessed, consistency_proof(tree.node, witnessed, checkpoint.size), checkpoint.note)
    answer = httpx2.post(f"{south.url()}/witness/add-checkpoint", content=body.encode())
    assert answer.status_code == 422
    assert f"is not shown to continue the one of size {witnessed} that this witness has cosigned" in answer.text
    answer = httpx2.post(f"{south.url()}/witness/add-checkpoint", content=body.replace("old ", "old 1", 1).encode())
    assert answer.status_code in (400, 409)


def _file(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def test_a_witness_out_of_reach_does_not_hold_the_log_up(towns: tuple[Town, Town]) -> None:
    north, _ = towns
    with north.running():
        north.visits(3)
        wait_for(lambda: httpx2.get(f"{north.url()}/log/checkpoint").status_code == 200)
        wait_for(lambda: north.checkpoint().size >= 4)
        size = north.checkpoint().size
        north.visits(3)
        wait_for(lambda: north.checkpoint().size >= size + 3)
    assert north.alarms() == []


def test_an_alarm_is_entered_once_an_hour_not_at_every_checkpoint(towns: tuple[Town, Town], tmp_path: Path) -> None:
    north, south = towns
    shutil.copytree(north.home, tmp_path / "backup")
    with south.running():
        with north.opened() as gateway:
            for _ in range(3):
                gateway.store.record(Event(EventKind.KEY_USED, "x"), now=gateway.now())
            gateway.publish()
            assert receipts.ask(gateway).cosigned
        shutil.rmtree(north.home)
        shutil.copytree(tmp_path / "backup", north.home)
        with north.opened() as gateway:
            gateway.publish()
            for _ in range(3):
                asked = receipts.ask(gateway)
                assert asked.alarm
                assert "an older backup of database and log folder was restored" in str(dict(asked.refused))
    assert len(north.alarms()) == 1
