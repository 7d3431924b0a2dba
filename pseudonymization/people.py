"""Privacy models against a population table: who outside the study looks like a released class.

The population holds one row per person, the study's subjects among them, with the same quasi-identifiers. The people
of a class are those alike at the same levels. A class that fails is blanked whole. The blanked may be anybody in no
class that stays, so these people are the people of the blanked, who are judged as a class too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pseudonymization.classes import ClassTable, distinct, table_of
from pseudonymization.faults import Unresolved
from pseudonymization.hierarchies import Ladder
from pseudonymization.lattice import Lattice, Node

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
_SLACK = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """A population table and what is demanded against it.

    people: one row per person, over the same domains and value codes as the study's class table (see `alike`).
    k_map: each class, also of the blanked, fits at least so many people (Sweeney 2002, k-map). presence: bounds of
    subjects / people of each class, the chance that somebody who looks like it is in the study; a lower bound above 0
    holds for people whom no class fits, too (δ-presence: Nergiz, Atzori and Clifton, SIGMOD 2007).

    Raises:
        Unresolved: a demand is out of range.
    """

    people: ClassTable
    k_map: int = 1
    presence: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        low, high = self.presence
        if self.k_map < 1 or not 0 <= low <= high <= 1:
            raise Unresolved(
                "a demand against the population is out of range",
                cure="give a k of at least 1, and bounds of presence from 0 to 1, the lower one first",
            )

    def fails(self, sizes: Floats, people: Floats) -> Flags:
        """Which classes fail: subjects and people per class. More subjects than people never pass."""
        low, high = self.presence
        least, most = low * people - _SLACK * people, high * people + _SLACK * people
        return np.asarray((people < self.k_map) | (sizes < least) | (sizes > most))


class Crowd:
    """The population on every node of a lattice. ladders: lifted, one per quasi-identifier; allowed: as `Lattice`."""

    def __init__(
        self,
        population: Population,
        table: ClassTable,
        ladders: Sequence[Ladder],
        allowed: Sequence[Sequence[int]],
    ) -> None:
        people = population.people
        if (people.names, people.domains, people.sets) != (table.names, table.domains, table.sets):
            raise Unresolved("the population is not coded as the study is", cure="code both together")
        self.population = population
        self.total = float(len(people.subjects))
        self._lattice = Lattice(people, ladders, [1.0] * len(ladders), allowed)

    def around(self, node: Node, columns: Sequence[npt.NDArray[Any]]) -> Floats:
        """People per class. columns: per quasi-identifier the level code of each class at the node."""
        node = node[: len(self._lattice.shape)]
        view = self._lattice.classes(self._lattice.group(node))
        both = [np.concatenate(pair) for pair in zip(columns[: len(node)], view.columns, strict=True)]
        widths = [width[level] for width, level in zip(self._lattice.widths, node, strict=True)]
        first, group = distinct(both, widths)
        count = len(both[0]) - len(view.weights)
        held = np.bincount(group[count:], view.weights, minlength=len(first))
        return held[group[:count]].astype(np.float64)

    def failing(self, sizes: Floats, people: Floats) -> tuple[Flags, Flags]:
        """(classes that fail, classes of which every part fails too)."""
        return self.population.fails(sizes, people), people < self.population.k_map

    def passes(self, sizes: Floats, people: Floats, gone: Flags) -> bool:
        """Whether the blanked pass as one class, beside the people whom no class that stays fits."""
        subjects, outside = float(sizes[gone].sum()), self.total - float(people[~gone].sum())
        if subjects == 0:
            return outside <= 0 or self.population.presence[0] <= 0
        return not self.population.fails(np.array([subjects]), np.array([outside]))[0]


def alike(table: ClassTable, people: ClassTable) -> tuple[ClassTable, ClassTable]:
    """Both tables over the values of both, so that a code means the same in each.

    Raises:
        Unresolved: the quasi-identifiers differ, or a person of the population has several values of one.
    """
    if table.names != people.names:
        raise Unresolved("the population has other quasi-identifiers than the study")
    if any(len(members) != 1 for sets in people.sets for members in sets):
        raise Unresolved("a person of the population has several values", cure="give the population one row per person")
    codes, more = np.empty_like(table.codes), np.empty_like(people.codes)
    domains, all_sets = [], []
    for at, (ours, theirs) in enumerate(zip(table.domains, people.domains, strict=True)):
        domain = tuple(sorted({*ours, *theirs}))
        place = {value: code for code, value in enumerate(domain)}
        sets: dict[tuple[int, ...], int] = {(code,): code for code in range(len(domain))}
        own = [tuple(sorted(place[ours[member]] for member in members)) for members in table.sets[at]]
        coded = np.array([sets.setdefault(members, len(sets)) for members in own], dtype=np.int32)
        codes[:, at] = coded[table.codes[:, at]]
        other = np.array([place[theirs[members[0]]] for members in people.sets[at]], dtype=np.int32)
        more[:, at] = other[people.codes[:, at]]
        domains.append(domain)
        all_sets.append(tuple(sets))
    made = table_of(table.subjects, table.names, codes, domains, all_sets)
    beside = table_of(people.subjects, people.names, more, domains, all_sets)
    return made, beside


def reached(
    people: ClassTable,
    table: ClassTable,
    ladders: Sequence[Ladder],
    levels: Sequence[int],
    blanked: Flags,
) -> dict[str, float | list[float]]:
    """What a recoding reaches against a population coded as the study: people, k of the k-map, bounds of presence.

    The people whom no class that stays fits are those of the blanked; where nobody is blanked, their presence is 0.
    """
    columns = [np.concatenate((table.codes[:, at], people.codes[:, at])) for at in range(len(table.names))]
    raised = [ladder.codes[level][column] for ladder, level, column in zip(ladders, levels, columns, strict=True)]
    first, group = distinct(raised, [len(ladder.labels[level]) for ladder, level in zip(ladders, levels, strict=True)])
    count = len(table.subjects)
    held = np.bincount(group[:count][~blanked], minlength=len(first)).astype(np.float64)
    around = np.bincount(group[count:], minlength=len(first)).astype(np.float64)
    stay = held > 0
    outside = float(around[~stay].sum())
    sizes, fitting = held[stay], around[stay]
    if outside > 0 or blanked.any():
        sizes, fitting = np.append(sizes, blanked.sum()), np.append(fitting, outside)
    presence = np.minimum(sizes / np.maximum(fitting, 1e-300), 1.0)
    return {
        "people": len(people.subjects),
        "k_map": int(fitting[sizes > 0].min()),
        "presence": [float(presence.min()), float(presence.max())],
    }
