"""Where each hash and leaf lies (c2sp.org/tlog-tiles), how a growing tree is cut into tiles, and how tiles are read.

Nothing read is believed: a reader is made for one signed size and root, and every tile must hash up to that root.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from gateway.audit.faults import LogBroken
from gateway.audit.merkle import EMPTY_ROOT, HASH_BYTES, fold, leaf_hash, subtree_root

HEIGHT = 8
WIDTH = 1 << HEIGHT
"""A full tile is 256 hashes wide: a subtree of height 8."""

ENTRIES = "entries"
Fetch = Callable[[str], bytes | None]
"""Bytes at a path below the log's prefix, or None where there is none."""


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """The path of a tile: index in groups of three digits, all but the last marked `x`; width when partial.

    level: 0 for leaf hashes and up, or `ENTRIES` for an entry bundle.
    """
    digits = f"{number % 1000:03d}"
    while number := number // 1000:
        digits = f"x{number % 1000:03d}/{digits}"
    return f"tile/{level}/{digits}" + (f".p/{width}" if width != WIDTH else "")


def width_at(level: int, number: int, size: int) -> int:
    """How many hashes tile `number` of `level` holds in a tree of `size` leaves: 0 to 256."""
    return max(0, min(WIDTH, (size >> (HEIGHT * level)) - number * WIDTH))


