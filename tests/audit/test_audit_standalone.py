"""The small file alone, in an empty folder, with nothing of the gateway in reach."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import audit
from gateway.audit import standalone_verifier
from tests.audit.conftest import Ledger

SCRIPT = Path(standalone_verifier.__file__)


@pytest.fixture
def moved(local_ledger: Ledger, tmp_path: Path) -> Path:
    """A folder with the script, a receipt, an old checkpoint and a copy of the log; the key is beside it."""
    folder = tmp_path / "auditor"
    folder.mkdir()
    local_ledger.grow(400)
    (folder / "old").write_text((local_ledger.log_dir / "checkpoint").read_text())
    local_ledger.grow(300)
    receipt = audit.receipt(local_ledger.engine, local_ledger.log_dir, local_ledger.ids[321])
    (folder / "receipt.tlog-proof").write_text(receipt)
    (folder / "key").write_text(str(local_ledger.signer.verifier))
    shutil.copytree(local_ledger.log_dir, folder / "log")
    shutil.copy(SCRIPT, folder / "verify.py")
    return folder


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    key = (folder / "key").read_text()
    done = subprocess.run(
        [sys.executable, "-I", "verify.py", arguments[0], key, *arguments[1:]],
        cwd=folder, capture_output=True, text=True, check=False, env={},
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


def test_it_imports_nothing_but_the_standard_library_and_cryptography() -> None:
    names: set[str] = set()
    for node in ast.walk(ast.parse(SCRIPT.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    assert names - set(sys.stdlib_module_names) == {"cryptography"}


def test_a_receipt_and_a_log_copy_verify_there(moved: Path, local_ledger: Ledger) -> None:
    code, said = run(moved, "receipt", "receipt.tlog-proof")
    assert code == 0
    assert local_ledger.ids[321] in said
    assert said.endswith("OK the event above is in the log")
    assert run(moved, "log", "log")[1].startswith("OK 700 entries hash to the signed root")
    assert run(moved, "grown", "old", "log") == (0, "OK the log only grew, from 400 to 700 entries")


def test_arguments_that_make_no_sense_say_how_it_is_used(moved: Path) -> None:
    code, said = run(moved, "nonsense")
    assert code == 1
    assert "receipt KEY FILE.tlog-proof" in said


def test_another_history_is_refused(moved: Path, local_ledger: Ledger, tmp_path: Path) -> None:
    engine = local_ledger.engine
    for table in ("audit_personal", "audit_about", "audit_event", "audit_head"):
        local_ledger.edit(f"DELETE FROM {table}")  # noqa: S608
    fork = Ledger(engine, tmp_path / "fork", local_ledger.signer)
    fork.grow(800)
    shutil.rmtree(moved / "log")
    shutil.copytree(fork.log_dir, moved / "log")
    assert run(moved, "log", "log")[0] == 0
    code, said = run(moved, "grown", "old", "log")
    assert code == 1
    assert "two histories" in said


def test_any_flipped_byte_of_any_file_is_refused(moved: Path) -> None:
    key = (moved / "key").read_text()
    files = [path for path in (moved / "log").rglob("*") if path.is_file() and path.name != ".lock"]
    assert len(files) >= 8
    for path in [*files, moved / "receipt.tlog-proof"]:
        original = path.read_bytes()
        for place in {0, len(original) // 3, len(original) // 2, len(original) - 1}:
            damaged = bytearray(original)
            damaged[place] ^= 1
            path.write_bytes(damaged)
            wanted = ["receipt", key, str(path)] if path.suffix else ["log", key, str(moved / "log")]
            assert standalone_verifier.main(wanted) == 1, (path, place)
        path.write_bytes(original)
    assert standalone_verifier.main(["log", key, str(moved / "log")]) == 0


def test_any_flipped_bit_of_a_receipt_is_refused(moved: Path) -> None:
    key = (moved / "key").read_text()
    text = (moved / "receipt.tlog-proof").read_bytes()
    for bit in range(0, len(text) * 8, 7):
        damaged = bytearray(text)
        damaged[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises((standalone_verifier.Refused, ValueError)):
            standalone_verifier.check_receipt(key, damaged.decode())
    assert standalone_verifier.check_receipt(key, text.decode())


def test_a_longer_file_is_refused(moved: Path) -> None:
    key = (moved / "key").read_text()
    for name in ("tile/entries/000", "tile/0/001", "tile/0/002.p/188", "tile/entries/002.p/188", "tile/1/000.p/2"):
        path = moved / "log" / name
        original = path.read_bytes()
        path.write_bytes(original + bytes(32))
        assert standalone_verifier.main(["log", key, str(moved / "log")]) == 1, name
        path.write_bytes(original)
