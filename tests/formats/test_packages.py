"""Several packages of one study (SDTM beside ADaM) in one folder are one study."""

from pathlib import Path

import pytest

from gateway.errors import Invalid
from gateway.formats import digests, scan


def test_a_folder_without_tables_of_its_own_is_searched_one_level_down(tmp_path: Path) -> None:
    for package, names in {"sdtm": ("dm.csv", "ae.csv"), "adam": ("adsl.csv", "notes.txt")}.items():
        (tmp_path / package).mkdir()
        for name in names:
            (tmp_path / package / name).write_text("A\n1\n")
    (tmp_path / "adam" / "deep").mkdir()
    (tmp_path / "adam" / "deep" / "adae.csv").write_text("A\n1\n")
    folder = scan(tmp_path)
    assert [t.name for t in folder] == ["ADSL", "AE", "DM"] == sorted(digests(tmp_path))
    assert {s.name for s in folder.skipped} == {"adam/notes.txt", "adam/deep/"}
    (tmp_path / "adam" / "ae.csv").write_text("A\n1\n")
    with pytest.raises(Invalid, match="two files hold table `AE`"):
        scan(tmp_path)
