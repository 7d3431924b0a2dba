from fractions import Fraction
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycanon import anonymity

from pseudonymization.classes import table_of
from pseudonymization.faults import Unreachable, Unresolved
from pseudonymization.hierarchies import of_labels
from pseudonymization.models import DistinctL, EntropyL, LeastSize, RecursiveL, TCloseness
from pseudonymization.objective import Loss
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import optimal
from tests.engine.oracle import LOSSES, classes_of, row_loss, rows_at
from tests.engine.studies import studies

VALUES = 4
TREE = of_labels("S", list("abcd"), [list("abcd"), ["x", "x", "y", "y"], ["*"] * 4], ["0", "1", "2"])


def count(values):
    return [sum(value == at for value in values) for at in range(VALUES)]


def far(values, everyone, distance):
    """Earth mover's distance, from its definition in plain fractions."""
    p, q = count(values), count(everyone)
    apart = [Fraction(a, len(values)) - Fraction(b, len(everyone)) for a, b in zip(p, q, strict=True)]
    if distance == "equal":
        return sum(map(abs, apart)) / 2
    if distance == "ordered":
        return sum(abs(sum(apart[: at + 1])) for at in range(VALUES - 1)) / (VALUES - 1)
    pairs = [apart[:2], apart[2:]]
    inner = sum(min(sum(max(x, 0) for x in pair), sum(max(-x, 0) for x in pair)) for pair in pairs)
    whole = [sum(pair) for pair in pairs]
    return inner / 2 + min(sum(max(x, 0) for x in whole), sum(max(-x, 0) for x in whole))


def passes(model, values, everyone):
    held = count(values)
    if isinstance(model, DistinctL):
        return sum(c > 0 for c in held) >= model.l
    if isinstance(model, LeastSize):
        return all(len(values) >= model.least[value] for value in values)
    if isinstance(model, EntropyL):
        shares = [c / len(values) for c in held if c]
        return -sum(p * np.log(p) for p in shares) >= np.log(model.l) - 1e-12
    if isinstance(model, RecursiveL):
        ranked = sorted(held, reverse=True)
        return ranked[0] < Fraction(str(model.c)) * sum(ranked[model.l - 1 :])
    return far(values, everyone, model.distance) <= Fraction(str(model.t))


def settle(rows, ladders, node, demanded, models, sensitive, loss):
    """Loss under the rule: failing classes go, then the cheapest whole class until the blanked hold k and pass."""
    n, k = len(rows), demanded.k
    groups = classes_of(tuple(int(u.codes[v][c]) for u, v, c in zip(ladders, node, row, strict=True)) for row in rows)
    members = [groups[key] for key in sorted(groups)]
    own = [row_loss(rows[m[0]], ladders, node) for m in members]
    fine = [len(m) >= k and all(passes(f, [sensitive[s] for s in m], sensitive) for f in models) for m in members]
    gone = [len(m) if not good else 0 for m, good in zip(members, fine, strict=True)]
    if 0 < sum(gone) < k:
        kept = [at for at, taken in enumerate(gone) if not taken]
        if not kept:
            return None
        cheapest = min(kept, key=lambda at: (1 - own[at]) * len(members[at]))
        gone[cheapest] = len(members[cheapest])
    blanked = [s for m, taken in zip(members, gone, strict=True) if taken for s in m]
    if len(blanked) > Fraction(str(demanded.blank_limit)) * n:
        return None
    if blanked and not all(passes(f, [sensitive[s] for s in blanked], sensitive) for f in models):
        return None
    return LOSSES[loss](list(zip(members, gone, own, strict=True)), rows, ladders, node, None)


one_model = st.one_of(
    st.builds(LeastSize, st.just("S"), st.tuples(*[st.integers(1, 6)] * VALUES)),
    st.builds(DistinctL, st.just("S"), st.integers(1, 3)),
    st.builds(EntropyL, st.just("S"), st.sampled_from([1.0, 1.5, 2.0])),
    st.builds(RecursiveL, st.just("S"), st.sampled_from([0.5, 1.0, 3.0]), st.integers(2, 3)),
    st.builds(TCloseness, st.just("S"), st.sampled_from([0.1, 0.3, 0.5]), st.sampled_from(["equal", "ordered"])),
    st.builds(TCloseness, st.just("S"), st.sampled_from([0.1, 0.3]), st.just("hierarchical"), st.just(TREE)),
)


