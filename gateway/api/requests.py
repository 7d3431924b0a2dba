"""/v1/requests: draft, submit, return, approve, refuse, withdraw."""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field

from gateway.actions import requests
from gateway.actions.terms import RequestDocument
from gateway.api import examples
from gateway.api.doors import Caller, Here
from gateway.api.examples import answers
from gateway.api.views import decision_view, request_view
from gateway.domain.request import Status

router = APIRouter(prefix="/v1/requests", tags=["requests"])


class Note(BaseModel):
    """A sentence to go with an answer."""

    note: Annotated[
        str, Field(max_length=2000, examples=["ethics approval is on file; the review points are settled"])
    ] = ""


class Yes(Note):
    """A yes, with a sentence to go with it and, if the approver chose one, the number of an alternative."""

    alternative: Annotated[int | None, Field(ge=1, le=1000, examples=[2])] = None


@router.post("", status_code=201, responses=answers(examples.REQUEST, status=201))
def draft_request(gateway: Here, actor: Caller, document: RequestDocument) -> dict[str, Any]:
    """A new draft."""
    return request_view(requests.draft(gateway, actor, document.model_dump(by_alias=True)))


@router.get("", responses=answers({"requests": [examples.REQUEST]}))
def list_requests(gateway: Here, actor: Caller, status: Status | None = None) -> dict[str, Any]:
    """The requests you may see, newest first."""
    return {"requests": [request_view(r) for r in requests.listing(gateway, actor, status=status)]}


@router.get("/{key}", responses=answers(examples.REQUEST))
def show_request(gateway: Here, actor: Caller, key: str) -> dict[str, Any]:
    """One request."""
    return request_view(requests.read(gateway, actor, key))


@router.put("/{key}", responses=answers(examples.REQUEST))
def amend_request(gateway: Here, actor: Caller, key: str, document: RequestDocument) -> dict[str, Any]:
    """Replace the terms of a draft or returned request."""
    return request_view(requests.amend(gateway, actor, key, document.model_dump(by_alias=True)))


@router.get("/{key}/decision", responses=answers(examples.DECISION))
def show_decision(gateway: Here, actor: Caller, key: str) -> dict[str, Any]:
    """What the rules say of it, each with its citation and cure."""
    decision = requests.decision_of(gateway, actor, key)
    return {"decision": decision_view(decision) if decision else None}


@router.get("/{key}/alternatives", responses=answers(examples.ALTERNATIVES))
def list_alternatives(gateway: Here, actor: Caller, key: str) -> dict[str, Any]:
    """What else could be released for it: risk and utility of each, none weaker than the rules."""
    found = requests.alternatives(gateway, actor, key)
    return {"alternatives": [{"number": at} | one.to_dict() for at, one in enumerate(found, start=1)]}


@router.post("/{key}/submit", responses=answers(examples.SUBMITTED))
def submit_request(gateway: Here, actor: Caller, key: str) -> dict[str, Any]:
    """Hand it in; the rules decide at once, then it waits for a steward."""
    request, decision = requests.submit(gateway, actor, key)
    return {**request_view(request), "verdict": decision_view(decision)["verdict"]}


@router.post("/{key}/return", responses=answers(examples.REQUEST))
def return_request(gateway: Here, actor: Caller, key: str, body: Annotated[Note, Body()]) -> dict[str, Any]:
    """Give it back with a question."""
    return request_view(requests.give_back(gateway, actor, key, note=body.note))


@router.post("/{key}/approve", responses=answers(examples.REQUEST))
def approve_request(gateway: Here, actor: Caller, key: str, body: Annotated[Yes, Body()]) -> dict[str, Any]:
    """One approver's yes; with the last that is needed, the release is queued."""
    return request_view(requests.approve(gateway, actor, key, note=body.note, alternative=body.alternative))


@router.post("/{key}/refuse", responses=answers(examples.REQUEST))
def refuse_request(gateway: Here, actor: Caller, key: str, body: Annotated[Note, Body()]) -> dict[str, Any]:
    """Refuse it, with the reason and the cure."""
    return request_view(requests.refuse(gateway, actor, key, note=body.note))


@router.post("/{key}/withdraw", responses=answers(examples.REQUEST))
def withdraw_request(gateway: Here, actor: Caller, key: str) -> dict[str, Any]:
    """Take your own request back."""
    return request_view(requests.withdraw(gateway, actor, key))
