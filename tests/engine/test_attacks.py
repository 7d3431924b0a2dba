from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudonymization.attacks import attacks, inference, linkage
from pseudonymization.classes import table_of
from pseudonymization.hierarchies import of_labels
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import optimal


def study(rows):
    domains = [sorted({row[at] for row in rows}) for at in range(len(rows[0]))]
    names = [f"q{at}" for at in range(len(domains))]
    ladders = {n: of_labels(n, d, [d], ["exact"]) for n, d in zip(names, domains, strict=True)}
    codes = np.array([[d.index(v) for d, v in zip(domains, row, strict=True)] for row in rows], dtype=np.int32)
    return table_of([str(at) for at in range(len(rows))], names, codes, domains), ladders


def test_raw_unique_records_are_singled_out_and_linked_with_certainty():
    table, ladders = study([(f"v{at}", f"w{at}") for at in range(20)])
    nobody = np.zeros(20, dtype=bool)
    single, link = attacks(table, ladders, {"q0": 0, "q1": 0}, nobody, tries=100)
    assert single.rate == link.rate == 1.0
    assert link.baseline == 0.05


def test_a_release_with_k_singles_nobody_out_and_links_no_better_than_its_average_risk():
    generator = np.random.default_rng(2)
    rows = [(f"v{a}", f"w{b}", f"x{c}") for a, b, c in generator.integers(0, 5, (200, 3))]
    table, ladders = study(rows)
    found = optimal(table, ladders, Safeguards(k=5))
    single, link = attacks(table, ladders, found.levels, found.blanked, tries=300)
    assert single.rate <= 0.02
    assert link.rate <= 1 / 5


def test_blanking_everyone_leaves_the_attacker_where_a_blind_guess_is():
    table, ladders = study([("a",), ("b",), ("c",), ("d",)])
    single, link = attacks(table, ladders, {"q0": 0}, np.ones(4, dtype=bool), tries=50)
    assert single.rate == 0
    assert link.rate == link.baseline == 0.25


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30))
def test_inference_is_what_a_plain_guesser_reaches(pairs):
    classes, values = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    dense = np.unique(classes, return_inverse=True)[1].astype(np.int64)

    def guess(held):
        return min(held, key=lambda value: (-held[value], value))

    hits = chance = 0
    for at, (own, value) in enumerate(pairs):
        hits += guess(Counter(v for c, v in pairs if c == own)) == value
        rest = Counter(v for other, (c, v) in enumerate(pairs) if c == own and other != at)
        chance += guess(rest or Counter(v for _, v in pairs)) == value
    found = inference("S", dense, values)
    assert found.rate == pytest.approx(hits / len(pairs))
    assert found.baseline == pytest.approx(chance / len(pairs))
    assert linkage(dense).rate == pytest.approx(len(set(classes.tolist())) / len(pairs))
