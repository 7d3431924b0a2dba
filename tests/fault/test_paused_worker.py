"""A worker paused past its lease: another takes over, and what the first still does is neither saved nor delivered."""

from pathlib import Path

import pytest

from tests.fault import driver
from tests.fault.conftest import Queue, ended_once

PAUSES = (
    "claimed",
    "preparing",
    "prepared",
    "inside-a-later-table",
    "table-sealed-not-noted",
    "packing",
    "packed-not-stored",
    "logged",
    "published-no-proof",
    "proof-before-rename",
    "renamed-not-saved",
)


@pytest.mark.parametrize("point", PAUSES)
def test_a_paused_worker_finds_its_release_ended_by_another(queue: Queue, point: str, tmp_path: Path) -> None:
    paused = queue.run(point, sent="SIGSTOP")
    assert paused.code is None
    gateway = queue.work(2)
    ended_once(queue, gateway, tmp_path / "opened")
    before = queue.rest_of_release()
    assert queue.crew.go_on(paused).code == driver.LOST
    assert queue.rest_of_release() == before
    ended_once(queue, queue.work(4), tmp_path / "opened-again")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("preparing", "table-1-noted"),
        ("inside-a-later-table", "inside-a-later-table"),
        ("inside-a-later-table", "table-sealed-not-noted"),
        ("table-sealed-not-noted", "table-3-noted"),
        ("packing", "packed"),
        ("proof-before-rename", "published-no-proof"),
        ("proof-before-rename", "proof-before-rename"),
        ("proof-before-rename", "renamed-not-saved"),
    ],
)
def test_a_worker_that_wakes_in_the_midst_of_another_spoils_nothing(
    queue: Queue, first: str, second: str, tmp_path: Path
) -> None:
    earlier = queue.run(first, sent="SIGSTOP")
    later = queue.run(second, sent="SIGSTOP", hours=2)
    assert (earlier.code, later.code) == (None, None)
    assert queue.crew.go_on(earlier).code == driver.LOST
    assert queue.crew.go_on(later).code == 0
    ended_once(queue, queue.gateway(4), tmp_path / "opened")
