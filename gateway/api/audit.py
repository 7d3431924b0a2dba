"""/v1/audit: the access log for auditors; /log: its tiles and checkpoint, public and without personal data."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from gateway import audit as log
from gateway.actions import audits
from gateway.api import examples
from gateway.api.doors import Caller, Here
from gateway.api.examples import answers

router = APIRouter(prefix="/v1/audit", tags=["audit"])


def event_view(event: log.LoggedEvent) -> dict[str, Any]:
    """An event as JSON."""
    return {
        "id": event.event_id,
        "index": event.index,
        "time": event.time.isoformat(),
        "kind": event.kind,
        "outcome": event.outcome,
        "actor": event.actor,
        "about": dict(event.about),
        "facts": dict(event.facts),
        "personal": dict(event.personal),
    }


@router.get("/events", responses=answers(examples.EVENTS))
def list_events(
    gateway: Here,
    actor: Caller,
    kind: str | None = None,
    who: str | None = None,
    about: str | None = None,
    outcome: str | None = None,
    after: datetime | None = None,
    before: datetime | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Events, newest first. `cursor` comes from the page before."""
    filters = {"kind": kind, "who": who, "about": about, "outcome": outcome, "after": after, "before": before}
    page = audits.events(gateway, actor, limit=limit, cursor=cursor, **filters)  # type: ignore[arg-type]
    return {"events": [event_view(event) for event in page.events], "cursor": page.cursor}


@router.post("/verify", responses=answers(examples.SOUND))
def verify_log(gateway: Here, actor: Caller) -> dict[str, Any]:
    """Read the whole log again and say whether it is sound."""
    found = audits.verify(gateway, actor)
    findings, notes = list(found.findings), list(found.notes)
    return {"sound": found.sound, "size": found.size, "root": found.root.hex(), "findings": findings, "notes": notes}
