"""Errors as RFC 9457 problem documents. The one place where a GatewayError becomes HTTP."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import logs
from gateway.actions import guard
from gateway.actions.terms import misfit
from gateway.domain.actor import ANONYMOUS
from gateway.errors import STATUS, Broken, GatewayError, Invalid, NotAllowed, NotFound, Refused

MEDIA = "application/problem+json"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def status_of(error: GatewayError) -> int:
    """The HTTP status of an error: 401 for a failed sign-in, otherwise by its class."""
    if isinstance(error, NotAllowed) and error.rule == "sign-in":
        return 401
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(error: GatewayError) -> dict[str, Any]:
    """The problem document: type, title, status, detail, and rule or place with the cure."""
    content: dict[str, Any] = {
        "type": f"about:blank#{type(error).__name__.lower()}",
        "title": type(error).__name__,
        "status": status_of(error),
        "detail": error.reason,
    }
    if error.cure:
        content["cure"] = error.cure
    if isinstance(error, Refused):
        content["rule"] = error.rule
    if isinstance(error, Invalid) and error.place:
        content["place"] = error.place
    if isinstance(error, Broken):
        content["detail"] = f"something of ours failed; the incident is {error.incident or 'logged'}"
        content["incident"] = error.incident
    return content


def answer(error: GatewayError) -> JSONResponse:
    """The problem document as a response."""
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"} if status_of(error) == 401 else {}
    return JSONResponse(problem(error), status_of(error), headers=dict(headers), media_type=MEDIA)


class PlainTooLarge:
    """ASGI: a body above the limit is refused by the framework in plain text; here it becomes a problem document."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass all through but that one answer."""
        replaced = False

        async def told(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] == 413:
                replaced = True
                content = {"type": "about:blank", "title": "Content Too Large", "status": 413}
                await JSONResponse(content, 413, media_type=MEDIA)(scope, receive, send)
            elif not replaced:
                await send(message)

        await self.app(scope, receive, told)


def no_such_call(request: Request) -> JSONResponse:
    """The answer to a path under /v1 that is no call, or none by this method: then with the methods that there are."""
    scope = {key: request.scope[key] for key in ("type", "path", "root_path", "headers")}
    calls = [
        route
        for route in request.app.routes
        if not isinstance(route, Mount) and getattr(route, "endpoint", None) is not no_such_call
    ]
    fitting = [
        method
        for method in METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in calls)
    ]
    if not fitting:
        return answer(NotFound("there is no such call", cure="see /docs for what there is"))
    allowed = ", ".join(fitting)
    content = {"type": "about:blank", "title": "Method Not Allowed", "status": 405, "cure": f"use {allowed}"}
    return JSONResponse(content, 405, headers={"Allow": allowed}, media_type=MEDIA)


def install(app: FastAPI, *, most_bytes: int) -> None:
    """Let every failure of the app leave as a problem document; bodies above `most_bytes` are one."""
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=most_bytes)
    app.add_middleware(PlainTooLarge)

    @app.exception_handler(GatewayError)
    def _ours(_request: Request, error: GatewayError) -> JSONResponse:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    def _unreadable(request: Request, error: RequestValidationError) -> JSONResponse:
        place, reason = misfit(error.errors()[0])
        told = Invalid(reason, place=place, cure="see /docs for what this call takes")
        actor = getattr(request.state, "actor", ANONYMOUS)
        guard.note(request.app.state.gateway, actor, f"{request.method} {request.scope['route'].path}", told)
        return answer(told)

    @app.exception_handler(HTTPException)
    def _plain(_request: Request, error: HTTPException) -> JSONResponse:
        content = {"type": "about:blank", "title": str(error.detail), "status": error.status_code}
        return JSONResponse(content, error.status_code, headers=dict(error.headers or {}), media_type=MEDIA)

    @app.exception_handler(Exception)
    def _unforeseen(_request: Request, error: Exception) -> JSONResponse:
        return answer(Broken("unforeseen", incident=logs.incident("api", error)))
