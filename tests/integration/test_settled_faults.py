"""What a steward settled is done and seen: an encoding that was chosen, a column that was cleared; else it stops."""

from pathlib import Path

import pytest

from gateway.actions import datasets
from gateway.domain.release import Step

HEAD = b"STUDYID,DOMAIN,USUBJID,AGE,SEX,RFSTDTC,SEEN,COUNTRY\n"
ROWS = b"".join(b"S,DM,S-10-%d,50,F,2014-01-02,subject\x92s own,USA\n" % at for at in range(1001, 1031))


@pytest.fixture
def settled(fresh, tmp_path):
    """A world with a study in windows-1252, its column file, and what a release of it becomes."""
    folder = tmp_path / "latin"
    folder.mkdir()
    (folder / "dm.csv").write_bytes(HEAD + ROWS)
    steward = fresh.people["steward"]
    datasets.add(fresh.gateway, steward, folder, key="latin", accept=True)
    return fresh, Path(datasets.column_file(fresh.gateway, "latin"))


def test_case_30_an_encoding_is_proposed_in_the_open_and_told_in_the_report(settled):
    world, file = settled
    assert "DM=windows-1252" in file.read_text("utf-8")
    release = world.released(dataset="latin", tables={"DM": ["AGE", "SEX"]})
    assert "DM=windows-1252" in (world.folder(release) / "report.html").read_text("utf-8")


def test_case_30_without_the_stewards_choice_an_encoding_stops_the_release(settled):
    world, file = settled
    text = file.read_text("utf-8")
    file.write_text(text.replace("DM=windows-1252", "XX=windows-1252"), "utf-8")
    datasets.check(world.gateway, world.people["steward"], "latin")
    release = world.run(world.approved(dataset="latin", tables={"DM": ["AGE", "SEX"]}))
    assert release.step is not Step.DELIVERED
    assert "not UTF-8" in release.fault


def test_a_cleared_column_stands_in_the_report_with_its_reason_and_in_the_log(settled):
    world, file = settled
    text = file.read_text("utf-8")
    file.write_text(text.replace("options:\n", "options:\n  cleared: [DM.SEX=a letter is no id]\n"), "utf-8")
    datasets.check(world.gateway, world.people["steward"], "latin")
    release = world.released(dataset="latin", tables={"DM": ["AGE", "SEX"]})
    assert "a letter is no id" in (world.folder(release) / "report.html").read_text("utf-8")
    steps = [event.facts for event in world.events(kind="release.step") if "cleared" in event.facts]
    assert [facts["cleared"] for facts in steps] == [["DM.SEX"]]


def test_a_fault_after_dropped_rows_is_told_by_its_row_in_the_source(fresh, tmp_path):
    folder = tmp_path / "dropped"
    folder.mkdir()
    (folder / "dm.csv").write_bytes((HEAD + ROWS).replace(b"\x92", b""))
    rows = [f"S,AE,S-99-{at},1,2014-02-03" for at in range(4)]
    rows += [f"S,AE,S-10-{at},1,2014-02-0{at % 9 + 1}" for at in range(1001, 1021)]
    (folder / "ae.csv").write_text("\n".join(["STUDYID,DOMAIN,USUBJID,AESEQ,AESTDTC", *rows, ""]), "utf-8")
    steward = fresh.people["steward"]
    datasets.add(fresh.gateway, steward, folder, key="dropped", accept=True)
    (folder / "ae.csv").write_text(
        "\n".join(["STUDYID,DOMAIN,USUBJID,AESEQ,AESTDTC", *rows, "S,AE,S-10-1001,2,sty-91", ""]), "utf-8"
    )
    file = Path(datasets.column_file(fresh.gateway, "dropped"))
    text = file.read_text("utf-8")
    file.write_text(text.replace("options:\n", "options:\n  orphans: drop\n"), "utf-8")
    datasets.check(fresh.gateway, steward, "dropped")
    release = fresh.run(fresh.approved(dataset="dropped", tables={"DM": ["AGE", "SEX"], "AE": ["AESEQ", "AESTDTC"]}))
    assert "`AE.AESTDTC` row 25" in release.fault
    assert "sty" not in release.fault
