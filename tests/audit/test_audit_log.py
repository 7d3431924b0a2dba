"""From event to proof, on every database: outbox, sequencer, receipts, search, erasure."""

import json
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from gateway import audit
from gateway.audit import tables
from gateway.audit.leaves import commitment, field_salt, opens
from gateway.domain.event import Event, EventKind, Outcome
from gateway.errors import Invalid, NotFound, NotPossible
from tests.audit.conftest import START, Ledger


def leaf_of(ledger: Ledger, event_id: str) -> bytes:
    with ledger.engine.connect() as connection:
        leaf = connection.execute(select(tables.event.c.leaf).where(tables.event.c.event_id == event_id)).scalar_one()
    return bytes(leaf)


def test_an_event_becomes_a_receipt_that_verifies(ledger: Ledger) -> None:
    ids = ledger.write(3)
    checkpoint = ledger.sequence()
    assert checkpoint is not None
    assert checkpoint.size == 3
    for place, event_id in enumerate(ids):
        receipt = audit.prove(ledger.engine, ledger.log_dir, event_id)
        leaf, proved = audit.verify_proof(receipt.proof, ledger.signer.verifier)
        assert (receipt.index, leaf, proved) == (place, leaf_of(ledger, event_id), checkpoint)
        assert json.loads(leaf)["id"] == event_id


def test_an_empty_log_has_no_checkpoint_and_is_sound(ledger: Ledger) -> None:
    assert ledger.sequence() is None
    assert ledger.verify().sound


def test_a_rolled_back_change_leaves_no_event(ledger: Ledger) -> None:
    with ledger.engine.connect() as connection:
        audit.append(connection, ledger.event(0), START)
        connection.rollback()
    ledger.write(1)
    checkpoint = ledger.sequence()
    assert checkpoint is not None
    assert checkpoint.size == 1


def test_every_event_has_one_place_and_places_have_no_gap(ledger: Ledger) -> None:
    for count in (1, 2, 253, 1, 300):
        ledger.write(count)
        ledger.sequence(batch=100)
    with ledger.engine.connect() as connection:
        rows = connection.execute(
            select(tables.event.c.idx, tables.event.c.event_id).order_by(tables.event.c.idx)
        ).all()
    assert [row.idx for row in rows] == list(range(557))
    assert [row.event_id for row in rows] == ledger.ids
    assert ledger.verify() == audit.Soundness(sound=True, size=557, root=ledger.verify().root, findings=())


def test_the_tree_does_not_depend_on_how_it_was_batched(ledger: Ledger, tmp_path: Path) -> None:
    for count in (5, 251, 1, 260):
        ledger.grow(count)
    step_by_step = ledger.sequence()
    (ledger.log_dir / "checkpoint").rename(tmp_path / "checkpoint")
    at_once = audit.sequence(ledger.engine, ledger.signer, tmp_path / "other", ledger.tick())
    assert step_by_step == audit.open_checkpoint((tmp_path / "checkpoint").read_text(), ledger.signer.verifier)
    assert at_once == step_by_step


def test_a_leaf_holds_no_personal_text_but_a_commitment_to_it(ledger: Ledger) -> None:
    ledger.write(1)
    leaf = leaf_of(ledger, ledger.ids[0])
    assert b"Person" not in leaf
    assert b"192.0.2.7" not in leaf
    committed = json.loads(leaf)["personal"]
    with ledger.engine.connect() as connection:
        row = connection.execute(select(tables.personal)).mappings().one()
    texts = json.loads(row["texts"])
    assert set(texts) == set(committed) == {"name", "address"}
    for name, text in texts.items():
        salt = field_salt(bytes(row["salt"]), name)
        assert opens(committed[name], name, text, salt)
        assert not opens(committed[name], name, text + " ", salt)
        assert not opens(committed[name], name, text, bytes(32))
        assert not opens(committed[name], name, text, bytes(row["salt"]))


def test_equal_texts_have_different_commitments(ledger: Ledger) -> None:
    ledger.write(2)
    first, second = (json.loads(leaf_of(ledger, event_id))["personal"]["address"] for event_id in ledger.ids)
    assert first != second


def test_a_commitment_tells_field_and_text_apart() -> None:
    assert commitment("ab", "c", bytes(32)) != commitment("a", "bc", bytes(32))


