"""/v1/releases: status, manifest, report and files, with Range and a strong ETag."""

from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import Response

from gateway.actions import releases
from gateway.api import examples
from gateway.api.doors import Caller, Here
from gateway.api.examples import answers
from gateway.api.requests import Note
from gateway.api.views import file_view, release_view
from gateway.serving import serve

router = APIRouter(prefix="/v1/releases", tags=["releases"])


@router.get("/{key}", responses=answers(examples.RELEASE))
def show_release(gateway: Here, actor: Caller, key: str) -> dict[str, Any]:
    """Which step it is at, and how far."""
    return release_view(releases.status(gateway, actor, key))


@router.get("/{key}/files", responses=answers(examples.FILES))
def list_files(gateway: Here, actor: Caller, key: str) -> dict[str, Any]:
    """The files of a delivered release, with sizes and SHA-256."""
    return {"files": [file_view(file) for file in releases.files(gateway, actor, key)]}


@router.get("/{key}/manifest", response_class=Response)
def show_manifest(gateway: Here, actor: Caller, key: str) -> Response:
    """The signed manifest, byte for byte."""
    return serve(gateway, actor, releases.download(gateway, actor, key, "manifest.json"), "", "")


@router.get("/{key}/report", response_class=Response)
def show_report(gateway: Here, actor: Caller, key: str) -> Response:
    """The report a person reads."""
    return serve(gateway, actor, releases.download(gateway, actor, key, "report.html"), "", "")


@router.get("/{key}/files/{name}", response_class=Response)
def fetch_file(
    gateway: Here,
    actor: Caller,
    key: str,
    name: str,
    asked: Annotated[str, Header(alias="Range")] = "",
    only_if: Annotated[str, Header(alias="If-Range")] = "",
) -> Response:
    """One file. The ETag is the SHA-256 of its bytes, so a broken download goes on where it stopped."""
    return serve(gateway, actor, releases.download(gateway, actor, key, name, asked=asked), asked, only_if)


@router.post("/{key}/start", responses=answers(examples.RELEASE))
def start_release(gateway: Here, actor: Caller, key: str) -> dict[str, Any]:
    """Start one again that stopped."""
    return release_view(releases.start(gateway, actor, key))


@router.post("/{key}/revoke", responses=answers({**examples.RELEASE, "revoked": True}))
def revoke_release(gateway: Here, actor: Caller, key: str, body: Note) -> dict[str, Any]:
    """End one: nothing more is served."""
    return release_view(releases.revoke(gateway, actor, key, note=body.note))
