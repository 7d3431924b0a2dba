"""The pages as one application beside the API: routes, static files, headers, and errors as pages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from gateway import logs
from gateway.actions import guard
from gateway.context import Gateway
from gateway.domain.actor import ANONYMOUS
from gateway.errors import STATUS, Broken, GatewayError, Invalid
from gateway.web import (
    account,
    asking,
    catalogue,
    description,
    home,
    log_book,
    mine,
    queue,
    rules,
    sign_in,
    studies,
    weighing,
)
from gateway.web.doors import NotSignedIn, sign_in_address
from gateway.web.headers import SafeHeaders
from gateway.web.limits import Tries
from gateway.web.pages import page

_ROOMS = (
    sign_in, account, home, catalogue, asking, mine, queue, weighing, studies, rules, log_book, description,
)  # fmt: skip
STATIC = Path(__file__).parent / "static"


def build(gateway: Gateway, *, describe: Callable[[], dict[str, Any]]) -> FastAPI:
    """The pages around one gateway, to be mounted behind the routes of the API, which `describe` tells as OpenAPI."""
    site = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, telemetry={"auto_configure": False})
    site.state.gateway, site.state.tries = gateway, Tries()
    site.state.describe = describe
    site.add_middleware(SafeHeaders, production=gateway.settings.mode == "production")
    site.mount("/static", StaticFiles(directory=STATIC), name="static")
    for room in _ROOMS:
        site.include_router(room.router)
    _errors(site)
    return site


def _errors(site: FastAPI) -> None:
    @site.exception_handler(NotSignedIn)
    def _sign_in(request: Request, _error: NotSignedIn) -> Response:
        return RedirectResponse(sign_in_address(request), 303)

    @site.exception_handler(GatewayError)
    def _ours(request: Request, error: GatewayError) -> HTMLResponse:
        status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
        return page(request, "problem.html", status=status, error=error)

    @site.exception_handler(RequestValidationError)
    def _unreadable(request: Request, _error: RequestValidationError) -> HTMLResponse:
        told = Invalid("the address or the form does not fit this page", cure="go back and try again")
        guard.note(request.app.state.gateway, getattr(request.state, "actor", ANONYMOUS), "page", told)
        return page(request, "problem.html", status=422, error=told)

    @site.exception_handler(HTTPException)
    def _plain(request: Request, error: HTTPException) -> HTMLResponse:
        said = "there is no such page" if error.status_code == 404 else str(error.detail).lower()
        return page(
            request, "problem.html", status=error.status_code, error=Invalid(said, cure="begin at the start page")
        )

    @site.exception_handler(Exception)
    def _unforeseen(request: Request, error: Exception) -> HTMLResponse:
        return page(
            request, "problem.html", status=500, error=Broken("unforeseen", incident=logs.incident("web", error))
        )
