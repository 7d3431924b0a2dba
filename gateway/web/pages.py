"""Templates: where they stand, what every page is given, and how times, shares and words are written."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from gateway.actions import sessions
from gateway.domain.actor import EVERY_STUDY, Actor
from gateway.web.doors import signed_in, the_gateway

PAGE = 50
TEMPLATES = Path(__file__).parent / "templates"


def roles(actor: Actor) -> frozenset[str]:
    """The roles an actor holds anywhere: which parts of the site are theirs."""
    return frozenset(role for held in actor.roles.values() for role in held)


def moment(value: datetime | str | None) -> Markup:
    """A time in UTC that the browser rewrites in the reader's zone."""
    if value is None or value == "":
        return Markup("–")
    when = datetime.fromisoformat(value) if isinstance(value, str) else value
    told = when.strftime("%d %b %Y, %H:%M UTC").lstrip("0")
    return Markup('<time datetime="{}">{}</time>').format(when.isoformat(), told)


def share(value: float) -> str:
    """A share as a percentage; one that is small but not nothing says so."""
    return "<1 %" if 0 < value < 0.005 else f"{value * 100:.0f} %"


def demand(value: object) -> str:
    """The value of a demand in words; a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return str(value).replace("_", " ")


def size(count: int) -> str:
    """A number of bytes, in the largest unit that leaves a whole number before the point."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"


def words(name: object) -> str:
    """A name of ours as words: `scientific_research` → scientific research."""
    return str(name).replace("_", " ").replace(".", ": ")


def coded(text: str) -> Markup:
    """One of our own sentences: first letter large, what stands between backticks as code."""
    parts = (text[:1].upper() + text[1:]).split("`")
    told = [Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(parts)]
    return Markup("").join(told)


def paragraphs(text: str) -> Markup:
    """A text that somebody wrote, its line breaks kept, nothing else."""
    return Markup("<br>").join(escape(line) for line in text.splitlines())


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_ENVIRONMENT.filters |= {
    "coded": coded,
    "capital": lambda text: text[:1].upper() + text[1:],
    "demand": demand,
    "meets": lambda held, wanted: not held.isdisjoint(wanted),
    "moment": moment,
    "paragraphs": paragraphs,
    "share": share,
    "size": size,
    "words": words,
}
_ENVIRONMENT.globals["EVERY_STUDY"] = EVERY_STUDY


def page(request: Request, template: str, *, status: int = 200, **given: Any) -> HTMLResponse:
    """One page, or one part of it, as HTML. Given are also: who is signed in, their roles and the form token.

    Where a page asked for a part of itself, a problem comes as a part too.
    """
    visitor = signed_in(request)
    if template == "problem.html" and "hx-request" in request.headers:
        template = "problem_part.html"
    known: Mapping[str, Any] = {
        "here": request.url.path,
        "visitor": visitor,
        "roles": roles(visitor.actor) if visitor else frozenset(),
        "form_token": sessions.form_token(the_gateway(request), visitor.secret) if visitor else "",
        "production": the_gateway(request).settings.mode == "production",
    }
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(**{**known, **given}), status)
