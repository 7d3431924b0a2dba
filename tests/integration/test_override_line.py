"""A steward's override over HTTP changes exactly the column that it names, and is seen in report, manifest and log."""

import json

import pandas as pd
import pytest

from gateway import audit
from gateway.client import package

REASON = "Dr Quill asked: severity is coarser than the outcome and tells nothing more"


@pytest.fixture(scope="module")
def both(world, tmp_path_factory):
    """One request released before and after a line was overridden over HTTP."""
    tables, frames, folders = ["DM", "AE", "LB"], [], []
    for turn in ("before", "after"):
        if turn == "after":
            told = {"variable": "AE.AESEV", "treat": "remove", "reason": REASON, "accept_risk": False}
            answer = world.call("steward", "POST", "/v1/datasets/trial/overrides", json=told)
            assert answer.status_code == 201, answer.text
        release = world.released(tables=tables, project="overrides")
        folder = world.folder(release)
        opened = tmp_path_factory.mktemp(turn)
        _, files = package.open_release(folder, world.identities["researcher"], opened / "plain")
        frames.append({file.stem: pd.read_parquet(file) for file in files if file.suffix == ".parquet"})
        folders.append(folder)
    return frames, folders


def test_an_override_changes_the_column_that_it_names_and_no_other_cell(both):
    (before, after), _ = both
    assert set(before) == set(after) == {"DM", "AE", "LB"}
    assert "AESEV" in before["AE"]
    assert "AESEV" not in after["AE"]
    for name, frame in before.items():
        left = frame.drop(columns=["AESEV"], errors="ignore")
        assert list(left) == list(after[name])
        pd.testing.assert_frame_equal(left, after[name])


def test_an_override_is_seen_in_the_report_and_the_manifest(both):
    _, (before, after) = both
    lines = []
    for folder in (before, after):
        manifest = json.loads((folder / "manifest.json").read_bytes())
        lines.append(next(c for c in manifest["plan"]["columns"] if (c["table"], c["column"]) == ("AE", "AESEV")))
    assert [line["treatment"] for line in lines] == ["keep", "remove"]
    assert ["overridden by steward" in line["why"] for line in lines] == [False, True]
    pages = [(folder / "report.html").read_text("utf-8") for folder in (before, after)]
    assert ["overridden by steward" in page for page in pages] == [False, True]
    assert "Quill" not in pages[1]
    assert "Quill" not in (after / "manifest.json").read_text("utf-8")


def test_an_override_is_an_event_and_its_reason_is_personal_text(both, world):
    with world.gateway.store.reading() as connection:
        told = audit.events(connection, kind="dataset.overridden", personal=True).events
        plain = audit.events(connection, kind="dataset.overridden").events
    assert len(told) == len(plain) == 1
    facts = told[0].facts
    assert (facts["variable"], facts["rule"]) == ("AE.AESEV", "remove")
    assert REASON in str(told[0])
    assert REASON not in str(plain[0])
