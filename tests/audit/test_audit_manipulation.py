"""The database and the files edited behind our back: found every time, and the place is named."""

import random
import shutil
from collections.abc import Callable

import pytest
from sqlalchemy import text

from gateway import audit
from tests.audit.conftest import Ledger

SIZE = 600


@pytest.fixture
def written(ledger: Ledger) -> Ledger:
    ledger.grow(SIZE)
    assert ledger.verify().sound
    return ledger


def found(ledger: Ledger) -> tuple[str, ...]:
    verdict = ledger.verify()
    assert verdict.sound == (not verdict.findings)
    return verdict.findings


@pytest.mark.parametrize("index", [0, 255, 256, SIZE - 1])
def test_a_changed_leaf_is_found(written: Ledger, index: int) -> None:
    with written.engine.connect() as connection:
        leaf = connection.execute(text("SELECT leaf FROM audit_event WHERE idx = :i"), {"i": index}).scalar_one()
    changed = bytes(leaf).replace(b'"actor":"actor-', b'"actor":"agent-')
    written.edit("UPDATE audit_event SET leaf = :leaf WHERE idx = :i", leaf=changed, i=index)
    (finding,) = found(written)
    assert finding.startswith(f"`audit_event` index {index}: changed, or put in place of another")
    assert written.ids[index] in finding


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "nobody"),
        ("kind", "dataset.added"),
        ("outcome", "failed"),
        ("time", "2020-01-01T00:00:00.000000Z"),
        ("event_id", "0" * 32),
    ],
)
def test_a_changed_copy_is_found_though_the_leaf_is_whole(written: Ledger, column: str, value: str) -> None:
    written.edit(f"UPDATE audit_event SET {column} = :v WHERE idx = 300", v=value)  # noqa: S608
    assert f"`audit_event` index 300: `{column}` was changed" in "\n".join(found(written))


def test_a_deleted_row_is_found_and_what_it_was_is_said(written: Ledger) -> None:
    written.edit("DELETE FROM audit_event WHERE idx = 300")
    findings = found(written)
    assert findings[0] == (
        f"`audit_event` index 300: removed from the database (the first was event {written.ids[300]}, `dataset.read`)"
    )


def test_a_deleted_range_over_whole_tiles_is_found(written: Ledger) -> None:
    written.edit("DELETE FROM audit_event WHERE idx BETWEEN 10 AND 580")
    assert found(written)[0].startswith("`audit_event` indexes 10 to 580: removed")


def test_swapped_rows_are_found(written: Ledger) -> None:
    for old, new in ((40, -1), (500, 40), (-1, 500)):
        written.edit("UPDATE audit_event SET idx = :new WHERE idx = :old", old=old, new=new)
    assert found(written) == ("`audit_event` indexes 40 and 500: swapped",)


def test_a_row_deleted_and_the_rest_renumbered_is_found(written: Ledger) -> None:
    written.edit("DELETE FROM audit_event WHERE idx = 400")
    # Through negative numbers, as an index may not occur twice at any moment.
    written.edit("UPDATE audit_event SET idx = -idx WHERE idx > 400")
    written.edit("UPDATE audit_event SET idx = -idx - 1 WHERE idx < 0")
    findings = "\n".join(found(written))
    assert "`audit_event` indexes 400 to 598: each holds the event logged 1 place later" in findings
    assert "`audit_event` index 599: removed" in findings


def test_an_inserted_row_is_found(written: Ledger) -> None:
    written.edit("UPDATE audit_event SET idx = -idx WHERE idx >= 400")
    written.edit("UPDATE audit_event SET idx = -idx + 1 WHERE idx < 0")
    written.edit(
        "INSERT INTO audit_event (event_id, idx, leaf, time, kind, outcome, actor) "
        "SELECT 'f', 400, leaf, time, kind, outcome, 'forged' FROM audit_event WHERE idx = 3"
    )
    findings = "\n".join(found(written))
    assert "`audit_event` index 400: changed, or put in place of another" in findings
    assert "`audit_event` indexes 401 to 599: each holds the event logged 1 place earlier" in findings
    assert "`audit_event` index 600: put there by hand" in findings


@pytest.mark.parametrize("index", [SIZE, SIZE + 70, -5])
def test_a_row_put_outside_the_sequence_is_found_and_stops_the_sequencer(written: Ledger, index: int) -> None:
    (event_id,) = written.write(1)
    written.edit("UPDATE audit_event SET idx = :i WHERE event_id = :e", i=index, e=event_id)
    assert f"`audit_event` index {index}: put there by hand" in "\n".join(found(written))
    if index >= SIZE:
        written.write(1)
        with pytest.raises(audit.LogBroken, match="put there by hand"):
            written.sequence()


