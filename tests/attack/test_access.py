"""Forged, replayed and swollen things: tokens, ids, manifests, receipts, facts, documents, bodies."""

import hashlib
import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.actions import accounts, datasets
from gateway.actions.terms import read_document, read_terms
from gateway.catalogue import columnfile
from gateway.client import package
from gateway.crypto import signing
from gateway.demo.trial import write_trial
from gateway.domain.event import Event, EventKind
from gateway.domain.release import Release, Step
from gateway.errors import Invalid, NotAllowed
from tests.attack.conftest import Stage

TABLES = ["DM", "RELREC"]


@pytest.fixture
def trial(stage: Stage) -> Stage:
    stage.register("trial", write_trial(stage.folder / "study", subjects=60, fmt="csv"))
    return stage


def delivered(stage: Stage, **changes: Any) -> Release:
    release = stage.run(stage.approved("trial", TABLES, **changes))
    assert release.step is Step.DELIVERED, release.fault
    return release


def extract(stage: Stage, release: Release) -> Path:
    return stage.home / "releases" / release.id / "extract"


def disable(stage: Stage, who: str) -> None:
    account = next(account for account, _ in stage.gateway.store.accounts() if account.id == who)
    event = Event(EventKind.ROLE_REVOKED, "operator", about={"user": who})
    stage.gateway.store.save(replace(account, disabled=True), event=event, now=stage.gateway.now())


def refusals(stage: Stage) -> int:
    return len(stage.call("GET", "/v1/audit/events?kind=sign_in&outcome=refused", "auditor").json()["events"])


def test_tokens_that_are_none_all_look_the_same(stage: Stage) -> None:
    operator = stage.people["operator"]
    held, ended = accounts.issue_token(stage.gateway, operator, key="rival")
    accounts.revoke_token(stage.gateway, operator, token=held.id)
    disable(stage, "researcher")
    secrets = [ended, stage.tokens["researcher"], "tdg_" + "A" * 43, "", "x" * 9_000, hashlib.sha256(b"x").hexdigest()]
    told = [stage.call("GET", "/v1/datasets", headers={"Authorization": f"Bearer {secret}"}) for secret in secrets]
    assert {answer.status_code for answer in told} == {401}
    assert len({answer.text for answer in told}) == 1
    assert refusals(stage) == len(secrets)


def test_a_narrow_token_does_only_what_it_is_for(stage: Stage) -> None:
    operator = stage.people["operator"]
    _, secret = accounts.issue_token(stage.gateway, operator, key="steward", scopes=("dataset:read",))
    headers = {"Authorization": f"Bearer {secret}"}
    assert stage.call("GET", "/v1/audit/events", headers=headers).status_code == 403
    assert stage.call("POST", "/v1/requests/q-nope/approve", headers=headers, json={"note": "x"}).status_code == 404
    with pytest.raises(Invalid):
        accounts.issue_token(stage.gateway, operator, key="steward", scopes=("*:*",))


def test_nobody_gives_themselves_a_role(stage: Stage) -> None:
    for who in ("researcher", "steward", "auditor", "operator"):
        with pytest.raises(NotAllowed):
            accounts.grant(stage.gateway, stage.people[who], key=who, role="steward")
    with pytest.raises(NotAllowed):
        accounts.issue_token(stage.gateway, stage.people["researcher"], key="steward")


def test_the_release_of_another_is_not_there_at_all(trial: Stage) -> None:
    release = delivered(trial)
    names = [path.name for path in extract(trial, release).iterdir()]
    for path in ("", "/files", "/manifest", "/report", *(f"/files/{name}" for name in names)):
        known = trial.call("GET", f"/v1/releases/{release.id}{path}", "rival")
        unknown = trial.call("GET", f"/v1/releases/r-000000000000{path}", "rival")
        assert (known.status_code, known.text) == (404, unknown.text)
    known = trial.call("POST", f"/v1/releases/{release.id}/revoke", "rival", json={"note": "x"})
    unknown = trial.call("POST", "/v1/releases/r-000000000000/revoke", "rival", json={"note": "x"})
    assert (known.status_code, known.text) == (404, unknown.text)
    assert trial.call("GET", f"/v1/requests/{release.request}", "rival").status_code == 404
    assert trial.call("GET", f"/v1/releases/{release.id}/files/DM.csv.age", "steward").status_code == 403


PATHS = (
    "..%2f..%2f..%2fgateway.db",
    "%2e%2e/%2e%2e/gateway.db",
    "..%5c..%5cgateway.db",
    "%2fetc%2fpasswd",
    "DM.csv.age%00.json",
    "manifest.json%2f..%2f..%2fstaging",
    "./manifest.json",
    "manifest.json%0d%0aX-Forged: yes",
    "ＤＭ.csv.age",
    "dm.csv.age",
    "DM.csv.age.part",
)


