"""What several releases tell together: the guard that joins a new release with the earlier ones to the same people.

A release is seen as a partition of subjects into classes; who is absent from it is told apart from all its classes.
Whoever holds several releases can join them subject by subject (inside a project pseudonyms stay the same). The joint
view's classes are the intersections: they catch a finer cell seen elsewhere (60-69 here and 65-74 there make 65-69), a
column that only one release had, and a subject who was added or left out (differencing). Ganta, Kasiviswanathan and
Smith, KDD 2008, name the attack. Two more demands are made of releases together: the subjects that some of them hold
and others do not are never a group too small to be released by itself, and a cell that was blanked stays so.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from pseudonymization.classes import ClassTable, distinct, table_of
from pseudonymization.faults import DataFault
from pseudonymization.hierarchies import Ladder, of_labels
from pseudonymization.outliers import blanks
from pseudonymization.risk import Risk, limits, risk_of
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import Found, optimal
from pseudonymization.utility import utility_of

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_EARLIER = ""


class Reason(StrEnum):
    """Why releases do not compose, in words."""

    CLASSES = "subjects would stand in classes smaller than allowed"
    SUBJECTS = "the subjects that only some of the releases hold would be fewer than may be released together"
    BLANKED = "cells that were blanked there would be shown"


@dataclass(frozen=True, slots=True, eq=False)
class ReleaseView:
    """One release as the guard keeps it: no cell value, only who stood with whom.

    name: how the release is called in a refusal. subjects: ids that are the same in all releases compared. classes:
    per subject its class (any integers; the blanked are one class). levels: the recoding, for a later release to pin.
    withheld: the subjects whose quasi-identifier cells were blanked.
    """

    name: str
    subjects: tuple[str, ...]
    classes: Ints
    levels: Mapping[str, int]
    withheld: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Offer:
    """A recoding that composes: `how` says in words where it comes from."""

    how: str
    found: Found


@dataclass(frozen=True, slots=True)
class Composed:
    """What the guard found.

    passes: whether the joint view meets the safeguards. because_of: names of the earlier releases that, joined with
    the new one, break them; reasons: how. risk: of the joint view, over all subjects of all releases.
    """

    passes: bool
    because_of: tuple[str, ...]
    risk: Risk
    reasons: tuple[Reason, ...] = ()

    def refuse(self) -> None:
        """Stop, unless the releases compose.

        Raises:
            Unsafe: they do not; says together with which earlier release, and why.
        """
        if not self.passes:
            named = ", ".join(f"`{name}`" for name in self.because_of)
            raise Unsafe(
                f"together with the earlier release {named}, {' and '.join(self.reasons)}",
                cure="take the recoding offered, keep to the subjects and columns released before, or wait for more",
            )


class Unsafe(DataFault):
    """Releases that are safe one by one and not together."""


def least(safeguards: Safeguards) -> int:
    """The fewest subjects that could be released by themselves: one class that meets k, average risk and uniques."""
    found = max(safeguards.k, 2 if safeguards.uniques < 1 else 1)
    average, attempt = Fraction(str(safeguards.average_risk)), Fraction(str(safeguards.attempt))
    if 0 < average < 1:
        found = max(found, math.ceil(attempt / average))
    return found


def view_of(
    name: str, table: ClassTable, ladders: Mapping[str, Ladder], levels: Mapping[str, int], blanked: Flags
) -> ReleaseView:
    """The view of a release by its recoding and the subjects blanked."""
    withheld = frozenset(table.subjects[at] for at in np.flatnonzero(blanked).tolist())
    return ReleaseView(name, table.subjects, _classes(table, ladders, levels, blanked), dict(levels), withheld)


def _classes(table: ClassTable, ladders: Mapping[str, Ladder], levels: Mapping[str, int], blanked: Flags) -> Ints:
    """Per subject its class; the blanked are one."""
    lifted = table.lifted(ladders)
    columns = [
        np.where(blanked, 0, ladder.codes[levels[column]][table.codes[:, at]].astype(np.int64) + 1)
        for at, (column, ladder) in enumerate(zip(table.names, lifted, strict=True))
    ]
    if not columns or not len(table.subjects):
        return np.zeros(len(table.subjects), dtype=np.int64)
    return distinct(columns, [int(column.max()) + 1 for column in columns])[1]


def compose(earlier: Sequence[ReleaseView], new: ReleaseView, safeguards: Safeguards) -> Composed:
    """Join a new release with the earlier ones and hold the joint view against the safeguards.

    A release that tells nothing that the earlier ones together did not tell passes, whatever they tell together.
    """
    risk = risk_of(joint_sizes([*earlier, new]), safeguards.attempt)
    shown = {view.name for view in earlier if _shows(view, new)}
    found = _reasons([*earlier, new], safeguards)
    if (not found and not shown) or _adds_nothing(earlier, new):
        return Composed(passes=True, because_of=(), risk=risk)
    guilty = {view.name for view in earlier if _reasons([view, new], safeguards)} if found else set()
    if found and not guilty:
        without = [[other for other in earlier if other is not view] for view in earlier]
        guilty = {
            view.name for view, rest in zip(earlier, without, strict=True) if not _reasons([*rest, new], safeguards)
        } or {view.name for view in earlier}
    reasons = (*found, Reason.BLANKED) if shown else found
    named = tuple(view.name for view in earlier if view.name in guilty | shown)
    return Composed(passes=False, because_of=named, risk=risk, reasons=reasons)


def _reasons(views: Sequence[ReleaseView], safeguards: Safeguards) -> tuple[Reason, ...]:
    """What is wrong with the joint view of these releases."""
    place, columns = _joint(views)
    wrong = []
    if not _meets(_sizes(columns, len(place)), safeguards):
        wrong.append(Reason.CLASSES)
    held = _sizes([(column > 0).astype(np.int64) for column in columns], len(place))
    if int(held.min(initial=len(place))) < least(safeguards):
        wrong.append(Reason.SUBJECTS)
    return tuple(wrong)


def _shows(earlier: ReleaseView, new: ReleaseView) -> bool:
    """Whether cells withheld earlier would be shown at the level they were withheld at, or finer."""
    finer = all(name in new.levels and new.levels[name] <= level for name, level in earlier.levels.items())
    return finer and bool(earlier.levels) and bool((earlier.withheld & frozenset(new.subjects)) - new.withheld)


def _adds_nothing(earlier: Sequence[ReleaseView], new: ReleaseView) -> bool:
    """Whether everyone in the new release is known already, and it parts nobody whom the earlier ones leave alike."""
    known = {subject for view in earlier for subject in view.subjects}
    return known.issuperset(new.subjects) and len(joint_sizes(earlier)) == len(joint_sizes([*earlier, new]))


def joint_sizes(views: Sequence[ReleaseView]) -> Ints:
    """Subjects per class of the joint view, over all subjects of any of the releases."""
    place, columns = _joint(views)
    return _sizes(columns, len(place))


def _sizes(columns: Sequence[Ints], subjects: int) -> Ints:
    """Subjects alike in all columns."""
    if not columns or not subjects:
        return np.zeros(0, dtype=np.int64) if not subjects else np.array([subjects], dtype=np.int64)
    group = distinct(columns, [int(column.max()) + 1 for column in columns])[1]
    return np.bincount(group).astype(np.int64)


def _joint(views: Sequence[ReleaseView]) -> tuple[dict[str, int], list[Ints]]:
    """(place of each subject, per release the class of each, 0 where it is absent)."""
    place: dict[str, int] = {}
    for view in views:
        for subject in view.subjects:
            place.setdefault(subject, len(place))
    columns = []
    for view in views:
        column = np.zeros(len(place), dtype=np.int64)
        dense = np.unique(view.classes, return_inverse=True)[1] + 1
        column[[place[subject] for subject in view.subjects]] = dense
        columns.append(column)
    return place, columns


def _meets(sizes: Ints, safeguards: Safeguards) -> bool:
    """Whether a view with these classes meets the safeguards as it stands, with nobody blanked any more."""
    bounds = replace(limits(safeguards, int(sizes.sum())), blanks=0)
    return blanks(sizes.astype(np.float64), np.zeros(len(sizes)), bounds) is not None


def offers(
    table: ClassTable,
    ladders: Mapping[str, Ladder],
    safeguards: Safeguards,
    earlier: Sequence[ReleaseView],
    *,
    name: str = "new",
    weights: Mapping[str, float] | None = None,
) -> list[Offer]:
    """Recodings of the new release that compose with the earlier ones, the most useful first; none if there is none.

    Tried are: the recoding of each earlier release, pinned (the same levels, the same subjects blanked; columns it did
    not have are not released); and the best recoding of which every class stays safe when joined with all earlier
    releases, with nobody blanked and with those blanked who were blanked before. weights: as in the search.
    """
    trial = _Trial(table, ladders, safeguards, dict(weights or {}))
    found: list[Offer] = []
    for view in reversed(earlier):
        levels = {column: view.levels.get(column, ladders[column].height) for column in table.names}
        found.append(Offer(f"the recoding of `{view.name}`, pinned", trial.made(levels, trial.small(levels, view))))
    before = trial.withheld(subject for view in earlier for subject in view.withheld)
    for mask in (np.zeros(len(table.subjects), dtype=bool), before)[: 1 + bool(before.any())]:
        joint = trial.jointly(earlier, mask)
        if joint is not None:
            found.append(Offer("the best recoding that stays safe beside all earlier releases", joint))
    good = [offer for offer in found if trial.holds(offer.found) and trial.composes(offer.found, earlier, name)]
    return sorted(good, key=lambda offer: offer.found.loss)


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """The study of a new release, on which recodings are tried."""

    table: ClassTable
    ladders: Mapping[str, Ladder]
    safeguards: Safeguards
    weights: Mapping[str, float]

    def withheld(self, subjects: Iterable[str]) -> Flags:
        """Per subject whether it is among these."""
        wanted = frozenset(subjects)
        return np.array([subject in wanted for subject in self.table.subjects], dtype=np.bool_)

    def small(self, levels: Mapping[str, int], view: ReleaseView) -> Flags:
        """Those blanked by an earlier release, and whoever would stand in a class below k without being among them."""
        mask = self.withheld(view.withheld)
        classes = _classes(self.table, self.ladders, levels, mask)
        held = np.bincount(classes)[classes] if len(classes) else classes
        return mask | (held < self.safeguards.k)

    def made(self, levels: Mapping[str, int], mask: Flags) -> Found:
        """A recoding with these subjects blanked, and what it costs; nothing is searched, so nothing is proven."""
        columns = utility_of(self.table, self.ladders, levels, mask).columns
        shares = [self.weights.get(name, 1.0) for name in columns]
        kept = sum(share * left for share, left in zip(shares, columns.values(), strict=True))
        loss = 1 - kept / sum(shares) if sum(shares) else 0.0
        return Found(dict(levels), mask, loss, 0.0, proven_optimal=False, nodes_checked=0, lattice=0, seconds=0.0)

    def holds(self, found: Found) -> bool:
        """Whether a recoding meets the safeguards by itself."""
        sizes = np.bincount(_classes(self.table, self.ladders, found.levels, found.blanked)).astype(np.int64)
        most = limits(self.safeguards, len(self.table.subjects)).blanks
        return _meets(sizes[sizes > 0], self.safeguards) and int(found.blanked.sum()) <= most

    def composes(self, found: Found, earlier: Sequence[ReleaseView], name: str) -> bool:
        """Whether it does beside the earlier releases."""
        view = view_of(name, self.table, self.ladders, found.levels, found.blanked)
        return compose(earlier, view, self.safeguards).passes

    def jointly(self, earlier: Sequence[ReleaseView], mask: Flags) -> Found | None:
        """The optimum with just these subjects blanked.

        The joint class of the earlier releases is a column that cannot be recoded and costs nothing.
        """
        stay = np.flatnonzero(~mask)
        place, columns = _joint(earlier)
        joint = distinct(columns, [int(column.max()) + 1 for column in columns])[1] if place else np.zeros(0, np.int64)
        absent = int(joint.max()) + 1 if len(joint) else 0
        subjects = [self.table.subjects[at] for at in stay.tolist()]
        before = np.array([joint[place[s]] if s in place else absent for s in subjects], dtype=np.int32)
        domain = [str(at) for at in range(absent + 1)]
        codes = np.concatenate([self.table.codes[stay], before[:, None]], axis=1)
        sets = [*self.table.sets, tuple((at,) for at in range(absent + 1))]
        joined = table_of(subjects, [*self.table.names, _EARLIER], codes, [*self.table.domains, domain], sets)
        fixed = of_labels(_EARLIER, domain, [domain], ["as released"])
        weights = {name: self.weights.get(name, 1.0) for name in self.table.names} | {_EARLIER: 0.0}
        demanded = replace(self.safeguards, blank_limit=0.0)
        ladders = {**self.ladders, _EARLIER: fixed}
        try:
            found = optimal(joined, ladders, demanded, weights=weights, fixed={_EARLIER: 0})
        except DataFault:
            return None
        made = self.made({name: found.levels[name] for name in self.table.names}, mask)
        return replace(made, nodes_checked=found.nodes_checked, lattice=found.lattice, seconds=found.seconds)