def test_a_cut_tail_is_found_and_stops_the_sequencer(written: Ledger) -> None:
    written.edit("DELETE FROM audit_event WHERE idx >= 590")
    assert found(written)[0].startswith("`audit_event` indexes 590 to 599: removed")
    written.write(20)
    with pytest.raises(audit.LogBroken, match="removed from the end"):
        written.sequence()


def test_a_cut_tail_with_a_forged_head_is_found_and_stops_the_sequencer(written: Ledger) -> None:
    written.edit("DELETE FROM audit_event WHERE idx >= 512")
    written.edit("UPDATE audit_head SET size = 512, frontier = :f, root = :f", f=bytes(32))
    findings = "\n".join(found(written))
    assert "indexes 512 to 599: removed" in findings
    assert "the database has integrated 512 events but a checkpoint of 600 is signed" in findings
    written.write(200)
    with pytest.raises(audit.LogBroken, match="older backup"):
        written.sequence()


def test_a_row_taken_back_out_of_the_sequence_is_found(written: Ledger) -> None:
    written.edit("UPDATE audit_event SET idx = NULL WHERE idx = 20")
    assert "`audit_event` index 20: removed" in "\n".join(found(written))


@pytest.mark.parametrize("column", ["size", "root", "frontier"])
def test_an_edited_head_is_found_and_nothing_is_signed(written: Ledger, column: str) -> None:
    value = 601 if column == "size" else bytes(64)
    written.edit(f"UPDATE audit_head SET {column} = :v", v=value)  # noqa: S608
    assert "`audit_head`" in "\n".join(found(written))
    before = (written.log_dir / "checkpoint").read_text()
    written.write(1)
    with pytest.raises((audit.LogBroken, ValueError)):
        written.sequence()
    assert (written.log_dir / "checkpoint").read_text() == before


def test_an_emptied_database_is_found_and_nothing_is_signed(written: Ledger) -> None:
    for table in ("audit_personal", "audit_about", "audit_event", "audit_head"):
        written.edit(f"DELETE FROM {table}")  # noqa: S608
    assert "`audit_event` indexes 0 to 599: removed" in "\n".join(found(written))
    written.write(SIZE + 1)
    with pytest.raises(audit.LogBroken, match="a checkpoint of 600 is already signed"):
        written.sequence()


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (
            "UPDATE audit_about SET thing = 'other' WHERE event_id = :e",
            "`audit_about` of index 7: not what the leaf",
        ),
        (
            "DELETE FROM audit_about WHERE event_id = :e",
            "`audit_about` of index 7: not what the leaf",
        ),
        (
            "INSERT INTO audit_about VALUES (:e, 'study', 's')",
            "`audit_about` of index 7: not what the leaf",
        ),
        (
            "INSERT INTO audit_about VALUES ('none', 'study', 's')",
            "`audit_about`: 1 rows belong to events that are not",
        ),
        (
            "UPDATE audit_personal SET texts = replace(texts, 'Person', 'Parson') WHERE event_id = :e",
            "of index 7, field `name`: text or salt were changed",
        ),
        (
            "UPDATE audit_personal SET salt = :s WHERE event_id = :e",
            "of index 7, field `address`: text or salt were changed",
        ),
        (
            "UPDATE audit_personal SET salt = NULL WHERE event_id = :e",
            "of index 7, field `address`: text or salt were changed",
        ),
        (
            "UPDATE audit_personal SET texts = NULL WHERE event_id = :e",
            "of index 7: the texts were changed",
        ),
        (
            "UPDATE audit_personal SET texts = '[1]' WHERE event_id = :e",
            "of index 7: the texts were changed",
        ),
        (
            'UPDATE audit_personal SET texts = \'{"name": "Person 7"}\' WHERE event_id = :e',
            "of index 7, field `address`: was removed",
        ),
        (
            "UPDATE audit_personal SET texts = replace(texts, '}', ', \"alias\": 1}') WHERE event_id = :e",
            "of index 7, field `alias`: was never logged",
        ),
        (
            "UPDATE audit_personal SET texts = NULL, salt = NULL WHERE event_id = :e",
            "of index 7: gone, but no erasure was logged",
        ),
        (
            "DELETE FROM audit_personal WHERE event_id = :e",
            "of index 7: the row was removed",
        ),
    ],
)
def test_an_edit_beside_the_leaf_is_found(written: Ledger, statement: str, sentence: str) -> None:
    values = {"e": written.ids[7], "s": bytes(32)}
    written.edit(statement, **{name: value for name, value in values.items() if f":{name}" in statement})
    assert sentence in "\n".join(found(written))


