"""The pilot study through the whole line, twice: nothing original leaves, and what leaves still works as a trial."""

import hashlib
import json
import re
import shutil
import subprocess
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyreadstat
import pytest
from pycanon import anonymity

from gateway.context import open_gateway
from gateway.crypto import recipients
from gateway.release.work import scope_key
from gateway.settings import Settings
from pseudonymization.pseudonyms import subject_pseudonyms

ARCHIVE = Path(__file__).resolve().parents[2] / "../shared/data/cdiscpilot01-sdtm.zip"
TABLES = ("DM", "AE", "LB", "CM", "MH", "DS", "SV", "RELREC", "SUPPAE", "SUPPDM")
DATE = re.compile(r"\d{4}-\d\d-\d\d")
MODES = ("controlled", "public")

# Numbers that were measured, given or counted (a kinase of 709 U/L, a dose of 1250 mg, day -1148): equal to the number
# of a site or a subject by chance only. That each is what it was in the source, row by row, is tested below.
MEASURED = {"LBORRES", "LBSTRESC", "LBSTRESN", "CMDOSE", "CMSTDY"}

TERMS = re.compile("terms that few|marks a death")
"""What the plan says of a column whose rare terms go up or are emptied, or whose marks of deaths are."""

pytestmark = pytest.mark.skipif(not ARCHIVE.is_file(), reason="the pilot study (../shared) is not on this machine")


