"""Attacks on a recoding, run as an adversary would, each beside the rate it would reach without the release.

The three of the Article 29 Working Party's opinion 05/2014: singling out, linkage, inference. The attacker knows the
true quasi-identifiers of the targets; rates are means over all subjects, exact where no sampling is needed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pseudonymization.classes import ClassTable, distinct
from pseudonymization.hierarchies import Ladder

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Attack:
    """How often an attack succeeds, and how often the same attacker succeeds without its target in the release."""

    name: str
    rate: float
    baseline: float

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form, with the gain over the baseline."""
        return {**asdict(self), "gain": self.rate - self.baseline}


def attacks(
    table: ClassTable,
    ladders: Mapping[str, Ladder],
    levels: Mapping[str, int],
    blanked: npt.NDArray[np.bool_],
    *,
    sensitive: Mapping[str, npt.NDArray[Any]] | None = None,
    tries: int = 2000,
    seed: int = 1,
) -> list[Attack]:
    """Run all attacks on a full-domain recoding. sensitive: per attribute, one code per subject.

    tries: predicates guessed by the singling-out attack. Without subjects there is nothing to attack: no attack is run.
    """
    if not len(table.subjects):
        return []
    lifted = table.lifted(ladders)
    columns = [
        np.where(blanked, 0, ladder.codes[levels[name]][table.codes[:, at]].astype(np.int64) + 1)
        for at, (name, ladder) in enumerate(zip(table.names, lifted, strict=True))
    ]
    truth = [
        ladder.codes[levels[name]][table.codes[:, at]].astype(np.int64) + 1
        for at, (name, ladder) in enumerate(zip(table.names, lifted, strict=True))
    ]
    classes = np.zeros(len(table.subjects), dtype=np.int64)
    if columns:
        classes = distinct(columns, [int(column.max()) + 1 for column in columns])[1]
    found = [singling_out(columns, truth, tries, seed), linkage(classes)]
    found += [inference(name, classes, codes.astype(np.int64)) for name, codes in (sensitive or {}).items()]
    return found


def singling_out(columns: list[Ints], truth: list[Ints], tries: int, seed: int) -> Attack:
    """Predicates over some released columns, read off a released row, that fit exactly one subject of the trial.

    Baseline: the same number of columns, each value drawn on its own from the released column (so that the attacker
    knows what values are common, but no row); after Giomi et al., PoPETs 2023.
    """
    generator = np.random.default_rng(seed)
    if not columns:
        return Attack("singling out", 0.0, 0.0)
    hits, chance, subjects = 0, 0, len(columns[0])
    for _ in range(tries):
        chosen = generator.permutation(len(columns))[: generator.integers(1, len(columns) + 1)]
        row = generator.integers(subjects)
        hits += _alone(columns, truth, chosen, np.full(len(chosen), row))
        chance += _alone(columns, truth, chosen, generator.integers(0, subjects, len(chosen)))
    return Attack("singling out", hits / tries, chance / tries)


def _alone(columns: list[Ints], truth: list[Ints], chosen: Ints, rows: Ints) -> bool:
    """Whether the released values of these rows fit exactly one subject; a blank says nothing about its column."""
    fits: npt.NDArray[np.bool_] = np.ones(len(truth[0]), dtype=bool)
    for at, row in zip(chosen.tolist(), rows.tolist(), strict=True):
        if columns[at][row]:
            fits &= truth[at] == columns[at][row]
    return int(np.count_nonzero(fits)) == 1


def linkage(classes: Ints) -> Attack:
    """The attacker finds the target's class and picks one of its records. Baseline: a record picked blindly."""
    return Attack("linkage", float(len(np.unique(classes)) / len(classes)), 1 / len(classes))


def inference(name: str, classes: Ints, values: Ints) -> Attack:
    """The attacker guesses the target's sensitive value: the commonest of its class.

    Baseline: the commonest of its class without the target's own record (of the whole table, if the class is then
    empty), which is what the release teaches about people like the target, not about the target.
    """
    dense = np.unique(values, return_inverse=True)[1].astype(np.int64)
    width, count = int(dense.max()) + 1, int(classes.max()) + 1
    cells, held = np.unique(classes * width + dense, return_counts=True)
    of, value = cells // width, cells % width
    order = np.lexsort((value, -held, of))
    first = order[np.searchsorted(of[order], np.arange(count))]
    top, tops = value[first], held[first]
    second = np.zeros(count, dtype=np.int64)
    others = np.ones(len(cells), dtype=bool)
    others[first] = False
    np.maximum.at(second, of[others], held[others])
    rival = np.full(count, width, dtype=np.int64)
    level = others & (held == second[of])
    np.minimum.at(rival, of[level], value[level])
    mine, best = dense, top[classes]
    rate = float((mine == best).mean())
    left = tops[classes] - 1
    still = (mine == best) & (
        (left > second[classes]) | ((left == second[classes]) & (left > 0) & (best < rival[classes]))
    )
    alone = np.bincount(classes, minlength=count)[classes] == 1
    common = int(np.bincount(dense).argmax())
    baseline = float(np.where(alone, mine == common, still).mean())
    return Attack(f"inference of {name}", rate, baseline)
