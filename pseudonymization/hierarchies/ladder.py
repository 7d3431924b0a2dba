"""A ladder: how one quasi-identifier is made coarser, level by level, from the value itself to a single label."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pseudonymization.faults import Unresolved

IntArray = npt.NDArray[np.int32]
TOP = "*"
MISSING = ""
SET_SIGN = "|"


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """The levels of one quasi-identifier over a domain of values.

    codes: per level an int32 array of the domain's length: domain code → level code. labels: per level the text of
    each level code, as it leaves. leaves: per level and level code, how many values of the whole hierarchy (which
    may know more values than the domain) the label covers; `size` is their total. titles: each level in words.
    Level 0 is the value itself (an age above the top-code already leaves as one class); the last level is one
    label. `floor` is the lowest level that may leave. A missing value is the empty text, on every level below the
    last.

    Raises:
        Unresolved: a level does not coarsen the one below it, or the last level has more than one label.
    """

    name: str
    domain: tuple[str, ...]
    codes: tuple[IntArray, ...]
    labels: tuple[tuple[str, ...], ...]
    leaves: tuple[IntArray, ...]
    titles: tuple[str, ...]
    size: int
    floor: int = 0

    def __post_init__(self) -> None:
        if not len(self.codes) == len(self.labels) == len(self.titles) == len(self.leaves) >= 1:
            raise Unresolved(f"the hierarchy of `{self.name}` has levels without labels")
        if len(self.labels[-1]) > 1:
            raise Unresolved(f"the last level of the hierarchy of `{self.name}` has more than one label")
        if not 0 <= self.floor < len(self.codes):
            raise Unresolved(f"the lowest level allowed for `{self.name}` is none of its hierarchy")
        for level, (below, here) in enumerate(zip(self.codes, self.codes[1:], strict=False), start=1):
            above = np.zeros(int(below.max(initial=-1)) + 1, dtype=here.dtype)
            above[below] = here
            if (above[below] != here).any():
                raise Unresolved(
                    f"level {level} of the hierarchy of `{self.name}` splits a label of the level below",
                    cure="give each label of a level exactly one label on the next level",
                )

    @property
    def height(self) -> int:
        """The last level's number: 0 for a ladder of one level."""
        return len(self.codes) - 1

    def labels_of(self, level: int) -> tuple[str, ...]:
        """The label of each domain value on this level, aligned with `domain`."""
        texts = self.labels[level]
        return tuple(texts[code] for code in self.codes[level].tolist())

    def loss(self, level: int) -> npt.NDArray[np.float64]:
        """Per level code (leaves covered − 1) / (leaves of the hierarchy − 1), from 0 to 1."""
        return (self.leaves[level] - 1) / max(1, self.size - 1)

    def restricted(self, domain: Sequence[str]) -> "Ladder":
        """The same ladder for the values that occur, in their order; leaves are still those of the whole hierarchy.

        Raises:
            Unresolved: a value is not in the hierarchy.
        """
        place = {value: code for code, value in enumerate(self.domain)}
        absent = sum(value not in place for value in domain)
        if absent:
            raise Unresolved(
                f"the hierarchy of `{self.name}` does not cover every value that occurs",
                cure="add a line for each missing value to the hierarchy",
            )
        at = np.array([place[value] for value in domain], dtype=np.int64)
        return replace(self, domain=tuple(domain), codes=tuple(level[at] for level in self.codes))

    def over(self, sets: Sequence[tuple[int, ...]]) -> "Ladder":
        """The ladder lifted to sets of domain codes: a set is generalised element by element.

        `sets` gives, per value code of a class table, the domain codes of its elements.
        """
        alike = len(sets) == len(self.domain)
        if alike and all(len(members) == 1 and members[0] == at for at, members in enumerate(sets)):
            return self
        codes, labels, leaves = [], [], []
        for level, coded in enumerate(self.codes):
            seen: dict[tuple[int, ...], int] = {}
            column = [seen.setdefault(tuple(sorted({int(coded[m]) for m in members})), len(seen)) for members in sets]
            codes.append(np.array(column, dtype=np.int32))
            labels.append(tuple(SET_SIGN.join(self.labels[level][c] for c in key) for key in seen))
            leaves.append(np.array([int(self.leaves[level][list(key)].sum()) for key in seen], dtype=np.int32))
        domain = tuple(SET_SIGN.join(self.domain[m] for m in members) for members in sets)
        return replace(self, domain=domain, codes=tuple(codes), labels=tuple(labels), leaves=tuple(leaves))


def of_labels(
    name: str, domain: Sequence[str], levels: Sequence[Sequence[str]], titles: Sequence[str], *, floor: int = 0
) -> Ladder:
    """A ladder from the label of each domain value per level. A last level of one label is added if there is none.

    Raises:
        Unresolved: a value stands twice, or a level does not coarsen the one below.
    """
    if len(set(domain)) != len(domain):
        raise Unresolved(f"a value stands twice in the hierarchy of `{name}`", cure="give each value one line")
    columns, words = [pa.array(level, pa.string()).dictionary_encode() for level in levels], list(titles)
    if len(columns[-1].dictionary) > 1 or len(columns) == 1:
        columns.append(pa.array([TOP] * len(domain), pa.string()).dictionary_encode())
        words.append("not released")
    codes, labels, leaves = [], [], []
    for column in columns:
        coded = column.indices.to_numpy().astype(np.int32, copy=False)
        codes.append(coded)
        labels.append(tuple(column.dictionary.to_pylist()))
        leaves.append(np.bincount(coded, minlength=len(column.dictionary)).astype(np.int32))
    return Ladder(
        name=name,
        domain=tuple(domain),
        codes=tuple(codes),
        labels=tuple(labels),
        leaves=tuple(leaves),
        titles=tuple(words),
        size=len(domain),
        floor=min(floor, len(columns) - 1),
    )


def relabelled(ladder: Ladder, relabel: Callable[[str], str]) -> Ladder:
    """The ladder with values recoded (a site leaves as its keyed code), on every level that shows a value as it is.

    Raises:
        Unresolved: two values got the same code.
    """
    values = set(ladder.domain) - {MISSING}
    levels = tuple(tuple(relabel(t) if t in values else t for t in level) for level in ladder.labels[:-1])
    if any(len(set(new)) != len(new) for new in levels):
        raise Unresolved(f"two values of `{ladder.name}` got the same code", cure="use another project key")
    titles = ("recoded", *ladder.titles[1:])
    return replace(ladder, labels=(*levels, ladder.labels[-1]), titles=titles)