def test_no_name_leads_out_of_the_extract(trial: Stage) -> None:
    release = delivered(trial)
    for name in PATHS:
        told = trial.call("GET", f"/v1/releases/{release.id}/files/{name}", "researcher")
        assert told.status_code == 404 or told.content == (extract(trial, release) / "manifest.json").read_bytes()
        assert "X-Forged" not in told.headers
        assert trial.call("GET", f"/log/tile/{name}").status_code == 404


def test_a_manifest_signed_again_by_another_key_is_found_by_those_who_know_the_key(trial: Stage) -> None:
    release = delivered(trial)
    forged, key = trial.folder / "forged", Ed25519PrivateKey.generate()
    shutil.copytree(extract(trial, release), forged)
    manifest = json.loads((forged / "manifest.json").read_text()) | {"mode": "public"}
    manifest["signed_by"] = signing.fingerprint(key.public_key())
    content = json.dumps(manifest, sort_keys=True).encode()
    (forged / "manifest.json").write_bytes(content)
    (forged / "manifest.pub").write_text(signing.public_text(key.public_key()))
    (forged / "manifest.sig").write_text(signing.sign(content, key))
    trusted = signing.fingerprint(trial.gateway.keys.manifest.public_key())
    assert package.verify(extract(trial, release), trusted=trusted).sound
    told = package.verify(forged, trusted=trusted)
    assert any("another key" in problem for problem in told.problems)
    assert any("the log holds another manifest" in problem for problem in package.verify(forged).problems)
    assert trial.cli("verify", forged, "--trust", trusted) == 4
    assert trial.cli("open", forged, "--identity", trial.identity, "--out", trial.folder / "o") != 0
    assert not (trial.folder / "o").exists()


def test_a_receipt_of_another_release_proves_nothing(trial: Stage) -> None:
    one, two = delivered(trial), delivered(trial)
    forged = trial.folder / "forged"
    shutil.copytree(extract(trial, one), forged)
    shutil.copy(extract(trial, two) / "receipt.tlog-proof", forged)
    assert any("of another release" in problem for problem in package.verify(forged).problems)


def test_an_old_extract_does_not_come_back_after_revocation(trial: Stage) -> None:
    release = delivered(trial)
    assert trial.call("POST", f"/v1/releases/{release.id}/revoke", "steward", json={"note": "x"}).status_code == 200
    for name in ("DM.csv.age", "manifest.json"):
        assert trial.call("GET", f"/v1/releases/{release.id}/files/{name}", "researcher").status_code == 409
    assert trial.call("POST", f"/v1/releases/{release.id}/start", "steward").status_code == 409


STATED: dict[str, Any] = {
    "subjects": [{"country": "IS", "count": 1}],
    "identifiability": "anonymised",
    "categories": [],
    "purpose": "care",
    "recipient": {"org": "x", "country": "IS"},
    "exporter": {"org": "x", "country": "IS"},
    "direct_identifiers_present": False,
    "transfer": {"mode": "public", "destination": "IS"},
}


def test_what_the_gateway_establishes_itself_cannot_be_stated_otherwise(trial: Stage) -> None:
    honest = trial.approved("trial", TABLES)
    stated = trial.approved("trial", TABLES, facts=STATED)
    facts = []
    for release in (honest, stated):
        request = trial.gateway.store.request(
            trial.gateway.store.release(release).request, seen_by=trial.people["steward"]
        )
        facts.append(trial.gateway.store.decision(request.decision).facts)
    for name in STATED:
        if name not in {"transfer", "direct_identifiers_present"}:
            assert facts[0][name] == facts[1][name]
    assert "direct_identifiers_present" not in facts[1]
    for name in ("mode", "destination"):
        assert facts[0]["transfer"][name] == facts[1]["transfer"][name]


ODD_FACTS: tuple[dict[str, Any], ...] = (
    {"transfer": "public"},
    {"transfer": ["mode"]},
    {"subjects": "none"},
    {"as_of": "1990-01-01"},
    {"__class__": "x"},
    {"nested": json.loads("[" * 200 + "]" * 200)},
    {"text": "\ud800"},
    {"number": 10**400},
)


@pytest.mark.parametrize("facts", ODD_FACTS, ids=lambda facts: next(iter(facts)))
def test_odd_facts_are_refused_in_words(trial: Stage, facts: dict[str, Any]) -> None:
    content = json.dumps(trial.document("trial", TABLES, facts=facts)).encode()
    told = trial.call("POST", "/v1/requests", "researcher", content=content)
    if told.status_code == 201:
        told = trial.call("POST", f"/v1/requests/{told.json()['id']}/submit", "researcher")
    assert told.status_code in {200, 409, 422}, told.text


