"""Watching a partner's log from outside: one visit, remembered in a small file."""

from datetime import UTC, datetime
from pathlib import Path

import httpx2

from gateway import audit
from gateway.audit import Seen, Sighting, VerifierKey, standalone_verifier
from gateway.errors import Invalid

_SECONDS = 20.0


def visit(
    where: str, *, key: str, state: Path, witnesses: tuple[str, ...] = (), quorum: int = 0, now: datetime | None = None
) -> Sighting:
    """Visit the log once and remember what was seen; an alarm keeps the evidence beside the state.

    Raises:
        Invalid: a key cannot be read, or the state file is damaged.
    """
    try:
        before = Seen.parse(state.read_text("utf-8")) if state.exists() else None
    except (ValueError, KeyError, OSError):
        raise Invalid("the watcher's state cannot be read", place=str(state), cure="restore it from a backup") from None
    log_key, others = VerifierKey.parse(key), [VerifierKey.parse(text) for text in witnesses]
    with httpx2.Client(timeout=_SECONDS) as client:

        def fetch(path: str) -> bytes | None:
            return _fetched(client, where, path)

        seen = audit.watch(fetch, log_key, before, now or datetime.now(UTC), witnesses=others, quorum=quorum)
    if seen.seen is not None:
        state.parent.mkdir(parents=True, exist_ok=True)
        state.write_text(str(seen.seen), "utf-8")
    if seen.evidence:
        state.with_suffix(".evidence").write_text(seen.evidence, "utf-8")
    return seen


def _fetched(client: httpx2.Client, where: str, path: str) -> bytes | None:
    """The bytes at a path below the log's prefix, from a server or a folder; None where there is none."""
    if not where.startswith(("http://", "https://")):
        file = Path(where) / path
        return file.read_bytes() if file.is_file() else None
    try:
        answer = client.get(f"{where.rstrip('/')}/{path}")
    except httpx2.HTTPError as error:
        raise OSError(type(error).__name__) from None
    if answer.status_code == httpx2.codes.NOT_FOUND:
        return None
    if answer.status_code != httpx2.codes.OK:
        raise OSError(f"status {answer.status_code}")
    return bytes(answer.content)


def check_copy(folder: Path, *, key: str) -> tuple[int, str]:
    """Check a copy of a log's folder from its files alone; returns its size and root (hex).

    Raises:
        Invalid: a key cannot be read, or the copy does not hash to the signed root; says where.
    """
    vkey = str(VerifierKey.parse(key))
    try:
        size, root, _ = standalone_verifier.check_log(vkey, str(folder))
    except (standalone_verifier.Refused, OSError, ValueError) as fault:
        raise Invalid(
            f"this copy of the log is not sound: {fault}",
            place=str(folder),
            cure="keep it as evidence and get a fresh copy",
        ) from None
    return size, root.hex()
