"""Rows leave in the order of the pseudonyms; neither rows nor dictionaries tell the order of the source."""

import pyarrow as pa
import pytest

from pseudonymization import cells
from pseudonymization.order import by_pseudonym
from pseudonymization.pseudonyms import ProjectKey, subject_pseudonyms

KEY = ProjectKey.derive(bytes(range(32)), "p1")
IDS = [f"01-{site}-{subject}" for site in (701, 702, 703) for subject in range(40)]
NAMES = subject_pseudonyms(KEY, IDS)


def batches(size: int, rows_each: int = 7) -> list[pa.RecordBatch]:
    whole = pa.table(
        {
            "USUBJID": pa.array([name for name in NAMES for _ in range(rows_each)]).dictionary_encode(),
            "SEQ": [at + 1 for _ in NAMES for at in range(rows_each)],
            "WHEN": pa.array([f"{at:03d}" for at in range(len(NAMES)) for _ in range(rows_each)]).dictionary_encode(),
        }
    )
    return whole.to_batches(size)


@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_a_table_that_is_held_leaves_in_the_order_of_its_pseudonyms(size: int) -> None:
    given = batches(size)
    found = list(by_pseudonym(given, "USUBJID", size=100))
    assert max(batch.num_rows for batch in found) == 100
    rows = pa.Table.from_batches(found).to_pylist()
    assert rows == sorted(pa.Table.from_batches(given).to_pylist(), key=lambda row: (row["USUBJID"], row["SEQ"]))


def test_a_table_too_long_to_hold_is_sorted_batch_by_batch_and_loses_nothing() -> None:
    given = batches(200)
    found = list(by_pseudonym(iter(given), "USUBJID", most_held=300))
    assert [batch.num_rows for batch in found] == [batch.num_rows for batch in given]
    for before, after in zip(given, found, strict=True):
        assert after.to_pylist() == sorted(before.to_pylist(), key=lambda row: row["USUBJID"])


@pytest.mark.parametrize("most_held", [100, 10_000])
def test_dictionaries_do_not_tell_the_order_of_the_source(most_held: int) -> None:
    for batch in by_pseudonym(batches(200), "USUBJID", most_held=most_held):
        for name in ("USUBJID", "WHEN"):
            listed = batch.column(name).dictionary.to_pylist()
            assert listed == sorted(set(batch.column(name).to_pylist()))


def test_rows_that_do_not_stand_together_are_sorted_too() -> None:
    mixed = pa.record_batch(
        {"USUBJID": pa.array(["c", "a", None, "b", "a"]).dictionary_encode(), "SEQ": [1, 2, 3, 4, 5]}
    )
    found = next(by_pseudonym([mixed], "USUBJID"))
    assert found.column("SEQ").to_pylist() == [2, 5, 4, 1, 3]


def test_a_table_without_subjects_or_without_rows_stays_as_it_is() -> None:
    plain = pa.record_batch({"X": [3, 1, 2]})
    assert list(by_pseudonym([plain], None)) == [plain]
    empty = batches(10)[0].slice(0, 0)
    assert next(by_pseudonym([empty], "USUBJID")).num_rows == 0
    assert list(by_pseudonym([], "USUBJID")) == []


def test_what_is_pruned_already_is_sorted_all_the_same() -> None:
    given = [_pruned(batch) for batch in batches(200)]
    plain = [batch.to_pylist() for batch in by_pseudonym(given, "USUBJID", most_held=300)]
    found = list(by_pseudonym(given, "USUBJID", most_held=300, pruned=True))
    assert [batch.to_pylist() for batch in found] == plain
    for batch in found:
        listed = batch.column("USUBJID").dictionary.to_pylist()
        assert listed == sorted(listed)


def _pruned(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([cells.pruned(column) for column in batch.columns], schema=batch.schema)
