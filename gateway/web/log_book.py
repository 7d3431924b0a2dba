"""The auditor's pages: search the log, one event with its proof, everything about one thing, the state of the log."""

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from gateway import audit
from gateway.actions import audits, evidence
from gateway.actions.sessions import SignedIn
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.domain.event import MEANING, EventKind, Outcome
from gateway.errors import Invalid
from gateway.web.charts import timeline
from gateway.web.doors import Form, Here, Visitor
from gateway.web.pages import page

router = APIRouter(prefix="/log-book")

_SHOWN = 100
_KINDS = (("", "any"), *((one.value, one.value.replace("_", " ").replace(".", ": ")) for one in EventKind))
_OUTCOMES = (("", "any"), *((one.value, one.value) for one in Outcome))
Text = Annotated[str, Field(max_length=200)]


class Sought(BaseModel):
    """What is typed into the search of the log; empty is any."""

    kind: Text = ""
    outcome: Text = ""
    who: Text = ""
    about: Text = ""
    after: Text = ""
    before: Text = ""
    cursor: Text = ""

    @property
    def typed(self) -> dict[str, str]:
        """The fields of the form, without the place in the list."""
        return self.model_dump(exclude={"cursor"})


@router.get("")
def search(request: Request, gateway: Here, visitor: Visitor, sought: Annotated[Sought, Query()]) -> Response:
    """Events, narrowed by what is typed; newest first."""
    try:
        found, error = _found(gateway, visitor.actor, sought), None
    except Invalid as fault:
        found, error = None, fault
    return page(
        request, "log_book.html", status=422 if error else 200, error=error, **_shown(gateway, visitor, sought, found)
    )


def _found(gateway: Gateway, actor: Actor, sought: Sought) -> audit.Page:
    return audits.events(
        gateway,
        actor,
        kind=sought.kind or None,
        who=sought.who.strip() or None,
        about=sought.about.strip() or None,
        outcome=sought.outcome or None,
        after=_moment(sought.after, "after"),
        before=_moment(sought.before, "before"),
        limit=_SHOWN,
        cursor=sought.cursor or None,
    )


def _shown(gateway: Gateway, visitor: SignedIn, sought: Sought, found: audit.Page | None) -> dict[str, Any]:
    return {
        "found": found,
        "typed": sought.typed,
        "kinds": _KINDS,
        "outcomes": _OUTCOMES,
        "state": evidence.integrity(gateway, visitor.actor),
        "picture": timeline([event.time for event in found.events]) if found and found.events else None,
        "query": urlencode({name: value for name, value in sought.typed.items() if value}),
    }


def _moment(text: str, place: str) -> datetime | None:
    """A day or a time as typed, in UTC."""
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid("this is no date", place=place, cure="write 2026-01-31 or 2026-01-31T09:30") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


@router.get("/event/{key}")
def event(request: Request, gateway: Here, visitor: Visitor, key: str) -> Response:
    """One event, its proof made and checked now."""
    found = evidence.event_with_proof(gateway, visitor.actor, key)
    kind = found.event.kind
    meaning = MEANING[EventKind(kind)] if kind in set(EventKind) else ""
    return page(request, "event.html", found=found, event=found.event, meaning=meaning)


@router.get("/event/{key}/proof")
def proof(gateway: Here, visitor: Visitor, key: str) -> Response:
    """The proof as a file that holds without us."""
    found = evidence.event_with_proof(gateway, visitor.actor, key)
    if not found.proof:
        raise Invalid(found.why, place="event", cure="wait for the next checkpoint")
    name = f"{found.event.event_id}.tlog-proof"
    return Response(
        found.proof, media_type="text/plain", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@router.get("/of/{thing}")
def of(request: Request, gateway: Here, visitor: Visitor, thing: str) -> Response:
    """Everything about one release, request, person or study."""
    return page(request, "dossier.html", found=evidence.dossier(gateway, visitor.actor, thing))


@router.post("/verify")
def verify(request: Request, gateway: Here, visitor: Visitor, form: Form) -> Response:  # noqa: ARG001 - proves its origin
    """Read the whole log again."""
    found = audits.verify(gateway, visitor.actor)
    return page(request, "verified.html", found=found)


@router.get("/verify")
def not_verify() -> Response:
    """A reload of the answer leads back."""
    return RedirectResponse("/log-book", 303)
