import json
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pycanon import anonymity

from pseudonymization.anonymize import Demands, Loss, anonymize, class_table, k_of, ladders_of, read_table, risk_report
from pseudonymization.faults import Unreachable, Unresolved
from pseudonymization.frontier import alternatives
from pseudonymization.local_recoding import Cells
from pseudonymization.population import pitman, uniques, zayatz
from pseudonymization.safeguards import Safeguards

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "adult.zip"
pytestmark = pytest.mark.filterwarnings("ignore:In a future version, the keys:Warning")


@pytest.fixture(scope="module")
def adult(tmp_path_factory):
    if not SHARED.exists():
        pytest.skip("the adult benchmark set is not beside the checkout")
    folder = tmp_path_factory.mktemp("adult")
    zipfile.ZipFile(SHARED).extractall(folder)
    return next(folder.rglob("adult.csv")).parent


@pytest.fixture(scope="module")
def quasi(adult):
    return json.loads((adult / "meta.json").read_text())["qi"]


def small():
    return pa.table({"age": ["30", "31", "42", "47"] * 5, "sex": ["F", "M"] * 10, "ill": list("abcabcabca") * 2})


def test_adult_reaches_the_known_optimum_and_the_result_is_what_pycanon_measures(adult, quasi):
    demanded = Safeguards(k=5, blank_limit=0.05)
    result, report = anonymize(adult / "adult.csv", quasi, safeguards=demanded, hierarchies=adult / "hierarchies")
    assert report["proven_optimal"]
    assert 1 - report["loss"] == pytest.approx(0.730365, abs=1e-6)
    assert report["utility"]["granularity"] == pytest.approx(1 - report["loss"])
    assert round(report["share_blanked"] * 30162) == 1346
    assert anonymity.k_anonymity(result.to_pandas(), quasi) == report["risk"]["k"] >= 5


@pytest.mark.parametrize(("cells", "least"), [(Cells.LABELS, 0.944), (Cells.SETS, 0.989)])
def test_local_recoding_of_adult_keeps_what_it_should(adult, quasi, cells, least):
    demanded = Safeguards(k=5)
    result, report = anonymize(
        adult / "adult.csv", quasi, safeguards=demanded, hierarchies=adult / "hierarchies", mode="local", cells=cells
    )
    assert report["utility"]["granularity"] > least
    assert anonymity.k_anonymity(result.to_pandas(), quasi) == report["risk"]["k"] >= 5
    assert report["share_blanked"] == 0


def test_the_frontier_costs_more_the_more_it_protects(adult, quasi):
    table = class_table(read_table(adult / "adult.csv").slice(0, 3000), quasi)
    found = alternatives(table, ladders_of(table, adult / "hierarchies", Safeguards()), Safeguards(), sizes=(2, 5, 20))
    # The larger classes may blank cells; beside them stand those that blank none.
    blanking = [one for one in found if one.blank_limit == 1.0]
    assert [one.k for one in blanking] == [1, 2, 5, 20]
    assert all(a.granularity > b.granularity for a, b in pairwise(blanking))
    assert all(one.blanked == 0 for one in found if one not in blanking)
    assert all(one.maximum_risk <= 1 / one.k for one in found)


@pytest.mark.parametrize("how", [{}, {"mode": "local"}, {"mode": "local", "cells": Cells.SETS}])
def test_demands_on_a_sensitive_column_hold_in_the_result(how):
    result, report = anonymize(
        small(), ["age", "sex"], safeguards=Safeguards(k=2), sensitive=["ill"], demands=Demands(l=3, t=0.5), **how
    )
    assert anonymity.l_diversity(result.to_pandas(), ["age", "sex"], ["ill"]) >= 3
    assert report["sensitive"]["ill"]["distinct_l"] >= 3
    assert report["sensitive"]["ill"]["t_equal"] <= 0.5


