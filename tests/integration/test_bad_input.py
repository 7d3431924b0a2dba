"""Each kind of bad input: one clear sentence, the right exit code and status, an event, nothing lost or leaked."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gateway import worker
from gateway.actions import datasets, requests
from gateway.crypto import recipients
from gateway.demo.trial import write_trial
from gateway.domain.release import Step
from gateway.domain.request import Status

NEVER = ("Traceback", "Error:", 'File "', "sqlite3", "pyarrow.lib")


@pytest.fixture(scope="module")
def say(world: Any, cli: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A command on the world's gateway."""
    folder = tmp_path_factory.mktemp("files")

    def run(*words: object, document: Any = None) -> Any:
        if document is not None:
            path = folder / "request.yaml"
            path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
            words = tuple(path if word == "FILE" else word for word in words)
        return cli(world.home, *words)

    return run


def refused_well(ran: Any, code: int, *parts: str) -> None:
    """The exit code, and one sentence (with a cure below it) that says these parts."""
    assert ran.code == code, ran.err
    lines = ran.err.strip().splitlines()
    assert 1 <= len(lines) <= 2, ran.err
    assert len(lines) == 1 or lines[1].startswith("→ ")
    assert not any(word in ran.err + ran.out for word in NEVER)
    for part in parts:
        assert part in ran.err


