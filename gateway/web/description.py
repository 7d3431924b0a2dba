"""The API described on a page of our own: no script, nothing from another host, on the origin of the sessions."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gateway.web.pages import page

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API: what it takes, what it answers, each with an example as JSON where there is one."""

    method: str
    path: str
    summary: str
    says: str
    takes: tuple[tuple[str, str], ...]
    example: str
    answers: str


@router.get("/docs")
def describe(request: Request) -> Response:
    """Every call of the API, by what it is about."""
    content = request.app.state.describe()
    rooms: dict[str, list[Call]] = {}
    for tag, call in _calls(content):
        rooms.setdefault(tag, []).append(call)
    return page(request, "docs.html", rooms=rooms, about=content["info"]["description"])


def _calls(content: Mapping[str, Any]) -> Iterator[tuple[str, Call]]:
    """Each operation with its first tag, in the order of the document."""
    for path, methods in content["paths"].items():
        for method, one in methods.items():
            places = [(place["name"], place["in"]) for place in one.get("parameters", ())]
            body = one.get("requestBody", {}).get("content", {}).get("application/json", {})
            answered: Mapping[str, Any] = next(
                (a for code, a in one.get("responses", {}).items() if code.startswith("2")), {}
            )
            call = Call(
                method.upper(),
                path,
                one.get("summary", ""),
                one.get("description", ""),
                tuple(places),
                _example(body, content),
                _example(answered.get("content", {}).get("application/json", {}), content),
            )
            yield (one.get("tags") or ["other"])[0], call


def _example(media: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """The example of a body, its own or that of the schema it names; nothing if there is none."""
    schema = media.get("schema", {})
    named = content.get("components", {}).get("schemas", {}).get(str(schema.get("$ref", "")).rsplit("/", 1)[-1], {})
    found = media.get("example") or schema.get("example") or named.get("example")
    return json.dumps(found, indent=2, ensure_ascii=False) if found is not None else ""
