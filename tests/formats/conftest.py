"""The real pilot study, unpacked once for a session, and small tables written on the spot."""

import zipfile
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def _unpacked(name: str, folder: Path) -> Path:
    archive = SHARED / name
    if not archive.is_file():
        pytest.skip(f"{name} is not beside the repository")
    with zipfile.ZipFile(archive) as content:
        for member in content.namelist():
            if member.lower().endswith(".xpt"):
                (folder / Path(member).name).write_bytes(content.read(member))
    return folder


@pytest.fixture(scope="session")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _unpacked("cdiscpilot01-sdtm.zip", tmp_path_factory.mktemp("sdtm"))


@pytest.fixture(scope="session")
def pilot_adam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _unpacked("cdiscpilot01-adam.zip", tmp_path_factory.mktemp("adam"))
