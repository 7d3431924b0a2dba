import time

import numpy as np
import pytest
from hypothesis import given, settings

from pseudonymization import search
from pseudonymization.classes import table_of
from pseudonymization.faults import Unreachable
from pseudonymization.heuristic import lower_bound
from pseudonymization.hierarchies import of_labels
from pseudonymization.risk import limits
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import optimal
from tests.engine.oracle import best, settle
from tests.engine.studies import safeguards, studies


@settings(max_examples=60, deadline=None)
@given(studies(), safeguards)
def test_the_bound_of_the_blocks_is_below_the_true_optimum(study, demanded):
    table, ladders = study
    lifted = table.lifted(ladders)
    expected = best(table.codes.tolist(), lifted, demanded)
    if expected is None:
        return
    allowed = [range(ladder.height + 1) for ladder in lifted]
    bounds = limits(demanded, len(table.subjects))
    for split in (1, 4000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pseudonymization.heuristic._BLOCK", split)
            least = lower_bound(table, lifted, [1.0] * len(lifted), allowed, bounds, time.perf_counter() + 60)
        assert least <= float(expected[0]) + 1e-9


@settings(max_examples=15, deadline=None)
@given(studies(), safeguards)
def test_the_heuristic_finds_recodings_that_meet_the_safeguards(study, demanded):
    table, ladders = study
    lifted, rows = table.lifted(ladders), table.codes.tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "LARGEST", 0)
        try:
            found = optimal(table, ladders, demanded, budget_seconds=0.1)
        except Unreachable:
            assert settle(rows, lifted, tuple(u.height for u in lifted), demanded) is None
            return
    node = tuple(found.levels[name] for name in table.names)
    loss, blanked = settle(rows, lifted, node, demanded)
    assert found.loss == pytest.approx(float(loss), abs=1e-9)
    assert blanked == found.blanked.sum()
    assert found.bound <= found.loss


def test_twenty_columns_are_searched_within_the_time_given():
    generator = np.random.default_rng(4)
    codes = generator.integers(0, 4, (1500, 20)).astype(np.int32)
    domain = list("abcd")
    names = [f"q{at}" for at in range(20)]
    ladders = {n: of_labels(n, domain, [domain, ["ab", "ab", "cd", "cd"]], ["exact", "half"]) for n in names}
    table = table_of([str(at) for at in range(1500)], names, codes, [domain] * 20)
    began = time.perf_counter()
    found = optimal(table, ladders, Safeguards(k=5), budget_seconds=1.0)
    assert time.perf_counter() - began < 30
    assert found.lattice == 3**20
    assert not found.proven_optimal
    assert 0 < found.bound < found.loss < 1
