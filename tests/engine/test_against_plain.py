"""Invented studies through the whole engine, from files to report, and once more by plain loops: both must agree.

ORACLE_CASES sets how many are invented for each test (thousands by hand, some hundreds in the suite).
"""

import os
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pycanon import anonymity

from pseudonymization.anonymize import Cells, Demands, Loss, anonymize
from pseudonymization.faults import Unreachable, Unresolved
from tests.engine import plain
from tests.engine.oracle import allowed_classes, classes_of
from tests.engine.studies import ladders, safeguards

CASES = int(os.environ.get("ORACLE_CASES", "150"))
ILL = [("", "x", "*"), ("9", "x", "*"), ("10", "y", "*"), ("11", "y", "*")]
ORDER = ["", "9", "10", "11"]
pytestmark = pytest.mark.filterwarnings("ignore:In a future version, the keys:Warning")
many = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))

demanded = st.builds(
    Demands,
    l=st.sampled_from([None, None, 1, 2]),
    entropy_l=st.sampled_from([None, None, 1.0, 1.5]),
    recursive=st.sampled_from([None, None, (0.5, 2), (3.0, 2), (2.0, 1)]),
    t=st.sampled_from([None, None, 0.1, 0.3, 0.5]),
    t_distance=st.sampled_from(["equal", "ordered", "hierarchical"]),
    k_by=st.sampled_from([{}, {}, {"land": {"DE": 4, "FR": 9}}]),
)


class Case:
    """An invented study: rows of texts with a hierarchy file per column, sensitive `ill`, and the subject's `land`."""

    def __init__(self, data, *, town=True):
        made = [data.draw(ladders(f"q{at}_", 5)) for at in range(data.draw(st.integers(1, 3)))]
        self.lines = [
            list(zip(*(one.labels_of(level) for level in range(one.height + 1)), strict=True)) for one in made
        ]
        values = [st.sampled_from(["", *one.domain]) for one in made]
        self.rows = data.draw(st.lists(st.tuples(*values), min_size=1, max_size=16))
        n = len(self.rows)
        self.names = [f"q{at}" for at in range(len(made))]
        self.ill = data.draw(st.lists(st.sampled_from(ORDER), min_size=n, max_size=n))
        self.land = data.draw(st.lists(st.sampled_from(["DE", "US"]), min_size=n, max_size=n))
        person = st.tuples(*values)
        others = st.lists(person, max_size=20).map(lambda more: self.rows + more)
        self.people = data.draw(st.one_of(st.none(), others)) if town else None
        seen = [{row[c] for row in [*self.rows, *(self.people or [])]} for c in range(len(made))]
        self.trees = [plain.Tree(lines, held) for lines, held in zip(self.lines, seen, strict=True)]
        self.tree = plain.Tree(ILL, set(self.ill))
        self.domain = [value for value in ORDER if value in self.ill]
        self.twice = data.draw(st.booleans())

    def table(self):
        """As Arrow: blanks as nulls; with `twice`, two rows for each subject."""
        columns = dict(zip(self.names, map(list, zip(*self.rows, strict=True)), strict=True))
        columns |= {"ill": self.ill, "land": self.land, "id": [f"s{at}" for at in range(len(self.rows))]}
        times = 2 if self.twice else 1
        texts = {n: pa.array([text or None for text in column] * times, pa.string()) for n, column in columns.items()}
        return pa.table(texts)

    def town(self):
        if self.people is None:
            return None
        columns = map(list, zip(*self.people, strict=True))
        return pa.table({n: pa.array(c, pa.string()) for n, c in zip(self.names, columns, strict=True)})

    def wishes(self, demands):
        return plain.Wishes(demands, self.ill, self.land, self.domain, self.tree)

    def run(self, **asked):
        with tempfile.TemporaryDirectory() as place:
            for name, lines in [*zip(self.names, self.lines, strict=True), ("ill", ILL)]:
                (Path(place) / f"{name}.csv").write_text("".join(";".join(line) + "\n" for line in lines))
            subject = "id" if self.twice else None
            result, report = anonymize(
                self.table(), self.names, hierarchies=Path(place), sensitive=["ill"], subject=subject, **asked
            )
        n = len(self.rows)
        shown = [tuple(text or "" for text in row.values()) for row in result.select(self.names).to_pylist()]
        assert shown == shown[:n] * (2 if self.twice else 1)
        assert result.drop_columns(self.names).equals(self.table().drop_columns(self.names))
        return shown[:n], report


def agree_on_risk(case, shown, report, attempt):
    for name, value in plain.risk(shown, attempt).items():
        assert report["risk"][name] == pytest.approx(value), name
    for name, value in plain.risk(case.rows, attempt).items():
        assert report["risk_before"][name] == pytest.approx(value), name
    classes = list(classes_of(shown).values())
    expected = plain.diversity(classes, case.ill, case.domain, case.tree)
    assert report["sensitive"]["ill"] == {
        name: value if value is None else pytest.approx(value, abs=1e-9) for name, value in expected.items()
    }
    frame = pd.DataFrame(shown, columns=case.names).assign(ill=case.ill, more="p")
    quasi = [*case.names, "more"]
    assert anonymity.k_anonymity(frame, quasi) == report["k"]
    assert anonymity.l_diversity(frame, quasi, ["ill"]) == report["sensitive"]["ill"]["distinct_l"]
    assert anonymity.t_closeness(frame, quasi, ["ill"]) == pytest.approx(report["sensitive"]["ill"]["t_equal"])


