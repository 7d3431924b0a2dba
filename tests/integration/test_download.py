"""Downloads: byte ranges (RFC 9110 §14), strong ETags, and a log that says which bytes really left."""

import hashlib
from typing import Any

import pytest

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def release(world: Any) -> Any:
    """A delivered release of the researcher."""
    return world.released(tables=["DM", "LB"])


@pytest.fixture(scope="module")
def sealed(world: Any, release: Any) -> tuple[str, bytes]:
    """Address and bytes of a sealed table."""
    name = "LB.parquet.age"
    return f"/v1/releases/{release.id}/files/{name}", (world.folder(release) / name).read_bytes()


def test_the_etag_is_strong_and_the_file_s_digest(world: Any, sealed: tuple[str, bytes]) -> None:
    address, content = sealed
    answer = world.call("researcher", "GET", address)
    assert answer.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-length"] == str(len(content))


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, None),
        ("bytes=-100", -100, None),
        ("bytes=5-999999999999", 5, None),
    ],
)
def test_a_range_is_served_byte_for_byte(
    world: Any, sealed: tuple[str, bytes], asked: str, first: int, last: int | None
) -> None:
    address, content = sealed
    answer = world.call("researcher", "GET", address, headers={"Range": asked})
    expected = content[first : None if last is None else last + 1]
    start = first % len(content)
    assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/{len(content)}"
    assert answer.headers["content-length"] == str(len(expected))
    event = next(e for e in world.events(kind="download.started") if e.facts["range"] == asked)
    assert event.actor == "r.okafor"
    ended = world.events(kind="download.ended")[0]
    assert (ended.facts["first"], ended.facts["sent"], ended.outcome) == (start, len(expected), "done")


@pytest.mark.parametrize(
    "asked",
    [
        "lines=0-5",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=0-1,5-9",
        "bytes=",
        "bytes=-",
        "0-5",
        f"bytes={'9' * 5000}-",
        "bytes=--5",
    ],
)
def test_a_range_that_is_none_is_passed_over_or_cannot_be_met(
    world: Any, sealed: tuple[str, bytes], asked: str
) -> None:
    """RFC 9110 §14.2: what is malformed or of another unit is ignored; what lies behind the end is 416."""
    address, content = sealed
    answer = world.call("researcher", "GET", address, headers={"Range": asked})
    assert answer.status_code in {200, 416}
    assert answer.status_code == 416 or answer.content == content


@pytest.mark.parametrize("asked", ["bytes={size}-", "bytes=99999999999-", "bytes=-0"])
def test_a_range_behind_the_end_is_416(world: Any, sealed: tuple[str, bytes], asked: str) -> None:
    address, content = sealed
    answer = world.call("researcher", "GET", address, headers={"Range": asked.format(size=len(content))})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(content)}")
    assert answer.content == b"" or answer.headers["content-type"] == PROBLEM


def test_if_range_with_another_etag_gets_the_whole_file(world: Any, sealed: tuple[str, bytes]) -> None:
    address, content = sealed
    etag = world.call("researcher", "GET", address).headers["etag"]
    for only_if, status in ((etag, 206), ('"other"', 200), (f"W/{etag}", 200), ("Mon, 02 Mar 2026 09:30:00 GMT", 200)):
        answer = world.call("researcher", "GET", address, headers={"Range": "bytes=10-", "If-Range": only_if})
        assert answer.status_code == status, only_if
        assert answer.content == (content[10:] if status == 206 else content)


def test_a_broken_download_goes_on_where_it_stopped(world: Any, sealed: tuple[str, bytes]) -> None:
    address, content = sealed
    got, etag, step = b"", "", len(content) // 5 + 1
    while len(got) < len(content):
        asked = {"Range": f"bytes={len(got)}-{len(got) + step - 1}"} | ({"If-Range": etag} if etag else {})
        answer = world.call("researcher", "GET", address, headers=asked)
        assert answer.status_code == 206
        got, etag = got + answer.content, answer.headers["etag"]
    assert got == content


def test_a_file_that_is_gone_from_the_disk_is_our_fault_and_said_before_the_first_byte(fresh: Any) -> None:
    release = fresh.released(tables=["DM"])
    (fresh.folder(release) / "DM.parquet.age").unlink()
    answer = fresh.call("researcher", "GET", f"/v1/releases/{release.id}/files/DM.parquet.age")
    told = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM)
    assert told["incident"]
    assert "DM" not in told["detail"]
    assert fresh.events(kind="failure")[0].outcome == "failed"


@pytest.mark.parametrize(
    "name",
    ["nothing.age", "..%2f..%2f..%2fkeys%2froot.key", "%2e%2e", "staging", "DM.parquet.age.part", "dm.parquet.age"],
)
def test_a_file_that_is_none_of_the_release_is_not_found(world: Any, release: Any, name: str) -> None:
    answer = world.call("researcher", "GET", f"/v1/releases/{release.id}/files/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)