def tiles_of(size: int) -> Iterator[tuple[int, int, int]]:
    """Every tile of a tree of `size` leaves as (level, number, width), lowest level first."""
    level, count = 0, size
    while count:
        for number in range(-(-count // WIDTH)):
            yield level, number, min(WIDTH, count - number * WIDTH)
        level, count = level + 1, count >> HEIGHT


def peaks(hashes: Sequence[bytes]) -> list[bytes]:
    """The full binary subtrees of a tile of any width, largest first."""
    found, start = [], 0
    for bit in range(HEIGHT, -1, -1):
        if len(hashes) & (1 << bit):
            found.append(subtree_root(hashes[start : start + (1 << bit)]))
            start += 1 << bit
    return found


def edge_root(levels: Sequence[Sequence[bytes]]) -> bytes:
    """The root of a tree from its partial tiles, level 0 first."""
    return fold(peak for row in reversed(levels) for peak in peaks(row))


def pack(leaves: Sequence[bytes]) -> bytes:
    """An entry bundle: each leaf after its length in 16 bits, big-endian."""
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def unpack(bundle: bytes) -> list[bytes]:
    """The leaves of an entry bundle. Raises ValueError when it is cut short."""
    leaves, at = [], 0
    while at < len(bundle):
        length = int.from_bytes(bundle[at : at + 2], "big")
        end = at + 2 + length
        if end > len(bundle):
            raise ValueError("the entry bundle is cut short")
        leaves.append(bundle[at + 2 : end])
        at = end
    return leaves


def chop(tile: bytes) -> list[bytes]:
    """The hashes of a tile."""
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


@dataclass(slots=True)
class Edge:
    """The growing right edge: the partial tile of each level and the partial entry bundle.

    `files` collects what the leaves appended since have made; `full` the paths of tiles that became full.
    """

    size: int = 0
    levels: list[list[bytes]] = field(default_factory=list)
    bundle: list[bytes] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    full: list[str] = field(default_factory=list)

    def append(self, leaf: bytes) -> None:
        """Append one leaf; a tile that is full leaves the edge and becomes a hash of the level above."""
        number = self.size // WIDTH
        self.bundle.append(leaf)
        if len(self.bundle) == WIDTH:
            self._keep(tile_path(ENTRIES, number), pack(self.bundle))
            self.bundle = []
        digest, level = leaf_hash(leaf), 0
        self.size += 1
        while True:
            if level == len(self.levels):
                self.levels.append([])
            row = self.levels[level]
            row.append(digest)
            if len(row) < WIDTH:
                return
            self._keep(tile_path(level, (self.size >> (HEIGHT * (level + 1))) - 1), b"".join(row))
            digest = subtree_root(row)
            self.levels[level] = []
            level += 1

    def _keep(self, path: str, data: bytes) -> None:
        self.files[path] = data
        self.full.append(path)

    def root(self) -> bytes:
        """The root of the tree at this size."""
        return edge_root(self.levels)

    def partials(self) -> dict[str, bytes]:
        """The partial tiles and the partial bundle that a checkpoint of this size needs."""
        made = {
            tile_path(level, self.size >> (HEIGHT * (level + 1)), len(row)): b"".join(row)
            for level, row in enumerate(self.levels)
            if row
        }
        if self.bundle:
            made[tile_path(ENTRIES, self.size // WIDTH, len(self.bundle))] = pack(self.bundle)
        return made


class TileReader:
    """The tree of one checkpoint read from tiles, each authenticated against the signed root before use.

    Raises LogBroken, naming the tile, when one is missing, has the wrong length or does not hash to its parent.
    """

    def __init__(self, fetch: Fetch, size: int, root: bytes) -> None:
        self._fetch, self.size, self.root = fetch, size, root
        self._tiles: dict[tuple[int, int], list[bytes]] = {}
        self.edge = self._read_edge()

    def _read_edge(self) -> list[list[bytes]]:
        """The partial tiles. Together they are the tree's peaks, so they must fold to the root."""
        levels: list[list[bytes]] = []
        level = 0
        while self.size >> (HEIGHT * level):
            number = self.size >> (HEIGHT * (level + 1))
            width = width_at(level, number, self.size)
            levels.append(self._raw(level, number, width) if width else [])
            level += 1
        if (edge_root(levels) if levels else EMPTY_ROOT) != self.root:
            names = ", ".join(
                f"`{tile_path(level, self.size >> (HEIGHT * (level + 1)), len(row))}`"
                for level, row in enumerate(levels)
                if row
            )
            raise LogBroken(
                f"the tiles {names} do not hash to the root of the checkpoint of size {self.size}",
                cure="run the log's rebuild, which writes damaged tiles again from the database",
            )
        return levels

    def _raw(self, level: int, number: int, width: int) -> list[bytes]:
        """Hashes of a tile as the files give them; a full tile stands in for a partial one that was cleared away."""
        path = tile_path(level, number, width)
        data = self._fetch(path)
        if data is None and width < WIDTH:
            whole = self._fetch(tile_path(level, number))
            data = whole[: width * HASH_BYTES] if whole is not None else None
        if data is None or len(data) != width * HASH_BYTES:
            state = "missing" if data is None else "not as long as it must be"
            raise LogBroken(
                f"the tile `{path}` is {state}",
                cure="run the log's rebuild, which writes damaged tiles again from the database",
            )
        return chop(data)

    def hashes(self, level: int, number: int) -> list[bytes]:
        """The hashes of one tile at this size, authenticated."""
        width = width_at(level, number, self.size)
        if width == 0:
            raise ValueError("there is no such tile at this size")
        if width < WIDTH:
            return self.edge[level]
        known = self._tiles.get((level, number))
        if known is None:
            known = self._raw(level, number, WIDTH)
            parent = self.hashes(level + 1, number >> HEIGHT)[number & (WIDTH - 1)]
            if subtree_root(known) != parent:
                raise LogBroken(
                    f"the tile `{tile_path(level, number)}` does not hash to its parent",
                    cure="run the log's rebuild, which writes damaged tiles again from the database",
                )
            self._tiles[level, number] = known
        return known

    def forget(self, level: int, number: int) -> None:
        """Let go of a tile, so that reading a whole log takes the memory of a few tiles."""
        self._tiles.pop((level, number), None)

    def node(self, level: int, index: int) -> bytes:
        """The hash of the full subtree of height `level` at `index`: the `Nodes` of the proofs."""
        row, within = divmod(level, HEIGHT)
        start = index << within
        place = start & (WIDTH - 1)
        return subtree_root(self.hashes(row, start >> HEIGHT)[place : place + (1 << within)])

    def leaf(self, index: int) -> bytes:
        """The leaf hash at `index`."""
        return self.hashes(0, index >> HEIGHT)[index & (WIDTH - 1)]

    def holds(self, number: int, leaves: Sequence[bytes]) -> bool:
        """Whether the bundle's file holds exactly these leaves."""
        width = width_at(0, number, self.size)
        return len(leaves) == width and self._fetch(tile_path(ENTRIES, number, width)) == pack(leaves)

    def entries(self, number: int) -> list[bytes]:
        """The leaves of one bundle, each compared with its hash. Raises LogBroken, naming the first that differs."""
        width = width_at(0, number, self.size)
        path = tile_path(ENTRIES, number, width)
        data = self._fetch(path)
        if data is None and width < WIDTH:
            data = self._fetch(tile_path(ENTRIES, number))
        try:
            leaves = unpack(data or b"")[:width]
        except ValueError:
            leaves = []
        if len(leaves) != width:
            raise LogBroken(
                f"the entry bundle `{path}` is {'missing' if data is None else 'damaged'}",
                cure="run the log's rebuild, which writes damaged bundles again from the database",
            )
        for place, (leaf, expected) in enumerate(zip(leaves, self.hashes(0, number), strict=True)):
            if leaf_hash(leaf) != expected:
                raise LogBroken(
                    f"the entry {number * WIDTH + place} in `{path}` does not have the hash the log signed",
                    cure="run the log's rebuild, which writes damaged bundles again from the database",
                )
        return leaves

    def resume(self) -> Edge:
        """The edge from which the tree can grow."""
        number = self.size >> HEIGHT
        bundle = self.entries(number) if width_at(0, number, self.size) else []
        return Edge(self.size, [list(row) for row in self.edge], list(bundle))
