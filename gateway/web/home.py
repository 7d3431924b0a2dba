"""The start page: each person's own first steps."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from gateway.web.doors import Here, Visitor
from gateway.web.pages import page

router = APIRouter()


@router.get("/")
def start(request: Request, gateway: Here, visitor: Visitor) -> HTMLResponse:
    """Where each role begins."""
    return page(request, "home.html", actor=visitor.actor, origin=gateway.settings.origin)
