"""Asking: the request form after the cart, submitting it, amending it."""

import secrets
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from gateway.actions import catalogue, outlook, requests
from gateway.actions.catalogue import Contents
from gateway.actions.sessions import SignedIn
from gateway.context import Gateway
from gateway.domain.request import Request as DataRequest
from gateway.domain.request import Status, Terms
from gateway.errors import GatewayError, Invalid, NotPossible
from gateway.web.catalogue import choices, document, questions_of
from gateway.web.doors import Form, Here, Visitor
from gateway.web.pages import page

router = APIRouter(prefix="/requests")

# The fields of the form by the place an error names.
_FIELDS = {
    "keys": "key",
    "project": "project",
    "purpose": "purpose",
    "recipient.org": "recipient_org",
    "recipient.country": "recipient_country",
    "exporter.org": "exporter_org",
    "exporter.country": "exporter_country",
    "destination": "destination",
}


@router.post("/new")
def begin(request: Request, gateway: Here, visitor: Visitor, form: Form) -> Response:
    """The form, with the cart in it."""
    return _form(request, gateway, visitor, {"key_of": f"q-{secrets.token_hex(6)}", **form})


def _form(
    request: Request, gateway: Gateway, visitor: SignedIn, form: Mapping[str, str], error: GatewayError | None = None
) -> Response:
    key = form.get("dataset", "")
    study = catalogue.contents(gateway, visitor.actor, key)
    asked = []
    trouble = error
    if error is None:
        try:
            asked = questions_of(outlook.outlook(gateway, visitor.actor, document(key, form)))
        except GatewayError as fault:
            trouble = fault
    else:
        asked = catalogue.questions([name.removeprefix("fact:") for name in form if name.startswith("fact:")])
    given = {"project": "", "key": "", "destination": form.get("recipient_country", ""), **form}
    return page(
        request,
        "ask.html",
        status=422 if error else 200,
        study=study,
        asked=asked,
        error=trouble,
        chosen=form.get("variables", "").splitlines(),
        facts={name: value for name, value in form.items() if name.startswith("fact:")},
        **choices(visitor, study, given),
    )


@router.post("")
def send(request: Request, gateway: Here, visitor: Visitor, form: Form) -> Response:
    """Draft and submit. Sent twice, it is one request."""
    try:
        return RedirectResponse(f"/requests/{_sent(gateway, visitor, form)}", 303)
    except NotPossible as error:
        return _form(request, gateway, visitor, form, error)
    except Invalid as error:
        place = _FIELDS.get(error.place.split("[")[0].removesuffix(".0"), error.place)
        return _form(request, gateway, visitor, form, Invalid(error.reason, place=place, cure=error.cure))


def _sent(gateway: Gateway, visitor: SignedIn, form: Mapping[str, str]) -> str:
    """The id of the request that this form is; one that was sent before stays as it is."""
    content = document(form.get("dataset", ""), form) | {
        "project": form.get("project", "").strip(),
        "keys": [line.strip() for line in form.get("key", "").splitlines() if line.strip()],
    }
    key = form.get("key_of", "")
    try:
        drafted = _drafted(gateway, visitor, content, key, amending=form.get("amending") == "yes")
        if drafted.status in {Status.DRAFT, Status.RETURNED}:
            requests.submit(gateway, visitor.actor, drafted.id)
    except NotPossible as error:
        if error.rule not in {"request-moves", "request-key", "request-revision"}:
            raise
        return key
    return drafted.id


def _drafted(gateway: Gateway, visitor: SignedIn, content: dict[str, Any], key: str, *, amending: bool) -> DataRequest:
    if amending:
        return requests.amend(gateway, visitor.actor, key, content)
    return requests.draft(gateway, visitor.actor, content, key=key)


@router.get("/{key}/amend")
def amend(request: Request, gateway: Here, visitor: Visitor, key: str) -> Response:
    """The form again, with what was asked."""
    held = requests.read(gateway, visitor.actor, key)
    study = catalogue.contents(gateway, visitor.actor, held.terms.dataset)
    return _form(request, gateway, visitor, {**_as_form(held.terms, study), "amending": "yes", "key_of": key})


def _as_form(terms: Terms, study: Contents) -> dict[str, str]:
    """The fields that terms come from: the other way round of `document`."""
    chosen = [
        f"{table}.{name}"
        for table, columns in (terms.tables or dict.fromkeys(study.tables)).items()
        for name in (columns if columns is not None else [one.name for one in study.tables[table][1] if one.offered])
    ]
    return {
        "dataset": terms.dataset,
        "variables": "\n".join(chosen),
        "purpose": terms.purpose,
        "mode": terms.mode,
        "format": terms.format,
        "project": terms.project,
        "destination": terms.destination,
        "key": "\n".join(terms.keys),
        "recipient_org": str(terms.recipient.get("org", "")),
        "recipient_country": str(terms.recipient.get("country", "")),
        "exporter_org": str(terms.exporter.get("org", "")),
        "exporter_country": str(terms.exporter.get("country", "")),
        "exporter_roles": ", ".join(map(str, terms.exporter.get("roles", ()))),
    }
