import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycanon import anonymity

from pseudonymization.measure import Collector
from pseudonymization.risk import risk_of
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import optimal
from tests.engine.oracle import rows_at
from tests.engine.studies import studies


def collect(*tables, quasi=("A", "B"), batch=2, key=b""):
    collector = Collector(quasi, {name: "ID" for name, _ in tables}, key=key)
    for name, content in tables:
        for piece in pa.table(content).to_batches(max_chunksize=batch):
            collector.add(name, piece)
    return collector


def test_subjects_are_counted_once_whatever_their_rows_and_tables():
    measured = collect(
        ("DM", {"ID": ["1", "2", "3", "4"], "A": ["x", "x", "y", "y"]}),
        ("LB", {"ID": ["1"] * 5 + ["2"] * 3, "V": range(8)}),
    ).measure()
    assert (measured.subjects, measured.classes, measured.k, measured.uniques) == (4, 2, 2, 0)
    assert measured.average_risk == 0.5


def test_a_set_is_another_value_than_its_elements():
    measured = collect(("DM", {"ID": ["1", "1", "2", "3"], "A": ["x", "y", "x", "y"]})).measure()
    assert measured.k == 1
    assert measured.classes == 3


def test_a_blank_matches_only_blanks():
    measured = collect(("DM", {"ID": ["1", "2", "3"], "A": ["x", "x", None], "B": ["u", "u", ""]})).measure(0.5)
    assert (measured.k, measured.classes) == (1, 2)
    assert measured.blanked == pytest.approx(1 / 3)
    assert measured.average_risk == pytest.approx(1 / 3)


def test_contributions_of_tables_measured_apart_add_up_to_the_whole_and_hold_no_value():
    tables = [
        ("DM", {"ID": ["canary1", "canary2", "canary3"], "A": ["secret1", "secret1", "secret2"]}),
        ("SL", {"ID": ["canary1", "canary2"], "B": ["p", "q"]}),
    ]
    whole = collect(*tables, key=b"k").measure()
    parts = [collect(table, key=b"k").contribution() for table in tables]
    again = Collector(("A", "B"), {}, key=b"k")
    for part in parts:
        assert b"canary" not in part
        assert b"secret" not in part
        again.absorb(part)
    assert again.measure() == whole
    assert whole.classes == 3


def test_damaged_contributions_and_empty_measurements_are_refused():
    with pytest.raises(ValueError, match="cannot be read"):
        Collector(("A",), {}).absorb(b"nonsense")
    with pytest.raises(ValueError, match="no subject"):
        Collector(("A",), {}).measure()


def test_without_quasi_identifiers_all_subjects_are_alike():
    assert collect(("DM", {"ID": ["1", "2"]}), quasi=()).measure().k == 2


@pytest.mark.filterwarnings("ignore:In a future version, the keys:Warning")
@settings(max_examples=60, deadline=None)
@given(studies(columns=3), st.integers(1, 4))
def test_the_measurement_the_risk_room_and_pycanon_agree_on_every_result(study, k):
    table, ladders = study
    demanded = Safeguards(k=min(k, len(table.subjects)), attempt=0.27)
    found = optimal(table, ladders, demanded)
    node = [found.levels[name] for name in table.names]
    rows = rows_at(table.codes.tolist(), table.lifted(ladders), node)
    shown = [("",) * len(node) if gone else row for row, gone in zip(rows, found.blanked.tolist(), strict=True)]
    content = dict(zip(table.names, map(list, zip(*shown, strict=True)), strict=True))
    measured = collect(("T", {"ID": list(table.subjects), **content}), quasi=table.names, batch=7).measure(0.27)
    sizes = pd.Series(shown).value_counts().to_numpy()
    risk = risk_of(sizes, 0.27)
    assert measured.k == risk.k == anonymity.k_anonymity(pd.DataFrame(content), list(table.names))
    assert measured.k >= demanded.k
    assert measured.average_risk == pytest.approx(risk.average)
    assert (measured.uniques, measured.classes, dict(measured.histogram)) == (
        risk.uniques,
        risk.classes,
        dict(risk.histogram),
    )
    assert measured.blanked * len(rows) == pytest.approx(found.blanked.sum())