def test_no_file_of_the_log_holds_personal_text(ledger: Ledger) -> None:
    ledger.grow(300)
    for file in ledger.log_dir.rglob("*"):
        if file.is_file():
            assert b"Person" not in file.read_bytes()


def test_erased_text_leaves_every_proof_whole(ledger: Ledger) -> None:
    ledger.grow(10)
    before = audit.receipt(ledger.engine, ledger.log_dir, ledger.ids[4])
    with ledger.engine.begin() as connection:
        erased = audit.erase(connection, ledger.ids[4:6], by="officer", reason="gdpr-17", now=ledger.tick())
    assert erased == 2
    with ledger.engine.connect() as connection:
        stored = connection.execute(select(func.count()).where(tables.personal.c.texts.is_not(None))).scalar_one()
        assert audit.event_of(connection, ledger.ids[4], personal=True).personal == {"name": None, "address": None}
    assert stored == 8
    assert ledger.verify().sound  # the erasure itself still waits for the sequencer
    ledger.sequence()
    verdict = ledger.verify()
    assert verdict.sound
    assert verdict.notes == ("the personal texts of 2 events were erased, as the log says",)
    audit.verify_proof(before, ledger.signer.verifier)
    audit.verify_proof(audit.receipt(ledger.engine, ledger.log_dir, ledger.ids[4]), ledger.signer.verifier)


def test_an_erasure_of_many_events_fits_its_leaves(ledger: Ledger) -> None:
    ledger.write(2500)
    with ledger.engine.begin() as connection:
        assert audit.erase(connection, ledger.ids, by="officer", reason="gdpr-17", now=ledger.tick()) == 2500
    checkpoint = ledger.sequence()
    assert checkpoint is not None
    assert checkpoint.size == 2503
    assert ledger.verify().sound


def test_the_largest_leaf_fits_and_one_byte_more_is_refused(ledger: Ledger) -> None:
    def event(length: int) -> Event:
        return Event(EventKind.FAILURE, "a", facts={"text": "x" * length})

    with ledger.engine.begin() as connection:
        event_id = audit.append(connection, event(0), START)
        room = 65_535 - len(bytes(connection.execute(select(tables.event.c.leaf)).scalar_one()))
        audit.append(connection, event(room), START)
        with pytest.raises(Invalid, match="65536 bytes"):
            audit.append(connection, event(room + 1), START)
    ledger.sequence()
    assert ledger.verify().sound
    audit.receipt(ledger.engine, ledger.log_dir, event_id)


@pytest.mark.parametrize("fact", [float("nan"), float("inf"), b"bytes", {1, 2}, "\ud800"])
def test_a_fact_that_is_not_json_is_refused_without_naming_it(ledger: Ledger, fact: object) -> None:
    with ledger.engine.connect() as connection, pytest.raises(Invalid, match="cannot be written as JSON"):
        audit.append(connection, Event(EventKind.FAILURE, "a", facts={"fact": fact}), START)  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "changes",
    [{"actor": ""}, {"actor": "x" * 129}, {"actor": "a\0b"}, {"about": {"study": "x" * 257}}, {"about": {"": "s"}}],
)
def test_an_id_that_a_column_cannot_hold_is_refused_on_every_database(
    ledger: Ledger, changes: dict[str, object]
) -> None:
    with ledger.engine.connect() as connection, pytest.raises(Invalid, match="an id in event"):
        audit.append(connection, ledger.event(0, **changes), START)


def test_texts_of_every_script_survive(ledger: Ledger) -> None:
    personal = {"name": "Zoë 山田 \u202e\0 𝔘", "note": "line\nline\t\"'\\"}
    with ledger.engine.begin() as connection:
        event_id = audit.append(connection, ledger.event(0, personal=personal, facts={"words": ["é", "\0"]}), START)
    ledger.sequence()
    with ledger.engine.connect() as connection:
        event = audit.event_of(connection, event_id, personal=True)
    assert (event.personal, event.facts) == (personal, {"words": ["é", "\0"]})
    assert ledger.verify().sound


def test_a_time_without_zone_is_refused(ledger: Ledger) -> None:
    with ledger.engine.connect() as connection, pytest.raises(Invalid, match="zone"):
        audit.append(connection, ledger.event(0), datetime(2026, 1, 1))  # noqa: DTZ001


