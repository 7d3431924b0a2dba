"""The log's folder on disk: write-once files that survive a crash, and one lock for whoever publishes.

checkpoint              the newest signed tree head, replaced in one step
tile/<L>/<N>[.p/<W>]    hashes, 256 to a tile
tile/entries/<N>[.p/<W>]  leaves, 256 to a bundle
.lock                   held while publishing
.tmp/                   files on their way; whatever lies here without the lock held is rubbish
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TypeVar

from gateway.audit.faults import LogBroken, LogUnwritable

Item = TypeVar("Item")

CHECKPOINT = "checkpoint"
COSIGNED = "cosigned"
_PARALLEL_SYNCS = 8
_serial = count()


@contextmanager
def locked(log_dir: Path) -> Iterator[None]:
    """Hold the folder's lock: one publisher per folder, in this process and among all. A killed holder frees it."""
    with disk_faults(log_dir):
        log_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(log_dir / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def disk_faults(log_dir: Path) -> Iterator[None]:
    """Turn an error of the operating system into a sentence that says what to do."""
    try:
        yield
    except OSError as fault:
        if fault.errno in (errno.ENOSPC, errno.EDQUOT):
            reason, cure = "the disk under the log folder is full", "free space; the log then goes on by itself"
        else:
            reason = f"the log folder cannot be read or written ({fault.strerror})"
            cure = f"check the rights and the health of the disk under `{log_dir.name}`"
        raise LogUnwritable(reason, cure=cure) from fault


def read(log_dir: Path, path: str) -> bytes | None:
    """A file's bytes, or None where there is none. Raises LogUnwritable when the disk refuses."""
    with disk_faults(log_dir):
        try:
            return (log_dir / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None


def write_once(log_dir: Path, files: Mapping[str, bytes]) -> None:
    """Write files that must never change, durable on return; one already there must hold the same bytes.

    Raises LogBroken for a file that differs, LogUnwritable when the disk refuses.
    """
    missing: dict[str, bytes] = {}
    for path, data in files.items():
        present = read(log_dir, path)
        if present is None:
            missing[path] = data
        elif present != data:
            raise LogBroken(
                f"`{path}` in the log folder differs from what the database says",
                cure="run the log's rebuild, which compares both with the signed checkpoint",
            )
    with disk_faults(log_dir):
        _write_all(log_dir, missing)


def replace(log_dir: Path, path: str, data: bytes) -> None:
    """Write or replace one file in one step, durable on return."""
    with disk_faults(log_dir):
        _write_all(log_dir, {path: data})


def discard_temporary(log_dir: Path) -> None:
    """Remove what a killed publisher left. Only with the lock held."""
    shutil.rmtree(log_dir / ".tmp", ignore_errors=True)


def discard_partials(log_dir: Path, full_paths: list[str]) -> None:
    """Remove the partial versions of tiles that are now full (allowed by c2sp.org/tlog-tiles, Partial Tiles)."""
    for path in full_paths:
        shutil.rmtree(log_dir / f"{path}.p", ignore_errors=True)


def strange_partials(log_dir: Path) -> list[str]:
    """Partial tiles and bundles that are not a beginning of the widest version of the same tile."""
    strange: list[str] = []
    for folder in (log_dir / "tile").glob("**/*.p"):
        versions = sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
        full = folder.with_suffix("")
        widest = (full if full.is_file() else versions[-1]).read_bytes() if versions or full.is_file() else b""
        strange += [str(path.relative_to(log_dir)) for path in versions if not widest.startswith(path.read_bytes())]
    return strange


def copy_out(log_dir: Path, to: Path) -> None:
    """Copy what is public into a new folder: checkpoint, cosignatures, tiles, entries, timestamps.

    With the lock held, so that no partial tile is replaced halfway. Raises OSError when the copy cannot be written.
    """
    with locked(log_dir):
        to.mkdir(parents=True)
        for name in (CHECKPOINT, COSIGNED, "tile", "anchors"):
            if (log_dir / name).is_dir():
                shutil.copytree(log_dir / name, to / name)
            elif (log_dir / name).is_file():
                shutil.copyfile(log_dir / name, to / name)


def _write_all(log_dir: Path, files: Mapping[str, bytes]) -> None:
    """Each file to a temporary name, flushed, then renamed; then the folders flushed, so that the names last too."""
    if not files:
        return
    temporary = log_dir / ".tmp"
    temporary.mkdir(exist_ok=True)
    places = {path: temporary / f"{os.getpid()}-{next(_serial)}" for path in files}
    try:
        _for_each(lambda path: _flushed(places[path], files[path]), list(files))
        folders: set[Path] = set()
        for path, place in places.items():
            target = log_dir / path
            folders |= _make_parents(target.parent)
            place.replace(target)
        _for_each(_sync_folder, sorted(folders))
    except OSError:
        for place in places.values():
            with suppress(OSError):
                place.unlink(missing_ok=True)
        raise


def _for_each(work: Callable[[Item], None], items: list[Item]) -> None:
    """Side by side when there are several: the file system joins flushes that run at the same time."""
    if len(items) < 2:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(min(_PARALLEL_SYNCS, len(items))) as pool:
        list(pool.map(work, items))


def _flushed(place: Path, data: bytes) -> None:
    with place.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _make_parents(folder: Path) -> set[Path]:
    """Make `folder` and return every folder whose list of names must be flushed for the file in it to last."""
    touched = {folder}
    while not folder.is_dir():
        folder = folder.parent
        touched.add(folder)
    lowest = max(touched, key=lambda path: len(path.parts))
    lowest.mkdir(parents=True, exist_ok=True)
    return touched


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
