"""The folders of a release: `staging`, where sealed files gather, and `extract`, which appears whole or not at all."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from gateway.domain.release import Release, ReleaseFile
from gateway.errors import NotFound

MANIFEST, SIGNATURE, PUBLIC_KEY, REPORT = "manifest.json", "manifest.sig", "manifest.pub", "report.html"
PROOF, LOG_KEY, CHECKER = "receipt.tlog-proof", "log.vkey", "verify_log_proof.py"


def staging(folder: Path, release: str) -> Path:
    """Where files gather; only the worker looks here."""
    place = folder / release / "staging"
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    return place


def extract(folder: Path, release: str) -> Path:
    """Where the delivered files stand."""
    return folder / release / "extract"


def write(folder: Path, name: str, content: bytes) -> ReleaseFile:
    """Write a small file whole, synced, or not at all."""
    part = folder / f"{name}.part"
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.rename(folder / name)
    return ReleaseFile(name, len(content), hashlib.sha256(content).hexdigest())


def describe(path: Path) -> ReleaseFile:
    """A small file as it lies there."""
    content = path.read_bytes()
    return ReleaseFile(path.name, len(content), hashlib.sha256(content).hexdigest())


def deliver(folder: Path, release: str) -> Path:
    """Turn staging into the extract in one rename; done already is done."""
    source, target = folder / release / "staging", extract(folder, release)
    if not target.exists():
        for left in source.glob("*.part"):
            left.unlink()
        source.rename(target)
        parent = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
    return target


def discard(folder: Path, release: str) -> None:
    """Remove everything staged for a release that starts anew."""
    shutil.rmtree(folder / release / "staging", ignore_errors=True)


def listing(release: Release) -> Sequence[ReleaseFile]:
    """The delivered files, from the values the pack and deliver steps stored."""
    stored = release.values.get("files", [])
    return [ReleaseFile(f["name"], f["size"], f["sha256"]) for f in stored]


def find(folder: Path, release: Release, name: str) -> tuple[Path, ReleaseFile]:
    """One delivered file by name.

    Raises:
        NotFound: the release has no such file.
    """
    for file in listing(release):
        if file.name == name:
            return extract(folder, release.id) / name, file
    raise NotFound("the release has no such file", place="file", cure="list its files first")
