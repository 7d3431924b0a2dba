"""Writers of one process on SQLite: each in its turn, and nobody holds a turn who does not write."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import event as listen
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from gateway import audit
from gateway.storage import database
from gateway.storage.database import Turns, open_database
from tests.audit.conftest import START, Ledger


def test_turns_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    turns, order, threads = Turns(), list[int](), []
    assert turns.take(1)

    def write(number: int) -> None:
        assert turns.take(60)
        order.append(number)
        turns.give()

    for number in range(8):
        threads.append(threading.Thread(target=write, args=(number,)))
        threads[-1].start()
        while len(turns._waiting) <= number:
            pass
    turns.give()
    for thread in threads:
        thread.join()
    assert order == list(range(8))
    assert turns.take(0)


def test_who_waited_too_long_leaves_the_line() -> None:
    turns = Turns()
    assert turns.take(1)
    assert not turns.take(0.01)
    turns.give()
    assert turns.take(0)


def test_the_turn_comes_back_whatever_becomes_of_the_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    ours, theirs = open_database(url), open_database(url)
    listen.listen(ours, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout=1"))
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.01)
    with ours.begin() as writer:
        writer.execute(text("CREATE TABLE thing (number INTEGER)"))
    with theirs.begin(), pytest.raises(OperationalError, match="locked"), ours.begin():
        pass
    with pytest.raises(OperationalError, match="no such table"), ours.begin() as writer:
        writer.execute(text("INSERT INTO absent VALUES (1)"))
    writer = ours.connect()
    writer.begin()
    writer.invalidate()
    for number in range(3):
        with ours.begin() as later:
            assert later.connection.dbapi_connection._mine  # type: ignore[union-attr]
            later.execute(text("INSERT INTO thing VALUES (:number)"), {"number": number})
    ours.dispose()
    theirs.dispose()


def test_a_recorded_event_is_one_statement_and_one_commit_on_postgresql(ledger: Ledger) -> None:
    said: list[str] = []
    with audit.Recorder(ledger.engine, lambda: START) as recorder:
        recorder.record(ledger.event(0))
        listen.listen(ledger.engine, "before_cursor_execute", lambda *told: said.append(told[2].split()[0]))
        recorder.record(ledger.event(1))
    expected = ["WITH"] if ledger.engine.dialect.name == "postgresql" else ["INSERT"] * 3
    assert said == expected


def test_texts_that_were_not_written_as_they_stand_are_found(local_ledger: Ledger) -> None:
    local_ledger.grow(3)
    local_ledger.edit("UPDATE audit_personal SET texts = texts || ' ' WHERE event_id = :id", id=local_ledger.ids[1])
    assert local_ledger.verify().findings == (
        "`audit_personal` of index 1: the texts were changed after they were logged",
    )