def test_csv_with_any_separator_and_parquet_are_the_same_table(tmp_path):
    frame = small().to_pandas()
    for name, sign in (("a.csv", ","), ("b.csv", ";"), ("c.tsv", "\t")):
        frame.to_csv(tmp_path / name, sep=sign, index=False)
        assert read_table(tmp_path / name).equals(small())
    pq.write_table(small(), tmp_path / "d.parquet")
    assert read_table(tmp_path / "d.parquet").equals(small())


def test_more_different_values_than_there_are_cannot_be_reached():
    with pytest.raises(Unreachable, match="fewer different values"):
        anonymize(small(), ["age"], safeguards=Safeguards(), sensitive=["ill"], demands=Demands(l=4))


@pytest.mark.parametrize("mode", ["global", "local"])
def test_each_class_is_as_large_as_its_strictest_subject_demands(mode):
    land = ["DE"] * 8 + ["US"] * 24
    content = pa.table({"age": ["30", "31", "42", "47"] * 8, "land": land})
    demanded = {"safeguards": Safeguards(k=2), "demands": Demands(k_by={"land": {"DE": 8, "FR": 99}})}
    result, _ = anonymize(content, ["age"], mode=mode, **demanded)
    frame = result.to_pandas()
    sizes = frame.groupby("age")["land"].transform("size")
    assert sizes[frame["land"] == "DE"].min() >= 8
    assert anonymity.k_anonymity(frame, ["age"]) >= 2
    assert set(result["age"].to_pylist()) != {"*"}


def test_a_level_that_may_not_leave_is_blanked_only_where_it_must_be():
    content = pa.table({"age": ["30"] * 6 + ["80"] * 2 + ["90"], "sex": ["F", "M"] * 4 + ["F"]})
    asked = {"kinds": {"age": "flat"}, "forbidden": {"age": [1]}, "mode": "local"}
    result, report = anonymize(content, ["age", "sex"], safeguards=Safeguards(k=3, blank_limit=0.4), **asked)
    assert result["age"].to_pylist() == ["30"] * 6 + ["*"] * 3
    assert report["levels"]["age"] == {"0": 0.667, "blanked": 0.333}
    assert report["share_blanked"] == pytest.approx(1 / 3)
    with pytest.raises(Unreachable):
        anonymize(content, ["age", "sex"], safeguards=Safeguards(k=3, blank_limit=0.3), **asked)


@pytest.mark.parametrize(
    ("values", "farthest"), [("10 9 11", 1 / 3), ("9 10 11", 1 / 2), ("b a c", 1 / 3), ("x1 x0 x2", 1 / 3)]
)
def test_numbers_are_ordered_by_size_and_other_values_by_their_text(values, farthest):
    content = pa.table({"q": ["x", "y", "y"], "s": values.split()})
    assert risk_report(content, ["q"], sensitive=["s"])["sensitive"]["s"]["t_ordered"] == pytest.approx(farthest)


def test_rows_of_one_subject_count_once():
    content = pa.table({"id": ["1", "1", "2", "3"], "site": ["x", "x", "x", "y"]})
    assert risk_report(content, ["site"], subject="id")["subjects"] == 3
    result, _ = anonymize(content, ["site"], subject="id", safeguards=Safeguards(k=3))
    assert set(result["site"].to_pylist()) == {"*"}


