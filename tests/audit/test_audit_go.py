"""A verifier that others wrote, golang.org/x/mod/sumdb, accepts what we write and refuses any flipped bit of it."""

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway import audit
from gateway.audit import merkle, tiles
from gateway.audit.notes import encode64, sign_checkpoint
from tests.audit.conftest import Ledger

GOPATH = Path("/usr/share/gocode")
Go = Callable[..., tuple[int, str]]


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Go:
    if shutil.which("go") is None or not (GOPATH / "src/golang.org/x/mod/sumdb").is_dir():
        pytest.skip("needs Go and x/mod (Debian: golang-go, golang-golang-x-mod-dev)")
    build = tmp_path_factory.mktemp("go")
    shutil.copy(Path(__file__).parent / "go" / "check.go", build / "check.go")
    environment = os.environ | {
        "GO111MODULE": "off",
        "GOPATH": str(GOPATH),
        "GOCACHE": str(build / "cache"),
        "GOFLAGS": "",
    }
    subprocess.run(["go", "build", "-o", "check", "check.go"], cwd=build, env=environment, check=True)

    def check(*arguments: object, given: str = "") -> tuple[int, str]:
        done = subprocess.run(
            [build / "check", *map(str, arguments)], input=given, capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        return done.returncode, done.stdout.strip()

    return check


def flipped(data: bytes, bit: int) -> bytes:
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << (bit % 8)
    return bytes(damaged)


def test_go_accepts_the_log_its_proofs_and_its_growth(go: Go, local_ledger: Ledger, tmp_path: Path) -> None:
    ledger, key = local_ledger, str(local_ledger.signer.verifier)
    old = audit.Checkpoint("", 0, merkle.EMPTY_ROOT, "")
    for count in (1, 1, 253, 1, 1, 300, 700):
        checkpoint = ledger.grow(count)
        assert go("log", key, ledger.log_dir) == (0, "OK")
        tree = tiles.TileReader(lambda path: (ledger.log_dir / path).read_bytes(), checkpoint.size, checkpoint.root)
        if old.size:
            (tmp_path / "old").write_text(old.note)
            proof = merkle.consistency_proof(tree.node, old.size, checkpoint.size)
            given = "\n".join(map(encode64, proof))
            assert go("grown", key, tmp_path / "old", ledger.log_dir, given=given) == (0, "OK")
        old = checkpoint
    for index in (0, 255, 256, 257, 700, 1256):
        receipt = audit.prove(ledger.engine, ledger.log_dir, ledger.ids[index])
        (tmp_path / "p.tlog-proof").write_text(receipt.proof)
        (tmp_path / "leaf").write_bytes(receipt.leaf)
        assert go("proof", key, tmp_path / "p.tlog-proof", tmp_path / "leaf") == (0, "OK")
        _, said = go("paths", key, ledger.log_dir, index)
        hashes = receipt.proof.partition("\n\n")[0].split("\n")[3:]
        assert said.split("\n") == [*hashes, "OK"]


def test_go_refuses_any_flipped_bit(go: Go, local_ledger: Ledger, tmp_path: Path) -> None:
    ledger, key, chance = local_ledger, str(local_ledger.signer.verifier), random.Random(9162)  # noqa: S311
    checkpoint = ledger.grow(700)
    needed = [tiles.tile_path(*tile) for tile in tiles.tiles_of(checkpoint.size)]
    needed += [path.replace("tile/0", "tile/entries") for path in needed if path.startswith("tile/0")]
    for name in ["checkpoint", *needed]:
        path = ledger.log_dir / name
        original = path.read_bytes()
        for bit in chance.sample(range(len(original) * 8), 12):
            path.write_bytes(flipped(original, bit))
            assert go("log", key, ledger.log_dir)[0] == 1, (name, bit)
        path.write_bytes(original)
        assert go("log", key, ledger.log_dir) == (0, "OK")
    receipt = audit.prove(ledger.engine, ledger.log_dir, ledger.ids[321])
    (tmp_path / "leaf").write_bytes(receipt.leaf)
    file = tmp_path / "p.tlog-proof"
    for bit in chance.sample(range(len(receipt.proof.encode()) * 8), 60):
        file.write_bytes(flipped(receipt.proof.encode(), bit))
        assert go("proof", key, file, tmp_path / "leaf")[0] == 1, bit


def test_go_and_we_refuse_the_same_forgeries(go: Go, local_ledger: Ledger, tmp_path: Path) -> None:
    ledger, key = local_ledger, str(local_ledger.signer.verifier)
    ledger.grow(300)
    genuine = (ledger.log_dir / "checkpoint").read_text()
    stranger = audit.Signer(ledger.signer.name, Ed25519PrivateKey.generate())
    for note in (
        sign_checkpoint(stranger, 300, bytes(32)).note,
        sign_checkpoint(ledger.signer, 300, bytes(32)).note,
        sign_checkpoint(ledger.signer, 299, audit.open_checkpoint(genuine, ledger.signer.verifier).root).note,
        genuine.replace("300", "301"),
    ):
        (ledger.log_dir / "checkpoint").write_text(note)
        assert go("log", key, ledger.log_dir)[0] == 1
        assert not ledger.verify().sound
    (ledger.log_dir / "checkpoint").write_text(genuine)
    assert go("log", key, ledger.log_dir) == (0, "OK")


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 65_535, 65_536, 65_537, 70_000])
def test_go_computes_the_same_tree_at_every_boundary(
    go: Go, size: int, tmp_path: Path, make_signer: Callable[..., audit.Signer]
) -> None:
    signer, edge = make_signer(), tiles.Edge()
    for index in range(size):
        edge.append(b"%d" % index)
    for name, data in (edge.files | edge.partials()).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "checkpoint").write_text(sign_checkpoint(signer, size, edge.root()).note)
    assert go("log", signer.verifier, tmp_path) == (0, "OK")
