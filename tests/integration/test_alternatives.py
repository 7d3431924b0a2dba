"""A steward looks at what else could be released, picks one, and that is what leaves; none is weaker than the rules."""

import json

import pandas as pd
import pytest

from gateway.actions import requests
from gateway.client import package
from gateway.domain.event import EventKind
from gateway.domain.release import Step
from gateway.errors import Invalid, NotAllowed, NotPossible

DM = {"DM": ["AGE", "SEX", "RACE", "COUNTRY"]}
NOTE = "reviewed: all papers on file"


def alternatives(world, key):
    return requests.alternatives(world.gateway, world.people["steward"], key)


def test_what_a_steward_picks_is_what_leaves(fresh, cli, tmp_path):
    key = fresh.request(tables=DM)
    listed = cli(fresh.home, "requests", "alternatives", key, "--json")
    assert listed.code == 0, listed.err
    found = listed.answer
    assert [one["number"] for one in found] == [*range(1, len(found) + 1)]
    wanted = max(found, key=lambda one: (one["k"], one["number"]))
    assert wanted["k"] > found[0]["k"]
    done = cli(fresh.home, "requests", "approve", key, "--note", NOTE, "--alternative", wanted["number"], "--json")
    assert done.code == 0, done.err
    release = fresh.run(done.answer["release"])
    assert (release.step, release.fault) == (Step.DELIVERED, "")
    manifest = json.loads((fresh.folder(release) / "manifest.json").read_bytes())
    assert manifest["plan"]["levels"] == wanted["levels"] == manifest["picked"]["levels"]
    assert manifest["plan"]["safeguards"]["k"] < wanted["k"] <= manifest["risk"]["after"]["k"]
    assert f"alternative {wanted['number']} " in manifest["plan"]["search"]["chosen"]
    assert f"alternative {wanted['number']} " in (fresh.folder(release) / "report.html").read_text("utf-8")
    assert manifest["utility"]["granularity"] == pytest.approx(wanted["granularity"], abs=1e-5)
    (approved,) = fresh.events(kind=EventKind.REQUEST_APPROVED)
    assert approved.facts["alternative"] == wanted["number"]
    assert done.answer["approvals"][0]["alternative"] == wanted["number"]
    _, files = package.open_release(fresh.folder(release), fresh.identities["researcher"], tmp_path / "opened")
    frame = pd.concat([pd.read_parquet(f) for f in files if f.name == "DM.parquet"])
    classes = frame.drop(columns="USUBJID").astype(object).fillna("").astype(str).agg("|".join, axis=1).value_counts()
    assert classes.min() >= wanted["k"]


def test_the_first_is_what_the_search_takes_by_itself(fresh):
    key = fresh.request(tables=DM)
    first = max(alternatives(fresh, key), key=lambda one: one.granularity)
    release = fresh.released(tables=DM)
    assert release.values["utility"]["granularity"] == pytest.approx(first.granularity)


def test_the_api_lists_them_and_takes_a_number(world):
    key = world.request(tables=DM, project="by-api")
    answer = world.call("steward", "GET", f"/v1/requests/{key}/alternatives")
    assert answer.status_code == 200
    listed = answer.json()["alternatives"]
    assert [one["levels"] for one in listed] == [dict(one.levels) for one in alternatives(world, key)]
    assert world.call("researcher", "GET", f"/v1/requests/{key}/alternatives").status_code == 403
    wrong = world.call("steward", "POST", f"/v1/requests/{key}/approve", json={"note": NOTE, "alternative": 900})
    assert wrong.status_code == 422
    done = world.call("steward", "POST", f"/v1/requests/{key}/approve", json={"note": NOTE, "alternative": 1})
    assert done.json()["approvals"][0]["alternative"] == 1


def test_looking_is_logged_and_only_a_steward_may(world):
    key = world.request(tables=DM, project="looking")
    found = alternatives(world, key)
    event = world.events(kind=EventKind.REQUEST_COMPARED)[0]
    assert (event.facts["shown"], event.about["request"]) == (len(found), key)
    for who in ("researcher", "auditor"):
        with pytest.raises(NotAllowed):
            requests.alternatives(world.gateway, world.people[who], key)


def test_a_draft_has_no_alternatives_yet_and_a_number_must_exist(world):
    drafted = requests.draft(world.gateway, world.people["researcher"], world.document(tables=DM, project="early"))
    with pytest.raises(NotPossible, match="not handed in"):
        alternatives(world, drafted.id)
    key = world.request(tables=DM, project="early")
    for number in (0, -1, 900):
        with pytest.raises(Invalid, match="no such alternative"):
            requests.approve(world.gateway, world.people["steward"], key, note=NOTE, alternative=number)


def test_none_is_weaker_than_the_rules(world):
    key = world.request(tables=DM, project="open", mode="public")
    release = world.run(world.approved(tables=DM, project="open-2", mode="public"))
    allowed = release.values["plan"]["safeguards"]
    found = alternatives(world, key)
    assert found
    for one in found:
        assert one.k >= allowed["k"]
        assert one.maximum_risk <= 1 / allowed["k"]
        assert one.blank_limit <= allowed["blank_limit"]
        assert one.average_risk <= allowed["average_risk"] + 1e-9


def test_a_second_approver_cannot_pick_another(fresh):
    gateway, steward = fresh.gateway, fresh.people["steward"]
    dataset = gateway.store.dataset("trial")
    from_two = fresh.request(tables=DM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.actions.requests.approvals_needed", lambda *_: 2)
        requests.approve(gateway, steward, from_two, note=NOTE, alternative=1)
        second = gateway.store.actor(fresh.people["second"].id)
        found = alternatives(fresh, from_two)
        other = next(at for at, one in enumerate(found, start=1) if one.levels != found[0].levels)
        with pytest.raises(NotPossible, match="another alternative"):
            requests.approve(gateway, second, from_two, note=NOTE, alternative=other)
        release = fresh.run(requests.approve(gateway, second, from_two, note=NOTE).release)
    assert dataset.approvers == 1
    assert release.values["picked"]["number"] == 1