@dataclass
class Pilot:
    """The study before and after. `people`: release → original id → pseudonym."""

    before: dict[str, pd.DataFrame]
    after: dict[str, dict[str, pd.DataFrame]]
    manifests: dict[str, dict[str, Any]]
    folders: dict[str, Path]
    identities: list[Path]
    people: dict[str, dict[str, str]]

    def linked(self, table: str, mode: str) -> pd.DataFrame:
        """The original rows in the order in which they were released: by pseudonym, within a subject as before."""
        frame = self.before[table].assign(_to=self.before[table]["USUBJID"].map(self.people[mode]))
        return frame.sort_values("_to", kind="stable", ignore_index=True)


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Text blanks and missing values of the two formats under one name: None."""
    held = frame.astype(object)
    return held.mask(held.isna() | (held == ""), None)


def read(path: Path) -> pd.DataFrame:
    return plain(pyreadstat.read_xport(str(path))[0] if path.suffix == ".xpt" else pd.read_parquet(path))


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory, cli: Callable[..., Any]) -> Pilot:
    base = tmp_path_factory.mktemp("pilot")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(base)
    study = next(path.parent for path in base.rglob("dm.xpt"))
    home, identities, public = base / "home", [], []
    for number in range(2):
        secret, key = recipients.generate()
        identities.append(base / f"{number}.key")
        identities[-1].write_text(secret + "\n", "utf-8")
        public.append(key)
    added = cli(home, "datasets", "add", study, "--id", "pilot", "--accept")
    assert added.code == 0, added.err
    after, manifests, folders = {}, {}, {}
    jobs = {
        "controlled": ("controlled", "alz-2026", "parquet", list(TABLES)),
        "public": ("public", "alz-2026", "xport", list(TABLES)),
        "elsewhere": ("controlled", "sleep-2026", "parquet", ["DM"]),
    }
    for name, (mode, project, form, tables) in jobs.items():
        document = {
            "dataset": "pilot",
            "tables": tables,
            "mode": mode,
            "project": project,
            "purpose": "scientific_research",
            "exporter": {"org": "Aldergrove Trials", "country": "US", "roles": ["trial_sponsor"]},
            "recipient": {"org": "Maple Bay University", "country": "CA"},
            "destination": "CA",
            "keys": public,
            "format": form,
        }
        file, folder, opened = base / f"{name}.yaml", base / name, base / f"{name}-opened"
        file.write_text(json.dumps(document), "utf-8")
        released = cli(home, "release", file, "--out", folder)
        assert released.code == 0, released.err
        read_back = cli(home, "open", folder, "--identity", identities[0], "--out", opened, "--json")
        assert read_back.code == 0, read_back.err
        after[name] = {path.stem: read(path) for path in opened.iterdir()}
        manifests[name] = json.loads((folder / "manifest.json").read_bytes())
        folders[name] = folder
    before = {name: read(study / f"{name.lower()}.xpt") for name in TABLES}
    gateway = open_gateway(Settings(home=home))
    ids = list(before["DM"]["USUBJID"])
    people = {
        name: dict(zip(ids, subject_pseudonyms(scope_key(gateway, project, mode), ids), strict=True))
        for name, (mode, project, _, _) in jobs.items()
    }
    return Pilot(before, after, manifests, folders, identities, people)


def distinct(frame: pd.DataFrame, column: str) -> set[str]:
    """The values of a column as text; whole numbers without a point."""
    found = frame[column].dropna().unique()
    return {str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in found}


@pytest.mark.parametrize("mode", MODES)
def test_no_original_id_is_left_in_any_cell(pilot: Pilot, mode: str) -> None:
    original = pilot.before["DM"]
    wholes = set(original["USUBJID"])
    pieces = set(original["SUBJID"]) | set(original["SITEID"])
    assert (len(wholes), len(pieces) > 300) == (306, True)
    found = set()
    for frame in pilot.after[mode].values():
        for column in frame.columns:
            for value in distinct(frame, column):
                assert not any(whole in value for whole in wholes), column
                found |= {column} if pieces & set(re.findall(r"[A-Za-z0-9]+", value)) else set()
    assert found <= MEASURED


@pytest.mark.parametrize("mode", MODES)
def test_no_original_date_is_left_in_any_cell(pilot: Pilot, mode: str) -> None:
    def dates(frame: pd.DataFrame) -> set[str]:
        return {day for column in frame for value in distinct(frame, column) for day in DATE.findall(value)}

    original = set().union(*(dates(frame) for frame in pilot.before.values()))
    released = set().union(*(dates(frame) for frame in pilot.after[mode].values()))
    assert (len(original) > 900, len(released) > 900) == (True, True)
    assert not original & released


@pytest.mark.parametrize("mode", MODES)
def test_what_lies_beside_the_tables_holds_no_original_id_and_no_original_date(pilot: Pilot, mode: str) -> None:
    wholes = set(pilot.before["DM"]["USUBJID"])
    days = set(pilot.before["DM"]["RFSTDTC"].dropna()) | set(pilot.before["AE"]["AESTDTC"].dropna())
    beside = [path for path in pilot.folders[mode].iterdir() if path.suffix != ".age"]
    assert len(beside) == 7
    for path in beside:
        text = path.read_text("utf-8")
        assert not any(token in text for token in wholes | {day for day in days if len(day) >= 10}), path.name


@pytest.mark.parametrize("mode", MODES)
def test_no_row_and_no_subject_is_dropped(pilot: Pilot, mode: str) -> None:
    for name in TABLES:
        before, after = pilot.before[name], pilot.after[mode][name]
        assert (len(after), after["USUBJID"].nunique()) == (len(before), before["USUBJID"].nunique()), name
    assert {t["name"]: t["rows"] for t in pilot.manifests[mode]["tables"]} == {n: len(pilot.before[n]) for n in TABLES}


@pytest.mark.parametrize("mode", MODES)
def test_every_cell_of_every_kept_column_is_what_it_was(pilot: Pilot, mode: str) -> None:
    kept = [c for c in pilot.manifests[mode]["plan"]["columns"] if c["treatment"] == "keep"]
    assert len(kept) > 100
    for name in TABLES:
        before, after = pilot.linked(name, mode), pilot.after[mode][name]
        lifted = [c["column"] for c in kept if c["table"] == name and TERMS.search(c["detail"])]
        columns = [c["column"] for c in kept if c["table"] == name and c["column"] not in lifted]
        assert list(after["USUBJID"]) == list(before["_to"]), name
        assert mode == "public" or not lifted
        for column in lifted:
            same = (after[column] == before[column]) | (after[column].isna() & before[column].isna())
            words = set(after[column][~same].dropna())
            assert same.mean() > 0.4, (name, column)
            assert words <= set(before.filter(regex=r"(HLT|HLGT|BODSYS|SOC|CLAS)$").stack()), (name, column)
        pd.testing.assert_frame_equal(after[columns], before[columns], check_dtype=False, rtol=0, atol=0)


def pairs(left: pd.DataFrame, right: pd.DataFrame, on: list[str]) -> int:
    """How many pairs of rows a join gives."""
    there = Counter(map(tuple, right[on].itertuples(index=False, name=None)))
    return sum(there[key] for key in left[on].itertuples(index=False, name=None))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("left", "right", "on", "joined"),
    [
        ("AE", "DM", ["USUBJID"], 1191),
        ("LB", "DM", ["USUBJID"], None),
        ("CM", "DM", ["USUBJID"], None),
        ("MH", "DM", ["USUBJID"], None),
        ("DS", "DM", ["USUBJID"], None),
        ("SV", "DM", ["USUBJID"], None),
        ("SUPPDM", "DM", ["USUBJID"], None),
        ("LB", "SV", ["USUBJID", "VISITNUM"], None),
        ("CM", "AE", ["USUBJID"], None),
        ("AE", "AE", ["AESPID"], None),
        ("MH", "MH", ["MHSPID"], None),
    ],
)
def test_joins_give_the_same_counts(
    pilot: Pilot, mode: str, left: str, right: str, on: list[str], joined: int | None
) -> None:
    before = pairs(pilot.before[left], pilot.before[right], on)
    assert pairs(pilot.after[mode][left], pilot.after[mode][right], on) == before
    assert before == joined if joined else before > 500


def by_idvar(tables: dict[str, pd.DataFrame], relating: str) -> tuple[list[tuple[int, ...]], int]:
    """For each relating row the rows of its parent (RDOMAIN, IDVAR, IDVARVAL), in place numbers; and how many."""
    places: dict[tuple[Any, ...], list[int]] = {}
    for domain in ("AE", "CM", "DS", "LB", "MH"):
        variable = f"{domain}SEQ"
        for at, (subject, number) in enumerate(tables[domain][["USUBJID", variable]].itertuples(index=False)):
            places.setdefault((domain, variable, subject, float(number)), []).append(at)
    rows = tables[relating][["RDOMAIN", "IDVAR", "USUBJID", "IDVARVAL"]].itertuples(index=False, name=None)
    found = [tuple(places.get((d, v, s, float(value or "nan")), ())) for d, v, s, value in rows]
    return found, sum(len(one) for one in found)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("relating", "fewest"), [("SUPPAE", 1000), ("RELREC", 150)])
def test_qualifiers_and_relations_point_to_the_same_rows(pilot: Pilot, mode: str, relating: str, fewest: int) -> None:
    before, count = by_idvar({name: pilot.linked(name, mode) for name in TABLES}, relating)
    assert by_idvar(pilot.after[mode], relating) == (before, count)
    assert count > fewest


@pytest.mark.parametrize("mode", MODES)
def test_relations_group_the_same_records(pilot: Pilot, mode: str) -> None:
    def groups(frame: pd.DataFrame) -> list[int]:
        return [int(number) for number in pd.factorize(frame["RELID"])[0]]

    assert groups(pilot.after[mode]["RELREC"]) == groups(pilot.linked("RELREC", mode))
    assert len(set(groups(pilot.linked("RELREC", mode)))) > 50


def mismatches(tables: dict[str, pd.DataFrame]) -> set[int]:
    """Rows of AE whose study day is not what start and reference start say (SDTM has no day 0)."""
    start = dict(zip(tables["DM"]["USUBJID"], tables["DM"]["RFSTDTC"], strict=True))
    wrong = set()
    for at, (subject, begun, day) in enumerate(
        tables["AE"][["USUBJID", "AESTDTC", "AESTDY"]].itertuples(index=False, name=None)
    ):
        if begun and len(begun) >= 10 and day is not None:
            apart = (date.fromisoformat(begun[:10]) - date.fromisoformat(start[subject][:10])).days
            wrong |= {at} if apart + (apart >= 0) != day else set()
    return wrong


@pytest.mark.parametrize("mode", MODES)
def test_the_one_native_study_day_error_is_there_before_and_after(pilot: Pilot, mode: str) -> None:
    before = mismatches({"DM": pilot.linked("DM", mode), "AE": pilot.linked("AE", mode)})
    assert len(before) == 1
    assert mismatches(pilot.after[mode]) == before


@pytest.mark.parametrize("mode", MODES)
def test_every_date_cell_keeps_its_precision(pilot: Pilot, mode: str) -> None:
    cells, partial = 0, 0
    for name in TABLES:
        before, after = pilot.linked(name, mode), pilot.after[mode][name]
        for column in (c for c in before.columns if c.endswith("DTC")):
            if (mode, column) == ("public", "DTHDTC"):
                assert not after[column].any()
                continue
            shapes = [re.sub(r"\d", "9", text or "") for text in before[column]]
            assert [re.sub(r"\d", "9", text or "") for text in after[column]] == shapes, (name, column)
            cells += len(shapes)
            partial += sum(shape in {"9999", "9999-99"} for shape in shapes)
    assert (cells > 70_000, partial > 100) == (True, True)


@pytest.mark.parametrize("mode", MODES)
def test_intervals_within_a_subject_are_exact(pilot: Pilot, mode: str) -> None:
    moved: dict[str, set[int]] = {}
    for name in TABLES:
        before, after = pilot.linked(name, mode), pilot.after[mode][name]
        for column in (c for c in before.columns if c.endswith("DTC")):
            cells = set(zip(before["USUBJID"], before[column], after[column], strict=True))
            for subject, old, new in cells:
                if old and len(old) >= 10 and (mode, column) != ("public", "DTHDTC"):
                    apart = date.fromisoformat(new[:10]) - date.fromisoformat(old[:10])
                    moved.setdefault(subject, set()).add(apart.days)
    assert len(moved) == 306
    assert all(len(days) == 1 for days in moved.values())
    assert len({min(days) for days in moved.values()}) > 250


def quasi(pilot: Pilot, mode: str) -> tuple[pd.DataFrame, list[str]]:
    """The released subjects with the quasi-identifiers the manifest names; a blank is a value like any other."""
    named = [c for c in pilot.manifests[mode]["plan"]["columns"] if c["role"] == "quasi"]
    assert {c["table"] for c in named} == {"DM"}
    columns = [c["column"] for c in named if c["column"] in pilot.after[mode]["DM"]]
    assert {"AGE", "SEX", "RACE", "ETHNIC", "COUNTRY"} <= set(columns)
    return pilot.after[mode]["DM"][columns].fillna("").astype(str), columns


@pytest.mark.parametrize("mode", MODES)
def test_the_risk_in_the_manifest_is_what_others_compute(pilot: Pilot, mode: str) -> None:
    frame, columns = quasi(pilot, mode)
    sizes = frame.groupby(columns, dropna=False, observed=True).size()
    told, asked = pilot.manifests[mode]["risk"]["after"], pilot.manifests[mode]["plan"]["safeguards"]
    assert told["k"] == anonymity.k_anonymity(frame, columns) == sizes.min()
    assert told["subjects"] == sizes.sum() == 306
    assert told["classes"] == len(sizes)
    assert told["max_risk"] == pytest.approx(1 / sizes.min())
    assert told["average_risk"] == pytest.approx(asked["attempt"] * len(sizes) / sizes.sum())
    assert told["uniques"] == pytest.approx((sizes == 1).sum() / 306)


def test_the_risk_before_is_what_others_compute(pilot: Pilot) -> None:
    columns = quasi(pilot, "controlled")[1]
    frame = pilot.before["DM"][columns].fillna("").astype(str)
    sizes, told = frame.groupby(columns).size(), pilot.manifests["controlled"]["risk"]["before"]
    assert (told["k"], told["classes"]) == (anonymity.k_anonymity(frame, columns), len(sizes))
    assert told["uniques"] == pytest.approx((sizes == 1).sum() / 306)


def test_a_public_release_has_classes_of_eleven(pilot: Pilot) -> None:
    frame, columns = quasi(pilot, "public")
    assert frame.groupby(columns).size().min() >= 11


def test_a_controlled_release_has_no_unique_and_a_small_average(pilot: Pilot) -> None:
    frame, columns = quasi(pilot, "controlled")
    sizes = frame.groupby(columns).size()
    assert (sizes == 1).sum() == 0
    assert 0.27 * len(sizes) / sizes.sum() <= 0.09


def test_case_27_a_subject_has_another_pseudonym_in_the_next_project_and_in_what_is_public(pilot: Pilot) -> None:
    ids = {name: set(tables["DM"]["USUBJID"]) for name, tables in pilot.after.items()}
    assert all(found == set(pilot.people[name].values()) for name, found in ids.items())
    assert not ids["controlled"] & ids["elsewhere"]
    assert not ids["controlled"] & ids["public"]
    assert {len(found) for found in ids.values()} == {306}


def test_case_27_what_is_public_shares_no_date_shift_with_what_its_project_holds(pilot: Pilot) -> None:
    shifts = []
    for mode in MODES:
        before, after = pilot.linked("DM", mode), pilot.after[mode]["DM"]
        days = [
            (date.fromisoformat(new[:10]) - date.fromisoformat(old[:10])).days
            for old, new in zip(before["DMDTC"], after["DMDTC"], strict=True)
        ]
        shifts.append(dict(zip(before["USUBJID"], days, strict=True)))
    controlled, public = shifts
    assert len(controlled) == 306
    assert sum(controlled[subject] == public[subject] for subject in controlled) < 3


@pytest.mark.skipif(shutil.which("age") is None, reason="the `age` command line tool is not installed")
@pytest.mark.parametrize("recipient", [0, 1])
@pytest.mark.parametrize("mode", MODES)
def test_the_age_tool_opens_every_file_for_every_recipient(
    pilot: Pilot, mode: str, recipient: int, tmp_path: Path
) -> None:
    tables = pilot.manifests[mode]["tables"]
    assert len(tables) == len(TABLES)
    for table in tables:
        out = tmp_path / "plain"
        sealed = pilot.folders[mode] / table["file"]
        subprocess.run(["age", "-d", "-i", pilot.identities[recipient], "-o", out, sealed], check=True)
        assert hashlib.sha256(out.read_bytes()).hexdigest() == table["plaintext"]["sha256"]
        out.unlink()


@pytest.mark.skipif(shutil.which("age") is None, reason="the `age` command line tool is not installed")
def test_the_age_tool_opens_nothing_with_another_key(pilot: Pilot, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.key"
    stranger.write_text(recipients.generate()[0] + "\n", "utf-8")
    for sealed in pilot.folders["controlled"].glob("*.age"):
        tried = subprocess.run(
            ["age", "-d", "-i", stranger, "-o", tmp_path / "plain", sealed], check=False, capture_output=True
        )
        assert tried.returncode != 0
        assert not (tmp_path / "plain").exists()
