"""Hard cases of published data, each named by its number: dates outside --DTC, a Windows text, visit gaps."""

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gateway.catalogue.columnfile import accept
from gateway.catalogue.profile import profile_study
from gateway.catalogue.propose import propose
from gateway.formats import FileSource, Folder, scan
from pseudonymization import deidentify
from pseudonymization.columns import Role, Study
from pseudonymization.lookups import look_up
from pseudonymization.options import Options
from pseudonymization.pseudonyms import ProjectKey
from pseudonymization.safeguards import DateRule, Safeguards
from pseudonymization.treat import treat
from pseudonymization.visits import visits_of

DATA = Path(__file__).resolve().parents[2] / "../shared/data"
KEY = ProjectKey.derive(bytes(range(32)), "p1")
ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def unpacked(name: str, folder: Path, *members: str) -> Path:
    archive = DATA / name
    if not archive.is_file():
        pytest.skip(f"{name} (../shared) is not on this machine")
    with zipfile.ZipFile(archive) as packed:
        for member in packed.namelist():
            if Path(member).name in members:
                packed.extract(member, folder)
    return next(folder.rglob(members[0])).parent


@pytest.fixture(scope="module")
def msg(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, Study]:
    """Four domains of the CDISC metadata submission sample, with the roles proposed for their columns."""
    names = ("dm.xpt", "ae.xpt", "cm.xpt", "ts.xpt")
    folder = scan(unpacked("dataset-json-msg.zip", tmp_path_factory.mktemp("msg"), *names))
    return folder, accept(propose(profile_study(folder), name="msg"))


def cells(table: pa.Table) -> Iterator[str]:
    for column in table.columns:
        if not pa.types.is_floating(column.type) and not pa.types.is_integer(column.type):
            yield from (str(value) for value in column.to_pylist() if value)


def test_case_08_dates_outside_dtc_are_found_by_content_and_none_is_left(msg: tuple[Folder, Study]) -> None:
    folder, study = msg
    assert study["AE"]["AEENTPT"].role is study["CM"]["CMENTPT"].role is Role.DATE
    assert study["TS"]["TSVAL"].role not in {Role.KEPT, Role.SENSITIVE}
    settled = tuple(
        replace(table, columns=tuple(c for c in table.columns if c.role is not Role.UNRESOLVED))
        for table in study.tables
        if table.name != "TS"
    )
    asked, source = replace(study, tables=settled), FileSource(folder)
    prepared = deidentify.prepare(asked, asked, source, Safeguards(dates=DateRule.SHIFT), KEY)
    looked_up = deidentify.lookups(prepared, asked, asked, KEY)
    before, after = {}, {}
    for table in asked.tables:
        batches = list(source.batches(table.name, [column.name for column in table.columns]))
        before[table.name] = pa.Table.from_batches(batches)
        after[table.name] = pa.Table.from_batches([treat(looked_up, table.name, batch) for batch in batches])
    true = {day for table in before.values() for cell in cells(table) for day in ISO_DAY.findall(cell)}
    left = {day for table in after.values() for cell in cells(table) for day in ISO_DAY.findall(cell)}
    assert (len(true) > 50, len(left) > 50, true & left) == (True, True, set())
    shift = dict(zip(prepared.subjects.ids.to_pylist(), looked_up.shifts.tolist(), strict=False))
    for name, column in (("AE", "AEENTPT"), ("CM", "CMENTPT")):
        rows = zip(
            before[name].column("USUBJID").to_pylist(),
            before[name].column(column).to_pylist(),
            after[name].column(column).to_pylist(),
            strict=True,
        )
        moved = [(who, date.fromisoformat(new) - date.fromisoformat(old)) for who, old, new in rows if old]
        assert len(moved) >= 30
        assert all(apart.days == shift[who] for who, apart in moved)


def test_case_30_a_windows_apostrophe_in_ts_is_read_as_one(tmp_path: Path) -> None:
    folder = scan(unpacked("cdiscpilot01-sdtm.zip", tmp_path, "ts.xpt"))
    (table,) = folder.tables
    values = pa.Table.from_batches(table.batches(["TSVAL"])).column(0).to_pylist()
    assert table.encoding == "windows-1252"
    assert any("Alzheimer\u2019s" in value for value in values)
    assert not any("\x92" in value or "\ufffd" in value for value in values)


def gaps(tables: dict[str, pa.Table]) -> dict[str, tuple[int, ...]]:
    """Each subject's sequence of days between visits."""
    days: dict[str, list[int]] = {}
    sv = tables["sv"]
    for who, text in zip(sv.column("USUBJID").to_pylist(), sv.column("SVSTDTC").to_pylist(), strict=True):
        if text and len(text) >= len("yyyy-mm-dd"):
            days.setdefault(who, []).append(date.fromisoformat(text[:10]).toordinal())
    return {who: tuple(np.diff(sorted(found)).tolist()) for who, found in days.items()}


def alone(sequences: dict[str, tuple[int, ...]]) -> int:
    held = list(sequences.values())
    return sum(held.count(one) == 1 for one in held)


def test_case_07_visit_gaps_survive_a_shift_and_far_fewer_the_snapping_to_planned_visits(
    pilot: Any, release: Callable[..., Any]
) -> None:
    study, source = pilot
    study = replace(study, tables=tuple(table for table in study.tables if table.name in {"dm", "sv"}))
    source = replace(source, tables={name: source.tables[name] for name in ("dm", "sv")})
    done = release(study, source)
    assert alone(gaps(source.tables)) == alone(gaps(done.tables)) > 250
    snapped = replace(study, options=Options(snap_to_visits=True))
    looked_up = look_up(
        done.plan, snapped, done.subjects, np.zeros(len(done.subjects), dtype=bool), done.lookups.labels, KEY,
        at_visits=visits_of(snapped, snapped, source),
    )  # fmt: skip
    moved = {
        name: pa.Table.from_batches([treat(looked_up, name, batch) for batch in source.batches(name)])
        for name in ("dm", "sv")
    }
    assert alone(gaps(moved)) < 0.6 * alone(gaps(done.tables))
    start = dict(zip(*(moved["dm"].column(name).to_pylist() for name in ("USUBJID", "RFSTDTC")), strict=True))
    checked = 0
    for row in moved["sv"].to_pylist():
        if row["VISITDY"] and start[row["USUBJID"]]:
            apart = (date.fromisoformat(row["SVSTDTC"][:10]) - date.fromisoformat(start[row["USUBJID"]][:10])).days
            assert apart + (apart >= 0) == row["VISITDY"]
            checked += 1
    assert checked > 2_500
