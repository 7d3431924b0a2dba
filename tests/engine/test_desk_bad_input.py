"""One table alone, and every way in which it can be odd: a clear error or the right answer, never a hang."""

import math

import numpy as np
import pyarrow as pa
import pytest

from pseudonymization.anonymize import Cells, Demands, anonymize, read_table, risk_report
from pseudonymization.faults import DataFault, Unreachable, Unresolved
from pseudonymization.safeguards import Safeguards

MODES = pytest.mark.parametrize("how", [{}, {"mode": "local"}, {"mode": "local", "cells": Cells.SETS}])


def of(values, **more):
    return pa.table({"q": values, **more})


def write(folder, text, name="q"):
    (folder / f"{name}.csv").write_text(text)
    return folder


@MODES
def test_an_empty_study_is_refused(how):
    with pytest.raises(Unresolved, match="no rows"):
        anonymize(of(pa.array([], pa.string())), ["q"], safeguards=Safeguards(), **how)


@MODES
def test_one_subject_is_a_class_of_one_or_none(how):
    result, report = anonymize(of(["a"]), ["q"], safeguards=Safeguards(), **how)
    assert (result["q"].to_pylist(), report["k"]) == (["a"], 1)
    with pytest.raises(Unreachable):
        anonymize(of(["a"]), ["q"], safeguards=Safeguards(k=2), **how)


@MODES
def test_all_alike_stay_as_they_are(how):  # also where every level loses nothing
    result, report = anonymize(of(["a"] * 9), ["q"], safeguards=Safeguards(k=9), **how)
    assert result["q"].to_pylist() == ["a"] * 9
    assert report["utility"]["granularity"] == 1


@MODES
def test_all_unique_become_classes(how):
    content = of([str(at) for at in range(40)], p=[str(at * 7 % 40) for at in range(40)])
    _, report = anonymize(content, ["q", "p"], safeguards=Safeguards(k=4), **how)
    assert report["risk_before"]["uniques"] == 1
    assert report["k"] >= 4
    assert report["utility"]["granularity"] > 0


@MODES
def test_k_above_the_number_of_subjects_says_so(how):
    with pytest.raises(Unreachable) as caught:
        anonymize(of(["a", "b"]), ["q"], safeguards=Safeguards(k=3), **how)
    assert caught.value.nearest


@MODES
@pytest.mark.parametrize(
    ("text", "reason"),
    [("a;*\n", "does not cover"), ("a;*\na;*\nb;*\n", "twice"), ("", "empty"), ("a;x\nb\n", "line 2")],
)
def test_a_hierarchy_with_a_fault_is_refused(tmp_path, how, text, reason):
    with pytest.raises(Unresolved, match=reason):
        anonymize(of(["a", "b"]), ["q"], safeguards=Safeguards(), hierarchies=write(tmp_path, text), **how)


def test_a_lattice_too_large_ends_in_its_time_with_a_bound_and_is_refused_under_models():
    generator = np.random.default_rng(2)
    names = [f"q{at}" for at in range(18)]
    content = pa.table({name: generator.integers(0, 9, 200).astype(str) for name in names})
    kinds = dict.fromkeys(names, "interval:2")
    asked = {"safeguards": Safeguards(k=3, blank_limit=0.1), "kinds": kinds, "budget_seconds": 1.0}
    _, report = anonymize(content, names, **asked)
    assert report["lattice"] > 10**7
    assert report["k"] >= 3
    assert report["proven_optimal"] is (report["bound"] >= report["loss"] - 1e-12)
    assert 0 <= report["bound"] <= report["loss"]
    content = content.append_column("ill", pa.array(["x", "y"] * 100))
    with pytest.raises(Unresolved, match="too large"):
        anonymize(content, names, sensitive=["ill"], demands=Demands(l=2), **asked)
    _, report = anonymize(
        content, names, mode="local", sensitive=["ill"], demands=Demands(l=2), **{**asked, "budget_seconds": None}
    )
    assert report["sensitive"]["ill"]["distinct_l"] == 2


