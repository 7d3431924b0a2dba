"""What several releases tell together: the guard that joins a new release with the earlier ones to the same people.

A release is seen as a partition of subjects into classes; who is absent from it is told apart from all its classes.
Inside a project pseudonyms stay the same, so its recipients can join releases subject by subject. The joint view's
classes are the intersections: they catch a finer cell seen elsewhere (60-69 here and 65-74 there make 65-69), a column
that only one release had, and a subject who was added or left out (differencing). Ganta, Kasiviswanathan and Smith,
KDD 2008, name the attack.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pseudonymization.classes import ClassTable, distinct, table_of
from pseudonymization.faults import DataFault
from pseudonymization.hierarchies import Ladder, of_labels
from pseudonymization.outliers import blanks
from pseudonymization.risk import Risk, limits, risk_of
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import Found, optimal

Ints = npt.NDArray[np.int64]
_EARLIER = ""


@dataclass(frozen=True, slots=True, eq=False)
class ReleaseView:
    """One release as the guard keeps it: no cell value, only who stood with whom.

    name: how the release is called in a refusal. subjects: ids that are the same in all releases compared. classes:
    per subject its class (any integers; the blanked are one class). levels: the recoding, for a later release to pin.
    """

    name: str
    subjects: tuple[str, ...]
    classes: Ints
    levels: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Offer:
    """A recoding that composes: `how` says in words where it comes from."""

    how: str
    found: Found


@dataclass(frozen=True, slots=True)
class Composed:
    """What the guard found.

    passes: whether the joint view meets the safeguards. because_of: names of the earlier releases that, joined with
    the new one, break them. risk: of the joint view, over all subjects of all releases.
    """

    passes: bool
    because_of: tuple[str, ...]
    risk: Risk

    def refuse(self) -> None:
        """Stop, unless the releases compose.

        Raises:
            Unsafe: they do not; says together with which earlier release.
        """
        if not self.passes:
            named = ", ".join(f"`{name}`" for name in self.because_of)
            raise Unsafe(
                f"together with the earlier release {named}, subjects would stand in classes smaller than allowed",
                cure="take the recoding offered, keep to the subjects and columns released before, or wait for more",
            )


class Unsafe(DataFault):
    """Releases that are safe one by one and not together."""


def view_of(
    name: str,
    table: ClassTable,
    ladders: Mapping[str, Ladder],
    levels: Mapping[str, int],
    blanked: npt.NDArray[np.bool_],
) -> ReleaseView:
    """The view of a release by its recoding and the subjects blanked."""
    lifted = table.lifted(ladders)
    columns = [
        np.where(blanked, 0, ladder.codes[levels[column]][table.codes[:, at]].astype(np.int64) + 1)
        for at, (column, ladder) in enumerate(zip(table.names, lifted, strict=True))
    ]
    classes = np.zeros(len(table.subjects), dtype=np.int64)
    if columns:
        classes = distinct(columns, [int(column.max()) + 1 for column in columns])[1]
    return ReleaseView(name, table.subjects, classes, dict(levels))


def compose(earlier: Sequence[ReleaseView], new: ReleaseView, safeguards: Safeguards) -> Composed:
    """Join a new release with the earlier ones and hold the joint view against the safeguards."""
    sizes = joint_sizes([*earlier, new])
    passes = _meets(sizes, safeguards)
    guilty: list[str] = []
    if not passes:
        guilty = [view.name for view in earlier if not _meets(joint_sizes([view, new]), safeguards)]
    if not passes and not guilty:
        without = [[other for other in earlier if other is not view] for view in earlier]
        guilty = [
            view.name
            for view, rest in zip(earlier, without, strict=True)
            if _meets(joint_sizes([*rest, new]), safeguards)
        ]
    if not passes and not guilty:
        guilty = [view.name for view in earlier]
    return Composed(passes, tuple(guilty), risk_of(sizes, safeguards.attempt))


def joint_sizes(views: Sequence[ReleaseView]) -> Ints:
    """Subjects per class of the joint view, over all subjects of any of the releases."""
    _, group = _joint(views)
    return np.bincount(group).astype(np.int64)


def _joint(views: Sequence[ReleaseView]) -> tuple[dict[str, int], Ints]:
    """(place of each subject, joint class of each)."""
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
    if not columns or not place:
        return place, np.zeros(len(place), dtype=np.int64)
    return place, distinct(columns, [int(column.max()) + 1 for column in columns])[1]


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
) -> list[Offer]:
    """Recodings of the new release that compose with the earlier ones, the most useful first; none if there is none.

    Two kinds are tried: the levels of an earlier release, pinned (columns it did not have are not released); and the
    best recoding of which every class stays safe when joined with all earlier releases, with nobody blanked.

    Whom an earlier release blanked is not pinned: blanks are always those of `outliers`' rule, which a release that
    goes on from its stored levels can work out again. A set of blanks taken over from elsewhere would have to be
    stored with the plan, or the release would go on with other blanks than those that were found to compose.
    """
    candidates: list[Offer] = []
    for view in earlier:
        pins = {column: view.levels.get(column, ladders[column].height) for column in table.names}
        found = _try(table, ladders, safeguards, pins)
        if found is not None:
            candidates.append(Offer(f"the recoding of `{view.name}`, pinned", found))
    joint = _jointly(table, ladders, safeguards, earlier)
    if joint is not None:
        candidates.append(Offer("the best recoding that stays safe beside all earlier releases", joint))
    good = [
        offer
        for offer in candidates
        if compose(earlier, view_of(name, table, ladders, offer.found.levels, offer.found.blanked), safeguards).passes
    ]
    return sorted(good, key=lambda offer: offer.found.loss)


def _try(
    table: ClassTable, ladders: Mapping[str, Ladder], safeguards: Safeguards, fixed: Mapping[str, int]
) -> Found | None:
    try:
        return optimal(table, ladders, safeguards, fixed=fixed)
    except DataFault:
        return None


def _jointly(
    table: ClassTable, ladders: Mapping[str, Ladder], safeguards: Safeguards, earlier: Sequence[ReleaseView]
) -> Found | None:
    """The optimum with the joint class of the earlier releases as a column that cannot be recoded and costs nothing."""
    place, group = _joint(earlier)
    absent = int(group.max()) + 1 if len(group) else 0
    before = np.array([group[place[s]] if s in place else absent for s in table.subjects], dtype=np.int64)
    domain = [str(at) for at in range(absent + 1)]
    codes = np.concatenate([table.codes, before[:, None].astype(np.int32)], axis=1)
    sets = [*table.sets, tuple((at,) for at in range(absent + 1))]
    joined = table_of(table.subjects, [*table.names, _EARLIER], codes, [*table.domains, domain], sets)
    fixed = of_labels(_EARLIER, domain, [domain], ["as released"])
    weights = {**dict.fromkeys(table.names, 1.0), _EARLIER: 0.0}
    try:
        found = optimal(
            joined,
            {**ladders, _EARLIER: fixed},
            replace(safeguards, blank_limit=0.0),
            weights=weights,
            fixed={_EARLIER: 0},
        )
    except DataFault:
        return None
    return replace(found, levels={name: found.levels[name] for name in table.names})
