"""The review queue: a release whose study asks for review stops with places, a steward decides, and it goes on."""

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gateway.actions import datasets, documents, rare_terms, releases
from gateway.client import package
from gateway.demo.trial import write_trial
from gateway.domain.event import EventKind
from gateway.domain.release import Release, Step
from gateway.errors import Invalid, NotAllowed, NotFound

World = Any


def choose(world: World, **chosen: object) -> None:
    """Write options into the study's column file, as a steward does, and register the version that follows."""
    file = datasets.column_file(world.gateway, "trial")
    text = re.sub(r"^options:\n(?:  .*\n)*", "", file.read_text("utf-8"), flags=re.MULTILINE)
    lines = "".join(f"  {name}: {json.dumps(value)}\n" for name, value in chosen.items())
    section = f"options:\n{lines}" if chosen else ""
    file.write_text(text.replace("tables:\n", f"{section}tables:\n", 1), "utf-8")
    datasets.check(world.gateway, world.people["steward"], "trial")


def opened(world: World, release: Release) -> dict[str, pd.DataFrame]:
    to = world.home / f"opened-{release.id}"
    package.open_release(world.folder(release), world.identities["researcher"], to)
    return {path.stem: pd.read_parquet(path) for path in to.glob("*.parquet")}


def stopped(world: World, **terms: Any) -> Release:
    release = world.run(world.approved(**terms))
    assert release.step is Step.QUEUED
    assert release.fault
    return release


def test_a_release_under_review_stops_with_places_and_goes_on_when_all_is_decided(fresh: World) -> None:
    choose(fresh, uncoded="lose", rare_terms="review", rare_below=6)
    release = stopped(fresh)
    assert "AE.AEDECOD" in release.fault.replace("`", "").upper()
    steward = fresh.people["steward"]
    waiting = rare_terms.listing(fresh.gateway, steward, "trial")
    assert len(waiting) > 3
    assert not any(one.term in release.fault.casefold() for one in waiting)
    up, kept, blank = [one.id for one in waiting if one.prefix == "AE"][:3]
    rare_terms.decide(fresh.gateway, steward, "trial", [up], choice="up", reason="too few")
    rare_terms.decide(fresh.gateway, steward, "trial", [blank], choice="blank", reason="a lawsuit is known")
    releases.start(fresh.gateway, steward, release.id)
    assert fresh.run(release.id).step is Step.QUEUED, "some still wait"
    rare_terms.decide(fresh.gateway, steward, "trial", [], choice="keep", reason="common knowledge")
    releases.start(fresh.gateway, steward, release.id)
    done = fresh.run(release.id)
    assert (done.step, done.fault) == (Step.DELIVERED, "")
    left = {text.casefold() for text in opened(fresh, done)["AE"]["AEDECOD"].dropna()}
    terms = {one.id: one.term for one in waiting}
    assert terms[kept] in left
    assert not {terms[up], terms[blank]} & left
    assert rare_terms.listing(fresh.gateway, steward, "trial") == []


def test_no_term_and_no_reason_stands_in_an_event_and_each_look_is_one(fresh: World) -> None:
    choose(fresh, uncoded="lose", rare_terms="review", rare_below=6)
    stopped(fresh)
    steward = fresh.people["steward"]
    waiting = rare_terms.listing(fresh.gateway, steward, "trial")
    rare_terms.decide(fresh.gateway, steward, "trial", [], choice="keep", reason="reason-told-to-nobody")
    said = "\n".join(str(event) for event in fresh.events()).casefold()
    assert "reason-told-to-nobody" not in said
    assert not [one.term for one in waiting if one.prefix and re.search(rf"\b{re.escape(one.term)}\b", said)]
    kinds = [event.kind for event in fresh.events()]
    for kind in (EventKind.TERMS_WAITING, EventKind.TERMS_READ, EventKind.TERM_DECIDED):
        assert kinds.count(kind) == 1, kind


