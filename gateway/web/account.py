"""One's own account: password, second factor, what one may do."""

import segno
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from gateway.actions import sessions
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.errors import Invalid
from gateway.web.doors import Form, Here, Visitor
from gateway.web.pages import page

router = APIRouter(prefix="/account")


def _shown(
    request: Request, gateway: Gateway, actor: Actor, error: Invalid | None = None, secret: str = ""
) -> Response:
    enrolled = sessions.has_code(gateway, actor)
    code: dict[str, str] = {}
    if not enrolled:
        fresh, address = sessions.propose_code(gateway, actor, secret=secret)
        code = {"secret": fresh, "picture": segno.make_qr(address).svg_data_uri(scale=5, border=2, light="#fff")}
    status = 422 if error else 200
    return page(request, "account.html", status=status, actor=actor, error=error, enrolled=enrolled, code=code)


@router.get("")
def show(request: Request, gateway: Here, visitor: Visitor) -> Response:
    """The page."""
    return _shown(request, gateway, visitor.actor)


@router.post("/password")
def change_password(request: Request, gateway: Here, visitor: Visitor, form: Form) -> Response:
    """Choose another password; then sign in with it."""
    try:
        if form.get("new") != form.get("again"):
            raise Invalid("the two do not agree", place="again", cure="type the new password twice")
        sessions.change_password(gateway, visitor.actor, old=form.get("old", ""), new=form.get("new", ""))
    except Invalid as error:
        return _shown(request, gateway, visitor.actor, error)
    return RedirectResponse("/sign-in?next=/", 303)


@router.post("/code")
def enrol(request: Request, gateway: Here, visitor: Visitor, form: Form) -> Response:
    """Enrol an authenticator."""
    secret = form.get("secret", "")
    try:
        sessions.enrol_code(
            gateway, visitor.actor, secret=secret, code=form.get("code", ""), password=form.get("password", "")
        )
    except Invalid as error:
        return _shown(request, gateway, visitor.actor, error, secret)
    return RedirectResponse("/account", 303)
