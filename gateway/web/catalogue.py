"""The catalogue: search, one study with its variables, and what a cart of them would give."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gateway.actions import catalogue, outlook
from gateway.actions.catalogue import Contents, Question
from gateway.actions.sessions import SignedIn
from gateway.errors import GatewayError
from gateway.web.doors import Form, Here, Visitor
from gateway.web.pages import page

router = APIRouter(prefix="/catalogue")

PURPOSES = (
    ("scientific_research", "Scientific research"),
    ("secondary_research", "Secondary research"),
    ("disease_specific_research", "Research into one disease"),
    ("health_research", "Health research"),
    ("drug_development", "Drug development"),
    ("methods_development", "Methods development"),
    ("population_origins_research", "Population origins or ancestry"),
    ("commercial_research", "Commercial research"),
)
MODES = (("controlled", "For me, under an agreement"), ("public", "To be published"))
FORMATS = (("parquet", "Parquet (pandas, R arrow)"), ("csv", "CSV (anything)"), ("xport", "XPORT (SAS)"))


@router.get("")
def find(request: Request, gateway: Here, visitor: Visitor, q: str = "") -> Response:
    """Studies, by words in their titles, tables and variables."""
    found = catalogue.search(gateway, visitor.actor, q[:200])
    return page(request, "catalogue.html", found=found, q=q[:200])


@router.get("/{key}")
def study(request: Request, gateway: Here, visitor: Visitor, key: str) -> Response:
    """One study: put variables into the cart, and see beside them what you would get."""
    held = catalogue.contents(gateway, visitor.actor, key)
    return page(request, "study.html", study=held, **choices(visitor, held, {}))


def choices(visitor: SignedIn, study: Contents, typed: Mapping[str, str]) -> dict[str, Any]:
    """What the fields beside the cart start with: what was typed, else what is known of the reader and the study."""
    holder = study.holder
    return {
        "purposes": PURPOSES,
        "modes": MODES,
        "formats": FORMATS,
        "countries": [("", "choose …"), *catalogue.countries()],
        "typed": {
            "purpose": "scientific_research",
            "mode": "controlled",
            "format": "parquet",
            "recipient_org": visitor.actor.organisation,
            "recipient_country": "",
            "exporter_org": str(holder.get("org", "")),
            "exporter_country": str(holder.get("country", "")),
            "exporter_roles": ", ".join(map(str, holder.get("roles", ()))),
            **typed,
        },
    }


def document(key: str, form: Mapping[str, str]) -> dict[str, Any]:
    """The request document that the fields of a form describe; nothing is checked here."""
    tables: dict[str, list[str]] = {}
    for chosen in form.get("variables", "").splitlines():
        table, _, column = chosen.partition(".")
        tables.setdefault(table, []).append(column)
    recipient_country = form.get("recipient_country", "")
    content: dict[str, Any] = {
        "dataset": key,
        "tables": tables,
        "mode": form.get("mode", ""),
        "project": form.get("project", "") or "cart",
        "purpose": form.get("purpose", ""),
        "exporter": {
            "org": form.get("exporter_org", "").strip(),
            "country": form.get("exporter_country", ""),
            "roles": [role.strip() for role in form.get("exporter_roles", "").split(",") if role.strip()],
        },
        "recipient": {"org": form.get("recipient_org", "").strip(), "country": recipient_country},
        "destination": form.get("destination", "") or recipient_country,
        "format": form.get("format", "parquet"),
        "facts": {},
    }
    for name, value in form.items():
        if name.startswith("fact:") and value != "":
            _state(content, name.removeprefix("fact:"), value, form.get(f"form:{name.removeprefix('fact:')}", ""))
    return content


_SAID = {"yes": True, "no": False}


def _state(content: dict[str, Any], path: str, value: str, form: str) -> None:
    """Put one stated fact where its dotted name says: with the exporter or recipient, else in `facts`."""
    *heads, name = path.split(".")
    place = content if heads[:1] in (["recipient"], ["exporter"]) else content["facts"]
    for head in heads:
        place = place.setdefault(head, {})
    stated: Any = value
    if form == "flag":
        stated = _SAID.get(value)
    elif form == "number" and value.replace(".", "", 1).isdigit():
        stated = float(value) if "." in value else int(value)
    place[name] = stated


@router.post("/{key}/outlook")
def show_outlook(request: Request, gateway: Here, visitor: Visitor, key: str, form: Form) -> Response:
    """The panel beside the cart: what these variables would give."""
    content = document(key, form)
    waiting = _waiting(form)
    if waiting:
        return page(request, "outlook.html", waiting=waiting, seen=None, error=None, asked=[])
    try:
        seen = outlook.outlook(gateway, visitor.actor, content)
    except GatewayError as error:
        return page(request, "outlook.html", waiting="", seen=None, error=error, asked=[])
    return page(request, "outlook.html", waiting="", seen=seen, error=None, asked=questions_of(seen))


def questions_of(seen: outlook.Outlook) -> list[Question]:
    """What the rules still want to know."""
    reasons = [*seen.verdict["denials"], *seen.verdict["reviews"], *seen.verdict["licences"]]
    missing = [*seen.verdict["missing"], *(path for reason in reasons for path in reason["missing"])]
    return catalogue.questions(missing)


def _waiting(form: Mapping[str, str]) -> str:
    """What the panel waits for, in words; nothing if it can be worked out."""
    if not form.get("variables"):
        return "Put a variable into the cart."
    if not form.get("recipient_country"):
        return "Say in which country you would receive the data."
    if not form.get("exporter_org") or not form.get("exporter_country"):
        return "Say who holds the data now."
    return "" if form.get("recipient_org") else "Say for which organisation you ask."