def test_only_a_steward_sees_or_decides_terms_and_a_decision_needs_a_reason(fresh: World) -> None:
    steward = fresh.people["steward"]
    for who in ("researcher", "auditor", "operator"):
        with pytest.raises(NotAllowed):
            rare_terms.listing(fresh.gateway, fresh.people[who], "trial")
        with pytest.raises(NotAllowed):
            rare_terms.decide(fresh.gateway, fresh.people[who], "trial", [], choice="keep", reason="x")
    with pytest.raises(Invalid, match="reason"):
        rare_terms.decide(fresh.gateway, steward, "trial", [], choice="keep", reason=" ")
    with pytest.raises(Invalid, match="choice"):
        rare_terms.decide(fresh.gateway, steward, "trial", [], choice="publish", reason="x")
    with pytest.raises(NotFound):
        rare_terms.decide(fresh.gateway, steward, "trial", ["t-1"], choice="keep", reason="x")


def test_an_uncoded_verbatim_stops_the_release_until_the_steward_chooses(fresh: World) -> None:
    file = fresh.study / "cm.csv"
    medication = pd.read_csv(file, dtype=str, keep_default_na=False)
    medication.loc[medication.index % 3 > 0, "CMDECOD"] = "UNCODED"
    medication.to_csv(file, index=False)
    datasets.add(fresh.gateway, fresh.people["steward"], fresh.study, key="trial", accept=True)
    choose(fresh)
    fault = stopped(fresh).fault
    assert re.search(r"`CM.CMTRT`: \d+% coded in `CMDECOD`", fault)
    choose(fresh, uncoded="lose")
    done = fresh.released()
    assert "CMTRT" not in opened(fresh, done)["CM"]
    assert done.values["coding"][0]["done"] == "lose"
    choose(fresh, uncoded="redact")
    assert opened(fresh, fresh.released(project="another"))["CM"]["CMTRT"].notna().any()


def test_files_beside_the_tables_are_held_and_never_leave(fresh: World) -> None:
    (fresh.study / "narratives.txt").write_text("Subject fell on 4 July 2013.", "utf-8")
    (fresh.study / "scan.pdf").write_bytes(b"%PDF-1.4 a picture")
    datasets.check(fresh.gateway, fresh.people["steward"], "trial")
    release = fresh.released()
    names = {path.name for path in fresh.folder(release).iterdir()}
    assert not any("narrative" in name or "scan" in name for name in names)
    assert release.values["held"] == 2
    assert [one.name for one in documents.held(fresh.gateway, fresh.people["steward"], "trial")] == [
        "narratives.txt", "scan.pdf",
    ]  # fmt: skip


def test_the_command_line_lists_and_decides(tmp_path: Path, cli: Any) -> None:
    home, study = tmp_path / "home", write_trial(tmp_path / "study", subjects=60, fmt="csv")
    assert cli(home, "datasets", "add", study, "--id", "trial", "--accept").code == 0
    assert cli(home, "terms", "list", "trial").out.strip() == "no terms wait"
    refused = cli(home, "terms", "decide", "trial", "keep", "t-1", "--reason", "x")
    assert refused.code == 5
    assert "no such term" in refused.err


def test_report_and_manifest_of_a_public_release_say_what_became_of_terms_and_name_none(fresh: World) -> None:
    release = fresh.released(mode="public", tables=["DM", "AE", "CM"])
    manifest = json.loads((fresh.folder(release) / "manifest.json").read_text("utf-8"))
    page = (fresh.folder(release) / "report.html").read_text("utf-8")
    assert manifest["terms"]["rule"] == "up"
    assert "digest" not in manifest["terms"]
    changed = {table["name"]: table["terms_changed"] for table in manifest["tables"]}
    assert changed["AE"]["AEDECOD"] != 0
    assert "Words and terms" in page
    steps = [event for event in fresh.events() if event.kind == EventKind.RELEASE_STEP and "redacted" in event.facts]
    assert any("AEDECOD: term" in told for event in steps for told in event.facts["redacted"])
    before = set(pd.read_csv(fresh.study / "ae.csv")["AEDECOD"].dropna())
    gone = before - set(opened(fresh, release)["AE"]["AEDECOD"].dropna())
    assert gone
    said = page + json.dumps(manifest) + "\n".join(map(str, fresh.events()))
    assert not [term for term in gone if re.search(rf"\b{re.escape(term)}\b", said, re.IGNORECASE)]
