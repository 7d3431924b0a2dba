"""Invented small studies and hierarchies, for laws."""

import numpy as np
from hypothesis import strategies as st

from pseudonymization.classes import table_of
from pseudonymization.hierarchies import of_labels
from pseudonymization.safeguards import Safeguards


@st.composite
def ladders(draw, name, most=6):
    """A ladder over 1 to `most` values: each level merges labels of the one below."""
    size = draw(st.integers(1, most))
    domain = [f"{name}{at}" for at in range(size)]
    levels, current = [domain], list(range(size))
    for level in range(draw(st.integers(0, 2))):
        parents = {code: draw(st.integers(0, max(0, len(set(current)) - 1))) for code in sorted(set(current))}
        current = [parents[code] for code in current]
        levels.append([f"L{level}-{code}" for code in current])
    levels.append(["*"] * size)
    return of_labels(name, domain, levels, [f"level {at}" for at in range(len(levels))])


@st.composite
def studies(draw, columns=4, subjects=30):
    """(class table, ladders by name)."""
    made = [draw(ladders(f"q{at}_")) for at in range(draw(st.integers(1, columns)))]
    n = draw(st.integers(1, subjects))
    rows = [[draw(st.integers(0, len(ladder.domain) - 1)) for ladder in made] for _ in range(n)]
    names = [ladder.name for ladder in made]
    codes = np.array(rows, dtype=np.int32).reshape(n, len(made))
    table = table_of([f"s{at}" for at in range(n)], names, codes, [ladder.domain for ladder in made])
    return table, dict(zip(names, made, strict=True))


shares = st.sampled_from([0.0, 0.05, 0.09, 0.2, 0.33, 0.5, 1.0])
safeguards = st.builds(
    Safeguards,
    k=st.integers(1, 6),
    average_risk=st.sampled_from([0.05, 0.09, 0.2, 0.5, 1.0, 1.0]),
    attempt=st.sampled_from([0.1, 0.27, 1.0]),
    uniques=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    blank_limit=shares,
)
