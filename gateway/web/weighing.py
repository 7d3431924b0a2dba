"""The other plans a request could get: a part of the steward's case that is worked out when it is looked at."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gateway.actions import requests
from gateway.web.charts import scatter
from gateway.web.doors import Here, Visitor
from gateway.web.pages import page

router = APIRouter(prefix="/queue")


@router.get("/{key}/choices")
def choices(request: Request, gateway: Here, visitor: Visitor, key: str) -> Response:
    """Each plan with what it leaves of risk and of detail; one may be picked."""
    found = requests.alternatives(gateway, visitor.actor, key)
    points = scatter([(one.average_risk, one.granularity) for one in found])
    return page(request, "choices.html", found=list(zip(found, points.points, strict=True)), picture=points)
