"""Somebody who knows some subjects' true records attacks both releases of the pilot study: what is told of it holds."""

import json
import zipfile
from pathlib import Path

import pytest

from gateway.crypto import recipients
from tests.integration.conftest import run_cli

ARCHIVE = Path(__file__).resolve().parents[2] / "../shared/data/cdiscpilot01-sdtm.zip"
pytestmark = pytest.mark.skipif(not ARCHIVE.is_file(), reason="the pilot study (../shared) is not on this machine")
NAMES = [
    "demographics", "two dates", "visit gaps", "clock times", "lab values", "rare term",
    "demographics, two dates and a term", "singling out", "linkage", "inference of the commonest term",
]  # fmt: skip


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Manifest and report of a release in each mode."""
    base = tmp_path_factory.mktemp("attacked")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(base, [name for name in archive.namelist() if Path(name).stem in {"dm", "ae", "lb", "sv"}])
    study = next(path.parent for path in base.rglob("dm.xpt"))
    key = recipients.generate()[1]
    added = run_cli(base / "home", "datasets", "add", study, "--id", "pilot", "--accept")
    assert added.code == 0, added.err
    found = {}
    for mode in ("controlled", "public"):
        document = {
            "dataset": "pilot", "tables": ["DM", "AE", "LB", "SV"], "mode": mode, "project": f"{mode}-2026",
            "purpose": "scientific_research",
            "exporter": {"org": "Aldergrove Trials", "country": "US", "roles": ["trial_sponsor"]},
            "recipient": {"org": "Maple Bay University", "country": "CA"}, "destination": "CA", "keys": [key],
            "format": "parquet",
        }  # fmt: skip
        (base / f"{mode}.yaml").write_text(json.dumps(document))
        ran = run_cli(base / "home", "release", base / f"{mode}.yaml", "--out", base / mode)
        assert ran.code == 0, ran.err
        manifest = json.loads((base / mode / "manifest.json").read_bytes())
        found[mode] = manifest, (base / mode / "report.html").read_text("utf-8")
    return found


@pytest.mark.parametrize("mode", ["controlled", "public"])
def test_demographics_no_longer_find_a_subject_more_often_than_the_rules_allow(released, mode):
    manifest = released[mode][0]
    rates = {one["name"]: one for one in manifest["attacks"]["attacks"]}
    assert list(rates) == NAMES
    step, allowed = manifest["attacks"]["rounded_up_to"], manifest["plan"]["safeguards"]
    bound = allowed["average_risk"] / allowed["attempt"]
    for name in ("demographics", "linkage"):
        assert rates[name]["before"] >= 0.5, "before, most subjects are found"
        assert rates[name]["after"] <= bound + step
    assert rates["singling out"]["before"] > rates["singling out"]["after"] <= step
    assert rates["two dates"]["after"] < rates["two dates"]["before"]
    for one in rates.values():
        assert 0 <= one["baseline"] <= one["before"] <= 1


@pytest.mark.parametrize("mode", ["controlled", "public"])
def test_what_a_shift_leaves_is_measured_and_stated(released, mode):
    """254 of 306 subjects were treated: each has a sequence of visit gaps of its own, and 252 a set of clock times."""
    manifest, report = released[mode]
    residual = manifest["attacks"]["residual"]
    assert residual["visit gaps"] == {"before": 0.83, "after": 0.83}
    assert residual["clock times"] == {"before": 0.82, "after": 0.82}
    assert "83 % of the" in " ".join(report.split())
    assert "Visit gaps" in report
    assert "Blind guess" in report


@pytest.mark.parametrize("mode", ["controlled", "public"])
def test_rates_are_told_in_steps_behind_which_no_small_count_stands(released, mode):
    told = released[mode][0]["attacks"]
    for one in told["attacks"]:
        for side in ("before", "after"):
            steps = one[side] / told["rounded_up_to"]
            assert steps == pytest.approx(round(steps))
