"""A study in which every telling cell is a token found nowhere else, put through everything that can go wrong.

Originals may stand in two places only: in the steward's source files, and (those columns that the plan keeps, such as
results) in the extract that its recipient opens. Nothing else may hold a token: no message, header, log line, event,
database row, manifest, report or column file.
"""

import csv
import json
import logging.config
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn.config

from gateway.actions import accounts, datasets, releases, requests
from gateway.client import package
from gateway.demo.canary import write_canary_study
from gateway.domain.release import Step
from pseudonymization.columns import Column, Handling, Role
from tests.attack.conftest import Stage

TABLES = ["DM", "AE", "LB", "RELREC", "SUPPAE"]
Rows = list[dict[str, str]]


@pytest.fixture
def canary(tmp_path: Path) -> tuple[Path, set[str]]:
    return tmp_path / "study", write_canary_study(tmp_path / "study", 20260311)


def variant(study: Path, name: str, table: str, change: Callable[[Rows], Rows]) -> Path:
    """A copy of the study with one table changed."""
    folder = study.parent / name
    shutil.copytree(study, folder)
    path = folder / f"{table}.csv"
    with path.open(newline="") as file:
        rows = change(list(csv.DictReader(file)))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def with_cell(row: int, column: str, change: Callable[[str], str]) -> Callable[[Rows], Rows]:
    def changed(rows: Rows) -> Rows:
        rows[row][column] = change(rows[row][column])
        return rows

    return changed


def as_kept(table: str, column: str) -> Callable[[str, Column], Column]:
    def change(name: str, found: Column) -> Column:
        keep = (name, found.name) == (table, column)
        return replace(found, role=Role.KEPT, handling=None, certain=True) if keep else found

    return change


def nothing_leaked(stage: Stage, tokens: set[str], capfd: pytest.CaptureFixture[str]) -> None:
    """The net, the process's own output and everything that rests under the home, searched for tokens."""
    out, err = capfd.readouterr()
    stage.net.catch("standard output", out)
    stage.net.catch("standard error", err)
    for where, text in stage.resting():
        stage.net.catch(where, text)
    assert len(stage.net.said) > 10
    assert stage.net.holding(tokens) == []


def test_the_net_finds_a_token_where_one_is(canary: tuple[Path, set[str]], stage: Stage) -> None:
    study, tokens = canary
    assert len(tokens) > 5_000
    for path in study.iterdir():
        stage.net.catch(path.name, path.read_text())
    stage.net.catch("clean", "nothing here")
    assert stage.net.holding(tokens) == ["ae.csv", "dm.csv", "lb.csv", "relrec.csv", "suppae.csv"]


