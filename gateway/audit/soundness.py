"""Reads everything again and says whether the log is sound, and if not, where.

What is compared: the checkpoint's signature; every tile and bundle with the signed root; every database row with its
leaf hash, place and searchable copies; every personal text with its commitment. The signed root decides who is right.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from sqlalchemy import Connection, Engine, func, select

from gateway.audit import files, tables
from gateway.audit.faults import LogBroken
from gateway.audit.leaves import Leaf, all_open, as_bytes, field_salt, opens, read_leaf, read_leaves, read_texts
from gateway.audit.merkle import EMPTY_ROOT, Frontier, leaf_hash, subtree_root
from gateway.audit.notes import Checkpoint, NoteRefused, VerifierKey, open_note, parse_checkpoint_text
from gateway.audit.stored import Row, by_tile, little_garbage
from gateway.audit.tiles import HEIGHT, WIDTH, TileReader
from gateway.domain.event import EventKind

MAX_FINDINGS = 100
"""Sentences kept; what is beyond is only counted."""
MAX_MISPLACED = 100_000
"""Rows with a wrong hash remembered, to tell a swap from a change."""


@dataclass(frozen=True, slots=True)
class Soundness:
    """The verdict. sound: no finding. findings: one located sentence each. notes: what is no fault but worth knowing.

    size and root: of the checkpoint, or of the database when no checkpoint could be read.
    """

    sound: bool
    size: int
    root: bytes
    findings: tuple[str, ...]
    notes: tuple[str, ...] = ()


def verify(engine: Engine, log_dir: Path, keys: Sequence[VerifierKey]) -> Soundness:
    """Read database and log folder again, from the first event to the last.

    keys: the log's, and those of witnesses whose cosignatures should be checked. Never raises for an unsound log;
    may run while events are being written: what is published cannot change, what is not yet is only counted.
    """
    reading = _Reading(log_dir, keys)
    with tables.reading(engine) as connection, little_garbage():
        reading.read_database(connection)
    return reading.verdict()


class _Reading:
    def __init__(self, log_dir: Path, keys: Sequence[VerifierKey]) -> None:
        self.log_dir, self.keys = log_dir, keys
        self.findings: list[str] = []
        self.notes: list[str] = []
        self.unlisted = 0
        self.next = 0
        self.frontier: Frontier | None = Frontier()
        self.misplaced: dict[int, tuple[bytes, bytes]] = {}
        self.missing: list[int] = []
        self.erased: list[tuple[int, str]] = []
        self.erasures: set[str] = set()
        self.latest = ""
        self.backwards: list[int] = []
        self.checkpoint = self._checkpoint()
        self.tree = self._tree()

    def find(self, sentence: str) -> None:
        """Keep a finding, once."""
        if sentence in self.findings:
            return
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(sentence)
        else:
            self.unlisted += 1

    def _checkpoint(self) -> Checkpoint | None:
        note = files.read(self.log_dir, files.CHECKPOINT)
        if note is None:
            return None
        try:
            text, good = open_note(note.decode(), self.keys)
            checkpoint = parse_checkpoint_text(text, note.decode())
            if not any(key.name == checkpoint.origin for key, _ in good):
                raise NoteRefused("its log's own signature is missing")
        except (NoteRefused, UnicodeDecodeError) as fault:
            reason = fault.reason if isinstance(fault, NoteRefused) else "it is not text"
            self.find(f"`checkpoint`: not signed by the log's key ({reason})")
            return None
        return checkpoint

    def _tree(self) -> TileReader | None:
        if self.checkpoint is None:
            return None
        try:
            return TileReader(lambda path: files.read(self.log_dir, path), self.checkpoint.size, self.checkpoint.root)
        except LogBroken as fault:
            self.find(fault.reason)
            return None

    def read_database(self, connection: Connection) -> None:
        """Every row in order of index, then what waits, then the head and the whole."""
        size = self.checkpoint.size if self.checkpoint else 0
        integrated = self._head(connection)
        for number, rows in by_tile(connection, max(size, integrated)):
            self._tile(number, rows, size)
        self._gap(max(size, integrated))
        self._strays(connection)
        self._waiting(connection, integrated)
        self._whole(integrated)
        self._misplaced()
        self._erased()
        for path in files.strange_partials(self.log_dir):
            self.find(f"the partial tile `{path}` is not the beginning of the tile that grew out of it")

    def _head(self, connection: Connection) -> int:
        head = connection.execute(select(tables.head)).mappings().one_or_none()
        if head is None:
            if self.checkpoint is not None and self.checkpoint.size:
                self.find("`audit_head`: the row that says how far the database has integrated is gone")
            return 0
        size, root = int(head["size"]), as_bytes(head["root"])
        try:
            if Frontier.from_bytes(size, as_bytes(head["frontier"])).root() != root:
                self.find("`audit_head`: frontier and root do not belong together")
        except ValueError:
            self.find("`audit_head`: the frontier does not fit the size")
        if self.checkpoint is None:
            if size:
                self.find(f"`checkpoint`: none is readable although {size} events are sequenced")
        elif size < self.checkpoint.size:
            self.find(
                f"`audit_head`: the database has integrated {size} events but a checkpoint of "
                f"{self.checkpoint.size} is signed: an older backup was restored or the tail was cut"
            )
        elif size == self.checkpoint.size and root != self.checkpoint.root:
            self.find(f"`audit_head`: another root than the signed checkpoint of size {size}")
        elif size > self.checkpoint.size:
            self.notes.append(f"{size - self.checkpoint.size} events are sequenced but not yet published")
        return size

    def _tile(self, number: int, rows: list[Row], size: int) -> None:
        """The rows of one tile against the hashes of the tile, and the bundle against both."""
        expected = self._expected(number, size)
        digests = [leaf_hash(row.leaf) for row in rows]
        start = number * WIDTH
        if digests == expected and [row.index for row in rows] == list(range(start, start + len(rows))):
            self._whole_tile(number, rows, digests)
        else:
            self._bundle(number)
            for row, digest in zip(rows, digests, strict=True):
                place = int(row.index) - start
                self._place(row, digest, expected[place] if place < len(expected) else None)
        if self.tree is not None:
            self.tree.forget(0, number)

    def _expected(self, number: int, size: int) -> list[bytes]:
        if self.tree is None or number * WIDTH >= size:
            return []
        try:
            return self.tree.hashes(0, number)
        except LogBroken as fault:
            self.find(fault.reason)
            return []

    def _bundle(self, number: int) -> None:
        if self.tree is not None and number * WIDTH < self.tree.size:
            try:
                self.tree.entries(number)
            except LogBroken as fault:
                self.find(fault.reason)

    def _whole_tile(self, number: int, rows: list[Row], digests: list[bytes]) -> None:
        """A tile as it should be, which is the rule, and so must be quick."""
        if self.tree is not None and not self.tree.holds(number, [row.leaf for row in rows]):
            self._bundle(number)
        self._gap(number * WIDTH)
        self.next = number * WIDTH + len(rows)
        if self.frontier is not None:
            if len(rows) == WIDTH:
                self.frontier.append(subtree_root(digests), HEIGHT)
            else:
                for digest in digests:
                    self.frontier.append(digest)
        leaves = read_leaves([row.leaf for row in rows])
        if leaves is None:
            for row in rows:
                self._row(row)
            return
        for row, leaf in zip(rows, leaves, strict=True):
            self._said(row, leaf)

    def _place(self, row: Row, digest: bytes, expected: bytes | None) -> None:
        """One row of a tile that is not as it should be."""
        if row.index % 1:  # SQLite stores 1.5 in a column of whole numbers
            self.find(f"`audit_event` index {row.index}: put there by hand; no index is like this")
            return
        self._gap(row.index)
        self.next = row.index + 1
        if self.frontier is not None:
            self.frontier.append(digest)
        if expected is None or expected == digest:
            self._row(row)
        elif len(self.misplaced) < MAX_MISPLACED:
            self.misplaced[row.index] = (digest, expected)

    def _gap(self, index: int) -> None:
        """Rows missing from `next` up to `index`."""
        if index <= self.next:
            return
        self.frontier = None
        self.missing += range(self.next, min(index, self.next + MAX_MISPLACED - len(self.missing)))
        last = index - 1
        where = f"index {self.next}" if last == self.next else f"indexes {self.next} to {last}"
        self.find(f"`audit_event` {where}: removed from the database{self._was(self.next)}")
        self.next = index

    def _was(self, index: int) -> str:
        """What the log's folder still knows of an event the database lost."""
        if self.tree is None or index >= self.tree.size:
            return ""
        try:
            leaf = read_leaf(self.tree.entries(index // WIDTH)[index % WIDTH])
        except (LogBroken, ValueError):
            return ""
        return f" (the first was event {leaf.event_id}, `{leaf.kind}`)"

    def _row(self, row: Row) -> None:
        """A row whose leaf is the signed one: its copies and personal texts must be what the leaf says."""
        try:
            leaf = read_leaf(row.leaf)
        except ValueError:
            self.find(f"`audit_event` index {row.index}: the leaf is not an event of this log")
            return
        self._said(row, leaf)

    def _said(self, row: Row, leaf: Leaf) -> None:
        if leaf.event_id != row.event_id:
            self.find(f"`audit_event` index {row.index}: `event_id` was changed")
        said = (leaf.time, leaf.kind, leaf.outcome, leaf.actor)
        if row.copies != said:
            self._copies(f"`audit_event` index {row.index}", row.copies, said)
        if row.about != leaf.about:
            self.find(f"`audit_about` of index {row.index}: not what the leaf says")
        if row.personal is not None or leaf.personal:
            self._personal(row, leaf)
        if leaf.time < self.latest:
            self.backwards.append(row.index)
        self.latest = max(self.latest, leaf.time)
        if leaf.kind == EventKind.PERSONAL_ERASED:
            self._erasure(leaf)

    def _copies(self, where: str, copies: Sequence[str], said: Sequence[str]) -> None:
        for name, copy, original in zip(("time", "kind", "outcome", "actor"), copies, said, strict=True):
            if copy != original:
                self.find(f"{where}: `{name}` was changed; the leaf says otherwise")

    def _erasure(self, leaf: Leaf) -> None:
        named = leaf.facts.get("events")
        self.erasures.update(named if isinstance(named, list) else [])

    def _personal(self, row: Row, leaf: Leaf) -> None:
        """The personal texts against the commitments to them."""
        where = f"`audit_personal` of index {row.index}"
        if row.personal is None:
            self.find(f"{where}: the row was removed")
            return
        salt, stored = row.personal
        if salt is None and stored is None:
            self.erased.append((row.index, leaf.event_id))
            return
        try:
            texts = read_texts(stored or "")
            if all_open(leaf.personal, texts, salt or b""):
                return
            names = set(texts.keys()) | set(leaf.personal)
        except (ValueError, AttributeError):
            self.find(f"{where}: the texts were changed after they were logged")
            return
        for name in sorted(names):
            committed, text = leaf.personal.get(name), texts.get(name)
            if committed is None:
                self.find(f"{where}, field `{name}`: was never logged")
            elif text is None:
                self.find(f"{where}, field `{name}`: was removed")
            elif not opens(committed, name, str(text), field_salt(salt or b"", name)):
                self.find(f"{where}, field `{name}`: text or salt were changed after they were logged")

    def _strays(self, connection: Connection) -> None:
        """Rows that no sequencer placed, and parts of events that are not there."""
        event = tables.event
        # The head is read again, in the same statement: the sequencer may have gone on since.
        reached = select(func.coalesce(func.max(tables.head.c.size), 0)).scalar_subquery()
        strays = connection.execute(
            select(event.c.idx).where((event.c.idx >= reached) | (event.c.idx < 0)).order_by(event.c.idx).limit(10)
        )
        for (index,) in strays:
            if not isinstance(index, int) or index < 0 or self.checkpoint is None or index >= self.checkpoint.size:
                self.find(f"`audit_event` index {index}: put there by hand; the sequencer has not reached it")
        for table in (tables.about, tables.personal):
            orphans = connection.execute(
                select(func.count())
                .select_from(table.outerjoin(event, event.c.event_id == table.c.event_id))
                .where(event.c.event_id.is_(None))
            ).scalar_one()
            if orphans:
                self.find(f"`{table.name}`: {orphans} rows belong to events that are not in the database")

    def _waiting(self, connection: Connection, integrated: int) -> None:
        event = tables.event
        waiting = connection.execute(select(func.count()).select_from(event).where(event.c.idx.is_(None))).scalar_one()
        if waiting:
            self.notes.append(f"{waiting} events wait for the sequencer")
        erasures = select(event.c.leaf).where(
            event.c.idx.is_(None) | (event.c.idx >= integrated), event.c.kind == EventKind.PERSONAL_ERASED.value
        )
        for (leaf,) in connection.execute(erasures):
            with suppress(ValueError):  # no leaf: the sequencer will give it a place, and then it is found
                self._erasure(read_leaf(as_bytes(leaf)))

    def _whole(self, integrated: int) -> None:
        """The root over all rows, computed apart from all tiles."""
        checkpoint = self.checkpoint
        if checkpoint is None or self.frontier is None or integrated != checkpoint.size:
            return
        if self.frontier.root() != checkpoint.root and not self.misplaced:
            self.find(f"`audit_event`: the {self.frontier.size} rows do not hash to the signed root")

    def _misplaced(self) -> None:
        """Tell apart what was changed, swapped, and shifted, and name the place of each."""
        logged_at = {expected: index for index, (_, expected) in self.misplaced.items()}
        if self.misplaced:
            logged_at |= self._logged_where_missing()
        told: set[int] = set()
        shifts: list[tuple[int, int]] = []
        for index, (digest, _) in self.misplaced.items():
            origin = logged_at.get(digest)
            if index in told:
                continue
            if origin is None:
                self.find(f"`audit_event` index {index}: changed, or put in place of another{self._was(index)}")
            elif origin in self.misplaced and logged_at.get(self.misplaced[origin][0]) == index:
                told.add(origin)
                self.find(f"`audit_event` indexes {index} and {origin}: swapped")
            else:
                shifts.append((index, origin - index))
        for shift, run in groupby(shifts, key=lambda pair: pair[1]):
            indexes = [index for index, _ in run]
            self.find(
                f"`audit_event` indexes {indexes[0]} to {indexes[-1]}: each holds the event logged "
                f"{abs(shift)} place{'s' * (abs(shift) > 1)} {'later' if shift > 0 else 'earlier'}"
            )

    def _logged_where_missing(self) -> dict[bytes, int]:
        found: dict[bytes, int] = {}
        with suppress(LogBroken):  # a damaged tile is a finding already
            for index in self.missing:
                if self.tree is not None and index < self.tree.size:
                    found[self.tree.leaf(index)] = index
        return found

    def _erased(self) -> None:
        for index, event_id in self.erased:
            if event_id not in self.erasures:
                self.find(f"`audit_personal` of index {index}: gone, but no erasure was logged")
        logged = sum(event_id in self.erasures for _, event_id in self.erased)
        if logged:
            self.notes.append(f"the personal texts of {logged} events were erased, as the log says")

    def verdict(self) -> Soundness:
        """All findings, and the size and root they are about."""
        if self.backwards:
            self.notes.append(
                f"the clock went back at {len(self.backwards)} events, first at index {self.backwards[0]}; "
                "the order of the log is that of the indexes"
            )
        if self.unlisted:
            self.findings.append(f"and {self.unlisted} further findings")
        size, root = 0, EMPTY_ROOT
        if self.checkpoint is not None:
            size, root = self.checkpoint.size, self.checkpoint.root
        elif self.frontier is not None:
            size, root = self.frontier.size, self.frontier.root()
        return Soundness(not self.findings, size, root, tuple(self.findings), tuple(self.notes))
