"""The recipient's side of a download: a connection that breaks, and goes on from the byte where it stopped."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.demo.stage import Door
from gateway.errors import Broken

_PIECE = 1 << 14


@dataclass(frozen=True, slots=True)
class Resumed:
    """A download in two parts: the file, its size, how many bytes came before the break, the second answer's status."""

    name: str
    size: int
    before: int
    status: int


def fetch(door: Door, release: str, files: Sequence[Mapping[str, Any]], to: Path) -> Resumed:
    """Download all files of a release into `to`; the largest breaks halfway and is resumed with Range and If-Range.

    Raises:
        Broken: the server refuses, or a file's SHA-256 is not what the listing says.
    """
    to.mkdir(parents=True, exist_ok=True)
    largest = max(files, key=lambda file: int(file["size"]))
    resumed = Resumed("", 0, 0, 0)
    for file in files:
        target, path = to / file["name"], f"/v1/releases/{release}/files/{file['name']}"
        etag, have = "", 0
        if file is largest:
            etag, have = _first_part(door, path, target, file["size"] // 2)
        status = _rest(door, path, target, etag, have)
        if file is largest:
            resumed = Resumed(file["name"], file["size"], have, status)
        with target.open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() != file["sha256"]:
                raise Broken(f"`{file['name']}` did not arrive whole")
    return resumed


def _first_part(door: Door, path: str, target: Path, enough: int) -> tuple[str, int]:
    """Read until `enough` bytes are here, then hang up; returns the ETag and how many bytes were kept."""
    have = 0
    with door.client.stream("GET", path) as answer, target.open("wb") as out:
        for piece in answer.iter_bytes(_PIECE):
            have += out.write(piece[: enough - have])
            if have >= enough:
                break
        return answer.headers.get("ETag", ""), have


def _rest(door: Door, path: str, target: Path, etag: str, have: int) -> int:
    """Read what is missing; a server that sends the whole file again (200) starts the file anew."""
    headers = {"Range": f"bytes={have}-", "If-Range": etag} if have else {}
    with door.client.stream("GET", path, headers=headers) as answer:
        if answer.status_code not in {200, 206}:
            raise Broken(f"GET {path}: {answer.status_code}")
        with target.open("ab" if answer.status_code == 206 else "wb") as out:
            for piece in answer.iter_bytes(_PIECE):
                out.write(piece)
        return int(answer.status_code)
