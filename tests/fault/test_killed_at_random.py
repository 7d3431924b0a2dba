"""A few of the kills of `kill_hundred`, at each run of the tests; GATEWAY_TEST_KILLS asks for more."""

import os
from pathlib import Path

from tests.fault import kill_hundred

KILLS = int(os.environ.get("GATEWAY_TEST_KILLS", "6"))


def test_web_worker_and_writer_killed_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    figures = kill_hundred.play(tmp_path, KILLS, tell=lambda _: None)
    assert figures["wrong"] == []
    assert sum(figures["kills"].values()) == KILLS
