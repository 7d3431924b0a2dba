"""Tree, tiles and proofs against the definitions of RFC 6962, written here again, word for word and slow."""

from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit import merkle, tiles
from gateway.audit.faults import LogBroken

LARGEST = 70_000
SIZES = sorted(
    {
        size
        for base in [*(1 << bit for bit in range(17)), *range(256, LARGEST, 256), 256 * 256, LARGEST]
        for size in range(base - 2, base + 3)
        if 0 < size <= LARGEST
    }
)
FEW = sorted(
    {size for size in SIZES if size < 20 or any(abs(size - (1 << b)) <= 1 for b in range(17))} | {768, 69_888, 70_000}
)


# RFC 6962 section 2.1. The leaves are the numbers of their places, so a tree is named by its bounds.


def leaf(index: int) -> bytes:
    return b"leaf %d" % index


def largest_power_below(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


@cache
def mth(start: int, end: int) -> bytes:
    n = end - start
    if n == 0:
        return sha256().digest()
    if n == 1:
        return sha256(b"\x00" + leaf(start)).digest()
    k = largest_power_below(n)
    return sha256(b"\x01" + mth(start, start + k) + mth(start + k, end)).digest()


def path(m: int, start: int, end: int) -> list[bytes]:
    n = end - start
    if n == 1:
        return []
    k = largest_power_below(n)
    if m < k:
        return [*path(m, start, start + k), mth(start + k, end)]
    return [*path(m - k, start + k, end), mth(start, start + k)]


def subproof(m: int, start: int, end: int, *, known: bool) -> list[bytes]:
    n = end - start
    if m == n:
        return [] if known else [mth(start, end)]
    k = largest_power_below(n)
    if m <= k:
        return [*subproof(m, start, start + k, known=known), mth(start + k, end)]
    return [*subproof(m - k, start + k, end, known=False), mth(start, start + k)]


@pytest.fixture(scope="module")
def folder() -> dict[str, bytes]:
    """Every tile that the checkpoints of all SIZES need, as one growing tree writes them."""
    edge, files = tiles.Edge(), {}
    for size in SIZES:
        while edge.size < size:
            edge.append(leaf(edge.size))
        files |= edge.partials()
        assert edge.root() == mth(0, size)
    return files | edge.files


def reader(folder: dict[str, bytes], size: int) -> tiles.TileReader:
    return tiles.TileReader(folder.get, size, mth(0, size))


def test_the_frontier_has_the_defined_root_at_every_size() -> None:
    frontier = merkle.Frontier()
    assert frontier.root() == mth(0, 0) == merkle.EMPTY_ROOT
    for size in range(1, 3000):
        frontier.append(merkle.leaf_hash(leaf(size - 1)))
        assert frontier.root() == mth(0, size)
        assert merkle.Frontier.from_bytes(size, bytes(frontier)).root() == mth(0, size)


def test_the_frontier_has_the_defined_root_around_every_boundary() -> None:
    frontier, wanted = merkle.Frontier(), set(SIZES)
    for index in range(LARGEST):
        frontier.append(merkle.leaf_hash(leaf(index)))
        if frontier.size in wanted:
            assert frontier.root() == mth(0, frontier.size)


def test_tiles_hold_the_defined_hashes(folder: dict[str, bytes]) -> None:
    for size in SIZES:
        for level, number, width in tiles.tiles_of(size):
            if width == 256 and size != LARGEST:
                continue  # full tiles never change: looked at once, in the largest tree
            span = 256**level
            hashes = [mth((number * 256 + i) * span, (number * 256 + i + 1) * span) for i in range(width)]
            assert folder[tiles.tile_path(level, number, width)] == b"".join(hashes)


def test_a_tree_of_70000_has_the_tiles_of_the_specification() -> None:
    """The example in c2sp.org/tlog-tiles, Partial Tiles."""
    found = [(level, width) for level, _, width in tiles.tiles_of(70_000)]
    assert found.count((0, 256)) == 273
    assert found.count((0, 112)) == 1
    assert found.count((1, 256)) == 1
    assert found.count((1, 17)) == 1
    assert found.count((2, 1)) == 1
    assert len(found) == 277
    assert list(tiles.tiles_of(256)) == [(0, 0, 256), (1, 0, 1)]


def test_tile_paths_are_those_of_the_specification() -> None:
    assert tiles.tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert tiles.tile_path(3, 5, 17) == "tile/3/005.p/17"
    assert tiles.tile_path("entries", 1000) == "tile/entries/x001/000"


def test_entry_bundles_hold_the_leaves(folder: dict[str, bytes]) -> None:
    for size in FEW:
        tree = reader(folder, size)
        for number in {0, (size - 1) // 256}:
            end = min(size, number * 256 + 256)
            assert tree.entries(number) == [leaf(i) for i in range(number * 256, end)]


def test_inclusion_proofs_are_those_of_the_definition_and_verify(folder: dict[str, bytes]) -> None:
    for size in SIZES:
        tree = reader(folder, size)
        for index in {0, size // 2, size - 1, (size - 1) & ~255, min(size - 1, 256)}:
            proof = merkle.inclusion_proof(tree.node, index, size)
            assert proof == path(index, 0, size)
            digest = merkle.leaf_hash(leaf(index))
            given = {"index": index, "size": size, "proof": proof, "root": mth(0, size)}
            assert merkle.proves_inclusion(leaf=digest, **given)
            assert not merkle.proves_inclusion(leaf=merkle.leaf_hash(b"other"), **given)


def test_every_inclusion_proof_of_every_small_tree() -> None:
    for size in range(1, 70):
        for index in range(size):
            proof = merkle.inclusion_proof(lambda level, i: mth(i << level, (i + 1) << level), index, size)
            assert proof == path(index, 0, size)
            for claimed in range(size + 2):
                assert merkle.proves_inclusion(
                    leaf=mth(index, index + 1), index=claimed, size=size, proof=proof, root=mth(0, size)
                ) == (claimed == index)


def test_consistency_proofs_are_those_of_the_definition_and_verify(folder: dict[str, bytes]) -> None:
    for size in FEW:
        tree = reader(folder, size)
        for old in (old for old in FEW if old <= size):
            proof = merkle.consistency_proof(tree.node, old, size)
            assert proof == subproof(old, 0, size, known=True)
            given = {"old": old, "size": size, "root": mth(0, size), "proof": proof}
            assert merkle.proves_consistency(old_root=mth(0, old), **given)
            assert not merkle.proves_consistency(old_root=sha256(b"fork").digest(), **given)


def test_every_consistency_proof_of_every_small_tree() -> None:
    for size in range(1, 60):
        for old in range(1, size + 1):
            proof = merkle.consistency_proof(lambda level, i: mth(i << level, (i + 1) << level), old, size)
            assert proof == subproof(old, 0, size, known=True)
            for claimed in range(1, size + 1):
                assert merkle.proves_consistency(
                    old=claimed, old_root=mth(0, old), size=size, root=mth(0, size), proof=proof
                ) == (claimed == old)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), size=st.integers(1, 600))
def test_a_proof_with_any_bit_flipped_or_hash_dropped_is_refused(data: st.DataObject, size: int) -> None:
    def nodes(level: int, i: int) -> bytes:
        return mth(i << level, (i + 1) << level)

    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    for proof, holds in (
        (
            merkle.inclusion_proof(nodes, index, size),
            lambda p: merkle.proves_inclusion(
                leaf=mth(index, index + 1), index=index, size=size, proof=p, root=mth(0, size)
            ),
        ),
        (
            merkle.consistency_proof(nodes, old, size),
            lambda p: merkle.proves_consistency(old=old, old_root=mth(0, old), size=size, root=mth(0, size), proof=p),
        ),
    ):
        assert holds(proof)
        assert not holds([*proof, mth(0, 1)])
        if proof:
            at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
            flipped = (int.from_bytes(proof[at], "big") ^ (1 << bit)).to_bytes(32, "big")
            assert not holds([*proof[:at], flipped, *proof[at + 1 :]])
            assert not holds(proof[:at] + proof[at + 1 :])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_tile_with_any_bit_flipped_is_refused_by_name(folder: dict[str, bytes], data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([1, 255, 256, 257, 511, 4096, 65_535, 65_536, 65_537, 70_000]))
    level, number, width = data.draw(st.sampled_from(list(tiles.tiles_of(size))))
    name = tiles.tile_path(level, number, width)
    tile = bytearray(folder[name])
    bit = data.draw(st.integers(0, len(tile) * 8 - 1))
    tile[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(LogBroken, match=name):
        reader(folder | {name: bytes(tile)}, size).hashes(level, number)


@pytest.mark.parametrize("count", range(1, 9))
def test_roots_are_those_of_the_certificate_transparency_vectors(count: int) -> None:
    """Inputs and roots of the reference tests of Certificate Transparency (RFC 6962 trees of 1 to 8 leaves)."""
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]
    frontier, edge = merkle.Frontier(), tiles.Edge()
    for data in inputs[:count]:
        frontier.append(merkle.leaf_hash(bytes.fromhex(data)))
        edge.append(bytes.fromhex(data))
    assert frontier.root().hex() == edge.root().hex() == roots[count - 1]
