"""pyCANON measures a result of adult's size and shape, and finds what we find: k, l, t, maximum and average risk."""

import numpy as np
import pyarrow as pa
import pytest
from pycanon import anonymity
from pycanon.anonymity.utils import aux_anonymity

from pseudonymization.demands import diversity
from pseudonymization.hierarchies import of_labels
from pseudonymization.risk import risk_of
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import optimal
from pseudonymization.tables import class_table

ROWS, WIDTHS = 30_000, (72, 16, 7, 8, 5, 2, 2, 7, 14)


def invented():
    """Nine columns of adult's widths from a latent-class model, with halving hierarchies, and a sensitive column."""
    generator = np.random.default_rng(3)
    kind = generator.integers(0, 20, ROWS)
    columns, ladders = {}, {}
    for at, width in enumerate(WIDTHS):
        chances = generator.dirichlet(np.full(width, 0.3), 20).cumsum(axis=1)
        codes = (generator.random(ROWS)[:, None] > chances[kind]).sum(axis=1).clip(0, width - 1)
        domain = [f"{code:02}" for code in range(width)]
        steps = [2**power for power in range(2, 7, 2) if 2**power < width]
        levels = [domain, *([f"{code // step}/{step}" for code in range(width)] for step in steps)]
        columns[f"q{at}"] = np.array(domain)[codes]
        ladders[f"q{at}"] = of_labels(f"q{at}", domain, levels, [f"level {level}" for level in range(len(levels))])
    return columns, ladders, np.array(["a", "b", "c"])[generator.integers(0, 3, ROWS)]


@pytest.mark.filterwarnings("ignore:In a future version, the keys:Warning")
@pytest.mark.parametrize("k", [5, 11])
def test_pycanon_agrees_on_a_result_of_adults_size(k):
    columns, ladders, sensitive = invented()
    table = class_table(pa.table(columns), list(columns))
    found = optimal(table, ladders, Safeguards(k=k, blank_limit=0.05))
    assert found.proven_optimal
    shown = {
        name: np.where(found.blanked, "*", np.array(ladder.labels_of(found.levels[name]))[table.codes[:, at]])
        for at, (name, ladder) in enumerate(zip(table.names, table.lifted(ladders), strict=True))
    }
    result = pa.table({**shown, "sensitive": sensitive})
    risk, diverse = risk_of(class_table(result, list(columns)).weights), diversity(result, list(columns), "sensitive")
    frame, quasi = result.to_pandas(), list(columns)
    classes = [len(members) for members in aux_anonymity.get_equiv_class(frame, quasi)]
    assert risk.k == anonymity.k_anonymity(frame, quasi) >= k
    assert risk.maximum == 1 / min(classes)
    assert risk.average == pytest.approx(len(classes) / ROWS, abs=1e-12)
    assert diverse["distinct_l"] == anonymity.l_diversity(frame, quasi, ["sensitive"])
    assert diverse["t_equal"] == pytest.approx(anonymity.t_closeness(frame, quasi, ["sensitive"]), abs=1e-9)
