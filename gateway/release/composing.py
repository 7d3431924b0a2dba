"""What this release tells together with the earlier ones of the same study to the same project.

Inside a project pseudonyms stay the same, so its recipients can join extracts subject by subject. The guard joins this
release with every delivered one of the same mode; if the joint view falls below the thresholds, the nearest recoding
that composes is taken instead of the cheapest, and if there is none the release stops and names the earlier one.
A release under another mode is meant for other readers, under thresholds of its own, and is not joined.
"""

import base64
import io
from dataclasses import replace

import numpy as np

from gateway.crypto import at_rest
from gateway.domain.release import Release
from gateway.release.work import Work
from pseudonymization import composition, deidentify, pseudonyms
from pseudonymization.classes import ClassTable
from pseudonymization.composition import ReleaseView
from pseudonymization.deidentify import Prepared
from pseudonymization.faults import Unreachable


def composed(work: Work, prepared: Prepared) -> tuple[Prepared, ReleaseView]:
    """The plan that composes with all earlier releases, and the view of it for later ones.

    Raises:
        Unreachable: no recoding composes; names the earlier releases.
    """
    safeguards = prepared.plan.safeguards
    earlier = _earlier(work)
    view = _view(work, prepared)
    if not earlier:
        return prepared, view
    found = composition.compose(earlier, view, safeguards)
    if found.passes:
        return prepared, view
    good = composition.offers(_renamed(work, prepared), prepared.ladders, safeguards, earlier, name=view.name)
    if not good:
        together = ", ".join(found.because_of) or "the earlier releases"
        raise Unreachable(
            f"together with {together} of this project, subjects would stand in classes smaller than allowed",
            cure="ask for the tables, columns and rows of the earlier release, or under another project",
        )
    why = f"{good[0].how}, so that it composes with {', '.join(found.because_of) or 'earlier releases'}"
    adopted = deidentify.adopt(prepared, work.asked, good[0].found, why)
    return adopted, _view(work, adopted)


def _renamed(work: Work, prepared: Prepared) -> ClassTable:
    """The class table with its subjects named as in the views of earlier releases."""
    names = pseudonyms.subject_pseudonyms(work.key, list(prepared.table.subjects))
    return replace(prepared.table, subjects=tuple(names))


def _view(work: Work, prepared: Prepared) -> ReleaseView:
    """Who stands with whom in this release. Subjects go by pseudonym."""
    return composition.view_of(
        f"release {work.release.id}",
        _renamed(work, prepared),
        prepared.ladders,
        prepared.plan.levels,
        prepared.blanked_rows,
    )


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
    )
    key = work.gateway.keys.derive("at-rest")
    return base64.b64encode(at_rest.seal(out.getvalue(), key, _place(work.release.id))).decode()


def _earlier(work: Work) -> list[ReleaseView]:
    """The views of delivered releases of this study, project and mode."""
    found = work.gateway.store.releases_of(work.version.dataset, work.request.terms.project, work.request.terms.mode)
    return [_read(work, release) for release in found if release.id != work.release.id and "view" in release.values]


def _read(work: Work, release: Release) -> ReleaseView:
    key = work.gateway.keys.derive("at-rest")
    content = at_rest.unseal(base64.b64decode(release.values["view"]), key, _place(release.id))
    with np.load(io.BytesIO(content), allow_pickle=False) as held:
        levels = dict(zip(held["names"].tolist(), held["levels"].tolist(), strict=True))
        return ReleaseView(f"release {release.id}", tuple(held["subjects"].tolist()), held["classes"], levels)


def _place(release: str) -> str:
    return f"view/{release}"
