"""The large laboratory table: as many rows as asked, in order, dictionaries pruned, and it fits its subjects."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from gateway.demo.large import LB_SCHEMA, ROWS_PER_GROUP, write_large_lab

ROWS, SUBJECTS = 1_000_003, 2_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_large_lab(tmp_path_factory.mktemp("large"), rows=ROWS, subjects=SUBJECTS)


@pytest.fixture(scope="module")
def lab(folder):
    return pq.read_table(folder / "lb.parquet")


def test_it_has_the_rows_asked_for_in_row_groups_of_half_a_million(folder):
    meta = pq.ParquetFile(folder / "lb.parquet").metadata
    assert [meta.row_group(n).num_rows for n in range(meta.num_row_groups)] == [ROWS_PER_GROUP, ROWS_PER_GROUP, 3]
    assert {meta.row_group(0).column(n).compression for n in range(meta.num_columns)} == {"ZSTD"}


def test_text_is_dictionary_encoded_and_numbers_are_numbers(lab):
    assert lab.schema.equals(LB_SCHEMA)
    assert pa.types.is_dictionary(lab.schema.field("LBDTC").type)


def test_dictionaries_hold_no_word_their_row_group_does_not_use(folder):
    batch = next(pq.ParquetFile(folder / "lb.parquet").iter_batches(batch_size=ROWS_PER_GROUP))
    for name in ("USUBJID", "LBDTC"):
        column = batch.column(name)
        assert len(column.dictionary) == len(pc.unique(column.indices)) < ROWS_PER_GROUP / 10


def test_every_subject_of_dm_has_rows_and_no_other_does(folder, lab):
    people = pq.read_table(folder / "dm.parquet")
    assert people.num_rows == SUBJECTS
    counts = {row["values"]: row["counts"] for row in pc.value_counts(lab["USUBJID"].cast(pa.string())).to_pylist()}
    assert set(counts) == set(people["USUBJID"].to_pylist())
    assert set(counts.values()) == {500, 501}
    assert pc.min(people["AGE"]).as_py() < 60
    assert pc.max(people["AGE"]).as_py() > 89
    assert len(pc.unique(people["COUNTRY"])) == 8


def test_sequence_numbers_and_tests_are_unique_within_a_subject(lab):
    rows = lab.select(["USUBJID", "LBTESTCD", "VISITNUM", "LBSEQ"]).unify_dictionaries()
    for keys in (["USUBJID", "LBTESTCD", "VISITNUM"], ["USUBJID", "LBSEQ"]):
        assert rows.group_by(keys).aggregate([([], "count_all")]).num_rows == ROWS


def test_no_column_loses_its_dictionary_in_the_file(folder):
    group = pq.ParquetFile(folder / "lb.parquet").metadata.row_group(0)
    text = [n for n, field in enumerate(LB_SCHEMA) if pa.types.is_dictionary(field.type)]
    assert len(text) > 5
    assert all("RLE_DICTIONARY" in group.column(n).encodings for n in text)


def test_study_days_follow_from_dates(folder, lab):
    people = pq.read_table(folder / "dm.parquet", columns=["USUBJID", "RFSTDTC"])
    start = dict(zip(people["USUBJID"].to_pylist(), people["RFSTDTC"].to_pylist(), strict=True))
    some = lab.slice(499_000, 2_000)
    days = np.array([text[:10] for text in some["LBDTC"].to_pylist()], dtype="datetime64[D]")
    starts = np.array([start[subject] for subject in some["USUBJID"].to_pylist()], dtype="datetime64[D]")
    assert ((days - starts).astype(int) + 1 == np.array(some["LBDY"].to_pylist())).all()


def test_one_visit_of_a_subject_is_one_moment_even_across_row_groups(lab):
    visits = lab.select(["USUBJID", "VISITNUM", "LBDTC"]).unify_dictionaries().group_by(["USUBJID", "VISITNUM"])
    assert pc.max(visits.aggregate([("LBDTC", "count_distinct")])["LBDTC_count_distinct"]).as_py() == 1


def test_text_and_number_of_a_result_are_the_same_in_the_same_unit(lab):
    same = lab.filter(pc.equal(lab["LBORRESU"].cast(pa.string()), lab["LBSTRESU"].cast(pa.string()))).slice(0, 5_000)
    assert [float(text) for text in same["LBORRES"].to_pylist()] == same["LBSTRESN"].to_pylist()


def test_americans_report_in_their_own_units(lab):
    some = lab.slice(0, 5_000)
    assert {"g/dL", "mg/dL"} <= set(some["LBORRESU"].to_pylist())
    assert set(some["LBNRIND"].to_pylist()) == {"LOW", "NORMAL", "HIGH"}


def test_same_seed_gives_the_same_bytes(tmp_path):
    first, second = (write_large_lab(tmp_path / name, rows=20_000, subjects=100) for name in "ab")
    assert (first / "lb.parquet").read_bytes() == (second / "lb.parquet").read_bytes()
    assert (first / "dm.parquet").read_bytes() == (second / "dm.parquet").read_bytes()


@pytest.mark.parametrize(("rows", "subjects"), [(10, 11), (10, 0)])
def test_more_subjects_than_rows_or_none_are_refused(tmp_path, rows, subjects):
    with pytest.raises(ValueError, match="at least one subject"):
        write_large_lab(tmp_path, rows=rows, subjects=subjects)