def test_an_event_that_is_not_published_yet_has_no_proof(ledger: Ledger) -> None:
    ledger.write(1)
    with pytest.raises(NotPossible, match="no signed checkpoint covers it"):
        audit.prove(ledger.engine, ledger.log_dir, ledger.ids[0])
    ledger.sequence()
    (event_id,) = ledger.write(1)
    with pytest.raises(NotPossible, match="no signed checkpoint covers it"):
        audit.prove(ledger.engine, ledger.log_dir, event_id)
    with pytest.raises(NotFound):
        audit.prove(ledger.engine, ledger.log_dir, "0" * 32)


def test_a_proof_is_refused_for_another_leaf_log_or_key(ledger: Ledger) -> None:
    ledger.grow(9)
    receipt = audit.prove(ledger.engine, ledger.log_dir, ledger.ids[3])
    key = ledger.signer.verifier
    with pytest.raises(audit.NoteRefused, match="does not lead"):
        audit.verify_proof(receipt.proof, key, leaf=leaf_of(ledger, ledger.ids[2]))
    with pytest.raises(audit.NoteRefused, match="does not lead"):
        audit.verify_proof(receipt.proof.replace("index 3", "index 2"), key)
    stranger = audit.Signer("log.example.org/stranger", Ed25519PrivateKey.generate()).verifier
    with pytest.raises(audit.NoteRefused, match="no trusted key"):
        audit.verify_proof(receipt.proof, stranger)


