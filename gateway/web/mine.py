"""One's own requests: where each stands, what is missing, what can be fetched."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import RedirectResponse, Response

from gateway.actions import releases, requests
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.domain.release import Release, ReleaseFile, Step
from gateway.domain.request import MOVES, Move, Status
from gateway.domain.request import Request as DataRequest
from gateway.errors import GatewayError
from gateway.serving import serve
from gateway.web.doors import Form, Here, Visitor
from gateway.web.pages import PAGE, page

router = APIRouter()

_RUNNING = frozenset({Status.APPROVED, Status.RELEASING})


@router.get("/requests")
def listing(
    request: Request, gateway: Here, visitor: Visitor, number: Annotated[int, Query(alias="page", ge=1, le=10_000)] = 1
) -> Response:
    """The requests, newest first."""
    found = requests.listing(gateway, visitor.actor, own=True, limit=PAGE + 1, offset=(number - 1) * PAGE)
    return page(request, "requests.html", found=found[:PAGE], number=number, more=len(found) > PAGE)


@router.get("/requests/{key}")
def show(request: Request, gateway: Here, visitor: Visitor, key: str) -> Response:
    """One request: state, who has it, what is missing, and its files."""
    held = requests.read(gateway, visitor.actor, key)
    return page(request, "request.html", **_standing(gateway, visitor.actor, held))


def _standing(gateway: Gateway, actor: Actor, held: DataRequest) -> dict[str, Any]:
    """All that a request's page tells."""
    decision = requests.decision_of(gateway, actor, held.id)
    release: Release | None = None
    files: list[ReleaseFile] = []
    trouble: GatewayError | None = None
    if held.release:
        release = releases.status(gateway, actor, held.release)
        if release.step is Step.DELIVERED:
            try:
                files = list(releases.files(gateway, actor, release.id))
            except GatewayError as error:
                trouble = error
    own = held.requester == actor.id
    return {
        "asked": held,
        "own": own,
        "verdict": decision.verdict if decision else None,
        "needed": requests.approvals_needed(gateway, held, decision) if decision else None,
        "release": release,
        "files": files,
        "trouble": trouble,
        "running": held.status in _RUNNING and not (release and release.fault),
        "can_withdraw": own and Move.WITHDRAW in MOVES[held.status],
        "can_amend": own and held.status in {Status.DRAFT, Status.RETURNED},
    }


@router.post("/requests/{key}/withdraw")
def withdraw(gateway: Here, visitor: Visitor, key: str, form: Form) -> Response:  # noqa: ARG001 - proves its origin
    """Take it back."""
    requests.withdraw(gateway, visitor.actor, key)
    return RedirectResponse(f"/requests/{key}", 303)


@router.get("/releases/{key}/progress")
def progress(request: Request, gateway: Here, visitor: Visitor, key: str) -> Response:
    """How far a release is: a part of its request's page, which asks again until it ends."""
    return page(request, "progress.html", release=releases.status(gateway, visitor.actor, key))


@router.get("/releases/{key}/files/{name}")
def fetch(
    gateway: Here,
    visitor: Visitor,
    key: str,
    name: str,
    asked: Annotated[str, Header(alias="Range")] = "",
    only_if: Annotated[str, Header(alias="If-Range")] = "",
) -> Response:
    """One file. A broken download goes on where it stopped."""
    served = releases.download(gateway, visitor.actor, key, name, asked=asked)
    answer = serve(gateway, visitor.actor, served, asked, only_if)
    if not name.endswith(".html"):
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
