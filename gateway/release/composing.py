"""What this release tells together with the earlier ones of the same study to the same people.

Whoever holds several releases can join them subject by subject. The guard joins this release with every delivered one
of the same mode to the same project, or to a project that a steward has put into one circle with it. If the joint view
falls below the thresholds, the nearest recoding that composes is taken instead of the cheapest, and if there is none
the release stops and names the earlier one. A release under another mode is meant for other readers, under thresholds
of its own, and is not joined.

Pseudonyms differ between projects, so in the views that are kept subjects go by names of the gateway's own, under a
key that never leaves it; the views rest sealed.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from gateway.crypto import at_rest
from gateway.domain.release import Release
from gateway.errors import NotPossible
from gateway.release import weighing
from gateway.release.work import Work, scope_key
from pseudonymization import composition, deidentify
from pseudonymization.composition import Composed, ReleaseView
from pseudonymization.deidentify import Prepared
from pseudonymization.pseudonyms import ProjectKey, subject_pseudonyms


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """What the guard made of a release: the plan that composes, its view, and what is told of it."""

    prepared: Prepared
    view: ReleaseView
    told: dict[str, Any]


def composed(work: Work, prepared: Prepared) -> Joined:
    """The plan that composes with all earlier releases, and the view of it for later ones.

    Raises:
        NotPossible: no recoding composes; names the earlier releases.
    """
    safeguards, earlier = weighing.demanded(work.request, prepared.plan.safeguards), _earlier(work, prepared)
    view = _view(work, prepared)
    told: dict[str, Any] = {"joined_with": len(earlier), "because_of": [], "reasons": [], "chosen": ""}
    if not earlier:
        return Joined(prepared, view, told)
    found = composition.compose(earlier, view, safeguards)
    if found.passes:
        return Joined(prepared, view, told)
    table = replace(prepared.table, subjects=view.subjects)
    weights = deidentify.weights(work.asked)
    good = composition.offers(table, prepared.ladders, safeguards, earlier, name=view.name, weights=weights)
    if not good:
        raise _refused(found)
    why = f"{good[0].how}, so that it composes with {', '.join(found.because_of)}"
    adopted = deidentify.adopt(prepared, work.asked, good[0].found, why)
    reasons = [str(reason) for reason in found.reasons]
    told |= {"because_of": list(found.because_of), "reasons": reasons, "chosen": good[0].how}
    return Joined(adopted, _view(work, adopted), told)


def _refused(found: Composed) -> NotPossible:
    """No recoding composes; which cure there is depends on what is wrong."""
    named = ", ".join(found.because_of)
    cure = f"ask for the tables, columns and rows of {named}, or under a project that nobody can join to it"
    if composition.Reason.SUBJECTS in found.reasons:
        cure = f"ask for the very rows of {named}, or for rows that differ from it by many more subjects"
    reason = f"together with {named}, {' and '.join(found.reasons)}"
    return NotPossible(reason, rule="composition", cure=cure)


def _named(work: Work, ids: Sequence[str]) -> list[str]:
    """The gateway's own names of these subjects, the same in all views of the dataset."""
    return subject_pseudonyms(ProjectKey.derive(work.gateway.keys.derive("views"), work.version.dataset), ids)


def _view(work: Work, prepared: Prepared) -> ReleaseView:
    """Who stands with whom in this release."""
    table = replace(prepared.table, subjects=tuple(_named(work, prepared.table.subjects)))
    name = f"release {work.release.id}"
    return composition.view_of(name, table, prepared.ladders, prepared.plan.levels, prepared.blanked_rows)


def stored(work: Work, view: ReleaseView) -> str:
    """The view as it rests with the release, sealed to the gateway."""
    out = io.BytesIO()
    levels = view.levels
    np.savez_compressed(
        out,
        subjects=np.array(view.subjects),
        classes=view.classes,
        names=np.array(list(levels)),
        levels=np.array(list(levels.values()), dtype=np.int64),
        withheld=np.array([subject in view.withheld for subject in view.subjects], dtype=np.bool_),
    )
    key = work.gateway.keys.derive("at-rest")
    return base64.b64encode(at_rest.seal(out.getvalue(), key, _place(work.release.id))).decode()


def blanked_as_settled(work: Work, prepared: Prepared) -> Prepared:
    """The same, with those blanked who were when the plan was stored: a pinned recoding blanks whom an earlier did."""
    view, whole = _read(work, work.release)
    if not whole:
        return prepared
    named = _named(work, prepared.table.subjects)
    mask = np.array([name in view.withheld for name in named], dtype=np.bool_)
    chosen = [prepared.table.subjects[at] for at in np.flatnonzero(mask).tolist()]
    by_person = np.zeros(len(prepared.subjects), dtype=np.bool_)
    by_person[prepared.subjects.positions(pa.array(chosen, pa.string()))] = True
    return replace(prepared, blanked=by_person, blanked_rows=mask)


def _earlier(work: Work, prepared: Prepared) -> list[ReleaseView]:
    """The views of delivered releases of this study and mode to the same people."""
    store, mode = work.gateway.store, work.request.terms.mode
    projects = store.dataset(work.version.dataset).beside(work.request.terms.project)
    views = []
    for project, release in store.releases_of(work.version.dataset, projects, mode):
        if release.id == work.release.id or "view" not in release.values:
            continue
        view, whole = _read(work, release)
        views.append(view if whole else _renamed(work, project, prepared, view))
    return views


def _renamed(work: Work, project: str, prepared: Prepared, view: ReleaseView) -> ReleaseView:
    """A view of the days when subjects went by the project's pseudonyms: those of this release get their names.

    In those days a project had one key for releases of all modes.
    """
    key, ids = scope_key(work.gateway, project, "controlled"), prepared.table.subjects
    names = dict(zip(subject_pseudonyms(key, ids), _named(work, ids), strict=True))
    return replace(view, subjects=tuple(names.get(subject, subject) for subject in view.subjects))


def _read(work: Work, release: Release) -> tuple[ReleaseView, bool]:
    """A stored view, and whether it is of today's form: with the gateway's names and whom was blanked."""
    key = work.gateway.keys.derive("at-rest")
    content = at_rest.unseal(base64.b64decode(release.values["view"]), key, _place(release.id))
    with np.load(io.BytesIO(content), allow_pickle=False) as held:
        levels = dict(zip(held["names"].tolist(), held["levels"].tolist(), strict=True))
        subjects = held["subjects"]
        blanked = frozenset(subjects[held["withheld"]].tolist()) if "withheld" in held else frozenset()
        view = ReleaseView(f"release {release.id}", tuple(subjects.tolist()), held["classes"], levels, blanked)
        return view, "withheld" in held


def _place(release: str) -> str:
    return f"view/{release}"
