"""The steward's desk: what waits, one case with its pre-check, and the answers to it."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from gateway.actions import outlook, releases, requests
from gateway.actions.sessions import SignedIn
from gateway.context import Gateway
from gateway.domain.request import MOVES, Move, Status
from gateway.errors import GatewayError, Invalid, NotPossible
from gateway.web.charts import bars
from gateway.web.doors import Form, Here, Visitor
from gateway.web.pages import PAGE, page

router = APIRouter(prefix="/queue")

_TABS = (Status.SUBMITTED, Status.APPROVED, Status.RELEASED, Status.RETURNED, Status.REFUSED, Status.REVOKED)
_ANSWERS = {"approve": requests.approve, "return": requests.give_back, "refuse": requests.refuse}


@router.get("")
def listing(
    request: Request,
    gateway: Here,
    visitor: Visitor,
    state: Status = Status.SUBMITTED,
    number: Annotated[int, Query(alias="page", ge=1, le=10_000)] = 1,
) -> Response:
    """What waits, with the verdict of the rules beside each."""
    cases = requests.cases(gateway, visitor.actor, status=state, limit=PAGE + 1, offset=(number - 1) * PAGE)
    return page(
        request, "queue.html", cases=cases[:PAGE], tabs=_TABS, state=state, number=number, more=len(cases) > PAGE
    )


@router.get("/{key}")
def case(request: Request, gateway: Here, visitor: Visitor, key: str) -> Response:
    """One request, to be understood in half a minute."""
    return _case(request, gateway, visitor, key)


def _case(
    request: Request,
    gateway: Gateway,
    visitor: SignedIn,
    key: str,
    *,
    error: GatewayError | None = None,
    note: str = "",
) -> Response:
    asked = requests.read(gateway, visitor.actor, key)
    decision = requests.decision_of(gateway, visitor.actor, key)
    seen, trouble = None, None
    try:
        seen = outlook.of_request(gateway, visitor.actor, key)
    except GatewayError as fault:
        trouble = fault
    verdict = seen.verdict if seen else (decision.verdict if decision else None)
    recoding = seen.recoding if seen else None
    release = releases.status(gateway, visitor.actor, asked.release) if asked.release else None
    return page(
        request,
        "case.html",
        status=422 if error else 200,
        asked=asked,
        verdict=verdict,
        then=decision.verdict["decision"] if decision else None,
        needed=requests.approvals_needed(gateway, asked, decision) if decision else None,
        seen=seen,
        trouble=trouble,
        picture=bars(recoding.before.histogram, recoding.after.histogram, recoding.smallest_allowed)
        if recoding
        else None,
        matrix=_matrix(verdict) if verdict else None,
        moves={move.value for move in MOVES[asked.status]},
        own=asked.requester == visitor.actor.id,
        judge="steward" in visitor.actor.roles_in(asked.terms.dataset),
        approved=any(one.approver == visitor.actor.id for one in asked.approvals),
        release=release,
        revocable=Move.REVOKE in MOVES[asked.status],
        error=error,
        note=note,
    )


def _matrix(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Demands by jurisdiction: what each part of the subjects brings, and which rule won in the joined policy."""
    parts = verdict["partitions"]
    joined = verdict["policy"]
    return {
        "parts": [part["partition"] for part in parts],
        "rows": [
            {
                "name": name,
                "cells": [part["policy"].get(name, {}).get("value") for part in parts],
                "value": entry["value"],
                "rules": entry["rules"],
            }
            for name, entry in sorted(joined.items())
        ],
    }


@router.post("/{key}/answer")
def answer(request: Request, gateway: Here, visitor: Visitor, key: str, form: Form) -> Response:
    """Approve, return with a question, or refuse with a reason."""
    act, note = _ANSWERS.get(form.get("answer", "")), form.get("note", "").strip()
    picked = form.get("alternative", "")
    try:
        if act is requests.approve and picked.isdecimal():
            requests.approve(gateway, visitor.actor, key, note=note, alternative=int(picked))
        elif act is not None:
            act(gateway, visitor.actor, key, note=note)
    except (Invalid, NotPossible) as error:
        return _case(request, gateway, visitor, key, error=error, note=note)
    return RedirectResponse(f"/queue/{key}", 303)


@router.post("/{key}/revoke")
def revoke(request: Request, gateway: Here, visitor: Visitor, key: str, form: Form) -> Response:
    """End a delivered release."""
    asked = requests.read(gateway, visitor.actor, key)
    try:
        releases.revoke(gateway, visitor.actor, asked.release, note=form.get("note", ""))
    except GatewayError as error:
        return _case(request, gateway, visitor, key, error=error, note=form.get("note", ""))
    return RedirectResponse(f"/queue/{key}", 303)


@router.post("/{key}/start")
def start(request: Request, gateway: Here, visitor: Visitor, key: str, form: Form) -> Response:  # noqa: ARG001
    """Start a release again that stopped."""
    asked = requests.read(gateway, visitor.actor, key)
    try:
        releases.start(gateway, visitor.actor, asked.release)
    except GatewayError as error:
        return _case(request, gateway, visitor, key, error=error)
    return RedirectResponse(f"/queue/{key}", 303)
