"""Faults of disk, process, clock and operator: survived, or stopped with a sentence that says what to do."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy import event as listen

from gateway import audit
from gateway.audit import tables
from tests.audit import writer
from tests.audit.conftest import Ledger

KILLS = int(os.environ.get("GATEWAY_TEST_KILLS", "8"))


class Crash(BaseException):
    """The process ends here, as far as the code under test can tell."""


def calls_of(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, fault: Callable[[], BaseException], at: int) -> int:
    """Run the sequencer with the `at`-th call that changes the disk failing; how many such calls there were."""
    count = 0

    def failing(original: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count == at:
                raise fault()
            return original(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "open"), (Path, "mkdir"), (os, "open")):
            patch.setattr(owner, name, failing(getattr(owner, name)))
        ledger.sequence()
    return count


@pytest.mark.parametrize("kind", ["crash", "full"])
def test_a_fault_at_any_call_to_the_disk_leaves_a_log_that_goes_on(
    make_ledger: Callable[[str], Ledger],
    open_sqlite: Callable[[Path], Engine],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: str,
) -> None:
    """The run is repeated with each call failing in turn; what is on disk then must be sound and must go on."""

    def fault() -> BaseException:
        return Crash() if kind == "crash" else OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # still counted; no power is lost here
    prepared = make_ledger("prepared")
    before = prepared.grow(250)
    prepared.write(10)
    prepared.engine.dispose()
    at, failed, total = 1, 0, 1
    while at <= total:
        folder = tmp_path / f"{at}"
        shutil.copytree(tmp_path / "prepared", folder)
        ledger = Ledger(open_sqlite(folder / "gateway.db"), folder / "log", prepared.signer, prepared.now)
        listen.listen(ledger.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
        try:
            total = calls_of(ledger, monkeypatch, fault, at)
        except (Crash, audit.LogUnwritable) as raised:
            failed += 1
            total += 1
            said = str(raised)
        else:
            said = ""  # the call did not matter: it only cleared away rubbish
        assert said in ("", "the disk under the log folder is full; free space; the log then goes on by itself")
        after = ledger.verify()
        assert after.sound, (at, after.findings)
        assert after.size == 260 or (after.size == 250 and after.root == before.root)
        ledger.write(5)
        checkpoint = ledger.sequence()
        assert checkpoint is not None
        assert ledger.verify() == audit.Soundness(sound=True, size=265, root=checkpoint.root, findings=())
        assert not list((ledger.log_dir / ".tmp").glob("*"))
        ledger.engine.dispose()
        shutil.rmtree(folder)
        at += 1
    assert failed > 20


def test_a_read_only_folder_is_told_and_loses_nothing(local_ledger: Ledger) -> None:
    local_ledger.grow(3)
    shutil.rmtree(local_ledger.log_dir)
    local_ledger.log_dir.write_text("a file where the folder should be")
    local_ledger.write(2)
    with pytest.raises(audit.LogUnwritable, match="cannot be read or written"):
        local_ledger.sequence()
    local_ledger.log_dir.unlink()
    checkpoint = local_ledger.sequence()
    assert checkpoint is not None
    assert checkpoint.size == 5


def test_a_torn_tile_stops_the_log_until_it_is_rebuilt(local_ledger: Ledger) -> None:
    before = local_ledger.grow(300)
    for name in ("tile/0/001.p/44", "tile/entries/001.p/44", "tile/1/000.p/1"):
        tile = local_ledger.log_dir / name
        tile.write_bytes(tile.read_bytes()[:-7])
        local_ledger.write(1)
        with pytest.raises(audit.LogBroken, match=name) as raised:
            local_ledger.sequence()
        assert "rebuild" in raised.value.cure
        assert (local_ledger.log_dir / "checkpoint").read_text() == before.note
        audit.rebuild(local_ledger.engine, local_ledger.log_dir, local_ledger.signer.verifier)
    checkpoint = local_ledger.sequence()
    assert checkpoint is not None
    assert checkpoint.size == 303


def test_a_restored_older_database_stops_the_log(make_ledger: Callable[[str], Ledger], tmp_path: Path) -> None:
    ledger = make_ledger("gateway")
    ledger.grow(5)
    ledger.engine.dispose()
    database = ledger.log_dir.parent / "gateway.db"
    shutil.copy(database, tmp_path / "backup.db")
    signed = ledger.grow(5)
    ledger.engine.dispose()
    shutil.copy(tmp_path / "backup.db", database)
    ledger.write(20)
    with pytest.raises(audit.LogBroken) as raised:
        ledger.sequence()
    assert str(raised.value) == (
        "the database holds 5 sequenced events but a checkpoint of 10 is already signed: an older backup of the "
        "database was restored, or events were removed; restore the newest database, or end this log and start one "
        "under a new name and folder; the old folder stays as evidence"
    )
    assert (ledger.log_dir / "checkpoint").read_text() == signed.note
    assert "an older backup was restored or the tail was cut" in "\n".join(ledger.verify().findings)


def test_a_restored_older_folder_is_caught_up(make_ledger: Callable[[str], Ledger], tmp_path: Path) -> None:
    ledger = make_ledger("gateway")
    ledger.grow(300)
    shutil.copytree(ledger.log_dir, tmp_path / "old")
    newest = ledger.grow(700)
    shutil.rmtree(ledger.log_dir)
    shutil.copytree(tmp_path / "old", ledger.log_dir)
    assert ledger.sequence() == newest
    assert ledger.verify().sound


def test_the_database_of_another_log_stops_the_sequencer(make_ledger: Callable[[str], Ledger]) -> None:
    one, other = make_ledger("one"), make_ledger("other")
    one.grow(5)
    other.grow(5)
    other.signer, other.log_dir = one.signer, one.log_dir
    with pytest.raises(audit.LogBroken, match="different roots"):
        other.sequence()


def test_another_key_of_the_same_name_stops_the_sequencer(
    local_ledger: Ledger, make_signer: Callable[..., audit.Signer]
) -> None:
    local_ledger.grow(5)
    local_ledger.signer = make_signer(local_ledger.signer.name)
    local_ledger.write(1)
    with pytest.raises(audit.LogBroken, match="which signing key and log folder belong together"):
        local_ledger.sequence()


def test_a_stale_checkpoint_put_back_is_caught_up(local_ledger: Ledger) -> None:
    stale = local_ledger.grow(3)
    newest = local_ledger.grow(3)
    (local_ledger.log_dir / "checkpoint").write_text(stale.note)
    assert local_ledger.verify().notes == ("3 events are sequenced but not yet published",)
    assert local_ledger.sequence() == newest


def test_a_clock_that_jumps_back_does_not_change_the_order(local_ledger: Ledger) -> None:
    local_ledger.grow(3)
    local_ledger.now -= timedelta(days=400)
    local_ledger.grow(3)
    verdict = local_ledger.verify()
    assert verdict.sound
    assert verdict.size == 6
    assert verdict.notes == (
        "the clock went back at 3 events, first at index 3; the order of the log is that of the indexes",
    )


def test_two_folders_by_mistake_hold_the_same_log(make_ledger: Callable[[str], Ledger], tmp_path: Path) -> None:
    ledger = make_ledger("gateway")
    for turn in range(6):
        ledger.write(100)
        folder = ledger.log_dir if turn % 2 else tmp_path / "second"
        audit.sequence(ledger.engine, ledger.signer, folder, ledger.tick())
    first, second = (
        audit.sequence(ledger.engine, ledger.signer, folder, ledger.tick())
        for folder in (ledger.log_dir, tmp_path / "second")
    )
    assert first == second
    assert first is not None
    assert first.size == 600


# Processes killed at any moment, under load.


@pytest.fixture
def start(engine: Engine, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts the program `writer.py`: it writes events, says each that is durable, and runs the sequencer."""
    running: list[subprocess.Popen[str]] = []
    options = ""
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            options = connection.exec_driver_sql("SHOW search_path").scalar_one()

    def run(role: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                sys.executable,
                writer.__file__,
                engine.url.render_as_string(hide_password=False),
                options,
                str(tmp_path / "log"),
                role,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.wait()


def test_killed_at_random_moments_no_acknowledged_event_is_lost_or_twice(
    engine: Engine, start: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    acknowledged: set[str] = set()
    running = {role: start(role) for role in ("one", "two")}
    for kill in range(KILLS):
        role = ("one", "two")[kill % 2]
        process = running[role]
        assert process.stdout is not None
        # Wait for signs of life, then strike at a moment that differs each time.
        for _ in range(5):
            acknowledged.add(process.stdout.readline().strip())
        time.sleep((kill * 37 % 100) / 400)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()
        process.wait()
        acknowledged |= {line for line in rest.split("\n")[:-1] if line}
        running[role] = start(role)
    for process in running.values():
        process.kill()
        assert process.stdout is not None
        acknowledged |= {line for line in process.stdout.read().split("\n")[:-1] if line}
    acknowledged.discard("")
    signer = writer.signer()
    checkpoint = audit.sequence(engine, signer, tmp_path / "log", Ledger(engine, tmp_path, signer).tick())
    with engine.connect() as connection:
        logged = set(connection.execute(select(tables.event.c.event_id)).scalars())
        count = connection.execute(select(func.count()).select_from(tables.event)).scalar_one()
    assert len(acknowledged) > KILLS * 5
    assert acknowledged <= logged
    assert checkpoint is not None
    assert checkpoint.size == count == len(logged)
    assert audit.verify(engine, tmp_path / "log", [signer.verifier]).findings == ()