@settings(max_examples=250, deadline=None)
@given(studies(columns=3, subjects=20), st.lists(one_model, min_size=1, max_size=2), st.data())
def test_the_optimum_under_models_is_the_oracles(study, models, data):
    table, ladders = study
    n = len(table.subjects)
    sensitive = data.draw(st.lists(st.integers(0, VALUES - 1), min_size=n, max_size=n))
    demanded = Safeguards(k=data.draw(st.integers(1, 3)), blank_limit=data.draw(st.sampled_from([0.0, 0.3, 1.0])))
    loss = data.draw(st.sampled_from([Loss.GRANULARITY, *Loss]))
    lifted, rows = table.lifted(ladders), table.codes.tolist()
    losses = [
        lost
        for node in product(*(range(u.height + 1) for u in lifted))
        if (lost := settle(rows, lifted, node, demanded, models, sensitive, loss.value)) is not None
    ]
    given_codes = {"S": (np.array(sensitive), VALUES)}
    if not losses:
        with pytest.raises(Unreachable):
            optimal(table, ladders, demanded, models=models, sensitive=given_codes)
        return
    found = optimal(table, ladders, demanded, loss=loss, models=models, sensitive=given_codes)
    assert found.loss == pytest.approx(float(min(losses)), abs=1e-9)
    node = [found.levels[name] for name in table.names]
    keys = rows_at(rows, lifted, node)
    shown = [None if gone else key for key, gone in zip(keys, found.blanked.tolist(), strict=True)]
    for members in classes_of(shown).values():
        assert len(members) >= demanded.k
        assert all(passes(model, [sensitive[s] for s in members], sensitive) for model in models)


@pytest.mark.filterwarnings("ignore:In a future version, the keys:Warning")
@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, VALUES - 1)), min_size=2, max_size=40))
def test_distances_and_diversity_agree_with_pycanon(rows):
    classes, sensitive = zip(*rows, strict=True)
    counts = np.zeros((3, VALUES))
    np.add.at(counts, (list(classes), list(sensitive)), 1.0)
    counts, overall = counts[counts.sum(axis=1) > 0], counts.sum(axis=0)
    frame = pd.DataFrame({"Q": [f"q{c}" for c in classes], "P": "p", "S": [f"s{s}" for s in sensitive]})
    ours = TCloseness("S", 0.1).distances(counts, overall).max()
    assert anonymity.t_closeness(frame, ["Q", "P"], ["S"]) == pytest.approx(ours)
    assert anonymity.l_diversity(frame, ["Q", "P"], ["S"]) == (counts > 0).sum(axis=1).min()


def test_a_model_on_a_column_that_is_not_there_or_a_distance_that_is_none_is_refused():
    table_ladder = of_labels("Q", ["a"], [["a"]], ["0"])
    with pytest.raises(Unresolved, match="distance"):
        TCloseness("S", 0.1, "euclid")
    with pytest.raises(Unresolved, match="hierarchical"):
        TCloseness("S", 0.1, "hierarchical")
    table = table_of(["1"], ["Q"], np.zeros((1, 1), dtype=np.int32), [["a"]])
    with pytest.raises(Unresolved, match="sensitive"):
        optimal(table, {"Q": table_ladder}, Safeguards(), models=[DistinctL("X", 2)], sensitive={"S": (np.zeros(1), 1)})


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, VALUES - 1)), min_size=1, max_size=30),
    st.lists(st.integers(0, VALUES - 1), max_size=20),
    one_model,
)
def test_no_more_subjects_stay_in_parts_that_pass_than_the_model_says(parts, others, model):
    whole = [value for _, value in parts]
    counts, overall = np.array([count(whole)], dtype=float), np.array(count(whole + others), dtype=float)
    if not model.fails(counts, overall)[0]:
        return
    held = [[value for at, value in parts if at == part] for part in range(5)]
    staying = sum(len(values) for values in held if values and passes(model, values, whole + others))
    assert staying <= model.most(counts, overall)[0] <= len(whole)


def test_what_can_stay_of_a_class_too_far_from_the_table_is_told_exactly_for_two_values():
    counts, overall = np.array([[30.0, 10.0, 0, 0]]), np.array([50.0, 50.0, 0, 0])
    assert TCloseness("S", 0.1).most(counts, overall).tolist() == [25]  # 15 of 25 are 0.6, at a distance of 0.1
