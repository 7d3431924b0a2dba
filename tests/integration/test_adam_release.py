"""SDTM and ADaM of the pilot study released together: one set of ids, dates and copies, and the same analysis."""

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from gateway.crypto import keys, recipients
from pseudonymization.pseudonyms import ProjectKey, subject_pseudonyms

DATA = Path(__file__).resolve().parents[2] / "../shared/data"
ARCHIVES = [DATA / "cdiscpilot01-sdtm.zip", DATA / "cdiscpilot01-adam.zip"]
SDTM = ("DM", "AE", "DS", "EX", "LB", "MH", "SE", "SV", "RELREC", "TA", "TV")
ADAM = ("ADSL", "ADAE", "ADLBC", "ADQSCIBC", "ADTTE")
TABLES = (*SDTM, *ADAM)
COPIES = {
    "ADAE": ("SITEID", "AGE", "AGEGR1", "RACE", "SEX", "SAFFL", "TRTSDT", "TRTEDT"),
    "ADLBC": ("TRTSDT", "TRTEDT", "AGE", "AGEGR1", "RACE", "SEX", "COMP24FL", "DSRAEFL", "SAFFL"),
    "ADQSCIBC": ("SITEID", "TRTSDT", "TRTEDT", "AGE", "RACE", "SEX", "ITTFL", "EFFFL", "COMP24FL"),
    "ADTTE": ("SITEID", "AGE", "RACE", "SEX", "TRTSDT", "TRTEDT", "TRTDUR", "SAFFL"),
}
UNIX_DAY_ZERO = 3653  # days from 1960-01-01, where SAS counts from

pytestmark = pytest.mark.skipif(
    not all(path.is_file() for path in ARCHIVES), reason="the pilot study (../shared) is not on this machine"
)