def test_events_are_found_by_what_they_say(ledger: Ledger) -> None:
    ledger.write(10)
    with ledger.engine.begin() as connection:
        refused = Event(EventKind.ACCESS_DENIED, "mallory", Outcome.REFUSED, about={"request": "r-1"})
        audit.append(connection, refused, START + timedelta(days=1))
    with ledger.engine.connect() as connection:

        def found(**wanted: object) -> list[int]:
            page = audit.events(connection, **wanted)  # type: ignore[arg-type]
            return [ledger.ids.index(e.event_id) if e.event_id in ledger.ids else -1 for e in page.events]

        assert found() == [-1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
        assert found(actor="actor-1") == [7, 4, 1]
        assert found(about="dataset-2") == [7, 2]
        assert found(about="dataset-2", actor="actor-1") == [7]
        assert found(kind=EventKind.ACCESS_DENIED) == [-1]
        assert found(outcome="refused") == [-1]
        assert found(after=START + timedelta(hours=1)) == [-1]
        assert found(before=START) == []
        assert found(about="nothing") == []
        assert found(about="' OR 1=1 --") == []


def test_pages_follow_one_another_without_loss_while_events_arrive(ledger: Ledger) -> None:
    ledger.write(25)
    seen: list[str] = []
    cursor = None
    with ledger.engine.connect() as connection:
        while True:
            page = audit.events(connection, limit=10, cursor=cursor)
            seen += [event.event_id for event in page.events]
            connection.rollback()
            with ledger.engine.begin() as other:
                audit.append(other, ledger.event(99), ledger.tick())
            if page.cursor is None:
                break
            cursor = page.cursor
        assert seen == ledger.ids[::-1]
        for wrong in ("x", "-1", "9" * 40, "1; DROP TABLE audit_event"):
            with pytest.raises(Invalid, match="cursor"):
                audit.events(connection, cursor=wrong)
        with pytest.raises(Invalid):
            audit.events(connection, limit=0)


def test_a_reader_sees_what_the_leaf_says_and_personal_text_only_when_asked(ledger: Ledger) -> None:
    ledger.grow(1)
    with ledger.engine.connect() as connection:
        (plain,) = audit.events(connection).events
        (full,) = audit.events(connection, personal=True).events
    assert plain.personal == {}
    assert full.personal == {"name": "Person 0", "address": "192.0.2.7"}
    assert (plain.index, plain.kind, plain.facts, plain.about) == (
        0,
        "dataset.read",
        {"number": 0},
        {"dataset": "dataset-0"},
    )
    assert plain.time == START + timedelta(milliseconds=1)


def test_many_writers_and_sequencers_at_once_lose_nothing(ledger: Ledger) -> None:
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(12):
                with ledger.engine.begin() as connection:
                    audit.append_all(connection, [ledger.event(number)] * (1 + step % 3), START)
                if number < 3:
                    audit.sequence(ledger.engine, ledger.signer, ledger.log_dir, START, batch=7)
        except BaseException as fault:  # noqa: BLE001
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    checkpoint = ledger.sequence()
    assert checkpoint is not None
    assert checkpoint.size == 6 * 24
    assert ledger.verify().sound


def test_a_recorder_makes_each_event_durable_before_it_answers(ledger: Ledger) -> None:
    answers: list[str] = []
    with audit.Recorder(ledger.engine, lambda: START) as recorder:

        def caller(number: int) -> None:
            for _ in range(5):
                event_id = recorder.record(ledger.event(number))
                with ledger.engine.connect() as connection:
                    answers.append(audit.event_of(connection, event_id).event_id)

        threads = [threading.Thread(target=caller, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with pytest.raises(Invalid, match="JSON"):
            recorder.record(Event(EventKind.FAILURE, "a", facts={"fact": float("nan")}))
    assert len(set(answers)) == 20
    with pytest.raises(audit.LogBroken, match="not running"):
        recorder.record(ledger.event(0))


def test_a_bad_event_does_not_take_its_neighbours_with_it(ledger: Ledger) -> None:
    recorder = audit.Recorder(ledger.engine, lambda: START)
    events = [ledger.event(0), Event(EventKind.FAILURE, "a", facts={"fact": float("nan")}), ledger.event(1)]
    calls = [audit.recording.Call(event) for event in events]
    recorder._commit(calls)
    assert isinstance(calls[1].fault, Invalid)
    with ledger.engine.connect() as connection:
        assert [e.event_id for e in audit.events(connection).events] == [calls[2].event_id, calls[0].event_id]


def test_when_the_database_refuses_the_caller_is_told(ledger: Ledger) -> None:
    with audit.Recorder(ledger.engine, lambda: START) as recorder:
        recorder.record(ledger.event(0))
        tables.metadata.drop_all(ledger.engine)
        with pytest.raises(Exception, match="audit_event"):
            recorder.record(ledger.event(1))


def test_the_background_sequencer_publishes_by_itself_and_when_it_ends(ledger: Ledger) -> None:
    published = threading.Event()
    seen: list[int] = []

    def on_checkpoint(checkpoint: audit.Checkpoint) -> None:
        seen.append(checkpoint.size)
        published.set()

    with audit.Sequencer(
        ledger.engine, ledger.signer, ledger.log_dir, lambda: START, interval=0.05, on_checkpoint=on_checkpoint
    ) as sequencer:
        ledger.write(2)
        assert published.wait(30)
        ledger.write(3)
        sequencer.wake()
    assert seen[-1] == 5
    assert sequencer.fault is None
    assert ledger.verify().sound


def test_the_background_sequencer_survives_a_fault_and_says_it(ledger: Ledger) -> None:
    ledger.grow(1)
    checkpoint = (ledger.log_dir / "checkpoint").read_text()
    (ledger.log_dir / "checkpoint").write_text("torn")
    failed, mended = threading.Event(), threading.Event()
    told: list[Exception] = []

    def on_fault(fault: Exception) -> None:
        told.append(fault)
        failed.set()

    with audit.Sequencer(
        ledger.engine,
        ledger.signer,
        ledger.log_dir,
        lambda: START,
        interval=0.02,
        on_fault=on_fault,
        on_checkpoint=lambda _: mended.set(),
    ) as sequencer:
        assert failed.wait(30)
        assert isinstance(sequencer.fault, audit.LogBroken)
        (ledger.log_dir / "checkpoint").write_text(checkpoint)
        assert mended.wait(30)
    assert "checkpoint in the log folder" in str(told[0])


def test_reading_the_log_does_not_wait_for_a_writer(local_ledger: Ledger) -> None:
    local_ledger.grow(5)
    with local_ledger.engine.begin() as writing:
        audit.append(writing, local_ledger.event(5), START)
        assert local_ledger.verify().sound
        assert audit.waiting(local_ledger.engine) == 0
        audit.prove(local_ledger.engine, local_ledger.log_dir, local_ledger.ids[0])
        audit.rebuild(local_ledger.engine, local_ledger.log_dir, local_ledger.signer.verifier)
