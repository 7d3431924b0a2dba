"""Signing in and out."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from gateway.actions import sessions
from gateway.actions.sessions import SignedIn
from gateway.context import Gateway
from gateway.errors import NotAllowed, TooMany
from gateway.web.doors import Form, Here, Visitor, cookie_name, from_own_origin, signed_in, way_back
from gateway.web.pages import page

router = APIRouter()
OwnForm = Annotated[Mapping[str, str], Depends(from_own_origin)]


def not_too_often(request: Request, gateway: Here) -> None:
    """Raises: TooMany: this address has tried to sign in too often."""
    address = request.client.host if request.client else ""
    if not request.app.state.tries.may(address, gateway.now()):
        # Not an event of the log: whoever floods this door must not fill it.
        raise TooMany(
            "too many tries came from your address", rule="sign-in-rate", cure="wait a minute, then try again"
        )


@router.get("/sign-in")
def ask(request: Request, next: str = "/") -> Response:  # noqa: A002 - the name in the address
    """The form for account and password."""
    if signed_in(request) is not None:
        return RedirectResponse(way_back(next), 303)
    return page(request, "sign_in.html", way_back=way_back(next), account="", error=None)


@router.post("/sign-in", dependencies=[Depends(not_too_often)])
def first_step(request: Request, gateway: Here, form: OwnForm) -> Response:
    """Account and password; a code is asked next if one is enrolled."""
    back, account = way_back(form.get("next", "/")), form.get("account", "").strip()
    try:
        done = sessions.begin(gateway, account=account, password=form.get("password", ""))
    except NotAllowed as error:
        return page(request, "sign_in.html", status=401, way_back=back, account=account, error=error)
    if not done.session.proven:
        return _with_cookie(gateway, page(request, "code.html", way_back=back, error=None), done)
    return _in(gateway, done, back)


@router.post("/sign-in/code", dependencies=[Depends(not_too_often)])
def second_step(request: Request, gateway: Here, form: OwnForm) -> Response:
    """The code of the authenticator."""
    back = way_back(form.get("next", "/"))
    try:
        done = sessions.prove(gateway, request.cookies.get(cookie_name(gateway), ""), code=form.get("code", ""))
    except NotAllowed as error:
        if error.rule == "sign-in" and error.reason != sessions.WRONG:
            return page(request, "sign_in.html", status=401, way_back=back, account="", error=error)
        return page(request, "code.html", status=401, way_back=back, error=error)
    return _in(gateway, done, back)


def _in(gateway: Gateway, done: SignedIn, back: str) -> Response:
    return _with_cookie(gateway, RedirectResponse("/account" if done.must_change else back, 303), done)


def _with_cookie(gateway: Gateway, response: Response, done: SignedIn) -> Response:
    response.set_cookie(
        cookie_name(gateway),
        done.secret,
        secure=gateway.settings.mode == "production",
        httponly=True,
        samesite="lax",
        path="/",
    )
    return response


@router.post("/sign-out")
def leave(gateway: Here, visitor: Visitor, form: Form) -> Response:  # noqa: ARG001 - the form proves where it came from
    """End this session."""
    sessions.end(gateway, visitor.secret)
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(cookie_name(gateway), path="/")
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response