def agree_on_utility(case, cells, report):
    found = report["utility"]
    expected, texts = plain.utility(case.rows, case.trees, cells)
    for name in ("granularity", "precision", "entropy"):
        assert found[name] == pytest.approx(expected[name], abs=1e-9), name
    assert list(found["columns"].values()) == pytest.approx(expected["columns"])
    assert list(found["marginals"].values()) == pytest.approx(expected["marginals"], abs=6e-4)
    return texts


@many
@given(safeguards, demanded, st.sampled_from(list(Loss)), st.data())
def test_the_optimum_its_table_and_every_measure_are_those_of_plain_loops(thresholds, demands, loss, data):
    case = Case(data)
    weights = data.draw(st.lists(st.integers(1, 3), min_size=len(case.names), max_size=len(case.names)))
    column = data.draw(st.integers(0, len(case.names) - 1))
    level = data.draw(st.integers(0, case.trees[column].height))
    steer = data.draw(st.sampled_from([{}, {}, {"fixed": {column: level}}, {"forbidden": {column: [level]}}]))
    against = {
        "k_map": data.draw(st.integers(1, 5)),
        "presence": data.draw(st.sampled_from([(0, 1), (0, 0.5), (0.1, 1)])),
    }
    crowd = plain.Crowd() if case.people is None else plain.Crowd(case.people, **against)
    slow = plain.Plain(case.rows, case.trees, thresholds, case.wishes(demands), crowd, weights)
    views = {node: slow.view(node) for node in slow.nodes(steer.get("fixed", {}), steer.get("forbidden", {}))}
    losses = {node: slow.cost(node, view, loss) for node, view in views.items() if view is not None}
    asked = {"safeguards": thresholds, "demands": demands, "loss": loss}
    asked |= {"weights": dict(zip(case.names, weights, strict=True))}
    asked |= {kind: {case.names[c]: value for c, value in given.items()} for kind, given in steer.items()}
    if case.people is not None:
        asked |= {"population": case.town(), "k_map": against["k_map"], "delta_presence": against["presence"]}
    wrong = demands.k_by and "DE" not in case.land  # no subject has a k of its own
    if wrong or not losses:
        with pytest.raises((Unreachable, Unresolved)):
            case.run(**asked)
        return
    event("reached")
    shown, report = case.run(**asked)
    node = tuple(report["levels"][name] for name in case.names)
    assert report["proven_optimal"]
    assert report["loss"] == pytest.approx(min(losses.values()), abs=1e-9)
    assert losses[node] == pytest.approx(min(losses.values()), abs=1e-9)
    assert shown == slow.released(node, views[node])
    agree_on_risk(case, shown, report, thresholds.attempt)
    gone = {who for own, taken, _ in views[node] for who in own[:taken]}
    cells = [
        tuple(
            None if who in gone else (tree.label(value, at), tree.covered(value, at), at)
            for tree, value, at in zip(case.trees, row, node, strict=True)
        )
        for who, row in enumerate(case.rows)
    ]
    texts = agree_on_utility(case, cells, report)
    kept = [text for who, text in enumerate(texts) if who not in gone]
    sizes = [len(own) for own in classes_of(kept).values()]
    assert report["utility"]["discernibility"] == sum(s * s for s in sizes) + len(gone) * len(texts)
    assert report["utility"]["average_class"] == pytest.approx(len(kept) / len(sizes) if sizes else 0)
    assert report["share_blanked"] == pytest.approx(len(gone) / len(texts))
    changes = [change for *_, change in report["utility"]["associations"]]
    assert changes == pytest.approx(plain.associations(case.rows, kept) if kept else changes, abs=6e-4)


@many
@given(safeguards, demanded, st.sampled_from(list(Cells)), st.data())
def test_local_recoding_meets_every_demand_and_its_measures_are_those_of_plain_loops(thresholds, demands, how, data):
    case = Case(data, town=False)
    n, wishes = len(case.rows), case.wishes(demands)
    wrong = demands.k_by and "DE" not in case.land
    try:
        shown, report = case.run(safeguards=thresholds, demands=demands, mode="local", cells=how)
    except (Unreachable, Unresolved):
        lone = n < max(thresholds.k, 2) and thresholds.uniques < 1
        assert wrong or lone or n < thresholds.k or allowed_classes(thresholds, n) < 1 or not wishes.met(range(n))
        return
    event("reached")
    classes = list(classes_of(shown).values())
    assert min(map(len, classes)) >= thresholds.k
    assert len(classes) <= allowed_classes(thresholds, n)
    assert sum(len(own) == 1 for own in classes) <= plain.exact(thresholds.uniques) * n
    assert all(wishes.met(own) for own in classes)
    assert report["share_blanked"] == 0
    agree_on_risk(case, shown, report, thresholds.attempt)
    cells = [
        tuple(map(_cell, case.trees, row, texts, [how] * len(row))) for row, texts in zip(case.rows, shown, strict=True)
    ]
    agree_on_utility(case, cells, report)
    sizes = [len(own) for own in classes]
    assert report["utility"]["discernibility"] == sum(size**2 for size in sizes)
    assert report["utility"]["average_class"] == pytest.approx(n / len(sizes))
    changes = [change for *_, change in report["utility"]["associations"]]
    assert changes == pytest.approx(plain.associations(case.rows, shown), abs=6e-4)


def _cell(tree, value, text, how):
    """(text, values covered, level) of a released cell, which must cover the value it stands for."""
    if how is Cells.SETS:
        covered = text.split("|")
        assert value in covered
        level = min(at for at in range(tree.height + 1) if len({tree.label(one, at) for one in covered}) == 1)
        return text, covered, level
    level = min(at for at in range(tree.height + 1) if tree.label(value, at) == text)
    return text, tree.covered(value, level), level
