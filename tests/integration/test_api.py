"""The HTTP door: who comes in, the whole line by HTTP, what each sees of the others, and how it ends."""

import hashlib
import re
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from gateway.actions import accounts, releases
from gateway.app import build
from gateway.client import package
from gateway.domain.release import Step
from gateway.domain.request import Status
from gateway.errors import NotAllowed
from gateway.worker import SWEEPER

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def release(world: Any) -> Any:
    """A delivered release of the researcher."""
    return world.released(tables=["DM", "AE", "LB"])


def refused(answer: Any, status: int, rule: str = "") -> dict[str, Any]:
    """A problem document of this status and rule."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    told = dict(answer.json())
    assert told["status"] == status
    assert {"type", "title"} <= set(told)
    assert not rule or told["rule"] == rule
    return told


# Who comes in


def routes(world: Any) -> list[tuple[str, str]]:
    """Every call under /v1."""
    paths = world.client.get("/openapi.json").json()["paths"]
    return [(m.upper(), re.sub(r"\{\w+\}", "x", p)) for p, found in paths.items() if p.startswith("/v1") for m in found]


def test_every_call_needs_a_token(world: Any) -> None:
    calls = routes(world)
    assert len(calls) >= 18
    for method, path in calls:
        body = {"json": world.document() if path.startswith("/v1/requests") and "/x" not in path[13:] else {}}
        if path == "/v1/requests/x" and method == "PUT":
            body = {"json": world.document()}
        for headers in ({}, {"Authorization": "Bearer tdg_nobody"}, {"Authorization": "Basic eDp5"}):
            answer = world.client.request(method, path, headers=headers, **({} if method == "GET" else body))
            assert answer.status_code == 401, (method, path, answer.text)
            assert answer.headers["www-authenticate"] == "Bearer"
            refused(answer, 401, "sign-in")
    event = world.events(kind="sign_in")[0]
    assert (event.actor, event.outcome) == ("anonymous", "refused")
    assert "nobody" not in repr(event)


def test_a_token_ends_and_can_be_ended(world: Any) -> None:
    operator = world.people["operator"]
    short, ended = (accounts.issue_token(world.gateway, operator, key="r.okafor", days=1) for _ in range(2))

    def calls(secret: str) -> int:
        return int(world.client.get("/v1/datasets", headers={"Authorization": f"Bearer {secret}"}).status_code)

    assert [calls(short[1]), calls(ended[1])] == [200, 200]
    accounts.revoke_token(world.gateway, operator, token=ended[0].id)
    assert [calls(short[1]), calls(ended[1])] == [200, 401]
    world.clock.forward(hours=23, minutes=59)
    assert calls(short[1]) == 200
    world.clock.forward(minutes=1)
    assert calls(short[1]) == 401
    assert accounts.issue_token(world.gateway, operator, key="r.okafor", days=366)[0].expires == (
        world.clock() + timedelta(days=366)
    )
    assert calls(short[1].upper()) == 401
    assert calls(short[0].sha256) == 401


def test_a_scoped_token_does_only_what_its_scopes_say(world: Any, release: Any) -> None:
    operator = world.people["operator"]
    secret = accounts.issue_token(world.gateway, operator, key="r.okafor", scopes=("release:read", "dataset:*"))[1]
    headers = {"Authorization": f"Bearer {secret}"}
    assert world.client.get(f"/v1/releases/{release.id}", headers=headers).status_code == 200
    assert world.client.get("/v1/datasets", headers=headers).status_code == 200
    address = f"/v1/releases/{release.id}/files/DM.parquet.age"
    refused(world.client.get(address, headers=headers), 403, "token-scope")
    refused(world.client.post("/v1/requests", headers=headers, json=world.document()), 403, "token-scope")
    assert world.events(kind="access.denied")[0].facts["rule"] == "token-scope"


def test_a_scope_gives_nothing_that_the_roles_do_not(world: Any) -> None:
    secret = accounts.issue_token(world.gateway, world.people["operator"], key="r.okafor", scopes=("*",))[1]
    answer = world.client.get("/v1/audit/events", headers={"Authorization": f"Bearer {secret}"})
    refused(answer, 403)


def test_a_scope_that_names_no_action_narrows_lists_too(world: Any) -> None:
    secret = accounts.issue_token(world.gateway, world.people["operator"], key="r.okafor", scopes=("dataset:read",))[1]
    refused(world.client.get("/v1/requests", headers={"Authorization": f"Bearer {secret}"}), 403, "token-scope")


def test_nobody_issues_a_token_of_another(world: Any) -> None:
    with pytest.raises(NotAllowed):
        accounts.issue_token(world.gateway, world.people["researcher"], key="a.vega")


# The whole line


def test_the_whole_line_by_http(world: Any, tmp_path: Path) -> None:
    drafted = world.call("researcher", "POST", "/v1/requests", json=world.document(format="csv"))
    assert (drafted.status_code, drafted.json()["status"]) == (201, "draft")
    key = drafted.json()["id"]
    amended = world.call("researcher", "PUT", f"/v1/requests/{key}", json=world.document(tables=["DM", "AE"]))
    assert amended.json()["tables"] == {"DM": "all", "AE": "all"}
    submitted = world.call("researcher", "POST", f"/v1/requests/{key}/submit").json()
    assert submitted["status"] == "submitted"
    assert submitted["verdict"]["decision"] in {"permit", "permit_with_conditions", "needs_review"}
    returned = world.call("steward", "POST", f"/v1/requests/{key}/return", json={"note": "which project?"})
    assert returned.json()["status"] == "returned"
    assert world.call("researcher", "POST", f"/v1/requests/{key}/submit").json()["status"] == "submitted"
    assert world.call("researcher", "GET", f"/v1/requests/{key}/decision").json()["decision"]["request"] == key
    approved = world.call("steward", "POST", f"/v1/requests/{key}/approve", json={"note": "all papers are on file"})
    assert approved.json()["status"] == "approved"
    found = approved.json()["release"]
    waiting = world.call("researcher", "GET", f"/v1/releases/{found}").json()
    assert (waiting["step"], waiting["progress"]) == ("queued", 0.0)
    refused(world.call("researcher", "GET", f"/v1/releases/{found}/files"), 409, "release-step")
    assert world.run(found).step is Step.DELIVERED
    assert world.call("researcher", "GET", f"/v1/releases/{found}").json()["progress"] == 1.0
    folder = fetched(world, found, tmp_path / "release")
    checked, opened = package.open_release(folder, world.identities["researcher"], tmp_path / "opened")
    assert (checked.sound, checked.release, len(opened)) == (True, found, 2)
    assert world.call("researcher", "GET", f"/v1/requests/{key}").json()["status"] == "released"
    refused(world.call("steward", "POST", f"/v1/requests/{key}/approve", json={"note": "x"}), 409, "request-moves")


def fetched(world: Any, release: str, folder: Path) -> Path:
    """All files of a release, downloaded."""
    folder.mkdir()
    for file in world.call("researcher", "GET", f"/v1/releases/{release}/files").json()["files"]:
        content = world.call("researcher", "GET", f"/v1/releases/{release}/files/{file['name']}").content
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["size"], file["sha256"])
        (folder / file["name"]).write_bytes(content)
    return folder


def test_manifest_and_report_have_addresses_of_their_own(world: Any, release: Any) -> None:
    for part, name, media in (
        ("manifest", "manifest.json", "application/json"),
        ("report", "report.html", "text/html"),
    ):
        answer = world.call("researcher", "GET", f"/v1/releases/{release.id}/{part}")
        assert answer.content == (world.folder(release) / name).read_bytes()
        assert answer.headers["content-type"].startswith(media)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "private, no-store"


# What each sees of the others


def test_a_researcher_knows_nothing_of_another_s_request(world: Any, release: Any) -> None:
    unknown = refused(world.call("other", "GET", "/v1/requests/q-000000000000"), 404)
    for method, path, body in (
        ("GET", f"/v1/requests/{release.request}", None),
        ("GET", f"/v1/requests/{release.request}/decision", None),
        ("POST", f"/v1/requests/{release.request}/withdraw", None),
        ("POST", f"/v1/requests/{release.request}/submit", None),
        ("POST", f"/v1/requests/{release.request}/approve", {"note": "x"}),
    ):
        told = refused(world.call("other", method, path, **({"json": body} if body else {})), 404)
        assert told == unknown
    for part in ("", "/files", "/manifest", "/report", "/files/DM.parquet.age", "/files/manifest.json"):
        told = refused(world.call("other", "GET", f"/v1/releases/{release.id}{part}"), 404)
        assert told == refused(world.call("other", "GET", f"/v1/releases/r-000000000000{part}"), 404)
    assert world.call("other", "GET", "/v1/requests").json() == {"requests": []}
    refused(world.call("other", "PUT", f"/v1/requests/{release.request}", json=world.document()), 404)


@pytest.mark.parametrize("who", ["auditor", "operator", "steward"])
def test_only_the_recipient_downloads(world: Any, release: Any, who: str) -> None:
    told = refused(world.call(who, "GET", f"/v1/releases/{release.id}/files/DM.parquet.age"), 403)
    assert "may not download" in told["detail"]
    denied = world.events(kind="access.denied")[0]
    assert (denied.actor, denied.facts["action"]) == (world.people[who].id, "release.download")


def test_an_auditor_reads_what_was_done_and_who_asked(world: Any, release: Any) -> None:
    assert world.call("auditor", "GET", f"/v1/releases/{release.id}/manifest").status_code == 200
    assert world.call("auditor", "GET", f"/v1/requests/{release.request}").status_code == 200
    page = world.call("auditor", "GET", "/v1/audit/events?limit=5").json()
    assert len(page["events"]) == 5
    following = world.call("auditor", "GET", f"/v1/audit/events?limit=5&cursor={page['cursor']}").json()["events"]
    assert not {e["id"] for e in page["events"]} & {e["id"] for e in following}
    about = world.call("auditor", "GET", f"/v1/audit/events?about={release.id}").json()["events"]
    assert {"release.completed", "request.approved"} & {e["kind"] for e in about}
    assert world.call("auditor", "POST", "/v1/audit/verify").json()["sound"] is True
    for who in ("researcher", "operator"):
        refused(world.call(who, "GET", "/v1/audit/events"), 403)


def test_a_steward_of_one_study_has_no_say_in_another(world: Any) -> None:
    operator = world.people["operator"]
    accounts.add(world.gateway, operator, key="s.local", name="Local")
    accounts.grant(world.gateway, operator, key="s.local", role="steward", study="trial")
    world.tokens["narrow"] = accounts.issue_token(world.gateway, operator, key="s.local")[1]
    key = world.request()
    assert world.call("narrow", "GET", f"/v1/requests/{key}").status_code == 200
    accounts.revoke(world.gateway, operator, key="s.local", role="steward", study="trial")
    refused(world.call("narrow", "GET", f"/v1/requests/{key}"), 404)


# Ends


def test_a_revoked_release_serves_nothing_more(fresh: Any) -> None:
    release = fresh.released(tables=["DM"])
    address = f"/v1/releases/{release.id}/files/DM.parquet.age"
    assert fresh.call("researcher", "GET", address).status_code == 200
    refused(fresh.call("researcher", "POST", f"/v1/releases/{release.id}/revoke", json={"note": "x"}), 403)
    refused(fresh.call("steward", "POST", f"/v1/releases/{release.id}/revoke", json={"note": " "}), 409)
    revoked = fresh.call("steward", "POST", f"/v1/releases/{release.id}/revoke", json={"note": "consent withdrawn"})
    assert revoked.json()["revoked"] is True
    for part in ("files/DM.parquet.age", "files", "manifest", "report"):
        refused(fresh.call("researcher", "GET", f"/v1/releases/{release.id}/{part}"), 409, "release-revoked")
    refused(fresh.call("steward", "POST", f"/v1/releases/{release.id}/revoke", json={"note": "again"}), 409)
    assert fresh.events(kind="release.revoked")[0].about["release"] == release.id


def test_an_expired_release_serves_nothing_more(fresh: Any) -> None:
    release = fresh.released(tables=["DM"])
    address = f"/v1/releases/{release.id}/files/DM.parquet.age"
    operator, days = fresh.people["operator"], fresh.gateway.settings.extract_days
    fresh.tokens["researcher"] = accounts.issue_token(fresh.gateway, operator, key="r.okafor", days=300)[1]
    fresh.clock.forward(days=days, seconds=-1)
    assert fresh.call("researcher", "GET", address).status_code == 200
    fresh.clock.forward(seconds=1)
    refused(fresh.call("researcher", "GET", address), 409, "release-expired")
    assert releases.expire(fresh.gateway, SWEEPER) == 1
    assert releases.expire(fresh.gateway, SWEEPER) == 0
    request = fresh.gateway.store.request(release.request, seen_by=fresh.people["steward"])
    assert request.status is Status.EXPIRED
    refused(fresh.call("researcher", "GET", address), 409, "release-expired")
    assert fresh.events(kind="release.expired")[0].about["release"] == release.id


def test_a_server_with_a_worker_releases_by_itself(fresh: Any) -> None:
    release = fresh.approved(tables=["DM"])
    with TestClient(build(fresh.gateway, with_worker=True)):
        for _ in range(600):
            if fresh.gateway.store.release(release).step is Step.DELIVERED:
                break
            time.sleep(0.05)
    assert fresh.gateway.store.release(release).step is Step.DELIVERED
