"""What the leak scan of one release searches beside the cells: date shifts, heads of files, the pages beside them.

Every place in which bytes reach the recipient is searched by content: cells and labels as they stream, the metadata of
each finished file as it was written, file names, the manifest and the report.
"""

import html
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, BinaryIO

import pyarrow as pa

from gateway.domain.actor import Actor
from gateway.domain.request import Status
from gateway.release.work import SHARED_BY_MANY, Work, scope_key
from pseudonymization import dates
from pseudonymization.columns import ColumnRef
from pseudonymization.deidentify import Prepared
from pseudonymization.faults import Place
from pseudonymization.isodates import Days
from pseudonymization.leaks import Narratives, Scanner
from pseudonymization.pseudonyms import subject_pseudonyms
from pseudonymization.text import DateWords

_RELEASED = frozenset({Status.RELEASING, Status.RELEASED, Status.EXPIRED, Status.REVOKED})
_EDGE_BYTES = 1 << 16
_EVERYTHING = Actor("system", "the gateway itself", roles={"*": frozenset({"operator"})})
_TAG = re.compile(r"<(style|script)\b.*?</\1>|<[^>]*>", re.DOTALL)
_WORDS = re.compile(rb"[\x20-\x7e\x80-\xff]{3,}")
_NOT_DATA = frozenset({"policy", "decision", "format", "sealed_to", "signed_by", "created", "expires"})
"""Parts of the manifest that come from the rules, the clock and the keys, not from the study."""


def scanner(work: Work, prepared: Prepared) -> Scanner:
    """The scanner of this release. It knows the whole study, also what was not asked for."""
    source = work.source
    return Scanner(
        work.whole,
        prepared.subjects,
        prepared.plan,
        allowed={ColumnRef(*place.partition(".")[::2]) for place in work.whole.options.reasons()},
        pseudonyms=pa.array(subject_pseudonyms(work.key, prepared.subjects.ids.to_pylist()), pa.string()),
        source=source,
        told=Narratives.of(work.whole, source, prepared.plan),
    )


def other_shifts(work: Work, prepared: Prepared) -> list[Days]:
    """The shifts of the same subjects under every other key that a release of this study has; kept nowhere."""
    ids = prepared.subjects.ids.to_pylist()
    scopes = {
        (request.terms.project, request.terms.mode == SHARED_BY_MANY)
        for request in work.gateway.store.requests(seen_by=_EVERYTHING)
        if request.terms.dataset == work.version.dataset and request.status in _RELEASED
    }
    keys = {scope_key(work.gateway, project, SHARED_BY_MANY if public else "controlled") for project, public in scopes}
    return [dates.shifts(key, ids) for key in sorted(keys - {work.key}, key=lambda key: key.project)]


class Edges:
    """A sink that passes everything on and remembers how a file begins and ends: where formats keep their metadata."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink, self._head, self._tail = sink, bytearray(), bytearray()

    @property
    def closed(self) -> bool:
        """Whether the sink behind takes no more."""
        return self._sink.closed

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any) -> int:
        """Pass the bytes on."""
        view = memoryview(data).cast("B")
        if len(self._head) < _EDGE_BYTES:
            self._head += view[: _EDGE_BYTES - len(self._head)]
        self._tail += view[-_EDGE_BYTES:]
        del self._tail[:-_EDGE_BYTES]
        self._sink.write(view)
        return view.nbytes

    def metadata(self, form: str) -> str:
        """The words of the finished file's metadata: XPORT header, Parquet footer, CSV heading."""
        if form == "parquet":
            size = int.from_bytes(self._tail[-8:-4], "little")
            raw = bytes(self._tail[-8 - size : -8])
        else:
            end = self._head.find(b"HEADER RECORD*******OBS" if form == "xport" else b"\r\n")
            raw = bytes(self._head if end < 0 else self._head[:end])
        return "\n".join(words.decode("latin-1") for words in _WORDS.findall(raw))


def documents(
    scan: Scanner, content: Mapping[str, Any], report: bytes, names: Sequence[str], when: Sequence[datetime]
) -> None:
    """Search the manifest, the report and the file names.

    Raises:
        Leak: something is there that should be gone; names the document, never the value.
    """
    for name in names:
        scan.scan_document(name, Place("file names"))
    rules = json.dumps([content["policy"], content["decision"]], ensure_ascii=False)
    own = {day for _, _, days in DateWords.find(rules) for day in days} | {_day(moment.date()) for moment in when}
    for place, text in _texts(content):
        scan.scan_document(text, Place("manifest", place), own_days=own)
    page = html.unescape(_TAG.sub("\n", report.decode()))
    for line in page.splitlines():
        if line.strip():
            scan.scan_document(line, Place("report"), own_days=own)
    scan.verdict()


def _texts(content: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text of the manifest that comes from the study or was typed for it, keys included, with where it stands."""
    if isinstance(content, str):
        yield place, content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            if not place and key in _NOT_DATA:
                continue
            yield place or key, str(key)
            yield from _texts(value, place or key)
    elif isinstance(content, Collection):
        for value in content:
            yield from _texts(value, place)


def _day(day: date) -> int:
    return day.toordinal() - date(1970, 1, 1).toordinal()
