"""The yardstick is sound: it counts what it should, the floor really releases the rows, and failures are not costs."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pyrage
import pytest

from gateway.demo.large import write_large_lab
from tests.bench.__main__ import show
from tests.bench.measure import Cost, Failed, measure, middle
from tests.bench.release_floor import release_floor

ROOT = Path(__file__).resolve().parents[2]
BURNT = 0.3
MEBI = 1 << 20


def burn():
    """A module-level function to be measured: a fixed amount of CPU, not of time."""
    while time.process_time() < BURNT:
        pass


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_large_lab(tmp_path_factory.mktemp("study"), rows=600_000, subjects=1_200)


def test_the_floor_releases_every_row_to_the_one_key(study, tmp_path):
    key = pyrage.x25519.Identity.generate()
    release_floor(str(study / "lb.parquet"), str(tmp_path / "lb.age"), str(key.to_public()))
    opened = pq.read_table(io.BytesIO(pyrage.decrypt((tmp_path / "lb.age").read_bytes(), [key])))
    assert opened.equals(pq.read_table(study / "lb.parquet"))


def test_the_floor_leaves_nothing_readable_on_disk(study, tmp_path):
    key = pyrage.x25519.Identity.generate()
    release_floor(str(study / "lb.parquet"), str(tmp_path / "lb.age"), str(key.to_public()))
    assert [path.name for path in tmp_path.iterdir()] == ["lb.age"]
    sealed = (tmp_path / "lb.age").read_bytes()
    assert sealed.startswith(b"age-encryption.org/v1")
    assert b"PAR1" not in sealed[:4096] + sealed[-4096:]


def test_a_bad_recipient_stops_the_floor_instead_of_hanging(study, tmp_path):
    with pytest.raises(pyrage.RecipientError):
        release_floor(str(study / "lb.parquet"), str(tmp_path / "lb.age"), "age1nobody")


def test_a_full_disk_stops_the_floor_instead_of_hanging(study):
    key = str(pyrage.x25519.Identity.generate().to_public())
    with pytest.raises(OSError, match=r"No space left|Broken pipe"):
        release_floor(str(study / "lb.parquet"), "/dev/full", key)


def test_cpu_of_the_command_and_of_its_children_is_counted():
    code = f"import time\nwhile time.process_time() < {BURNT}: pass"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True)"
    assert measure([sys.executable, "-c", code]).cpu >= BURNT
    assert measure([sys.executable, "-c", nested]).cpu >= BURNT


def test_cpu_of_threads_is_counted():
    code = f"import threading, time\ndef f():\n    while time.thread_time() < {BURNT}: pass\n"
    code += "t = [threading.Thread(target=f) for _ in range(2)]\n[x.start() for x in t]\n[x.join() for x in t]"
    assert measure([sys.executable, "-c", code]).cpu >= 2 * BURNT


def test_a_function_is_measured_in_a_process_of_its_own():
    cost = measure(burn)
    assert cost.cpu >= BURNT
    assert cost.cpu > cost.own_cpu
    assert cost.wall > 0


def test_peak_memory_is_that_of_the_command_not_of_who_asked():
    ballast = bytearray(300 * MEBI)
    ballast[::4096] = b"x" * len(ballast[::4096])
    small = measure([sys.executable, "-c", "pass"]).peak_rss
    large = measure([sys.executable, "-c", f"b = bytearray({200 * MEBI}); b[::4096] = b'x' * len(b[::4096])"]).peak_rss
    assert len(ballast) > 0
    assert small < 100 * MEBI < 200 * MEBI <= large


def test_a_command_that_fails_has_no_cost():
    with pytest.raises(Failed, match="no such luck"):
        measure([sys.executable, "-c", "raise SystemExit('no such luck')"])
    with pytest.raises(Failed):
        measure(["/nowhere/at/all"])


def test_a_lambda_cannot_be_measured_in_a_fresh_process():
    with pytest.raises(ValueError, match="module-level"):
        measure(lambda: None)


def test_the_middle_of_several_runs_keeps_the_highest_peak():
    runs = [Cost(3.0, 1.0, 10, 2.5), Cost(1.0, 9.0, 30, 0.5), Cost(2.0, 2.0, 20, 1.5)]
    assert middle(runs) == Cost(2.0, 2.0, 30, 1.5)


def test_the_benchmark_speaks_json(study):
    command = [sys.executable, "-m", "tests.bench", "--study", str(study), "--runs", "1", "--json"]
    report = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    assert (report["rows"], report["subjects"]) == (600_000, 1_200)
    sides = report["sides"]
    assert sides["product"]["cpu"] / sides["floor"]["cpu"] == report["cpu_ratio"] > 0
    assert sides["product"]["own_cpu"] < sides["product"]["cpu"]
    assert sides["product"]["sealed_bytes"] > 1 << 20


def test_the_table_names_both_sides_and_says_what_was_aimed_at():
    side = {"cpu": 2.0, "wall": 1.0, "peak_rss": 300 * MEBI, "own_cpu": 1.5, "sealed_bytes": 34 * MEBI}
    slow = {"cpu": 4.0, "wall": 2.0, "peak_rss": 2048 * MEBI, "own_cpu": 2.0, "sealed_bytes": 34 * MEBI}
    about = {
        "rows": 600_000,
        "subjects": 1_200,
        "source_bytes": 34 * MEBI,
        "generated": None,
        "machine": "x",
        "runs": 1,
    }
    table = show(
        {
            "sides": {"floor": side, "product": slow},
            "cpu_ratio": 2.0,
            "own_cpu_ratio": 1.33,
            "machine": "x",
            "runs": 1,
            **about,
        }
    )
    assert "600,000 rows" in table
    assert "300,000" in table  # rows/s of the product
    assert "2.00 x the floor, aim 1.5: MISSED" in table
    assert "1.33 x the floor, aim 1.5: met" in table
    assert "peak 2048 MiB, aim below 1024: MISSED" in table