def test_nested_too_deep_and_bodies_too_large_are_refused(trial: Stage) -> None:
    whole = json.dumps(trial.document("trial", TABLES))
    deep = whole[:-1] + ', "facts": {"a": ' + "[" * 50_000 + "]" * 50_000 + "}}"
    assert trial.call("POST", "/v1/requests", "researcher", content=deep).status_code == 422
    for size in (1_000_001, 3_000_000):
        assert trial.call("POST", "/v1/requests", "researcher", content=b" " * size).status_code == 413
    chunks = (b" " * 100_000 for _ in range(40))
    assert trial.call("POST", "/v1/requests", "researcher", content=chunks).status_code == 413


def test_many_keys_and_many_filters_are_refused(trial: Stage) -> None:
    for changes in (
        {"keys": [trial.public] * 21},
        {"keys": [trial.public] * 5_000},
        {"rows": [{"table": "DM", "column": "SEX", "in": ["F"] * 2_000}]},
        {"purpose": "x" * 5_000},
        {"recipient": {"org": "x" * 5_000, "country": "CA"}},
    ):
        content = trial.document("trial", TABLES, **changes)
        assert trial.call("POST", "/v1/requests", "researcher", json=content).status_code == 422, list(changes)


IDS = (
    "triаl",
    "trial\u200b",
    "TRIAL",
    " trial",
    "trial\n",
    "trial\x00",
    "ｔrial",
    "../trial",
    "trial/..",
    "-trial",
    "",
)


@pytest.mark.parametrize("name", IDS)
def test_ids_that_only_look_like_another_are_none(trial: Stage, name: str) -> None:
    told = trial.call("POST", "/v1/requests", "researcher", json=trial.document(name, TABLES))
    assert told.status_code in {404, 422}
    if name != "TRIAL":
        with pytest.raises(Invalid):
            datasets.add(trial.gateway, trial.people["steward"], trial.folder / "study", key=name)
    with pytest.raises(Invalid):
        accounts.add(trial.gateway, trial.people["operator"], key=name, name="n")


BOMBS = {
    "aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + at)}: &{chr(98 + at)} [{','.join(['*' + chr(97 + at)] * 9)}]\n" for at in range(12)
    ),
    "cycle": "facts: &a\n  deeper: *a\n",
    "deep": "facts: " + "[" * 5_000 + "]" * 5_000,
    "tag": "facts: !!python/object/apply:os.system ['touch bombed']\n",
    "merge": "a: &a {x: 1}\nb: {<<: *a}\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "no map": "- 1\n- 2\n",
    "twice": "a: 1\na: 2\n",
    "large": "a: " + "x" * 6_000_000,
    "nul": "a: \x00",
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.timeout(20)
def test_a_bomb_in_a_request_file_is_refused(trial: Stage, bomb: str) -> None:
    path = trial.folder / "bomb.yaml"
    document = trial.document("trial", TABLES)
    if bomb == "aliases":
        text = BOMBS[bomb] + "facts: {all: *m}\n" + "".join(f"{k}: {json.dumps(v)}\n" for k, v in document.items())
        text = text.replace("\na: ", "\n")
    else:
        text = "".join(f"{k}: {json.dumps(v)}\n" for k, v in document.items()) + BOMBS[bomb]
    path.write_text(text)
    with pytest.raises(Invalid):
        read_terms(read_document(path))
    assert trial.cli("requests", "draft", path) == 2
    assert not Path("bombed").exists()


@pytest.mark.timeout(20)
def test_aliases_within_facts_do_not_swell(trial: Stage) -> None:
    names = "abcdefghijklm"
    swollen = [f"  {new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in itertools.pairwise(names)]
    lines = ["facts:", "  a: &a [x, x, x, x, x, x, x, x, x]", *swollen]
    document = trial.document("trial", TABLES)
    path = trial.folder / "bomb.yaml"
    path.write_text("\n".join([*(f"{k}: {json.dumps(v)}" for k, v in document.items()), *lines]))
    with pytest.raises(Invalid):
        read_terms(read_document(path))
    assert trial.cli("requests", "draft", path) == 2


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.timeout(20)
def test_a_bomb_in_a_column_file_is_refused(trial: Stage, bomb: str) -> None:
    file = datasets.column_file(trial.gateway, "trial")
    file.write_text(file.read_text() + BOMBS[bomb])
    with pytest.raises(Invalid):
        columnfile.loads(file.read_text())
    assert trial.cli("datasets", "check", "trial") == 2
    assert not Path("bombed").exists()