@dataclass
class Both:
    """The study before and after; `people`: original id → pseudonym; `told`: the manifest; `report`: the page;
    `log`: the events."""

    before: dict[str, pd.DataFrame]
    after: dict[str, pd.DataFrame]
    people: dict[str, str]
    told: dict[str, Any]
    report: str
    log: str

    def linked(self, table: str) -> pd.DataFrame:
        """The original rows in the order in which they were released: by pseudonym, within a subject as before."""
        frame = self.before[table]
        frame = frame.assign(_to=frame["USUBJID"].map(self.people))
        return frame.sort_values("_to", kind="stable", ignore_index=True)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder with both packages in it."""
    folder = tmp_path_factory.mktemp("study")
    for archive in ARCHIVES:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def both(study: Path, tmp_path_factory: pytest.TempPathFactory, cli: Callable[..., Any]) -> Both:
    home, out = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("out")
    assert cli(home, "datasets", "add", study, "--id", "pilot", "--accept").code == 0
    secret, public = recipients.generate()
    identity = out / "me.key"
    identity.write_text(secret + "\n", "utf-8")
    request = {
        "dataset": "pilot",
        "tables": list(TABLES),
        "mode": "controlled",
        "project": "alz-2026",
        "purpose": "scientific_research",
        "exporter": {"org": "Aldergrove Trials", "country": "US", "roles": ["trial_sponsor"]},
        "recipient": {"org": "Maple Bay University", "country": "CA"},
        "destination": "CA",
        "keys": [public],
        "format": "parquet",
    }
    (out / "request.json").write_text(json.dumps(request), "utf-8")
    ran = cli(home, "release", out / "request.json", "--out", out / "extract")
    assert ran.code == 0, ran.err
    ran = cli(home, "open", out / "extract", "--identity", identity, "--out", out / "plain")
    assert ran.code == 0, ran.err
    before = {
        path.stem.upper(): pyreadstat.read_xport(str(path), disable_datetime_conversion=True)[0]
        for path in sorted(study.rglob("*.xpt"))
        if path.stem.upper() in TABLES
    }
    after = {path.stem.upper(): pd.read_parquet(path) for path in sorted((out / "plain").rglob("*.parquet"))}
    key = ProjectKey.derive(keys.load(home / "keys", strict=True).derive("projects"), "alz-2026")
    ids = list(before["DM"]["USUBJID"])
    people = dict(zip(ids, subject_pseudonyms(key, ids), strict=True))
    told = json.loads((out / "extract" / "manifest.json").read_text("utf-8"))
    log = cli(home, "audit", "list", "--json").out
    return Both(before, after, people, told, (out / "extract" / "report.html").read_text("utf-8"), log)


def days(frame: pd.DataFrame, column: str) -> np.ndarray:
    """A date column as days since 1970-01-01, NaN where missing, from SAS numbers, Arrow dates or ISO texts."""
    values = frame[column]
    if pd.api.types.is_numeric_dtype(values):
        return (values - UNIX_DAY_ZERO).to_numpy(float)
    texts = values.astype(object).map(lambda value: str(value)[:10] if value is not None else "")
    whole = texts.map(lambda text: len(text) == 10)
    out = np.full(len(values), np.nan)
    out[whole.to_numpy()] = texts[whole].to_numpy("datetime64[D]").astype(int)
    return out


def same(left: Any, right: Any) -> bool:
    """Whether two columns say the same, a missing value being one whatever its form."""
    return plain(left) == plain(right)


def plain(values: Any) -> list[Any]:
    return [None if value is None or value == "" or pd.isna(value) else value for value in list(values)]


def test_every_table_of_both_packages_is_there_with_all_its_rows(both: Both) -> None:
    assert {name: len(frame) for name, frame in both.after.items()} == {
        name: len(frame) for name, frame in both.before.items()
    }


def test_one_set_of_pseudonyms_stands_in_both_packages(both: Both) -> None:
    known = set(both.people.values())
    assert set(both.after["DM"]["USUBJID"]) == known
    for name, frame in both.after.items():
        if "USUBJID" in frame:
            assert list(frame["USUBJID"]) == list(both.linked(name)["_to"]), name
    assert set(both.after["ADSL"]["USUBJID"]) < known


def test_case_28_screen_failures_count_though_adsl_lacks_them(both: Both) -> None:
    assert (len(both.after["DM"]), len(both.after["ADSL"])) == (306, 254)
    assert both.told["risk"]["before"]["subjects"] == both.told["risk"]["after"]["subjects"] == 306


@pytest.mark.parametrize("table", sorted(COPIES))
def test_case_13_adam_copies_agree_with_the_released_adsl_everywhere(both: Both, table: str) -> None:
    subjects, copy = both.after["ADSL"].set_index("USUBJID"), both.after[table]
    shared = [name for name in COPIES[table] if name in copy and name in subjects]
    assert {"TRTSDT", "AGE", "SEX", "RACE"} <= set(shared)
    for name in shared:
        assert same(copy["USUBJID"].map(subjects[name]), copy[name]), name


def test_case_13_adsl_agrees_with_the_released_dm(both: Both) -> None:
    dm, adsl = both.after["DM"].set_index("USUBJID"), both.after["ADSL"]
    shared = [
        name
        for name in ("SITEID", "ARM", "AGE", "RACE", "SEX", "ETHNIC", "RFSTDTC", "RFENDTC", "DTHFL")
        if name in adsl
    ]
    assert {"AGE", "SEX", "RFSTDTC"} <= set(shared)
    for name in shared:
        assert same(adsl["USUBJID"].map(dm[name]), adsl[name]), name


def test_every_date_of_a_subject_moves_by_one_number_of_days_in_both_packages(both: Both) -> None:
    moved: dict[str, set[int]] = {}
    cells = 0
    for name in TABLES:
        before, after = both.linked(name) if "USUBJID" in both.before[name] else both.before[name], both.after[name]
        for column in after.columns:
            if not column.endswith(("DTC", "DT")):
                continue
            apart = days(after, column) - days(before, column)
            stands = ~np.isnan(apart)
            assert list(stands) == list(~np.isnan(days(before, column))), (name, column)
            cells += int(stands.sum())
            for who, by in set(zip(before["_to"][stands], apart[stands], strict=True)):
                moved.setdefault(who, set()).add(int(by))
    assert cells > 300_000
    assert len(moved) == 306
    assert {len(by) for by in moved.values()} == {1}
    assert len({min(by) for by in moved.values()}) > 250


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("AE", ("AESTDY", "AEENDY")),
        ("LB", ("LBDY", "VISITDY")),
        ("ADAE", ("ASTDY", "AENDY", "ADURN", "TRTEMFL")),
        ("ADLBC", ("ADY", "AVAL", "CHG", "VISITNUM")),
        ("ADSL", ("TRTDUR", "CUMDOSE", "TRT01PN")),
        ("ADTTE", ("AVAL", "CNSR", "TRTDUR")),
    ],
)
def test_study_days_durations_and_results_are_untouched(both: Both, table: str, columns: tuple[str, ...]) -> None:
    before, after = both.linked(table), both.after[table]
    present = [name for name in columns if name in before]
    assert len(present) >= 2
    for name in present:
        assert same(before[name], after[name]), name


@pytest.mark.parametrize(
    ("table", "start", "end", "day"),
    [("ADAE", "TRTSDT", "ASTDT", "ASTDY"), ("ADLBC", "TRTSDT", "ADT", "ADY"), ("ADTTE", "STARTDT", "ADT", "AVAL")],
)
def test_case_03_study_days_counted_again_from_the_released_dates_are_what_they_were(
    both: Both, table: str, start: str, end: str, day: str
) -> None:
    def differ(frame: pd.DataFrame) -> list[bool]:
        apart = days(frame, end) - days(frame, start)
        counted = apart + (apart >= 0)
        return list((counted != frame[day].to_numpy(float)) & ~np.isnan(apart))

    assert differ(both.linked(table)) == differ(both.after[table])
    if day != "AVAL":
        assert not (both.after[table][day] == 0).any()


def test_case_03_the_one_native_study_day_error_is_kept_and_reported(both: Both) -> None:
    def wrong(tables: dict[str, pd.DataFrame]) -> list[int]:
        ae, dm = tables["AE"], tables["DM"].set_index("USUBJID")
        start = days(pd.DataFrame({"at": ae["USUBJID"].map(dm["RFSTDTC"])}), "at")
        apart = days(ae, "AESTDTC") - start
        counted = apart + (apart >= 0)
        bad = ~np.isnan(apart) & ~np.isnan(ae["AESTDY"].to_numpy(float)) & (counted != ae["AESTDY"].to_numpy(float))
        return [int(at) for at in np.flatnonzero(bad)]

    before = wrong({"AE": both.linked("AE"), "DM": both.before["DM"]})
    assert len(before) == 1
    assert wrong(both.after) == before
    ae = next(table for table in both.told["tables"] if table["name"] == "AE")
    assert ae["study_days"]["AESTDY"]["differing"] == "<11"
    assert ae["study_days"]["AESTDY"]["checked"] > 1_000
    assert "AE.AESTDY" in both.report[both.report.index("Study days that the source counts otherwise") :]


def test_case_05_no_shift_of_a_subject_stands_in_the_report_the_manifest_or_the_log(both: Both) -> None:
    start, moved = both.linked("DM"), both.after["DM"]
    deltas = {str(int(by)) for by in days(moved, "RFSTDTC") - days(start, "RFSTDTC") if not np.isnan(by)}
    assert len(deltas) > 240
    for told in (json.dumps(both.told), both.report, both.log):
        assert not deltas & set(re.findall(r"(?<![0-9a-fA-F])\d{5}(?![0-9a-fA-F])", told))


def kaplan_meier(frame: pd.DataFrame) -> dict[str, list[tuple[float, float]]]:
    """The product-limit estimate per arm: at each event time the share still without the event (Kaplan, Meier 1958)."""
    curves = {}
    for arm, rows in frame.groupby("TRTP"):
        times, censored = rows["AVAL"].to_numpy(float), rows["CNSR"].to_numpy(float)
        at_risk, share, curve = len(times), 1.0, []
        for time in np.unique(times):
            events = int(((times == time) & (censored == 0)).sum())
            if events:
                share *= 1 - events / at_risk
                curve.append((float(time), share))
            at_risk -= int((times == time).sum())
        curves[str(arm)] = curve
    return curves


def test_kaplan_meier_curves_by_arm_are_the_same(both: Both) -> None:
    before, after = kaplan_meier(both.before["ADTTE"]), kaplan_meier(both.after["ADTTE"])
    assert after == before
    assert (len(before), min(map(len, before.values())) > 10) == (3, True)


def test_case_02_flips_of_partial_dates_are_reported(both: Both) -> None:
    told = {table["name"]: table["date_flips"] for table in both.told["tables"]}
    assert told["MH"]["MHSTDTC"]["partial"] > 600
    assert set(told["MH"]["MHSTDTC"]) == {"partial", "flipped", "clamped"}


def test_case_13_a_copy_that_disagrees_stops_the_release_with_table_variable_and_rows(
    trial: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    home, study = tmp_path / "home", tmp_path / "study"
    shutil.copytree(trial, study)
    dm = pd.read_csv(study / "dm.csv", dtype=str, keep_default_na=False)
    adsl = dm[["STUDYID", "USUBJID", "SEX"]].copy()
    adsl.loc[3, "SEX"] = "F" if adsl.loc[3, "SEX"] == "M" else "M"
    adsl.to_csv(study / "adsl.csv", index=False)
    assert cli(home, "datasets", "add", study, "--id", "trial", "--country", "US", "--accept").code == 0
    request = {
        "dataset": "trial",
        "tables": ["DM", "ADSL"],
        "mode": "controlled",
        "project": "p",
        "purpose": "scientific_research",
        "exporter": {"org": "Aldergrove Trials", "country": "US", "roles": ["trial_sponsor"]},
        "recipient": {"org": "Maple Bay University", "country": "CA"},
        "destination": "CA",
        "keys": [recipients.generate()[1]],
        "format": "csv",
    }
    (tmp_path / "request.json").write_text(json.dumps(request), "utf-8")
    stopped = cli(home, "release", tmp_path / "request.json", "--out", tmp_path / "out")
    said = " ".join(f"{stopped.out} {stopped.err}".split())
    assert stopped.code != 0
    assert "a copy does not say what its source `DM.SEX` says" in said
    assert "`ADSL.SEX` row 4" in said
    assert not (tmp_path / "out").exists()
    file = home / "datasets" / "trial" / "columns.yaml"
    text = file.read_text("utf-8")
    where = "options:\n" if "\noptions:\n" in text else "tables:\n"
    chosen = "options:\n  copies: source\n" + ("" if where == "options:\n" else where)
    file.write_text(text.replace(where, chosen, 1), "utf-8")
    assert cli(home, "datasets", "check", "trial").code == 0
    released = cli(home, "release", tmp_path / "request.json", "--out", tmp_path / "out")
    assert released.code == 0, released.err
