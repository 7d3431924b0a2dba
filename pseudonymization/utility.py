"""What a recoding costs the researcher: measures of what is left, from the class table and the chosen levels.

Shares are over all quasi-identifier cells of all subjects; a blanked cell keeps nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pseudonymization.analysis import association_changes, marginal_distances
from pseudonymization.classes import ClassTable, distinct
from pseudonymization.hierarchies import Ladder

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Utility:
    """What is left for analysis.

    granularity: 1 − mean of (leaves covered − 1) / (leaves − 1) (Iyengar, KDD 2002). precision: 1 − mean of level /
    height (Sweeney 2002). discernibility: sum of squared class sizes, blanked subjects counting all subjects each
    (Bayardo and Agrawal, ICDE 2005). average_class: subjects / classes, blanked left out. entropy: 1 − non-uniform
    entropy lost / entropy lost if nothing were released (Gionis and Tassa 2009). columns: granularity per column.
    blanked: share of subjects blanked. marginals: per column, the total variation distance of its distribution before
    and after. associations: per pair of columns, Cramér's V after − before (see `analysis`).
    """

    granularity: float
    precision: float
    discernibility: float
    average_class: float
    entropy: float
    blanked: float
    columns: Mapping[str, float]
    marginals: Mapping[str, float]
    associations: Mapping[tuple[str, str], float]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; a pair of columns is written as a list of three: both names and the change.

        Marginals and associations are rounded to three digits, so that no small count can be worked out from them.
        """
        pairs = [[*pair, round(change, 3)] for pair, change in self.associations.items()]
        rounded = {name: round(distance, 3) for name, distance in self.marginals.items()}
        return {**asdict(self), "marginals": rounded, "associations": pairs}


def utility_of(
    table: ClassTable,
    ladders: Mapping[str, Ladder],
    levels: Mapping[str, int],
    blanked: npt.NDArray[np.bool_],
) -> Utility:
    """The utility left by a full-domain recoding with these subjects blanked."""
    lifted = table.lifted(ladders)
    subjects, kept = max(1, len(table.subjects)), ~blanked
    share = float(blanked.mean()) if len(blanked) else 0.0
    columns, precision, lost, most = {}, [], 0.0, 0.0
    for at, (name, ladder) in enumerate(zip(table.names, lifted, strict=True)):
        level = levels[name]
        codes = table.codes[:, at]
        loss = ladder.loss(level)[ladder.codes[level][codes]]
        columns[name] = 1 - float(loss[kept].sum() + blanked.sum()) / subjects
        precision.append((1 - share) * (1 - level / max(1, ladder.height)))
        spent, whole = _entropy(codes, ladder.codes[level], kept)
        lost, most = lost + spent, most + whole
    sizes = sizes_of(
        [
            ladder.codes[levels[n]][table.codes[kept, at]]
            for at, (n, ladder) in enumerate(zip(table.names, lifted, strict=True))
        ],
        int(kept.sum()),
    )
    return Utility(
        granularity=float(np.mean(list(columns.values()))) if columns else 1.0,
        precision=float(np.mean(precision)) if precision else 1.0,
        discernibility=float((sizes.astype(np.float64) ** 2).sum() + float(blanked.sum()) * subjects),
        average_class=float(sizes.mean()) if len(sizes) else 0.0,
        entropy=1 - lost / most if most > 0 else 1.0,
        blanked=share,
        columns=columns,
        marginals=marginal_distances(table, ladders, levels, blanked),
        associations=association_changes(table, ladders, levels, blanked),
    )


def sizes_of(columns: Sequence[npt.NDArray[Any]], subjects: int) -> npt.NDArray[np.int64]:
    """Subjects per class, for columns of level codes."""
    if not columns or subjects == 0:
        return np.array([subjects] if subjects else [], dtype=np.int64)
    first, group = distinct(columns, [int(column.max()) + 1 for column in columns])
    return np.bincount(group, minlength=len(first)).astype(np.int64)


def _entropy(codes: npt.NDArray[Any], up: npt.NDArray[Any], kept: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Bits lost by one column: (by the recoding and the blanks, if nothing were released)."""
    leaf = np.bincount(codes, minlength=len(up)).astype(np.float64)
    label = np.bincount(up, leaf)[up]
    total = leaf.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        by_label = np.where(leaf > 0, -np.log2(leaf / label), 0.0)
        by_blank = np.where(leaf > 0, -np.log2(leaf / total), 0.0)
    stay = np.bincount(codes[kept], minlength=len(up))
    return float(stay @ by_label + (leaf - stay) @ by_blank), float(leaf @ by_blank)
