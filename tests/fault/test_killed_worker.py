"""A worker killed with SIGKILL at any moment of a release: a plain worker ends it once, and nothing leaks meanwhile."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from gateway.actions import releases
from tests.fault import driver
from tests.fault.conftest import Crew, Queue, ended_once, enqueue, nothing_delivered_without_record, nothing_plain

HOURS_LATER = 2
"""By then the dead worker's lease has run out."""


def killed_then_ended(queue: Queue, point: str, tmp_path: Path) -> None:
    queue.kill(point)
    rests = queue.rest()
    nothing_delivered_without_record(queue)
    gateway = queue.work(HOURS_LATER)
    pseudonyms = ended_once(queue, gateway, tmp_path / "opened")
    nothing_plain(queue, rests, pseudonyms)
    nothing_plain(queue, queue.rest(), pseudonyms)


@pytest.mark.parametrize("point", driver.POINTS)
def test_a_release_whose_worker_was_killed_ends_once(queue: Queue, point: str, tmp_path: Path) -> None:
    killed_then_ended(queue, point, tmp_path)


def test_workers_killed_one_after_the_other_end_one_release(queue: Queue, tmp_path: Path) -> None:
    for hours, point in enumerate(("prepared", "table-1-noted", "packing", "renamed-not-saved")):
        queue.kill(point, hours=2 * hours)
        nothing_delivered_without_record(queue)
    ended_once(queue, queue.work(2 * 5), tmp_path / "opened")


def test_a_release_that_kills_every_worker_stops_with_a_reason_and_can_be_started_again(
    queue: Queue, tmp_path: Path
) -> None:
    for hours in range(5):
        queue.kill("inside-a-later-table", hours=2 * hours)
    gateway = queue.work(2 * 6)
    release = gateway.store.release(queue.release)
    assert "begun several times" in release.fault
    assert gateway.store.queue_length() == {"stopped": 1}
    assert not list(queue.home.rglob("*.age*"))
    releases.start(gateway, gateway.store.actor("local"), queue.release)
    ended_once(queue, queue.work(2 * 7), tmp_path / "opened")


@pytest.fixture
def on_postgres(study: Path, crew: Crew, tmp_path: Path) -> Iterator[Queue]:
    """A gateway with a queued release over a database of its own."""
    server = os.environ.get("GATEWAY_TEST_POSTGRES")
    if not server:
        pytest.skip("GATEWAY_TEST_POSTGRES names no server")
    name = f"fault_{secrets.token_hex(6)}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    yield enqueue(tmp_path, study, crew, url)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.mark.parametrize("point", ["inside-a-later-table", "inside-the-logging-transaction", "inside-the-final-save"])
def test_it_ends_once_on_postgresql_too(on_postgres: Queue, point: str, tmp_path: Path) -> None:
    killed_then_ended(on_postgres, point, tmp_path)