def test_a_release_that_succeeds(
    canary: tuple[Path, set[str]], stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    study, tokens = canary
    stage.register("canary", study)
    release = stage.run(stage.approved("canary", TABLES))
    assert release.step is Step.DELIVERED, release.fault
    url = f"/v1/releases/{release.id}"
    for path in ("", "/files", "/manifest", "/report", "/files/report.html"):
        assert stage.call("GET", url + path, "researcher").status_code == 200
    assert stage.call("GET", "/v1/datasets/canary", "researcher").status_code == 200
    assert stage.call("GET", "/v1/audit/events?limit=1000", "auditor").status_code == 200
    for words in (["datasets", "show", "canary"], ["datasets", "check", "canary"], ["datasets", "list"],
                  ["requests", "list"], ["audit", "list", "--limit", "1000"], ["audit", "verify"]):  # fmt: skip
        assert stage.cli(*words) == 0
        assert stage.cli(*words, "--json") == 0
    opened = package.open_release(
        stage.home / "releases" / release.id / "extract", stage.identity, stage.folder / "opened"
    )[1]
    ids = {token for token in tokens if token.startswith("GWCANARY-")}
    assert len(ids) == 60
    assert not any(token in path.read_text() for path in opened for token in ids)
    nothing_leaked(stage, tokens, capfd)


FAULTY: dict[str, tuple[str, Callable[[Rows], Rows]]] = {
    "date": ("ae", with_cell(3, "AESTDTC", lambda old: f"about {old}?")),
    "impossible-date": ("lb", with_cell(5, "LBDTC", lambda old: f"{old[:4]}-13-45T99:99")),
    "two-countries": ("dm", lambda rows: [*rows, {**rows[0], "COUNTRY": "FRA"}]),
    "no-id": ("ae", with_cell(2, "USUBJID", lambda _: "")),
    "stranger": ("dm", lambda rows: rows[1:]),
    "twice": ("dm", lambda rows: [*rows, {**rows[0], "AGE": "44", "SITEID": rows[1]["SITEID"]}]),
    "no-country": ("dm", with_cell(0, "COUNTRY", lambda _: "BCDFGHJK")),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_data_that_stops_a_release(
    canary: tuple[Path, set[str]], stage: Stage, capfd: pytest.CaptureFixture[str], fault: str
) -> None:
    study, tokens = canary
    table, change = FAULTY[fault]
    folder = variant(study, fault, table, change)
    try:
        stage.register("faulty", folder)
        stage.run(stage.approved("faulty", TABLES))
    except Exception as error:  # noqa: BLE001 - where it stops is not the point; what it says is
        stage.heard(fault, error)
    stage.cli("datasets", "add", folder, "--id", "again")
    stage.cli("datasets", "check", "faulty", "--json")
    write_request(stage, "faulty")
    stage.cli("release", stage.folder / "request.yaml", "--out", stage.folder / "out", "--note", "settled")
    nothing_leaked(stage, tokens | {"BCDFGHJK"}, capfd)


def write_request(stage: Stage, dataset: str, **changes: object) -> Path:
    """A request file (JSON is YAML)."""
    path = stage.folder / "request.yaml"
    path.write_text(json.dumps(stage.document(dataset, TABLES, **changes)))
    return path


def ragged(content: bytes) -> bytes:
    lines = content.split(b"\n")
    return b"\n".join([*lines[:4], lines[4] + b"," + lines[4], *lines[5:]])


def quoted(content: bytes) -> bytes:
    return content.replace(b",", b',"', 40)


def not_utf8(content: bytes) -> bytes:
    lines = content.split(b"\n")
    return b"\n".join([*lines[:6], lines[6][:20] + b"\xff\xfe" + lines[6][20:], *lines[7:]])


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "cut-short": lambda content: content[:40],
    "empty": lambda _: b"",
    "flipped": lambda content: content[:3000] + bytes(255 - byte for byte in content[3000:3300]) + content[3300:],
    "ragged": ragged,
    "quoted": quoted,
    "not-utf8": not_utf8,
    "headless": lambda content: content[300:],
}


@pytest.mark.parametrize("fmt", ["csv", "parquet", "xport"])
def test_tables_that_cannot_be_read(stage: Stage, tmp_path: Path, capfd: pytest.CaptureFixture[str], fmt: str) -> None:
    study = tmp_path / "study"
    tokens = write_canary_study(study, 99, fmt=fmt)
    source = next(path for path in study.iterdir() if path.stem.lower() == "ae")
    whole = source.read_bytes()
    for number, (name, damage) in enumerate(DAMAGES.items()):
        source.write_bytes(damage(whole))
        try:
            datasets.add(stage.gateway, stage.people["steward"], study, key=f"d{number}", accept=True)
        except Exception as error:  # noqa: BLE001 - some damage goes unnoticed until the content is judged
            stage.heard(name, error)
        if name in {"cut", "ragged", "not-utf8"}:
            stage.cli("datasets", "add", study, "--id", f"c{number}")
    source.write_bytes(whole)
    stage.register("sound", study)
    queued = stage.approved("sound", ["DM", "LB"])
    source.write_bytes(whole[: len(whole) // 2])
    release = stage.run(queued)
    assert "altered" in release.fault
    stage.call("GET", f"/v1/releases/{release.id}", "researcher")
    nothing_leaked(stage, tokens, capfd)


LEAKS = {
    "ids in a kept column": as_kept("RELREC", "RELID"),
    "a site in a kept column": as_kept("DM", "INVID"),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_that_is_stopped(
    canary: tuple[Path, set[str]], stage: Stage, capfd: pytest.CaptureFixture[str], leak: str
) -> None:
    study, tokens = canary
    stage.register("leaky", study, LEAKS[leak])
    release = stage.run(stage.approved("leaky", TABLES))
    assert release.step is not Step.DELIVERED
    assert "still holds what should be gone" in release.fault
    stage.call("GET", f"/v1/releases/{release.id}", "researcher")
    stage.call("GET", f"/v1/releases/{release.id}/files", "researcher")
    stage.call("GET", "/v1/audit/events?limit=1000", "auditor")
    nothing_leaked(stage, tokens, capfd)


def test_refusals_of_every_door(canary: tuple[Path, set[str]], stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    study, tokens = canary
    datasets.add(stage.gateway, stage.people["steward"], study, key="canary")
    unresolved = stage.document("canary", TABLES)
    assert stage.call("POST", "/v1/requests", "researcher", json=unresolved).status_code == 422
    stage.register("canary", study)
    drafted = stage.call("POST", "/v1/requests", "researcher", json=unresolved)
    key = drafted.json()["id"]
    url = f"/v1/requests/{key}"
    assert stage.call("POST", f"{url}/approve", "steward", json={"note": "x"}).status_code == 409
    assert stage.call("POST", f"{url}/submit", "researcher").status_code == 200
    for who, act, status in (("researcher", "approve", 403), ("rival", "approve", 404), ("auditor", "refuse", 403)):
        assert stage.call("POST", f"{url}/{act}", who, json={"note": "x"}).status_code == status
    assert stage.call("POST", f"{url}/approve", "steward", json={}).status_code == 409
    for bad in (
        {"tables": {"DM": ["NOPE"]}}, {"tables": ["NOPE"]}, {"keys": ["age1nope"]}, {"keys": []}, {"mode": "open"},
        {"rows": [{"table": "LB", "column": "NOPE", "in": ["x"]}]}, {"destination": "Canada"}, {"surplus": 1},
        {"keys": [stage.identity.read_text().strip()]}, {"dataset": "nope"}, {"facts": {"transfer": "x"}},
    ):  # fmt: skip
        told = stage.call("POST", "/v1/requests", "researcher", json=stage.document("canary", TABLES) | bad)
        assert told.status_code in {201, 404, 422}, (bad, told.text)
    for method, path, who in (
        ("GET", "/v1/datasets", ""), ("GET", "/v1/nowhere", "researcher"), ("DELETE", url, "researcher"),
        ("GET", url, "rival"), ("GET", "/v1/audit/events", "researcher"), ("GET", "/log/tile/../../gateway.db", ""),
        ("GET", "/v1/audit/events?limit=x", "auditor"), ("GET", "/v1/audit/events?cursor=x", "auditor"),
    ):  # fmt: skip
        assert stage.call(method, path, who).status_code >= 400
    assert stage.call("POST", "/v1/requests", "researcher", content=b"{" * 9).status_code == 422
    assert stage.call("POST", "/v1/requests", "researcher", content=b" " * 1_100_000).status_code == 413
    for words in (
        ["datasets", "show", "nope"], ["datasets", "add", study / "nope", "--id", "n"], ["requests", "show", "q-nope"],
        ["datasets", "add", study, "--id", "../n"], ["datasets", "check", "canary", "--as", "researcher"],
        ["datasets", "add", study, "--id", "n", "--category", "gossip"], ["verify", study],
        ["open", study, "--identity", study / "dm.csv", "--out", stage.folder / "o"],
        ["release", study / "dm.csv", "--out", stage.folder / "o"],
        ["decide", study / "ae.csv"], ["datasets", "add", study, "--id", "n", "--columns", study / "dm.csv"],
        ["requests", "draft", study / "lb.csv"], ["requests", "approve", key, "--note", "x", "--as", "nobody"],
    ):  # fmt: skip
        assert stage.cli(*words) != 0, words
        assert stage.cli(*words, "--json") != 0, words
    nothing_leaked(stage, tokens, capfd)


def test_failures_of_ours(canary: tuple[Path, set[str]], stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    study, tokens = canary
    stage.register("canary", study)
    queued = stage.approved("canary", TABLES)
    (stage.home / "releases").write_text("a file where a folder should be")
    release = stage.run(queued)
    assert "incident" in release.fault
    (stage.home / "releases").unlink()
    releases.start(stage.gateway, stage.people["steward"], queued)
    (study / "ae.csv").rename(study / "held.txt")
    (study / "ae.csv").mkdir()
    assert stage.run(queued).step is Step.QUEUED
    for words in (["datasets", "check", "canary"], ["datasets", "add", study, "--id", "canary"]):
        stage.cli(*words)
        stage.cli(*words, "--json")
    stage.call("POST", f"/v1/releases/{queued}/start", "steward")
    nothing_leaked(stage, tokens, capfd)


def test_thresholds_that_cannot_be_met(
    canary: tuple[Path, set[str]], stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    study, tokens = canary
    stage.register("canary", study)
    one_country = [{"table": "DM", "column": "COUNTRY", "in": ["FRA"]}]
    release = stage.run(stage.approved("canary", TABLES, rows=one_country, mode="public"))
    assert release.step is not Step.DELIVERED
    stage.call("GET", f"/v1/releases/{release.id}", "researcher")
    write_request(stage, "canary", rows=one_country, mode="public")
    assert stage.cli("release", stage.folder / "request.yaml", "--out", stage.folder / "out", "--note", "settled") != 0
    nothing_leaked(stage, tokens, capfd)


def test_a_country_column_that_holds_ids(
    canary: tuple[Path, set[str]], stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    study, tokens = canary
    stage.cli("datasets", "add", study, "--id", "odd", "--country", "DM.USUBJID", "--accept")
    stage.register("odd", study)
    drafted = stage.call("POST", "/v1/requests", "researcher", json=stage.document("odd", TABLES)).json()["id"]
    stage.call("POST", f"/v1/requests/{drafted}/submit", "researcher")
    stage.call("GET", f"/v1/requests/{drafted}/decision", "researcher")
    stage.call("POST", f"/v1/requests/{drafted}/approve", "steward", json={"note": "x"})
    stage.cli("worker", "--once")
    nothing_leaked(stage, tokens, capfd)


def test_surrogates_and_redaction_leave_no_token_behind(
    canary: tuple[Path, set[str]], stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    study, tokens = canary

    def stand_ins(_table: str, column: Column) -> Column:
        if column.name == "INVNAM":
            return replace(column, handling=Handling.SURROGATE, surrogate="name")
        if column.name == "AETERM":
            return replace(column, handling=Handling.REDACT)
        return column

    stage.register("canary", study, stand_ins)
    release = stage.run(stage.approved("canary", TABLES))
    stage.net.catch("step", str(release.step))
    nothing_leaked(stage, tokens, capfd)


def test_what_the_web_server_logs_of_a_crash_is_an_incident_without_words(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=ValueError("BCDFGHJKLM"))
    nothing_said = capfd.readouterr()
    assert "incident" in nothing_said.err
    assert "BCDFGHJKLM" not in nothing_said.err + nothing_said.out


def test_accounts_and_tokens_say_nothing_of_the_study(
    canary: tuple[Path, set[str]], stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    study, tokens = canary
    stage.register("canary", study)
    for key in ("X", "researcher", "a" * 99):
        stage.refused(
            "adding", lambda key=key: accounts.add(stage.gateway, stage.people["operator"], key=key, name="n")
        )
    stage.refused("approving", lambda: requests.approve(stage.gateway, stage.people["researcher"], "q-nope"))
    nothing_leaked(stage, tokens, capfd)
