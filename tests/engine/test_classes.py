import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudonymization.classes import build, distinct
from pseudonymization.columns import Column, Role, Study, Table
from pseudonymization.faults import Unresolved


class Rows:
    """A source over lists of columns, cut into batches."""

    def __init__(self, tables, batch=3):
        self.tables, self.batch = tables, batch

    def batches(self, table, columns=None):
        content = pa.table(self.tables[table])
        yield from (content if columns is None else content.select(columns)).to_batches(max_chunksize=self.batch)


def study(*tables):
    made = []
    for name, quasi, rest in tables:
        columns = [Column("USUBJID", Role.SUBJECT_KEY), *(Column(q, Role.QUASI) for q in quasi)]
        made.append(Table(name, (*columns, *(Column(r, Role.KEPT) for r in rest))))
    return Study("s", tuple(made), "USA")


def values(table, name):
    at = table.names.index(name)
    return {
        subject: tuple(table.domains[at][member] for member in table.sets[at][code])
        for subject, code in zip(table.subjects, table.codes[:, at].tolist(), strict=True)
    }


def test_one_row_per_subject_collected_from_every_table():
    source = Rows(
        {
            "DM": {"USUBJID": ["a", "b"], "AGE": [63, 70]},
            "SL": {"USUBJID": ["b", "a", "c"], "AGE": [70.0, 63.0, None], "SEX": ["F", None, "M"]},
            "LB": {"USUBJID": ["d", "d", "a"], "X": [1, 2, 3]},
        }
    )
    table = build(study(("DM", ["AGE"], []), ("SL", ["AGE", "SEX"], []), ("LB", [], ["X"])), source)
    assert table.subjects == ("a", "b", "c", "d")
    assert values(table, "AGE") == {"a": ("63",), "b": ("70",), "c": ("",), "d": ("",)}
    assert values(table, "SEX") == {"a": ("",), "b": ("F",), "c": ("M",), "d": ("",)}
    assert table.weights.sum() == 4


def test_several_values_of_one_attribute_are_a_set():
    source = Rows({"DM": {"USUBJID": ["a", "a", "b", "b", "a"], "RACE": ["X", "Y", "Y", "Y", "X"]}}, batch=1)
    table = build(study(("DM", ["RACE"], [])), source)
    assert values(table, "RACE") == {"a": ("X", "Y"), "b": ("Y",)}
    assert table.counts("RACE") == (1, 2)


def test_null_nan_and_the_empty_text_are_one_missing_value():
    source = Rows({"DM": {"USUBJID": list("abc"), "A": ["", None, "x"], "B": [float("nan"), None, 1.5]}})
    table = build(study(("DM", ["A", "B"], [])), source)
    assert values(table, "A") == {"a": ("",), "b": ("",), "c": ("x",)}
    assert values(table, "B") == {"a": ("",), "b": ("",), "c": ("1.5",)}


def test_dictionary_batches_count_only_the_values_that_occur():
    column = pa.DictionaryArray.from_arrays(pa.array([0, 2, None], pa.int32()), ["x", "never", "y"])
    table = build(study(("DM", ["A"], [])), Rows({"DM": {"USUBJID": ["a", "b", "c"], "A": column}}))
    assert table.domains == (("", "x", "y"),)


def test_a_row_without_a_subject_and_a_study_without_any_are_refused():
    with pytest.raises(Unresolved, match="no subject id"):
        build(study(("DM", ["A"], [])), Rows({"DM": {"USUBJID": ["a", None], "A": ["x", "y"]}}))
    with pytest.raises(Unresolved, match="no subject"):
        build(
            study(("DM", ["A"], [])),
            Rows({"DM": {"USUBJID": pa.array([], pa.string()), "A": pa.array([], pa.string())}}),
        )


cells = st.sampled_from(["", "x", "y", "z", None])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), cells, cells), min_size=1, max_size=25), st.integers(1, 7))
def test_the_table_is_what_a_plain_loop_collects_however_the_rows_are_cut(rows, batch):
    who, one, two = (list(column) for column in zip(*rows, strict=True))
    source = Rows({"T": {"USUBJID": who, "A": pa.array(one, pa.string()), "B": pa.array(two, pa.string())}}, batch)
    table = build(study(("T", ["A", "B"], [])), source)
    for name, column in (("A", one), ("B", two)):
        expected = {}
        for subject, value in zip(who, column, strict=True):
            expected.setdefault(subject, set()).add(value or "")
        assert {s: set(v) for s, v in values(table, name).items()} == expected
    assert np.array_equal(table.rows[table.of], table.codes)


def test_keys_too_wide_for_one_integer_are_still_told_apart():
    generator = np.random.default_rng(1)
    columns = [generator.integers(0, 2, 50) * (2**20 - 1) for _ in range(8)]
    _, group = distinct(columns, [2**20] * 8)
    expected = {}
    for row in zip(*columns, strict=True):
        expected.setdefault(tuple(row), len(expected))
    assert len(set(group.tolist())) == len(expected)
