"""The folders of a release: `staging`, where sealed files gather, and `extract`, which appears whole or not at all.

Each holder of the job stages in a folder of its own, named by its fence number. Whoever takes over renames the last
one's folder first: what a worker that was paused past its lease still writes goes astray, never into the extract.
"""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from gateway.domain.release import Release, ReleaseFile
from gateway.errors import Broken, NotFound
from gateway.storage.jobs import Claim

MANIFEST, SIGNATURE, PUBLIC_KEY, REPORT = "manifest.json", "manifest.sig", "manifest.pub", "report.html"
PROOF, LOG_KEY, CHECKER = "receipt.tlog-proof", "log.vkey", "verify_log_proof.py"
WITNESSES = "witnesses.vkey"


_STAGING = "staging-"


def staging(folder: Path, claim: Claim) -> Path:
    """Where the holder of the claim gathers files; nobody else looks here."""
    return folder / claim.id / f"{_STAGING}{claim.fence}"


def take_over(folder: Path, claim: Claim) -> None:
    """Make the staging folder of a new holder, with the finished files that the last one left."""
    place = staging(folder, claim)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    earlier = _staged(folder, claim.id, before=claim.fence)
    if earlier:
        earlier[-1].rename(place)
        for left in place.glob("*.part"):
            left.unlink()
    place.mkdir(exist_ok=True, mode=0o700)


def _staged(folder: Path, release: str, *, before: int) -> list[Path]:
    """The staging folders of holders before this fence number, the latest last."""
    found = {int(path.name.removeprefix(_STAGING)): path for path in (folder / release).glob(f"{_STAGING}*")}
    return [found[fence] for fence in sorted(found) if fence < before]


def extract(folder: Path, release: str) -> Path:
    """Where the delivered files stand."""
    return folder / release / "extract"


def whole(folder: Path, file: ReleaseFile) -> bool:
    """Whether a staged file is there with its size."""
    path = folder / file.name
    return path.is_file() and path.stat().st_size == file.size


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


def deliver(folder: Path, claim: Claim) -> Path:
    """Turn staging into the extract in one rename; done already is done."""
    target = extract(folder, claim.id)
    if not target.exists():
        staging(folder, claim).rename(target)
        parent = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
    return target


def empty(folder: Path, claim: Claim) -> None:
    """Remove what was staged for a release whose plan does not stand: it begins anew."""
    shutil.rmtree(staging(folder, claim))
    staging(folder, claim).mkdir(mode=0o700)


def discard(folder: Path, claim: Claim) -> None:
    """Remove what the holder of the claim and those before it staged; never what a later holder did."""
    for place in _staged(folder, claim.id, before=claim.fence + 1):
        shutil.rmtree(place, ignore_errors=True)


def listing(release: Release) -> Sequence[ReleaseFile]:
    """The delivered files, from the values the pack and deliver steps stored."""
    stored = release.values.get("files", [])
    return [ReleaseFile(f["name"], f["size"], f["sha256"]) for f in stored]


def find(folder: Path, release: Release, name: str) -> tuple[Path, ReleaseFile]:
    """One delivered file by name.

    Raises:
        NotFound: the release has no such file.
        Broken: it has, but what lies on the disk is not that.
    """
    for file in listing(release):
        if file.name != name:
            continue
        path = extract(folder, release.id) / name
        if not path.is_file() or path.stat().st_size != file.size:
            raise Broken("a delivered file is gone from the disk, or has another size", incident=f"file-{release.id}")
        return path, file
    raise NotFound("the release has no such file", place="file", cure="list its files first")