@MODES
@pytest.mark.parametrize(
    "asked",
    [
        {"fixed": {"q": 0}, "forbidden": {"q": [0]}},
        {"forbidden": {"q": [0, 1]}},
        {"fixed": {"q": 2}},
        {"fixed": {"nope": 0}},
        {"weights": {"nope": 1.0}},
        {"weights": {"q": -1.0}},
        {"weights": {"q": math.nan}},
        {"weights": {"q": 0.0}},
        {"sensitive": ["s"], "demands": Demands(l=3)},
        {"sensitive": ["s"], "demands": Demands(entropy_l=2.5)},
        {"sensitive": ["s"], "demands": Demands(recursive=(1.0, 0))},
        {"sensitive": ["s"], "demands": Demands(t=math.nan)},
        {"sensitive": ["q"], "demands": Demands(l=2)},
        {"demands": Demands(k_by={"s": {"x": 0}})},
        {"demands": Demands(k_by={"s": {"x": 99}})},
        {"k_map": 3},
        {"delta_presence": (0.0, 1.0)},
        {"kinds": {"q": "age"}},
    ],
)
def test_settings_that_contradict_are_refused(how, asked):
    content = of(["a", "a", "b", "b"], s=["x", "y", "x", "y"])
    with pytest.raises(DataFault):
        anonymize(content, ["q"], safeguards=Safeguards(k=2), **how, **asked)


@MODES
def test_null_nan_and_empty_are_one_value_that_matches_only_itself(how):
    texts, numbers = ["a", None, "", "a", "a", None], [1.5, math.nan, None, 1.5, 1.5, math.nan]
    for values in (texts, numbers):
        content = of(values)
        assert risk_report(content, ["q"])["classes"] == 2
        result, report = anonymize(content, ["q"], safeguards=Safeguards(k=3), **how)
        expected = ["" if value in {None, ""} or str(value) == "nan" else str(value) for value in values]
        assert [value or "" for value in result["q"].to_pylist()] == expected
        assert report["k"] == 3


@MODES
def test_a_missing_value_is_never_in_a_class_with_a_known_one_below_the_top(how):
    content = of(["20", "21", "22", "23", None, None, None, "24"], p=["x"] * 8)
    result, report = anonymize(content, ["q", "p"], safeguards=Safeguards(k=3), kinds={"q": "interval:10"}, **how)
    blank, known = result["q"].to_pylist()[4:7], result["q"].to_pylist()[:4]
    if how.get("cells") is Cells.SETS:  # a set may hold the missing value beside others, and then says so
        assert all("" in (value or "").split("|") for value in blank)
    else:
        assert {value or "" for value in blank} == {""}
        assert not set(blank) & set(known)
    assert report["k"] == 3


@MODES
def test_numbers_spelled_differently_and_mixed_with_text_are_read_as_they_are(tmp_path, how):
    assert risk_report(of(pa.array([61.0, 61.0])), ["q"])["k"] == 2
    mixed = ["1", "2", "x", "", "1.0", "NaN"] * 3
    result, report = anonymize(of(mixed), ["q"], safeguards=Safeguards(k=3), **how)
    assert result["q"].to_pylist() == mixed
    assert report["k"] == 3
    (tmp_path / "m.csv").write_text("q;p\n1;a\nx;\nNaN;b\n")
    assert read_table(tmp_path / "m.csv")["q"].to_pylist() == ["1", "x", "NaN"]
    with pytest.raises(DataFault, match="no number"):
        anonymize(of(mixed), ["q"], safeguards=Safeguards(), kinds={"q": "interval:5"}, **how)


@pytest.mark.parametrize("text", ["", "a,b\n1\n", "a,a\n1,2\n", "a,b\n1,2,3\n", "\x00\x01", 'a;b\n"1;2\n'])
def test_a_file_that_is_no_table_is_refused(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(Unresolved):
        risk_report(read_table(tmp_path / "t.csv"), ["a"])


def test_a_table_of_other_bytes_and_one_with_quoted_line_ends(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    with pytest.raises(Unresolved, match="cannot be read"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "u.csv").write_bytes('\ufeffa,b\r\n"x\ny",1\r\n'.encode())
    assert read_table(tmp_path / "u.csv").to_pydict() == {"a": ["x\ny"], "b": ["1"]}
