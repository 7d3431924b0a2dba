"""A watcher outside the gateway: what it follows, and what it alarms at."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from gateway import audit
from tests.audit.conftest import START, Ledger, back_up, restored, visit


def test_a_watcher_follows_a_growing_log_and_counts_what_is_new(local_ledger: Ledger) -> None:
    seen = None
    for count in (1, 255, 1, 400):
        local_ledger.grow(count)
        sighting = visit(local_ledger, seen)
        assert (sighting.alarms, sighting.kinds) == ((), {"dataset.read": count})
        assert sighting.seen is not None
        seen = audit.Seen.parse(str(sighting.seen))
        assert seen == sighting.seen
    assert visit(local_ledger, seen).kinds == {}


def test_a_watcher_alarms_when_history_is_rewritten_or_cut(
    make_ledger: Callable[[str], Ledger], tmp_path: Path
) -> None:
    ledger = make_ledger("watched")
    ledger.grow(5)
    back_up(ledger, tmp_path)
    ledger.grow(4)
    seen = visit(ledger, None).seen
    for count, alarm in (
        (0, "went back from 9 to 5"),
        (4, "two histories: two roots at the same size 9"),
        (6, "does not continue the one of 9"),
    ):
        restored(ledger, 5, tmp_path)
        if count:
            ledger.grow(count)
        sighting = visit(ledger, seen)
        assert alarm in sighting.alarms[0]
        assert sighting.seen == seen
        assert sighting.evidence == (ledger.log_dir / "checkpoint").read_text()


def test_a_watcher_alarms_at_missing_forged_and_damaged_files(local_ledger: Ledger) -> None:
    ledger = local_ledger
    assert "shows no checkpoint" in visit(ledger, None).alarms[0]
    ledger.grow(300)
    entry = ledger.log_dir / "tile/entries/000"
    original = entry.read_bytes()
    entry.write_bytes(original.replace(b"actor-1", b"actor-2", 1))
    assert "the entry 1 in `tile/entries/000` does not have the hash" in visit(ledger, None).alarms[0]
    assert visit(ledger, None, entries=False).alarms == ()
    entry.unlink()
    assert "`tile/entries/000` is missing" in visit(ledger, None).alarms[0]
    (ledger.log_dir / "checkpoint").write_text("torn")
    assert visit(ledger, None).alarms

    def unreachable(path: str) -> bytes | None:
        raise TimeoutError

    sighting = audit.watch(unreachable, ledger.signer.verifier, None, START)
    assert sighting.alarms == ("the log cannot be reached (TimeoutError)",)


def test_a_watcher_alarms_when_the_log_stands_still(local_ledger: Ledger) -> None:
    local_ledger.grow(1)
    seen = visit(local_ledger, None).seen
    assert visit(local_ledger, seen, timedelta(hours=23)).alarms == ()
    assert "stands still" in visit(local_ledger, seen, timedelta(hours=25)).alarms[0]