@pytest.mark.parametrize(
    ("content", "arguments"),
    [
        (small(), {"quasi": ["nope"]}),
        (small(), {"quasi": []}),
        (small().slice(0, 0), {"quasi": ["age"]}),
        (small(), {"quasi": ["age"], "mode": "sideways"}),
        (small(), {"quasi": ["age"], "demands": Demands(l=2)}),
        (small(), {"quasi": ["age"], "demands": Demands(l=2), "sensitive": ["nope"]}),
        (small(), {"quasi": ["age"], "demands": Demands(t=2.0), "sensitive": ["ill"]}),
        (small(), {"quasi": ["age"], "demands": Demands(l=2), "sensitive": ["age"]}),
        (small(), {"quasi": ["age"], "demands": Demands(k_by={"nope": {"a": 2}})}),
        (small(), {"quasi": ["age"], "demands": Demands(k_by={"ill": {"z": 2}})}),
        (small(), {"quasi": ["age"], "fixed": {"age": 9}}),
        (small(), {"quasi": ["age"], "forbidden": {"sex": [0]}}),
        (small(), {"quasi": ["sex"], "fixed": {"sex": 0}, "forbidden": {"sex": [0]}}),
        (small(), {"quasi": ["sex"], "fixed": {"sex": 0}, "mode": "local", "cells": Cells.SETS}),
        (small(), {"quasi": ["sex"], "loss": Loss.ENTROPY, "mode": "local"}),
        (small(), {"quasi": ["sex", "sex"]}),
        (small(), {"quasi": ["sex"], "kinds": {"age": "flat"}}),
        (Path("nowhere.csv"), {"quasi": ["age"]}),
    ],
)
def test_input_that_does_not_fit_is_refused(content, arguments):
    with pytest.raises(Unresolved):
        anonymize(content, safeguards=Safeguards(), **arguments)


def test_k_above_the_number_of_rows_is_unreachable_in_both_modes():
    for mode in ("global", "local"):
        with pytest.raises(Unreachable):
            anonymize(small(), ["age"], safeguards=Safeguards(k=21), mode=mode)


def test_of_levels_that_cost_the_same_the_finest_leaves():
    content = pa.table({"age": ["31", "34", "38", "52", "57", "59"]})
    asked = {"safeguards": Safeguards(k=3), "kinds": {"age": "interval:10"}}
    assert set(anonymize(content, ["age"], **asked)[0]["age"].to_pylist()) == {"30-39", "50-59"}
    steered = anonymize(content, ["age"], forbidden={"age": [1]}, **asked)[0]
    assert set(steered["age"].to_pylist()) == {"20-39", "40-59"}
    assert set(anonymize(content, ["age"], fixed={"age": 3}, **asked)[0]["age"].to_pylist()) == {"0-39", "40-79"}


def test_very_many_distinct_values_in_one_column_end():
    content = pa.table({"id": pa.array(np.arange(1_000_000)).cast(pa.string()), "sex": ["F", "M"] * 500_000})
    result, report = anonymize(content, ["id", "sex"], safeguards=Safeguards(k=5), kinds={"id": "prefix:4,2"})
    assert report["risk"]["k"] >= 5
    assert len(result) == 1_000_000


def test_a_maximum_risk_is_a_whole_number_of_subjects():
    assert [k_of(risk) for risk in (0.09, 0.2, 0.05, 0.33, 1.0)] == [11, 5, 20, 3, 1]


def test_estimates_of_population_uniques_are_near_the_truth_of_a_drawn_sample():
    generator = np.random.default_rng(3)
    people, counts, alpha, theta = [], [], 0.4, 50.0
    for seen in range(20_000):  # the two-parameter Chinese restaurant process, which is Pitman's formula
        if generator.random() * (seen + theta) < theta + alpha * len(counts):
            people.append(len(counts))
            counts.append(1)
        else:
            while (at := people[generator.integers(len(people))]) >= 0 and generator.random() * counts[at] < alpha:
                pass
            people.append(at)
            counts[at] += 1
    truth = counts.count(1) / len(people)
    sizes = pd.Series(generator.choice(people, 4_000, replace=False)).value_counts().to_numpy()
    found = uniques(sizes, len(people))
    assert found["pitman"] == pytest.approx(truth, rel=0.3)
    assert 0 <= found["zayatz"] <= 1
    assert zayatz(np.array([3, 4]), 100) == pitman(np.array([3, 4]), 100) == 0
    whole = np.array([1, 1, 2, 5])
    assert zayatz(whole, 9) == pytest.approx(2 / 9)
