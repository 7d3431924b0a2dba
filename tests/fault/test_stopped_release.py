"""A release that stops for a reason: nothing of it stays, and started again it begins anew and ends whole."""

from pathlib import Path

from gateway.actions import releases
from gateway.domain.request import Status
from tests.fault.conftest import OVERSEER, Queue, ended_once

FULL = "the disk did not take a sealed table (EFBIG); make room there, then start the release again"


def stopped(queue: Queue, told: str) -> None:
    gateway = queue.gateway()
    release = gateway.store.release(queue.release)
    request = gateway.store.request(queue.request, seen_by=OVERSEER)
    assert told in release.fault
    assert request.status is Status.APPROVED
    assert gateway.store.queue_length() == {"stopped": 1}
    assert not [path for path in (queue.home / "releases").rglob("*") if path.is_file()]
    releases.start(gateway, gateway.store.actor("local"), queue.release)
    gateway.store.engine.dispose()


def test_a_full_disk_stops_the_release_and_it_can_be_started_again(queue: Queue, tmp_path: Path) -> None:
    assert queue.run(small_disk=True).code == 0
    stopped(queue, FULL)
    ended_once(queue, queue.work(1), tmp_path / "opened")


def test_it_stops_each_time_until_there_is_room(queue: Queue, tmp_path: Path) -> None:
    for hours in range(3):
        assert queue.run(small_disk=True, hours=hours).code == 0
        stopped(queue, FULL)
    ended_once(queue, queue.work(7), tmp_path / "opened")


def test_a_worker_killed_after_a_stop_does_not_bring_back_what_was_thrown_away(queue: Queue, tmp_path: Path) -> None:
    assert queue.run(small_disk=True).code == 0
    stopped(queue, FULL)
    queue.kill("table-1-noted", hours=1)
    ended_once(queue, queue.work(3), tmp_path / "opened")
