"""/log and /witness: the log as anyone may read it (c2sp.org/tlog-tiles), and cosigning for partners."""

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import Response

from gateway.actions import logkeeping
from gateway.api.doors import Here

router = APIRouter(tags=["log"])

FOREVER = "public, max-age=31536000, immutable"
NEVER = "no-cache"


@router.get("/log/checkpoint", response_class=Response)
def checkpoint(gateway: Here) -> Response:
    """The newest signed tree head."""
    content = logkeeping.public_file(gateway, "checkpoint").read_bytes()
    return Response(content, media_type="text/plain; charset=utf-8", headers={"Cache-Control": NEVER})


@router.get("/log/tile/{path:path}", response_class=Response)
def tile(gateway: Here, path: str) -> Response:
    """A tile or an entry bundle; it never changes."""
    content = logkeeping.public_file(gateway, f"tile/{path}").read_bytes()
    return Response(content, media_type="application/octet-stream", headers={"Cache-Control": FOREVER})


@router.post("/witness/add-checkpoint", response_class=Response)
def add_checkpoint(gateway: Here, body: Annotated[bytes, Body(media_type="text/plain")]) -> Response:
    """Cosign a partner's checkpoint (c2sp.org/tlog-witness)."""
    answer = logkeeping.answer_as_witness(gateway, body)
    return Response(answer.body, answer.status, media_type=answer.content_type)
