"""What every route needs: the running gateway and the actor of the bearer token."""

from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.actions import accounts
from gateway.context import Gateway
from gateway.domain.actor import Actor

_bearer = HTTPBearer(auto_error=False, description="A token from `gateway users token`")


def the_gateway(request: Request) -> Gateway:
    """The gateway this app was built around."""
    return cast(Gateway, request.app.state.gateway)


def the_actor(
    request: Request,
    gateway: Annotated[Gateway, Depends(the_gateway)],
    token: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Actor:
    """Who calls. A missing or bad token is refused (401) and logged."""
    actor = accounts.sign_in(gateway, token.credentials if token else "")
    request.state.actor = actor
    return actor


Here = Annotated[Gateway, Depends(the_gateway)]
Caller = Annotated[Actor, Depends(the_actor)]
