"""A steward's studies: what waits in each, the evidence for every proposal, settling it, and rare terms."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from gateway.actions import columns, datasets, documents, overrides, rare_terms
from gateway.actions.sessions import SignedIn
from gateway.context import Gateway
from gateway.errors import GatewayError, Invalid, NotPossible
from gateway.web.doors import Form, Here, Visitor
from gateway.web.pages import page

router = APIRouter(prefix="/studies")

CHOICES = (
    ("keep", "Keep: it leaves as it is"),
    ("up", "Coarser: its next higher term leaves instead"),
    ("blank", "Blank: it is emptied"),
)
_EMPTY = {"path": "", "key": "", "title": "", "country": "", "categories": "health", "approvers": "1"}


@router.get("")
def listing(request: Request, gateway: Here, visitor: Visitor) -> Response:
    """The studies that this steward answers for."""
    return page(request, "studies.html", found=columns.mine(gateway, visitor.actor))


# No id of a study begins with a tilde.
@router.get("/~register")
def new(request: Request, gateway: Here, visitor: Visitor) -> Response:
    """The form that registers a study."""
    columns.mine(gateway, visitor.actor)
    return _new(request, _EMPTY)


def _new(request: Request, typed: Mapping[str, str], error: GatewayError | None = None) -> Response:
    return page(
        request,
        "register.html",
        status=422 if error else 200,
        typed={**_EMPTY, **typed},
        chosen=typed.get("categories", "").splitlines(),
        kinds=datasets.CATEGORIES,
        error=error,
    )


@router.post("/~register")
def register(request: Request, gateway: Here, visitor: Visitor, form: Form) -> Response:
    """Register a study from a folder."""
    try:
        made = columns.register(gateway, visitor.actor, **_fields(form))
    except (Invalid, NotPossible) as error:
        return _new(request, {"categories": "", **form}, error)
    return RedirectResponse(f"/studies/{made.id}", 303)


def _fields(form: Mapping[str, str]) -> dict[str, Any]:
    typed = {name: form.get(name, "").strip() for name in ("path", "key", "title", "country", "approvers")}
    return {**typed, "categories": form.get("categories", "").splitlines()}


@router.get("/{key}")
def study(request: Request, gateway: Here, visitor: Visitor, key: str) -> Response:
    """One study: what waits first, then all tables with their variables."""
    return _study(request, gateway, visitor, key)


def _study(
    request: Request, gateway: Gateway, visitor: SignedIn, key: str, error: GatewayError | None = None
) -> Response:
    held = columns.settling(gateway, visitor.actor, key)
    return page(request, "settling.html", status=422 if error else 200, held=held, error=error)


@router.get("/{key}/checks")
def checks(request: Request, gateway: Here, visitor: Visitor, key: str, brief: bool = False) -> Response:
    """What does not fit in the data, and which files lie beside the tables. Reads the data: a part that comes later."""
    found: Sequence[Any] = ()
    beside: Sequence[Any] = ()
    error: GatewayError | None = None
    try:
        found = columns.faults(gateway, visitor.actor, key)
        beside = documents.held(gateway, visitor.actor, key)
    except (Invalid, NotPossible) as told:
        error = told
    template = "checks.html" if "hx-request" in request.headers else "checked.html"
    return page(request, template, key=key, faults=found, held=beside, error=error, brief=brief)


@router.post("/{key}/{change}")
def change(request: Request, gateway: Here, visitor: Visitor, key: str, change: str, form: Form) -> Response:
    """Take all certain proposals, read the files again, settle one variable, or decide rare terms."""
    if change == "terms":
        return _decide_terms(request, gateway, visitor, key, form)
    if change == "variable":
        return _settle(request, gateway, visitor, key, form)
    return _refreshed(request, gateway, visitor, key, change)


def _refreshed(request: Request, gateway: Gateway, visitor: SignedIn, key: str, change: str) -> Response:
    act = {"accept": datasets.accept, "check": datasets.check}.get(change)
    try:
        if act is not None:
            act(gateway, visitor.actor, key)
    except (Invalid, NotPossible) as error:
        return _study(request, gateway, visitor, key, error)
    return RedirectResponse(f"/studies/{key}", 303)


@router.get("/{key}/variable")
def variable(request: Request, gateway: Here, visitor: Visitor, key: str, of: str = "") -> Response:
    """One variable with the evidence for its proposal, and the form that settles it."""
    return _variable(request, gateway, visitor, key, of, {})


def _variable(
    request: Request,
    gateway: Gateway,
    visitor: SignedIn,
    key: str,
    of: str,
    typed: Mapping[str, str],
    error: GatewayError | None = None,
) -> Response:
    seen = columns.explained(gateway, visitor.actor, key, of)
    known: dict[str, Any] = {"treat": seen.rule.treatment if seen.rule else "", "reason": "", "accept_risk": ""}
    return page(
        request,
        "variable.html",
        status=422 if error else 200,
        seen=seen,
        rules=columns.treatments(),
        typed={**known, **typed},
        risky=isinstance(error, NotPossible) and error.rule == "less-than-proposed",
        error=error,
    )


def _settle(request: Request, gateway: Gateway, visitor: SignedIn, key: str, form: Mapping[str, str]) -> Response:
    of = form.get("of", "")
    try:
        overrides.override(
            gateway,
            visitor.actor,
            key,
            of,
            form.get("treat", ""),
            form.get("reason", ""),
            accept_risk=form.get("accept_risk") == "yes",
        )
    except (Invalid, NotPossible) as error:
        return _variable(request, gateway, visitor, key, of, form, error)
    return RedirectResponse(f"/studies/{key}#waiting", 303)


@router.get("/{key}/terms")
def terms(request: Request, gateway: Here, visitor: Visitor, key: str, every: bool = False) -> Response:
    """Rare and sensitive terms that wait for a steward."""
    return _terms(request, gateway, visitor, key, {"every": "yes" if every else ""})


def _terms(
    request: Request,
    gateway: Gateway,
    visitor: SignedIn,
    key: str,
    typed: Mapping[str, str],
    error: GatewayError | None = None,
) -> Response:
    every = typed.get("every") == "yes"
    found = rare_terms.listing(gateway, visitor.actor, key, open_only=not every)
    return page(
        request,
        "terms.html",
        status=422 if error else 200,
        key=key,
        found=found,
        every=every,
        ticked=set(typed.get("terms", "").splitlines()),
        typed={"choice": "", "reason": "", **typed},
        choices=CHOICES,
        error=error,
    )


def _decide_terms(request: Request, gateway: Gateway, visitor: SignedIn, key: str, form: Mapping[str, str]) -> Response:
    ticked = form.get("terms", "").splitlines()
    try:
        if not ticked:  # the action takes none for all that wait, which nobody means who ticks none
            raise Invalid("no term is ticked", place="terms", cure="tick those that you decide")
        rare_terms.decide(
            gateway, visitor.actor, key, ticked, choice=form.get("choice", ""), reason=form.get("reason", "")
        )
    except (Invalid, NotPossible) as error:
        return _terms(request, gateway, visitor, key, form, error)
    every = "?every=yes" if form.get("every") == "yes" else ""
    return RedirectResponse(f"/studies/{key}/terms{every}", 303)
