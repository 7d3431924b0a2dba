"""What every page needs: the running gateway, who is signed in, and proof that a form came from our own page."""

import hmac
from collections.abc import Mapping
from typing import Annotated, cast
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from starlette.datastructures import UploadFile

from gateway.actions import sessions
from gateway.actions.guard import note
from gateway.actions.sessions import SignedIn
from gateway.context import Gateway
from gateway.domain.actor import ANONYMOUS, Actor
from gateway.errors import NotAllowed

_SAFE = frozenset({"GET", "HEAD"})


class NotSignedIn(Exception):
    """Nobody is signed in: the page asks for it and comes back."""


def the_gateway(request: Request) -> Gateway:
    """The gateway these pages were built around."""
    return cast(Gateway, request.app.state.gateway)


def cookie_name(gateway: Gateway) -> str:
    """`__Host-` binds the cookie to this host and to TLS; a browser takes it over TLS only."""
    return "__Host-session" if gateway.settings.mode == "production" else "gateway-session"


def signed_in(request: Request) -> SignedIn | None:
    """Whose session the browser holds, if any that still counts. Asked once for each request."""
    if not hasattr(request.state, "visitor"):
        gateway = the_gateway(request)
        request.state.visitor = sessions.resume(gateway, request.cookies.get(cookie_name(gateway), ""))
        if request.state.visitor:
            request.state.actor = request.state.visitor.actor
    return cast(SignedIn | None, request.state.visitor)


def the_visitor(request: Request) -> SignedIn:
    """Who is signed in.

    Raises:
        NotSignedIn: nobody.
    """
    visitor = signed_in(request)
    if visitor is None:
        raise NotSignedIn
    return visitor


def sign_in_address(request: Request) -> str:
    """The sign-in page, with the way back. A form that was sent too late leads back to its page."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method not in _SAFE:
        here = urlsplit(request.headers.get("referer", "")).path or "/"
    return f"/sign-in?next={quote(here, safe='')}"


def way_back(address: str) -> str:
    """An address to go on to, only if it is a path of this site."""
    parts = urlsplit(address)
    own = address.startswith("/") and not address.startswith(("//", "/\\")) and not (parts.scheme or parts.netloc)
    return address if own and "\\" not in address and address.isprintable() else "/"


# Reading a form awaits its body: the one place of the pages that is not plain sync.
async def _the_form(request: Request) -> Mapping[str, str]:
    content = await request.form(max_files=0, max_fields=2000)
    return {name: "\n".join(_texts(content.getlist(name))) for name in content}


def _texts(values: list[UploadFile | str]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def from_own_origin(request: Request, form: Annotated[Mapping[str, str], Depends(_the_form)]) -> Mapping[str, str]:
    """A form's fields, if the browser says that a page of this site sent it: for signing in, where no session is yet.

    Raises:
        NotAllowed: it came from elsewhere.
    """
    if not _same_site(request):
        raise _foreign(request, ANONYMOUS)
    return form


def _foreign(request: Request, actor: Actor) -> NotAllowed:
    error = NotAllowed(
        "this form did not come from a page of yours", rule="own-form", cure="open the page again and repeat it"
    )
    note(the_gateway(request), actor, "form", error)
    return error


def from_our_page(request: Request, form: Annotated[Mapping[str, str], Depends(_the_form)]) -> Mapping[str, str]:
    """A form's fields (several values of one name are lines), if our own page sent it.

    The browser must say so (Fetch Metadata, or the Origin where that is missing), and the form must hold the token of
    this very session.

    Raises:
        NotSignedIn: nobody is. NotAllowed: it came from elsewhere, or from a page of another session.
    """
    gateway = the_gateway(request)
    visitor = signed_in(request)
    if visitor is None:
        raise NotSignedIn
    expected = sessions.form_token(gateway, visitor.secret)
    if not _same_site(request) or not hmac.compare_digest(expected, form.get("form_token", "")):
        raise _foreign(request, visitor.actor)
    return {name: value for name, value in form.items() if name != "form_token"}


def _same_site(request: Request) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin", "")
    return urlsplit(origin).netloc == request.headers.get("host", "") and bool(origin)


Here = Annotated[Gateway, Depends(the_gateway)]
Visitor = Annotated[SignedIn, Depends(the_visitor)]
Form = Annotated[Mapping[str, str], Depends(from_our_page)]
