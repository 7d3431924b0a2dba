"""The Merkle tree of RFC 6962 section 2.1 over SHA-256: hashes, frontier, proofs. Pure: no disk, no database.

A tree is seen through a `Nodes` function: `nodes(level, index)` is the hash of the full subtree over the leaves
`index * 2**level` up to `(index + 1) * 2**level`.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

Nodes = Callable[[int, int], bytes]

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
"""The root of the tree without leaves: the hash of nothing (RFC 6962 section 2.1)."""


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf). The prefix keeps leaves and inner nodes apart (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def subtree_root(hashes: Sequence[bytes]) -> bytes:
    """The root over `hashes`, whose number is a power of two."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[place], row[place + 1]) for place in range(0, len(row), 2)]
    return row[0]


def fold(peaks: Iterable[bytes]) -> bytes:
    """The root from the full subtrees of a tree, given left to right (largest first)."""
    root: bytes | None = None
    for peak in reversed(list(peaks)):
        root = peak if root is None else node_hash(peak, root)
    return EMPTY_ROOT if root is None else root


class Frontier:
    """The right edge of a tree: enough to append leaves and to know the root, in O(log size) memory.

    peaks: roots of the full subtrees that the bits of `size` name, largest first.
    """

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if size.bit_count() != len(peaks):
            raise ValueError("a frontier has one peak per set bit of its size")
        self.size, self.peaks = size, list(peaks)

    @classmethod
    def from_bytes(cls, size: int, stored: bytes) -> "Frontier":
        """The frontier from its stored form: peaks one after the other. Raises ValueError when they do not fit."""
        return cls(size, [stored[at : at + HASH_BYTES] for at in range(0, len(stored), HASH_BYTES)])

    def __bytes__(self) -> bytes:
        return b"".join(self.peaks)

    def append(self, digest: bytes, level: int = 0) -> None:
        """Append one leaf hash, or the root of a full subtree of `level` where the size is a multiple of its leaves.

        Equal subtrees merge as a binary counter carries.
        """
        node, bits = digest, self.size >> level
        while bits & 1:
            node = node_hash(self.peaks.pop(), node)
            bits >>= 1
        self.peaks.append(node)
        self.size += 1 << level

    def root(self) -> bytes:
        """The tree's root at this size."""
        return fold(self.peaks)


def _split(count: int) -> int:
    """The largest power of two smaller than `count` (RFC 6962 section 2.1: k < n <= 2k)."""
    return 1 << ((count - 1).bit_length() - 1)


def tree_hash(nodes: Nodes, start: int, end: int) -> bytes:
    """MTH(D[start:end]) where `start` is aligned as the recursion of RFC 6962 makes it."""
    count = end - start
    if count == 0:
        return EMPTY_ROOT
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return nodes(level, start >> level)
    middle = start + _split(count)
    return node_hash(tree_hash(nodes, start, middle), tree_hash(nodes, middle, end))


def inclusion_proof(nodes: Nodes, index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]) of RFC 6962 section 2.1.1: siblings from the leaf's up to the root's child."""
    if not 0 <= index < size:
        raise ValueError("an inclusion proof needs an index below the size")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(tree_hash(nodes, middle, end))
            end = middle
        else:
            path.append(tree_hash(nodes, start, middle))
            start = middle
    return path[::-1]


def consistency_proof(nodes: Nodes, old: int, size: int) -> list[bytes]:
    """PROOF(old, D[size]) of RFC 6962 section 2.1.2; empty for `old` 0 and for `old` equal to `size`."""
    if not 0 <= old <= size:
        raise ValueError("a consistency proof goes from a smaller size to a larger one")
    if old in (0, size):
        return []
    proof: list[bytes] = []
    start, end, whole = 0, size, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(tree_hash(nodes, middle, end))
            end = middle
        else:
            proof.append(tree_hash(nodes, start, middle))
            start, whole = middle, False
    if not whole:
        proof.append(tree_hash(nodes, start, end))
    return proof[::-1]


def proves_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows the leaf hash `leaf` at `index` of the tree (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    here, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0 or len(sibling) != HASH_BYTES:
            return False
        if here & 1 or here == last:
            node = node_hash(sibling, node)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and node == root


def proves_consistency(*, old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `old` leaves is a prefix of the tree of `size` leaves (RFC 9162 section 2.1.4.2).

    The empty tree is a prefix of every tree and needs no proof (c2sp.org/tlog-witness).
    """
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if old == size:
        return not proof and old_root == root
    if old > size or not proof:
        return False
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    here, last = old - 1, size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0 or len(sibling) != HASH_BYTES:
            return False
        if here & 1 or here == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and first == old_root and second == root
