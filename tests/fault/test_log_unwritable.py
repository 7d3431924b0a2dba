"""No log, no access: with a log that cannot be written, no door lets anyone see or do anything."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event as listen
from sqlalchemy import text
from starlette.testclient import TestClient

from gateway import audit, worker
from gateway.actions import accounts, standing
from gateway.app import build
from gateway.cli.main import main
from gateway.context import QUIET, Gateway, open_gateway, utc_now
from gateway.domain.event import EventKind, Outcome
from tests.fault.conftest import Queue

REFUSE = "CREATE TRIGGER no_log BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'disk full'); END"


@pytest.fixture
def delivered(queue: Queue) -> Iterator[Gateway]:
    """A gateway with one delivered release and a token for each person."""
    gateway = queue.gateway()
    assert worker.work_once(gateway, name="w") == queue.release
    yield gateway
    gateway.store.engine.dispose()


def token(gateway: Gateway, account: str) -> dict[str, str]:
    operator = accounts.local_actor(gateway, "operator")
    return {"Authorization": f"Bearer {accounts.issue_token(gateway, operator, key=account)[1]}"}


def reads(gateway: Gateway, queue: Queue) -> dict[str, str]:
    """A path of every route of the API that reads, and who may read it. A new route is met by the last assertion."""
    found = {}
    for path, methods in build(gateway).openapi()["paths"].items():
        if "get" not in methods or not path.startswith("/v1/"):
            continue
        thing = "trial" if "/datasets" in path else queue.release if "/releases" in path else queue.request
        found[path] = path.replace("{key}", thing).replace("{name}", "manifest.json")
    assert {"/v1/datasets", "/v1/audit/events", "/v1/requests"} <= set(found)
    return found


def switch(gateway: Gateway, how: str) -> None:
    """From now on the database takes no event."""
    if how == "full":
        with gateway.store.engine.begin() as connection:
            connection.execute(text(REFUSE))
        return
    gateway.store.engine.dispose()
    listen.listen(gateway.store.engine, "connect", lambda raw, _: raw.execute("PRAGMA query_only=1"))


@pytest.mark.parametrize("how", ["full", "read-only"])
@pytest.mark.parametrize("threads", [False, True], ids=["alone", "sharing commits"])
def test_no_page_of_the_api_is_shown(queue: Queue, delivered: Gateway, how: str, threads: bool) -> None:
    people = {name: token(delivered, name) for name in ("researcher", "local")}
    paths = reads(delivered, queue)
    client = TestClient(build(delivered), raise_server_exceptions=False)
    with client if threads else contextlib.nullcontext():
        shown = {}
        for route, path in paths.items():
            answers = {name: client.get(path, headers=headers) for name, headers in people.items()}
            shown[route] = next((name for name, answer in answers.items() if answer.status_code == 200), None)
        assert [route for route, name in shown.items() if name is None] == [], "the test reaches every page"
        switch(delivered, how)
        for route, path in paths.items():
            answer = client.get(path, headers=people[shown[route] or ""])
            assert answer.status_code == 500, route
            assert set(answer.json()) <= {"type", "title", "status", "detail", "incident", "cure"}, route
            assert answer.headers["content-type"].startswith("application/problem+json")
        # Nor is anyone told whether a token holds, nor which byte a file begins with.
        assert client.get("/v1/datasets").status_code == 500
        part = {"Range": "bytes=0-9", **people["researcher"]}
        path = f"/v1/releases/{queue.release}/files/manifest.json"
        assert client.get(path, headers=part).status_code == 500


def test_nothing_is_changed(queue: Queue, delivered: Gateway) -> None:
    steward = token(delivered, "local")
    client = TestClient(build(delivered), raise_server_exceptions=False)
    assert client.get("/v1/datasets", headers=steward).status_code == 200
    switch(delivered, "full")
    document = {"facts": {}}
    for path, body in (
        (f"/v1/releases/{queue.release}/revoke", {"note": "over"}),
        (f"/v1/requests/{queue.request}/refuse", {"note": "no"}),
        ("/v1/audit/verify", None),
        ("/v1/requests", document),
    ):
        assert client.post(path, headers=steward, json=body).status_code == 500, path
    assert not delivered.store.release(queue.release).revoked


def run(home: Path, *words: str) -> tuple[int, str]:
    """A command in this process: its exit code and all it wrote."""
    out, argv, before = io.StringIO(), sys.argv, dict(os.environ)
    sys.argv = ["gateway", *words]
    os.environ |= {"GATEWAY_HOME": str(home), "GATEWAY_USER": "local"}
    code: object = None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                main()
            except SystemExit as ended:
                code = ended.code
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ |= before
    assert isinstance(code, int)
    return code, out.getvalue()


def test_no_command_shows_anything(queue: Queue, delivered: Gateway, tmp_path: Path) -> None:
    commands: list[tuple[str, ...]] = [
        ("datasets", "list"),
        ("datasets", "show", "trial"),
        ("requests", "list"),
        ("requests", "show", queue.request),
        ("audit", "list"),
        ("audit", "export", "--out", str(tmp_path / "copy")),
        ("audit", "verify"),
        ("users", "list", "--as", "operator"),
    ]
    for command in commands:
        code, said = run(queue.home, *command)
        assert code == 0, f"{command}: {said}"
    (tmp_path / "copy").rename(tmp_path / "earlier")
    switch(delivered, "full")
    for command in commands:
        code, said = run(queue.home, *command)
        assert code == 1, f"{command}: {said}"
        assert "trial" not in said
        assert queue.request not in said
    assert not (tmp_path / "copy").exists()


def logged(gateway: Gateway, kind: EventKind) -> list[audit.LoggedEvent]:
    with gateway.store.reading() as connection:
        return list(audit.events(connection, kind=kind, personal=True).events)


def test_a_session_of_calls_is_one_sign_in_and_begins_again_after_quiet(queue: Queue) -> None:
    start = utc_now()
    clock = [start]
    gateway = open_gateway(queue.gateway().settings, now=lambda: clock[0])
    held = token(gateway, "researcher")["Authorization"].removeprefix("Bearer ")
    for minutes, count in ((0, 1), (10, 1), (20, 1), (36, 2), (30, 3)):
        clock[0] = start + minutes * QUIET / 15
        accounts.sign_in(gateway, held)
        found = logged(gateway, EventKind.SIGN_IN)
        assert len(found) == count, minutes
        assert (found[0].actor, found[0].facts["method"]) == ("researcher", "token")
        assert set(found[0].about) == {"user", "token"}
        assert held not in json.dumps([dict(event.facts) for event in found])
    with pytest.raises(Exception, match="unknown"):
        accounts.sign_in(gateway, "tdg_wrong")
    assert logged(gateway, EventKind.SIGN_IN)[0].outcome == Outcome.REFUSED
    gateway.store.engine.dispose()


def test_a_command_is_a_sign_in_and_the_system_user_can_be_erased(queue: Queue) -> None:
    assert run(queue.home, "datasets", "list")[0] == 0
    gateway = queue.gateway()
    (event,) = logged(gateway, EventKind.SIGN_IN)
    assert (event.actor, event.facts["method"]) == ("local", "command line")
    assert event.personal["system_user"]
    gateway.store.engine.dispose()


def test_rules_and_keys_that_change_while_nothing_runs_are_logged_at_the_next_start(queue: Queue) -> None:
    gateway = queue.gateway()
    standing.note_changes(gateway)
    standing.note_changes(gateway)
    kinds = (EventKind.POLICY_CHANGED, EventKind.KEY_CHANGED)
    assert [len(logged(gateway, kind)) for kind in kinds] == [1, 1]
    gateway.store.engine.dispose()
    (queue.home / "keys" / "manifest-signing.pem").unlink()
    again = open_gateway(gateway.settings)
    standing.note_changes(again)
    changed = logged(again, EventKind.KEY_CHANGED)
    assert len(changed) == 2
    assert changed[0].facts["changed"] == ["manifest"]
    assert changed[0].facts["log"] == changed[1].facts["log"]
    again.store.engine.dispose()
