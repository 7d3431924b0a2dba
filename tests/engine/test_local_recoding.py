import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudonymization.classes import table_of
from pseudonymization.faults import Unreachable
from pseudonymization.hierarchies import of_labels
from pseudonymization.local_recoding import Cells, recode_locally
from pseudonymization.safeguards import Safeguards
from tests.engine.oracle import allowed_classes, classes_of
from tests.engine.studies import studies


def shown(found, names):
    return list(zip(*(found.column(name) for name in names), strict=True))


@settings(max_examples=150, deadline=None)
@given(studies(subjects=40), st.integers(1, 5), st.sampled_from(list(Cells)), st.sampled_from([1.0, 0.5, 0.2]))
def test_every_class_holds_k_every_cell_covers_its_value_and_the_loss_is_what_the_cells_say(study, k, cells, average):
    table, ladders = study
    n = len(table.subjects)
    demanded = Safeguards(k=k, average_risk=average, uniques=0.0 if k > 1 else 1.0)
    if n < k or allowed_classes(demanded, n) < 1:
        with pytest.raises(Unreachable):
            recode_locally(table, ladders, demanded, cells=cells)
        return
    try:
        found = recode_locally(table, ladders, demanded, cells=cells)
    except Unreachable:
        assert n < 2
        return
    rows = shown(found, table.names)
    sizes = [len(members) for members in classes_of(rows).values()]
    assert min(sizes) >= k
    assert len(sizes) <= allowed_classes(demanded, n)
    lifted, loss = table.lifted(ladders), 0.0
    for row, codes in zip(rows, table.codes.tolist(), strict=True):
        for text, ladder, code in zip(row, lifted, codes, strict=True):
            if cells is Cells.SETS:
                covered = set(text.split("|"))
                assert ladder.domain[code] in covered
                leaves = len(covered)
            else:
                levels = [level for level in range(ladder.height + 1) if text == ladder.labels_of(level)[code]]
                assert levels
                leaves = min(int(ladder.leaves[level][ladder.codes[level][code]]) for level in levels)
            loss += (leaves - 1) / max(1, ladder.size - 1) / len(lifted)
    assert found.loss == pytest.approx(loss / n)


def test_large_classes_of_like_subjects_are_found_and_stay():
    codes = np.repeat(np.arange(4, dtype=np.int32), 3000)[:, None]
    domain = list("abcd")
    table = table_of([str(at) for at in range(12000)], ["Q"], codes, [domain])
    found = recode_locally(table, {"Q": of_labels("Q", domain, [domain], ["exact"])}, Safeguards(k=5))
    assert found.loss == 0
