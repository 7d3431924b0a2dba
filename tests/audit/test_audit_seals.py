"""The second before an event has its place: what an administrator does to waiting rows raises an alarm in the log."""

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from gateway import audit
from gateway.audit import seals
from gateway.domain.event import EventKind
from tests.audit.conftest import Ledger

KEY = bytes(range(32))


def guarded(ledger: Ledger) -> Ledger:
    """The ledger with every connection a sealing writer."""
    audit.guard(ledger.engine, KEY)
    ledger.engine.dispose()
    return ledger


def alarms(ledger: Ledger) -> list[tuple[str, list[str]]]:
    """Sequence twice (an alarm stands behind what it is about); what the alarms say, oldest first."""
    ledger.sequence()
    ledger.sequence()
    with ledger.engine.connect() as connection:
        found = audit.events(connection, kind=EventKind.LOG_ALARM).events
    assert ledger.verify().sound
    return [(str(event.facts["what"]), list(event.facts["events"])) for event in found[::-1]]  # type: ignore[arg-type]


def test_untouched_events_of_many_writers_raise_no_alarm(ledger: Ledger) -> None:
    guarded(ledger)

    def work(number: int) -> None:
        for turn in range(20):
            try:
                with ledger.engine.begin() as connection:
                    audit.append_all(connection, [ledger.event(number), ledger.event(turn)], ledger.now)
                    if turn % 3 == number % 3:
                        raise InterruptedError
            except InterruptedError:
                continue

    with audit.Sequencer(ledger.engine, ledger.signer, ledger.log_dir, lambda: ledger.now, interval=0.01):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert alarms(ledger) == []
    checkpoint = ledger.sequence()
    assert checkpoint is not None
    assert checkpoint.size > 100


def test_a_commit_that_fails_raises_no_alarm(local_ledger: Ledger) -> None:
    ledger = guarded(local_ledger)
    ledger.write(1)

    def refused_at_commit() -> None:
        with ledger.engine.begin() as connection:
            connection.execute(text("PRAGMA defer_foreign_keys=ON"))
            audit.append(connection, ledger.event(7), ledger.now)
            connection.execute(text("INSERT INTO audit_about VALUES ('nobody', 'x', 'y')"))

    with pytest.raises(IntegrityError):
        refused_at_commit()
    ledger.write(2)
    assert alarms(ledger) == []


def test_a_waiting_event_that_is_changed_is_named(ledger: Ledger) -> None:
    ids = guarded(ledger).write(5)
    with ledger.engine.connect() as connection:
        query = text("SELECT leaf FROM audit_event WHERE event_id = :id")
        leaf = bytes(connection.execute(query, {"id": ids[2]}).scalar_one())
    changed = leaf.replace(b"actor-2", b"actor-9")
    assert changed != leaf
    ledger.edit("UPDATE audit_event SET leaf = :leaf, actor = 'actor-9' WHERE event_id = :id", leaf=changed, id=ids[2])
    ((what, named),) = alarms(ledger)
    assert "changed while they waited" in what
    assert named == [ids[2]]


def test_waiting_events_that_are_swapped_are_named(ledger: Ledger) -> None:
    ids = guarded(ledger).write(4)
    with ledger.engine.connect() as connection:
        leaves = dict(connection.execute(text("SELECT event_id, leaf FROM audit_event")).all())  # type: ignore[arg-type]
    for one, other in (ids[1:3], ids[2:0:-1]):
        ledger.edit("UPDATE audit_event SET leaf = :leaf WHERE event_id = :id", leaf=leaves[other], id=one)
    ledger.sequence()
    ledger.sequence()
    with ledger.engine.connect() as connection:
        (found,) = audit.events(connection, kind=EventKind.LOG_ALARM).events
    assert found.facts["events"] == [ids[1], ids[2]]


def test_a_waiting_event_put_there_by_hand_is_named(ledger: Ledger) -> None:
    guarded(ledger).write(2)
    ledger.edit(
        "INSERT INTO audit_event (event_id, leaf, time, kind, outcome, actor)"
        " SELECT :id, leaf, time, kind, outcome, actor FROM audit_event LIMIT 1",
        id="f" * 32,
    )
    ledger.sequence()
    ledger.sequence()
    with ledger.engine.connect() as connection:
        (found,) = audit.events(connection, kind=EventKind.LOG_ALARM).events
    assert found.facts["events"] == ["f" * 32]


def test_a_waiting_event_that_is_removed_is_missed_by_the_next(ledger: Ledger) -> None:
    guarded(ledger).grow(3)
    ids = ledger.write(4)
    for table in ("audit_about", "audit_personal", "audit_event"):
        ledger.edit(f"DELETE FROM {table} WHERE event_id = :id", id=ids[1])  # noqa: S608
    ((what, named),) = alarms(ledger)
    assert "removed while they waited" in what
    assert named == [ids[1]]


def test_removing_all_that_waits_is_missed_by_the_next_event_of_the_same_connection(local_ledger: Ledger) -> None:
    ledger = guarded(local_ledger)
    ledger.grow(3)
    with ledger.engine.connect() as writer:
        with writer.begin():
            gone = audit.append_all(writer, [ledger.event(1), ledger.event(2)], ledger.tick())
        for table in ("audit_about", "audit_personal", "audit_event"):
            ledger.edit(f"DELETE FROM {table} WHERE event_id IN (:a, :b)", a=gone[0], b=gone[1])  # noqa: S608
        with writer.begin():
            audit.append(writer, ledger.event(3), ledger.tick())
    ((_, named),) = alarms(ledger)
    assert named == [gone[1]]


def test_another_key_a_cut_seal_and_any_flipped_bit_are_no_good_seal() -> None:
    writer = seals.Writer(KEY)
    leaf = seals.seal(writer, b'{"id":"00"}', "a" * 32)
    again = seals.seal(writer, b'{"id":"01"}', "b" * 32)
    assert seals._predecessor(leaf, KEY) == seals.NOBODY
    assert seals._predecessor(again, KEY) == "a" * 32
    assert seals._predecessor(leaf, KEY[::-1]) is None
    assert seals._predecessor(leaf[:-1], KEY) is None
    assert seals._predecessor(b"", KEY) is None
    for at in range(len(leaf)):
        assert seals._predecessor(leaf[:at] + bytes([leaf[at] ^ 1]) + leaf[at + 1 :], KEY) is None
