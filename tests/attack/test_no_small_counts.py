"""How many subjects a small group has is said nowhere outside an opened extract and its manifest.

Two studies are alike but for one thing: how many of their subjects live in France, three or seven. Whatever is said
of a refusal or a failure must be the same, word for word, for both. So must what the log says of a release.
"""

import csv
import json
import re
from pathlib import Path

import pytest

from gateway.actions.guard import translate
from gateway.domain.release import Step
from gateway.release.treat import SMALLEST_SHOWN, protected
from pseudonymization.faults import Unreachable
from tests.attack.conftest import Stage, raised

SUBJECTS = 60
FEW, MORE = 3, 7
FRENCH = [{"table": "DM", "column": "COUNTRY", "in": ["FRA"]}]
TABLES = ["DM", "AE"]


def write_study(folder: Path, french: int) -> Path:
    """DM and AE of 60 subjects, `french` of them in France; all else is the same."""
    folder.mkdir()
    people = [
        {"STUDYID": "S", "DOMAIN": "DM", "USUBJID": f"S-{at:04d}", "RFSTDTC": f"2021-0{1 + at % 9}-11",
         "AGE": 30 + at % 3 * 10, "SEX": "FM"[at % 2], "COUNTRY": "FRA" if at < french else "USA"}
        for at in range(SUBJECTS)
    ]  # fmt: skip
    events = [
        {"STUDYID": "S", "DOMAIN": "AE", "USUBJID": person["USUBJID"], "AESEQ": 1, "AEDECOD": "HEADACHE",
         "AESTDTC": "2021-10-02"}
        for person in people
    ]  # fmt: skip
    for name, rows in (("dm", people), ("ae", events)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder


MASKS = (
    (re.compile(r"\b[qrd]-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{12,64}\b"), "HEX"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"), "TIME"),
    (re.compile(r'"(wall|cpu)_seconds": [\d.]+'), "SECONDS"),
    (re.compile(r"'?(content-length|etag)'?: '?[^,')]*", re.IGNORECASE), "LENGTH"),
    (re.compile(r'"size": ?\d+'), "SIZE"),
    (re.compile(r"/\S*/(few|more)\b"), "FOLDER"),
    (re.compile(r"age1\w+"), "KEY"),
)


def masked(text: str) -> str:
    for pattern, word in MASKS:
        text = pattern.sub(word, text)
    return text


def play(stage: Stage, french: int, capfd: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    """Refusals, failures and one success; everything that was said, but for the extract and the manifest."""
    stage.register("s", write_study(stage.folder / "study", french))
    capfd.readouterr()
    for mode in ("public", "controlled"):
        drafted = stage.call(
            "POST", "/v1/requests", "researcher", json=stage.document("s", TABLES, rows=FRENCH, mode=mode)
        )
        url = f"/v1/requests/{drafted.json()['id']}"
        stage.call("POST", f"{url}/submit", "researcher")
        stage.call("GET", f"{url}/decision", "researcher")
        stage.call("POST", f"{url}/approve", "researcher", json={"note": "x"})
        release = stage.call("POST", f"{url}/approve", "steward", json={"note": "x"}).json()["release"]
        assert (stage.run(release).step is Step.DELIVERED) == (mode == "controlled")
        stage.call("GET", f"/v1/releases/{release}", "researcher")
        stage.call("GET", f"/v1/releases/{release}/files", "researcher")
    (stage.folder / "request.yaml").write_text(json.dumps(stage.document("s", TABLES, rows=FRENCH, mode="public")))
    for more in ([], ["--json"]):
        assert stage.cli("release", stage.folder / "request.yaml", "--out", stage.folder / "out", "--note", "x", *more)
        stage.cli("datasets", "show", "s", *more)
        stage.cli("datasets", "check", "s", *more)
    assert stage.run(stage.approved("s", TABLES)).step is Step.DELIVERED
    stage.call("GET", "/v1/audit/events?limit=1000", "auditor")
    stage.cli("audit", "list", "--json", "--limit", "1000")
    out, err = capfd.readouterr()
    stage.net.catch("standard output", out)
    stage.net.catch("standard error", err)
    return [(masked(where), masked(text)) for where, text in stage.net.said]


def test_what_is_said_does_not_depend_on_how_many_a_small_group_has(
    stage: Stage, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = {}
    for name, french in (("few", FEW), ("more", MORE)):
        (tmp_path / name).mkdir()
        said[name] = play(raised(tmp_path / name, stage.gateway), french, capfd)
    assert len(said["few"]) > 20
    differ = []
    for few, more in zip(said["few"], said["more"], strict=True):
        differ += [(few, more)] if few != more else []
    assert [(few[0], *unlike(few[1], more[1])) for few, more in differ] == []


def unlike(first: str, second: str) -> tuple[str, str]:
    """The first place where two texts differ, with what stands before it."""
    at = next((at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), 0)
    return first[max(0, at - 300) : at + 60], second[max(0, at - 20) : at + 60]


def test_the_comparison_sees_a_small_count() -> None:
    assert masked("loosen one of: blank limit 0.05") != masked("loosen one of: blank limit 0.1167")
    assert masked('"k": 3') != masked('"k": 7')
    assert masked("3 subjects") != masked("7 subjects")


@pytest.mark.parametrize("few", range(1, SMALLEST_SHOWN))
def test_the_nearest_that_can_be_met_gives_no_small_count_away(few: int) -> None:
    nearest = {"k": float(few), "blank_limit": few / SUBJECTS, "average_risk": 1 / few}
    told = translate(Unreachable("it cannot be met", nearest=nearest, cure=f"loosen one of: k {few}"))
    assert told.cure == "loosen one of: k below 11, blank limit 0.25, average risk above 0.09"


def test_what_no_small_count_stands_behind_is_told() -> None:
    nearest = {"k": 12.0, "blank_limit": 0.61, "average_risk": 0.081}
    told = translate(Unreachable("it cannot be met", nearest=nearest))
    assert told.cure == "loosen one of: k 12, blank limit 0.75, average risk 0.1"


def test_counts_are_protected_from_one_to_ten() -> None:
    assert [protected(count) for count in (0, 1, 10, 11, 12)] == [0, "<11", "<11", 11, 12]
