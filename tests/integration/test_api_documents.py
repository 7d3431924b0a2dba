"""Problem documents (RFC 9457) for every failure, and a description (OpenAPI) with an example of everything."""

import re
from typing import Any

from sqlalchemy import text

PROBLEM = "application/problem+json"


def refused(answer: Any, status: int, rule: str = "") -> dict[str, Any]:
    """A problem document of this status and rule."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    told = dict(answer.json())
    assert told["status"] == status
    assert {"type", "title"} <= set(told)
    assert not rule or told["rule"] == rule
    return told


def test_every_failure_is_a_problem_document(world: Any) -> None:
    key = world.request()
    big = {"json": world.document(purpose="x" * (world.gateway.settings.max_body_bytes + 1))}
    for who, method, path, given, status in (
        ("researcher", "GET", "/v1/nothing", {}, 404),
        ("researcher", "DELETE", "/v1/requests", {}, 405),
        ("researcher", "POST", "/v1/requests", big, 413),
        ("researcher", "POST", "/v1/requests", {"json": {}}, 422),
        ("researcher", "POST", "/v1/requests", {"json": []}, 422),
        ("researcher", "POST", "/v1/requests", {"content": b"\xff"}, 422),
        ("researcher", "GET", "/v1/requests?status=lost", {}, 422),
        ("auditor", "GET", "/v1/audit/events?limit=0", {}, 422),
        ("auditor", "GET", "/v1/audit/events?after=yesterday", {}, 422),
        ("auditor", "GET", "/v1/audit/events?cursor=x", {}, 422),
        ("steward", "POST", f"/v1/requests/{key}/refuse", {"json": {"note": ""}}, 422),
        ("steward", "POST", f"/v1/requests/{key}/withdraw", {}, 403),
        ("researcher", "PUT", f"/v1/requests/{key}", {"json": world.document()}, 409),
        ("auditor", "GET", "/v1/datasets/none", {}, 404),
        ("steward", "GET", "/v1/datasets/none", {}, 404),
    ):
        answer = world.call(who, method, path, **given)
        assert answer.status_code == status, (path, answer.text)
        refused(answer, status)


def test_a_wrong_method_is_told_the_right_ones(world: Any) -> None:
    for method, path, allowed in (
        ("DELETE", "/v1/requests", "GET, POST"),
        ("PATCH", "/v1/requests/q-1/submit", "POST"),
        ("POST", "/v1/audit/events", "GET"),
    ):
        answer = world.call("researcher", method, path)
        refused(answer, 405)
        assert answer.headers["allow"] == allowed


def test_what_breaks_inside_stays_inside(fresh: Any) -> None:
    with fresh.gateway.store.engine.begin() as connection:
        connection.execute(text("ALTER TABLE decisions RENAME TO elsewhere"))
    key = fresh.call("researcher", "POST", "/v1/requests", json=fresh.document()).json()["id"]
    answer = fresh.call("researcher", "POST", f"/v1/requests/{key}/submit")
    told = refused(answer, 500)
    assert re.fullmatch(r"something of ours failed; the incident is [0-9a-f]{12}", told["detail"])
    assert not any(word in answer.text for word in ("sqlite", "decisions", "INSERT", "Traceback", str(fresh.home)))
    assert fresh.events(kind="failure")[0].facts["incident"] == told["incident"]
    with fresh.gateway.store.engine.begin() as connection:
        connection.execute(text("ALTER TABLE tokens RENAME TO nowhere"))
    refused(fresh.call("researcher", "GET", "/v1/datasets"), 500)


def test_without_the_log_nothing_is_answered(fresh: Any) -> None:
    with fresh.gateway.store.engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit_event RENAME TO elsewhere"))
    for method, path in (("GET", "/v1/datasets"), ("GET", "/v1/requests"), ("GET", "/v1/datasets/trial")):
        refused(fresh.call("researcher", method, path), 500)
    refused(fresh.call("researcher", "POST", "/v1/requests", json=fresh.document()), 500)
    assert fresh.gateway.store.requests(seen_by=fresh.people["steward"]) == []


# OpenAPI


def resolved(schema: Any, document: dict[str, Any]) -> Any:
    """A schema with its reference followed."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def test_the_description_has_an_example_of_every_body_and_answer(world: Any) -> None:
    document = world.client.get("/openapi.json").json()
    without = []
    for path, found in document["paths"].items():
        for method, call in found.items():
            parts = [("body", call.get("requestBody", {}).get("content", {}))]
            parts += [(status, answer.get("content", {})) for status, answer in call["responses"].items()]
            for part, content in parts:
                for media, said in content.items():
                    if (
                        media in {"application/json", PROBLEM}
                        and path.startswith("/v1")
                        and not exemplified(said, document)
                    ):
                        without.append(f"{method} {path} {part}")
    assert without == []


def exemplified(said: dict[str, Any], document: dict[str, Any]) -> bool:
    """Whether an example stands with the content, its schema, or each field of it."""
    schema = resolved(said.get("schema", {}), document)
    fields = [resolved(field, document) for field in schema.get("properties", {}).values()]
    here = any(name in holder for holder in (said, schema) for name in ("example", "examples"))
    return here or (bool(fields) and all("example" in field or "examples" in field for field in fields))


def test_every_call_says_what_it_answers_when_it_refuses(world: Any) -> None:
    document = world.client.get("/openapi.json").json()
    for path, found in document["paths"].items():
        for method, call in found.items():
            if path.startswith("/v1"):
                assert PROBLEM in call["responses"]["401"]["content"], (method, path)
                assert call["summary"], (method, path)
                assert call["security"], (method, path)


def test_the_examples_are_requests_that_work(world: Any) -> None:
    document = world.client.get("/openapi.json").json()
    example = document["components"]["schemas"]["RequestDocument"]["example"]
    mended = example | {"dataset": "trial", "keys": [world.keys["researcher"]]}
    assert world.call("researcher", "POST", "/v1/requests", json=mended).status_code == 201
