"""The real pilot study, unpacked once for a session, and studies written on the spot."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.formats import Folder, scan

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def _unpacked(name: str, folder: Path) -> Folder:
    archive = SHARED / name
    if not archive.is_file():
        pytest.skip(f"{name} is not beside the repository")
    with zipfile.ZipFile(archive) as content:
        for member in content.namelist():
            if member.lower().endswith(".xpt"):
                (folder / Path(member).name).write_bytes(content.read(member))
    return scan(folder)


@pytest.fixture(scope="session")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return _unpacked("cdiscpilot01-sdtm.zip", tmp_path_factory.mktemp("sdtm"))


@pytest.fixture(scope="session")
def pilot_adam(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return _unpacked("cdiscpilot01-adam.zip", tmp_path_factory.mktemp("adam"))


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Folder]:
    """Tables from CSV texts: `study(dm="USUBJID,AGE\\nA,1")`."""

    def written(**tables: str) -> Folder:
        for name, text in tables.items():
            (tmp_path / f"{name}.csv").write_text(text.strip() + "\n", encoding="utf-8")
        return scan(tmp_path)

    return written