def test_values_that_only_sqlite_would_store_are_found(local_ledger: Ledger) -> None:
    local_ledger.grow(20)
    local_ledger.edit("UPDATE audit_event SET leaf = 'text' WHERE idx = 3")
    local_ledger.edit("UPDATE audit_event SET idx = 7.5 WHERE idx = 7")
    local_ledger.edit("UPDATE audit_event SET idx = 'last' WHERE idx = 9")
    local_ledger.edit("UPDATE audit_event SET time = X'00' WHERE idx = 11")
    findings = "\n".join(found(local_ledger))
    for sentence in (
        "index 3: changed",
        "index 7: removed",
        "index 7.5: put there",
        "index last: put there",
        "index 11: `time`",
    ):
        assert sentence in findings
    local_ledger.write(1)
    with pytest.raises(audit.LogBroken, match="put there by hand"):
        local_ledger.sequence()


def test_findings_never_say_personal_text(written: Ledger) -> None:
    written.edit("UPDATE audit_personal SET texts = replace(texts, 'Person', 'Jane Roe')")
    written.edit("UPDATE audit_event SET actor = 'Jane Roe'")
    findings = found(written)
    assert len(findings) == 101
    assert findings[-1] == f"and {SIZE * 2 - 100} further findings"
    assert not any("Person" in finding or "Roe" in finding for finding in findings)


def test_any_flipped_bit_of_any_file_is_found_and_rebuilt(local_ledger: Ledger) -> None:
    ledger, chance = local_ledger, random.Random(6962)  # noqa: S311
    ledger.grow(300)
    ledger.grow(260)
    paths = sorted(path for path in ledger.log_dir.rglob("*") if path.is_file() and path.name != ".lock")
    assert len(paths) == 9
    for path in paths:
        original, name = path.read_bytes(), str(path.relative_to(ledger.log_dir))
        for bit in chance.sample(range(len(original) * 8), 4):
            damaged = bytearray(original)
            damaged[bit // 8] ^= 1 << (bit % 8)
            path.write_bytes(damaged)
            # Named itself; or, at the tree's edge, among those that together fold to the root.
            assert name in "\n".join(found(ledger))
            if name == "checkpoint":
                with pytest.raises(audit.LogBroken, match="checkpoint in the log folder"):
                    ledger.sequence()
            else:
                assert audit.rebuild(ledger.engine, ledger.log_dir, ledger.signer.verifier) == [name]
                assert found(ledger) == ()
                assert not path.exists() or path.read_bytes() == original
            path.write_bytes(original)


@pytest.mark.parametrize(
    "name", ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"]
)
def test_a_missing_file_is_found_and_rebuilt(local_ledger: Ledger, name: str) -> None:
    local_ledger.grow(300)
    (local_ledger.log_dir / name).unlink()
    assert name in "\n".join(found(local_ledger))
    assert audit.rebuild(local_ledger.engine, local_ledger.log_dir, local_ledger.signer.verifier) == [name]
    assert found(local_ledger) == ()


def test_a_lost_folder_is_published_again_from_the_database(local_ledger: Ledger) -> None:
    before = local_ledger.grow(700)
    shutil.rmtree(local_ledger.log_dir)
    assert "`checkpoint`: none is readable although 700 events are sequenced" in found(local_ledger)
    assert local_ledger.sequence() == before
    assert found(local_ledger) == ()


def test_a_changed_database_is_not_rebuilt_from(local_ledger: Ledger) -> None:
    local_ledger.grow(300)
    (local_ledger.log_dir / "tile/0/000").unlink()
    local_ledger.edit("UPDATE audit_event SET leaf = :x WHERE idx = 3", x=b"{}")
    with pytest.raises(audit.LogBroken, match="nothing was rebuilt"):
        audit.rebuild(local_ledger.engine, local_ledger.log_dir, local_ledger.signer.verifier)
    assert not (local_ledger.log_dir / "tile/0/000").exists()


def test_a_proof_of_a_changed_event_is_not_given(written: Ledger) -> None:
    written.edit("UPDATE audit_event SET leaf = :x WHERE idx = 3", x=b"{}")
    with pytest.raises(audit.LogBroken, match="index 3 was changed"):
        audit.prove(written.engine, written.log_dir, written.ids[3])


def test_another_logs_folder_is_refused(make_ledger: Callable[[str], Ledger]) -> None:
    one, other = make_ledger("one"), make_ledger("other")
    one.grow(3)
    other.grow(3)
    one.log_dir = other.log_dir
    one.write(1)
    with pytest.raises(audit.LogBroken, match=r"not one that one\.example\.org/log signed"):
        one.sequence()
    assert "not signed by the log's key" in found(one)[0]
