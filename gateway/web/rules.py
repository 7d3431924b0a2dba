"""The rules: all regimes, one in words, and changing one by two people."""

from collections.abc import Mapping
from datetime import date

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from gateway.actions import regimes, rule_drafts
from gateway.actions.sessions import SignedIn
from gateway.context import Gateway
from gateway.errors import GatewayError, Invalid, NotPossible
from gateway.web.doors import Form, Here, Visitor
from gateway.web.pages import page

router = APIRouter(prefix="/rules")


def _drafts(visitor: SignedIn) -> bool:
    return "steward" in visitor.actor.roles_in("*")


@router.get("")
def listing(request: Request, gateway: Here, visitor: Visitor) -> Response:
    """All regimes."""
    found = regimes.listing(gateway, visitor.actor)
    return page(request, "rules.html", found=found, drafts=_drafts(visitor))


# No id of a regime or rule begins with a tilde.
@router.get("/~drafts")
def drafts(request: Request, gateway: Here, visitor: Visitor) -> Response:
    """All changes: those that wait, those in force, those withdrawn."""
    return page(request, "rule_drafts.html", found=rule_drafts.listing(gateway, visitor.actor), now=gateway.now())


@router.get("/~drafts/{key}")
def draft(request: Request, gateway: Here, visitor: Visitor, key: str) -> Response:
    """One draft: what it changes in sentences, which decisions would flip, and the second person's answer."""
    return _draft(request, gateway, visitor, key)


def _draft(
    request: Request, gateway: Gateway, visitor: SignedIn, key: str, error: GatewayError | None = None, starts: str = ""
) -> Response:
    seen = rule_drafts.show(gateway, visitor.actor, key)
    return page(
        request,
        "rule_draft.html",
        status=422 if error else 200,
        seen=seen,
        own=seen.draft.author == visitor.actor.id,
        waits=seen.draft.starts is not None and seen.draft.starts > gateway.now(),
        error=error,
        starts=starts,
    )


@router.get("/~drafts/{key}/flips")
def flips(request: Request, gateway: Here, visitor: Visitor, key: str, day: str = "") -> Response:
    """Which recent decisions would flip: a part of a draft's page that comes later."""
    found, error = None, None
    try:
        found = rule_drafts.flips(gateway, visitor.actor, key, day=_day(day))
    except (Invalid, NotPossible) as told:
        error = told
    template = "flips.html" if "hx-request" in request.headers else "flipped.html"
    return page(request, template, key=key, found=found, error=error, day=day)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Invalid("this is no day", place="day", cure="write it as 2027-01-31") from None


@router.post("/~drafts/{key}/answer")
def answer(request: Request, gateway: Here, visitor: Visitor, key: str, form: Form) -> Response:
    """Activate somebody else's draft, or withdraw one."""
    starts = form.get("starts", "")
    try:
        if form.get("answer") == "activate":
            rule_drafts.activate(gateway, visitor.actor, key, seen=form.get("seen", ""), starts=starts)
        elif form.get("answer") == "withdraw":
            rule_drafts.withdraw(gateway, visitor.actor, key)
    except (Invalid, NotPossible) as error:
        return _draft(request, gateway, visitor, key, error, starts)
    return RedirectResponse(f"/rules/~drafts/{key}", 303)


@router.get("/~edit")
def edit(request: Request, gateway: Here, visitor: Visitor, of: str = "", draft: str = "") -> Response:
    """The text of a regime as it is in force, or of one's own draft, to be changed."""
    if draft:
        held = rule_drafts.show(gateway, visitor.actor, draft).draft
        return _form(request, {"of": held.regime, "draft": held.id, "text": held.text, "reason": held.reason})
    regime, text = rule_drafts.text_to_edit(gateway, visitor.actor, of)
    return _form(request, {"of": regime, "draft": "", "text": text, "reason": ""})


def _form(request: Request, typed: Mapping[str, str], error: GatewayError | None = None) -> Response:
    return page(request, "rule_edit.html", status=422 if error else 200, typed=typed, error=error)


@router.post("/~edit")
def save(request: Request, gateway: Here, visitor: Visitor, form: Form) -> Response:
    """Check a draft and save it."""
    typed = {name: form.get(name, "") for name in ("of", "draft", "text", "reason")}
    try:
        held = rule_drafts.propose(
            gateway, visitor.actor, typed["of"], typed["text"], typed["reason"], key=typed["draft"]
        )
    except (Invalid, NotPossible) as error:
        return _form(request, typed, error)
    return RedirectResponse(f"/rules/~drafts/{held.id}", 303)


@router.get("/{name}")
def regime(request: Request, gateway: Here, visitor: Visitor, name: str) -> Response:
    """One regime in words. The id of a rule leads to its place there."""
    found = regimes.show(gateway, visitor.actor, name)
    if found.line.id != name:
        return RedirectResponse(f"/rules/{found.line.id}#{name}", 303)
    return page(request, "regime.html", found=found, drafts=_drafts(visitor))