def problem(answer: Any, status: int, *parts: str) -> dict[str, Any]:
    """A problem document of this status whose sentence says these parts."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    told = answer.json()
    assert told["status"] == status
    assert not any(word in answer.text for word in NEVER)
    for part in parts:
        assert part in json.dumps(told, ensure_ascii=False)
    return dict(told)


def last_event(world: Any, kind: str, **about: Any) -> Any:
    event = world.events(kind=kind)[0]
    assert about.items() <= {**event.about, **event.facts, "actor": event.actor}.items()
    return event


# Who may


def test_the_wrong_role(world: Any, say: Callable[..., Any]) -> None:
    refused_well(say("datasets", "accept", "trial", "--as", "r.okafor"), 3, "you may not accept this dataset")
    last_event(world, "access.denied", actor="r.okafor", action="dataset.accept")
    key = world.request()
    told = problem(world.call("auditor", "POST", f"/v1/requests/{key}/approve", json={"note": "x"}), 403, "may not")
    assert told["cure"]
    last_event(world, "access.denied", actor="a.vega", action="request.approve", rule=told["rule"])
    assert world.gateway.store.request(key, seen_by=world.people["steward"]).status is Status.SUBMITTED


def test_an_own_approval(world: Any, say: Callable[..., Any]) -> None:
    drafted = requests.draft(world.gateway, world.people["steward"], world.document())
    requests.submit(world.gateway, world.people["steward"], drafted.id)
    refused_well(say("requests", "approve", drafted.id), 3, "nobody approves their own request", "[no-own-approval]")
    told = problem(world.call("steward", "POST", f"/v1/requests/{drafted.id}/approve", json={}), 403)
    assert told["rule"] == "no-own-approval"
    last_event(world, "access.denied", actor="local", rule="no-own-approval")
    assert world.gateway.store.request(drafted.id, seen_by=world.people["steward"]).approvals == ()


def test_an_unknown_account(say: Callable[..., Any]) -> None:
    refused_well(say("datasets", "list", "--as", "nobody.here"), 5, "there is no account `nobody.here`")


# What is asked for


@pytest.mark.parametrize(
    ("change", "code", "status", "parts"),
    [
        ({"dataset": "no-such-study"}, 5, 404, ["no such dataset"]),
        ({"tables": ["DM", "ZZ"]}, 2, 422, ["the dataset has no table `ZZ`"]),
        ({"tables": {"DM": ["USUBJID", "NOSUCH"]}}, 2, 422, ["table `DM` has no column `NOSUCH`"]),
        ({"tables": ["DM", "SUPPAE"]}, 2, 422, ["without a settled role are never released: SUPPAE.QVAL:AECOMM"]),
        ({"keys": ["age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"]}, 2, 422, ["no age recipient key"]),
        ({"keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"]}, 2, 422, ["no age recipient key"]),
        ({"keys": []}, 2, 422, ["keys"]),
        ({"keys": ["x"] * 21}, 2, 422, ["keys"]),
        ({"rows": [{"table": "DM", "column": "NOSUCH", "in": ["1"]}]}, 2, 422, ["`DM.NOSUCH`, which is not requested"]),
        ({"mode": "secret"}, 2, 422, ["mode"]),
        ({"format": "xlsx"}, 2, 422, ["format"]),
        ({"destination": "Canada"}, 2, 422, ["destination"]),
        ({"purpose": ""}, 2, 422, ["purpose"]),
        ({"exporter": {"org": "A"}}, 2, 422, ["exporter.country"]),
        ({"surprise": 1}, 2, 422, ["surprise"]),
        ({"tables": {"DM": 7}}, 2, 422, ["tables"]),
        ({"tables": []}, 2, 422, ["tables", "or is empty"]),
        ({"tables": {}}, 2, 422, ["tables", "or is empty"]),
        ({"tables": {"DM": []}}, 2, 422, ["tables", "or is empty"]),
    ],
)
def test_a_request_that_is_wrong(
    world: Any, say: Callable[..., Any], change: dict[str, Any], code: int, status: int, parts: list[str]
) -> None:
    before = len(world.gateway.store.requests(seen_by=world.people["steward"]))
    refused_well(say("requests", "draft", "FILE", "--as", "r.okafor", document=world.document(**change)), code, *parts)
    last_event(world, "input.refused", actor="r.okafor", action="request.draft")
    problem(world.call("researcher", "POST", "/v1/requests", json=world.document(**change)), status, *parts)
    assert last_event(world, "input.refused", actor="r.okafor").facts["action"] in {
        "request.draft",
        "POST /v1/requests",
    }
    assert len(world.gateway.store.requests(seen_by=world.people["steward"])) == before


def test_a_secret_key_is_refused_and_never_repeated(world: Any, say: Callable[..., Any], tmp_path: Path) -> None:
    secret = recipients.generate()[0]
    for spelled in (secret, secret.lower(), f"  {secret}\n"):
        document = world.document(keys=[world.keys["researcher"], spelled])
        told = say("release", "FILE", "--out", tmp_path / "out", "--json", document=document)
        refused_well(told, 2, "keys[2]: this is a secret key", "make a new pair")
        answer = world.call("researcher", "POST", "/v1/requests", json=document)
        assert problem(answer, 422, "this is a secret key")["place"] == "keys[2]"
        for text in (told.out, told.err, answer.text, *(repr(event) for event in world.events())):
            assert secret.upper() not in text.upper()
    assert not (tmp_path / "out").exists()
    assert secret.encode().upper() not in (world.home / "gateway.db").read_bytes().upper()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("dataset: trial\ntables: [DM\nmode: public\n", ":3"),
        ("dataset: trial\n\tmode: x\n", ":2"),
        ("a: b: c\n", ":1"),
        ("dataset: trial\ndataset: other\n", ":2"),
        ("&a [*a, *b]\n", ":1"),
        ("text: \x00\n", ""),
        ("- a list\n", "request"),
        ("just words\n", "request"),
        ("", "request"),
    ],
)
def test_a_request_file_that_is_no_request(
    world: Any, say: Callable[..., Any], text: str, place: str, tmp_path: Path
) -> None:
    told = say("release", "FILE", "--out", tmp_path / "out", document=text)
    refused_well(told, 2, f"request.yaml{place}: " if place != "request" else "request")
    last_event(world, "input.refused", actor="local", action="request.draft")
    assert not (tmp_path / "out").exists()


def test_a_request_file_that_is_not_there_or_no_text(say: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00dataset")
    for name in ("none.yaml", "binary.yaml"):
        refused_well(say("release", tmp_path / name, "--out", tmp_path / "out"), 2, "the file cannot be read")


@pytest.mark.parametrize(
    "text", ["as_of: tomorrow\nrequest: {}\n", "scenarios: 5\n", "- x\n", "scenarios: [1]\n", "a: [\n"]
)
def test_facts_that_are_none(world: Any, say: Callable[..., Any], text: str) -> None:
    refused_well(say("decide", "FILE", document=text), 2)
    last_event(world, "input.refused", actor="local", action="policy.decide")


def test_a_body_that_is_no_json(world: Any) -> None:
    answer = world.call(
        "researcher", "POST", "/v1/requests", content=b'{"dataset": ', headers={"Content-Type": "application/json"}
    )
    problem(answer, 422, "json decode error")
    last_event(world, "input.refused", actor="anonymous", action="POST /v1/requests", fault="Invalid")


# Tables that are none


def copied(trial: Path, to: Path, *names: str) -> Path:
    to.mkdir()
    for name in names:
        shutil.copy(trial / f"{name}.csv", to / f"{name}.csv")
    return to


def broken_tables(trial: Path, base: Path) -> dict[str, Path]:
    """Folders with one bad table beside a good one."""
    folders = {
        name: copied(trial, base / name, "dm") for name in ("empty", "header", "ragged", "parquet", "xport", "name")
    }
    (folders["empty"] / "ae.csv").write_bytes(b"")
    (folders["header"] / "ae.csv").write_bytes((trial / "ae.csv").read_bytes().split(b"\n")[0] + b"\n")
    lines = (trial / "ae.csv").read_bytes().split(b"\n")
    (folders["ragged"] / "ae.csv").write_bytes(b"\n".join([*lines[:5], lines[5][: len(lines[5]) // 2], *lines[6:]]))
    whole = base / "whole"
    write_trial(whole, subjects=80, fmt="parquet")
    content = (whole / "ae.parquet").read_bytes()
    (folders["parquet"] / "ae.parquet").write_bytes(content[: len(content) // 2])
    (folders["name"] / "ae.parquet").write_bytes((trial / "ae.csv").read_bytes())
    write_trial(base / "xpt", subjects=80, fmt="xport")
    content = (base / "xpt" / "ae.xpt").read_bytes()
    (folders["xport"] / "ae.xpt").write_bytes(content[: len(content) // 2])
    damaged = bytearray((whole / "ae.parquet").read_bytes())
    damaged[200:400] = bytes(200)
    copied(trial, base / "damaged", "dm")
    (base / "damaged" / "ae.parquet").write_bytes(bytes(damaged))
    (base / "nothing").mkdir()
    return {**folders, "damaged": base / "damaged", "nothing": base / "nothing"}


def test_tables_that_cannot_be_read(world: Any, say: Callable[..., Any], trial: Path, tmp_path: Path) -> None:
    folders = broken_tables(trial, tmp_path / "bad") if (tmp_path / "bad").mkdir() is None else {}
    known = [dataset.id for dataset in world.gateway.store.datasets()]
    folders.pop("header")  # a table without rows is a table
    for what, folder in folders.items():
        told = say("datasets", "add", folder, "--id", f"bad-{what}", "--accept")
        assert told.code == 2, (what, told)
        refused_well(told, 2, "ae." if what != "nothing" else "nothing")
        last_event(world, "input.refused", actor="local", action="dataset.add")
    refused_well(say("datasets", "add", tmp_path / "none", "--id", "none"), 5, "no such folder")
    assert [dataset.id for dataset in world.gateway.store.datasets()] == known


def test_a_table_without_rows_is_released_as_one(fresh: Any, trial: Path) -> None:
    header = (fresh.study / "ae.csv").read_bytes().split(b"\n")[0] + b"\n"
    (fresh.study / "ae.csv").write_bytes(header)
    datasets.add(fresh.gateway, fresh.people["steward"], fresh.study, key="trial", accept=True)
    release = fresh.released(tables=["DM", "AE"])
    assert next(t for t in manifest(fresh, release)["tables"] if t["name"] == "AE")["rows"] == 0


def manifest(world: Any, release: Any) -> dict[str, Any]:
    return dict(json.loads((world.folder(release) / "manifest.json").read_bytes()))


# What stops a release


def stopped(world: Any, release: str, rule: str, *parts: str) -> Any:
    """A release that stopped, with everything in its place."""
    found = world.run(release)
    request = world.gateway.store.request(found.request, seen_by=world.people["steward"])
    assert found.step is not Step.DELIVERED
    for part in parts:
        assert part in found.fault
    assert request.status is Status.APPROVED
    last_event(world, "release.failed", release=release, rule=rule)
    left = [p for p in (world.gateway.settings.releases_folder).rglob("*") if p.is_file() and release in p.parts]
    assert left == []
    told = problem(world.call("researcher", "GET", f"/v1/releases/{release}/files"), 409, "not delivered")
    assert told["rule"] == "release-step"
    shown = world.call("researcher", "GET", f"/v1/releases/{release}").json()
    assert shown["fault"] == found.fault
    return found


@pytest.mark.parametrize(
    ("country", "mode", "nearest"),
    [
        ("GBR", "controlled", "average risk"),
        ("POL", "public", "k below 11, average risk"),
    ],
)
def test_thresholds_that_cannot_be_met_say_the_nearest_that_can(
    world: Any, say: Callable[..., Any], tmp_path: Path, country: str, mode: str, nearest: str
) -> None:
    table = pd.read_csv(world.study / "dm.csv", dtype=str, keep_default_na=False)
    (tmp_path / "few").mkdir()
    table[table["COUNTRY"] == country].to_csv(tmp_path / "few" / "dm.csv", index=False)
    datasets.add(world.gateway, world.people["steward"], tmp_path / "few", key=f"few-{country}", accept=True)
    few = {"dataset": f"few-{country}", "tables": ["DM"], "mode": mode}
    told = say("release", "FILE", "--out", tmp_path / "out", "--note", "papers on file", document=world.document(**few))
    assert told.code == 4
    assert "the release stopped: no allowed recoding meets the safeguards; loosen" in told.err
    assert nearest in told.err
    assert not (tmp_path / "out").exists()
    last_event(world, "release.failed", rule="thresholds")
    stopped(world, world.approved(**few), "thresholds", "no allowed recoding meets the safeguards", nearest)


def test_a_date_that_does_not_parse_stops_the_release(fresh: Any) -> None:
    file = fresh.study / "ae.csv"
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    for written in ("2014-13-45", "12/31/2014", "2014-02-30", "UNK", "31DEC2014"):
        table.loc[7, "AESTDTC"] = written
        table.to_csv(file, index=False)
        datasets.add(fresh.gateway, fresh.people["steward"], fresh.study, key="trial", accept=True)
        found = stopped(fresh, fresh.approved(tables=["DM", "AE"]), "", "AE", "AESTDTC")
        assert written not in found.fault
        assert not any(written in repr(event.facts) for event in fresh.events())


@pytest.mark.parametrize("how", ["altered", "gone", "added", "truncated"])
def test_a_file_altered_after_registration_stops_the_release(fresh: Any, how: str) -> None:
    release, file = fresh.approved(tables=["DM", "AE"]), fresh.study / "ae.csv"
    content = file.read_bytes()
    if how == "altered":
        file.write_bytes(content.replace(b"MILD", b"SEVERE", 1))
    elif how == "gone":
        file.unlink()
    elif how == "added":
        shutil.copy(file, fresh.study / "more.csv")
    else:
        file.write_bytes(content[: len(content) // 2])
    stopped(fresh, release, "", "altered, added or removed after registration", "register the new content")
    file.write_bytes(content)
    (fresh.study / "more.csv").unlink(missing_ok=True)
    again = fresh.call("steward", "POST", f"/v1/releases/{release}/start")
    assert again.status_code == 200, again.text
    assert fresh.run(release).step is Step.DELIVERED
    assert fresh.call("steward", "POST", f"/v1/releases/{release}/start").status_code == 409


def test_nothing_is_lost_when_a_release_stops_among_others(fresh: Any) -> None:
    """The next in the queue is done all the same, and the log is sound."""
    few = [{"table": "DM", "column": "COUNTRY", "in": ["POL"]}]
    bad = fresh.approved(tables=["DM"], rows=few, mode="public")
    good = fresh.approved(tables=["DM"])
    while worker.work_once(fresh.gateway, name="w") is not None:
        pass
    assert fresh.gateway.store.release(good).step is Step.DELIVERED
    assert fresh.gateway.store.release(bad).fault
    assert fresh.call("auditor", "POST", "/v1/audit/verify").json()["sound"] is True


def test_the_wrong_identity_opens_nothing(world: Any, say: Callable[..., Any], tmp_path: Path) -> None:
    folder = world.folder(world.released(tables=["DM"]))
    told = say("open", folder, "--identity", world.identities["other"], "--out", tmp_path / "o")
    refused_well(told, 2, "DM.parquet.age: this identity does not open the file")
    assert list((tmp_path / "o").iterdir()) == []
    for content, part in (
        ("nothing here\n", "no age identity"),
        ("", "holds no key"),
        (world.keys["researcher"] + "\n", "no age identity"),
        (None, "cannot be read"),
    ):
        file = tmp_path / "identity"
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content)
        refused_well(say("open", folder, "--identity", file, "--out", tmp_path / "o"), 2, part)
    good = say("open", folder, "--identity", world.identities["researcher"], "--out", tmp_path / "o", "--json")
    assert good.answer["ok"] == "4/4"
    refused_well(
        say("open", tmp_path, "--identity", world.identities["researcher"], "--out", tmp_path / "o"), 2, "no release"
    )


def test_a_full_or_forbidden_output_folder(world: Any, say: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    refused_well(
        say("release", "FILE", "--out", tmp_path, document=world.document()), 2, "the output folder is not empty"
    )
    folder = world.folder(world.released(tables=["DM"]))
    target = tmp_path / "something" / "below"
    refused_well(
        say("open", folder, "--identity", world.identities["researcher"], "--out", target), 2, "cannot be written"
    )


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("{role: kept", "{role: [kept", "columns.yaml:"),
        ("{role: kept", "{role: keept", "columns.yaml:"),
        ("  AE:\n", "  ZZ:\n", "AE"),
        ("AESTDTC: {", "NOSUCH: {", "AESTDTC"),
    ],
)
def test_a_column_file_that_is_wrong_names_its_line(
    fresh: Any, cli: Callable[..., Any], old: str, new: str, part: str
) -> None:
    file = datasets.column_file(fresh.gateway, "trial")
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    told = cli(fresh.home, "datasets", "check", "trial")
    refused_well(told, 2, "columns.yaml", part)
    last_event(fresh, "input.refused", actor="local", action="dataset.check")
    assert fresh.gateway.store.dataset("trial").version.unresolved == 1
