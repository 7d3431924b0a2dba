"""How domain values look in JSON. Nothing is decided here."""

from typing import Any

from gateway.domain.account import Decision
from gateway.domain.dataset import Dataset
from gateway.domain.release import Release, ReleaseFile
from gateway.domain.request import MOVES, Request


def request_view(request: Request) -> dict[str, Any]:
    """A request with what can be done next."""
    terms = request.terms
    return {
        "id": request.id,
        "status": request.status.value,
        "requester": request.requester,
        "dataset": terms.dataset,
        "tables": {name: list(columns) if columns else "all" for name, columns in terms.tables.items()} or "all",
        "mode": terms.mode,
        "project": terms.project,
        "purpose": terms.purpose,
        "exporter": dict(terms.exporter),
        "recipient": dict(terms.recipient),
        "destination": terms.destination,
        "format": terms.format,
        "keys": list(terms.keys),
        "created": request.created.isoformat(),
        "updated": request.updated.isoformat(),
        "approvals": [
            {"approver": a.approver, "at": a.at.isoformat(), "note": a.note}
            | ({"alternative": a.picked["number"]} if a.picked else {})
            for a in request.approvals
        ],
        "note": request.note,
        "decision": request.decision or None,
        "release": request.release or None,
        "moves": sorted(MOVES[request.status]),
    }


def decision_view(decision: Decision) -> dict[str, Any]:
    """A decision with its verdict and what it was made from."""
    return {
        "id": decision.id,
        "request": decision.request,
        "as_of": decision.as_of,
        "bundle": decision.bundle,
        "verdict": dict(decision.verdict),
    }


def dataset_view(dataset: Dataset) -> dict[str, Any]:
    """A line of the catalogue."""
    return {
        "id": dataset.id,
        "title": dataset.title,
        "categories": list(dataset.categories),
        "version": dataset.version.id,
        "unresolved": dataset.version.unresolved,
        "created": dataset.version.created.isoformat(),
    }


def release_view(release: Release) -> dict[str, Any]:
    """Where a release stands. Values of steps are in the manifest, not here."""
    return {
        "id": release.id,
        "request": release.request,
        "dataset": release.dataset,
        "version": release.version,
        "step": release.step.value,
        "progress": round(release.progress, 3),
        "fault": release.fault or None,
        "created": release.created.isoformat(),
        "expires": release.expires.isoformat() if release.expires else None,
        "revoked": release.revoked,
    }


def file_view(file: ReleaseFile) -> dict[str, Any]:
    """A file of a release."""
    return {"name": file.name, "size": file.size, "sha256": file.sha256}
