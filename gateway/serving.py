"""Serving a file: byte ranges (RFC 9110 §14), a strong ETag, and an event that says which bytes really left."""

import re
from collections.abc import Iterator
from pathlib import Path

from fastapi.responses import Response, StreamingResponse

from gateway.actions import releases
from gateway.actions.releases import Download
from gateway.context import Gateway
from gateway.domain.actor import Actor

_CHUNK = 1 << 18
_ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
MEDIA = {".json": "application/json", ".html": "text/html; charset=utf-8", ".py": "text/x-python; charset=utf-8"}


def byte_range(asked: str, size: int) -> tuple[int, int] | None:
    """First and last byte of a `Range` header; the whole file if it asks for nothing we serve; None if it misses.

    Several ranges in one header are answered with the whole file, as the RFC allows.
    """
    match = _ONE_RANGE.fullmatch(asked.strip())
    if match is None or match.group(1) == match.group(2) == "":
        return 0, size - 1
    first, last = match.group(1), match.group(2)
    if first == "":
        length = int(last)
        return (max(0, size - length), size - 1) if length > 0 and size > 0 else None
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    return (start, end) if start <= end else None


def serve(gateway: Gateway, actor: Actor, served: Download, asked: str, only_if: str) -> Response:
    """The file or the part asked for. If-Range with another ETag gets the whole file, so parts never mix."""
    etag = f'"{served.file.sha256}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    }
    partial = bool(asked) and only_if in {"", etag}
    span = byte_range(asked, served.file.size) if partial else (0, served.file.size - 1)
    if span is None:
        releases.download_ended(gateway, actor, served, first=0, sent=0, whole=False)
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{served.file.size}"})
    first, last = span
    whole = last - first + 1 == served.file.size
    if not whole:
        headers["Content-Range"] = f"bytes {first}-{last}/{served.file.size}"
    headers["Content-Length"] = str(last - first + 1)
    media = MEDIA.get(Path(served.file.name).suffix, "application/octet-stream")
    body = _stream(gateway, actor, served, first, last - first + 1)
    return StreamingResponse(body, 200 if whole else 206, headers, media)


def _stream(gateway: Gateway, actor: Actor, served: Download, first: int, length: int) -> Iterator[bytes]:
    sent = 0
    try:
        with served.path.open("rb") as file:
            file.seek(first)
            while sent < length:
                chunk = file.read(min(_CHUNK, length - sent))
                if not chunk:
                    break
                yield chunk
                sent += len(chunk)
    finally:
        releases.download_ended(gateway, actor, served, first=first, sent=sent, whole=sent == length)
