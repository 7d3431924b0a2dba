from fractions import Fraction
from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudonymization.anonymize import anonymize
from pseudonymization.classes import table_of
from pseudonymization.faults import Unreachable, Unresolved
from pseudonymization.models import DistinctL
from pseudonymization.people import Population, alike
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import optimal
from tests.engine.oracle import classes_of, row_loss, rows_at
from tests.engine.studies import studies


def fits(subjects, people, k_map, presence):
    low, high = (Fraction(str(bound)) for bound in presence)
    return people >= k_map and low * people <= subjects <= high * people


def settle(rows, people, ladders, node, demanded, k_map, presence, sensitive, least):
    """Loss under the rule, class by class in plain loops; None where it cannot be met."""
    groups = classes_of(rows_at(rows, ladders, node))
    around = classes_of(rows_at(people, ladders, node))
    kept, blanked = [], []
    codes = {
        key: tuple(int(u.codes[v][c]) for u, v, c in zip(ladders, node, rows[m[0]], strict=True))
        for key, m in groups.items()
    }
    for key in sorted(groups, key=codes.get):
        members = groups[key]
        fine = len(members) >= demanded.k and fits(len(members), len(around.get(key, [])), k_map, presence)
        if fine and len({sensitive[s] for s in members}) >= least:
            kept.append((key, members, row_loss(rows[members[0]], ladders, node)))
        else:
            blanked += members
    if 0 < len(blanked) < demanded.k:
        if not kept:
            return None
        cheapest = min(kept, key=lambda one: (1 - one[2]) * len(one[1]))
        kept.remove(cheapest)
        blanked += cheapest[1]
    if len(blanked) > Fraction(str(demanded.blank_limit)) * len(rows):
        return None
    outside = len(people) - sum(len(around.get(key, [])) for key, _, _ in kept)
    if blanked and not fits(len(blanked), outside, k_map, presence):
        return None
    if blanked and len({sensitive[s] for s in blanked}) < least:
        return None
    if outside and not blanked and presence[0] > 0:
        return None
    return (sum((loss * len(m) for _, m, loss in kept), Fraction(0)) + len(blanked)) / len(rows)


bounds = st.tuples(st.sampled_from([0.0, 0.0, 0.1, 0.25]), st.sampled_from([0.3, 0.5, 0.8, 1.0]))


@settings(max_examples=300, deadline=None)
@given(studies(columns=3, subjects=15), st.integers(1, 8), bounds, st.integers(1, 2), st.data())
def test_the_optimum_against_a_population_is_the_oracles(study, k_map, presence, least, data):
    table, ladders = study
    rows = table.codes.tolist()
    person = st.tuples(*[st.integers(0, len(domain) - 1) for domain in table.domains])
    people = [*rows, *(list(one) for one in data.draw(st.lists(person, max_size=25)))]
    if data.draw(st.booleans()):
        people = people[1:] or people  # one subject is in no row of the population
    coded = np.array(people, dtype=np.int32).reshape(len(people), len(table.names))
    beside = table_of([str(at) for at in range(len(people))], table.names, coded, table.domains)
    sensitive = data.draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows)))
    demanded = Safeguards(k=data.draw(st.integers(1, 3)), blank_limit=data.draw(st.sampled_from([0.0, 0.3, 1.0])))
    lifted = table.lifted(ladders)
    losses = [
        loss
        for node in product(*(range(u.height + 1) for u in lifted))
        if (loss := settle(rows, people, lifted, node, demanded, k_map, presence, sensitive, least)) is not None
    ]
    models = [DistinctL("S", least)] if least > 1 else []
    asked = {"models": models, "sensitive": {"S": (np.array(sensitive), 3)} if models else None}
    population = Population(beside, k_map, presence)
    if not losses:
        with pytest.raises(Unreachable):
            optimal(table, ladders, demanded, population=population, **asked)
        return
    found = optimal(table, ladders, demanded, population=population, **asked)
    assert found.loss == pytest.approx(float(min(losses)), abs=1e-9)
    node = [found.levels[name] for name in table.names]
    shown = rows_at(rows, lifted, node)
    around = classes_of(rows_at(people, lifted, node))
    kept = classes_of([key for key, gone in zip(shown, found.blanked.tolist(), strict=True) if not gone])
    assert all(fits(len(members), len(around.get(key, [])), k_map, presence) for key, members in kept.items())


@settings(max_examples=100, deadline=None)
@given(studies(columns=3, subjects=12), st.data())
def test_two_tables_coded_alike_hold_the_values_they_held(study, data):
    table, _ = study
    domains = [("", *domain, "zz") for domain in table.domains]
    rows = data.draw(st.lists(st.tuples(*[st.integers(0, len(d) - 1) for d in domains]), min_size=1, max_size=9))
    codes = np.array(rows, dtype=np.int32).reshape(len(rows), len(domains))
    people = table_of([str(at) for at in range(len(rows))], table.names, codes, domains)
    ours, theirs = alike(table, people)
    assert (ours.domains, ours.sets) == (theirs.domains, theirs.sets)
    for before, after in ((table, ours), (people, theirs)):
        for at in range(len(domains)):
            assert [before.domains[at][c] for c in before.codes[:, at]] == [
                after.domains[at][c] for c in after.codes[:, at]
            ]


def study_and_town():
    study = pa.table({"age": ["30", "30", "40", "40"], "sex": ["F", "F", "M", "M"]})
    town = pa.table({"sex": ["F"] * 6 + ["M"] * 4, "age": ["30"] * 6 + ["40"] * 2 + ["50"] * 2})
    return study, town


def test_a_table_is_recoded_until_each_class_fits_enough_of_the_population():
    study, town = study_and_town()
    free, report = anonymize(study, ["age", "sex"], safeguards=Safeguards(k=2, blank_limit=0.0), population=town)
    assert free["age"].to_pylist() == ["30", "30", "40", "40"]
    assert report["population"] == {"people": 10, "k_map": 2, "presence": [0.0, 1.0]}
    wanted = {"safeguards": Safeguards(k=2, blank_limit=0.0), "population": town}
    result, report = anonymize(study, ["age", "sex"], k_map=4, **wanted)
    assert report["population"]["k_map"] >= 4
    assert result["sex"].to_pylist() == ["F", "F", "M", "M"]
    result, report = anonymize(study, ["age", "sex"], delta_presence=(0.0, 0.5), **wanted)
    assert report["population"]["presence"][1] <= 0.5
    with pytest.raises(Unreachable):
        anonymize(study, ["age", "sex"], k_map=11, **wanted)


def test_demands_against_a_population_that_cannot_be_meant_are_refused():
    study, town = study_and_town()
    for wrong in (
        {"k_map": 2},
        {"population": town, "delta_presence": (0.5, 0.2)},
        {"population": town, "k_map": 0},
        {"population": town.drop_columns("sex"), "k_map": 2},
        {"population": town, "k_map": 2, "mode": "local"},
    ):
        with pytest.raises(Unresolved):
            anonymize(study, ["age", "sex"], safeguards=Safeguards(), **wrong)
