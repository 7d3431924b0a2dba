"""Checkpoints stamped by a time-stamping authority, and verified by OpenSSL, which is not ours."""

import shutil
import subprocess
from pathlib import Path

import pytest

from gateway import audit
from gateway.audit import anchoring
from tests.audit.conftest import Ledger

CONFIG = """
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority's key, certificate and configuration."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("authority")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=Time", "-addext", "extendedKeyUsage=critical,timeStamping",
         "-keyout", folder / "tsa.key", "-out", folder / "tsa.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "serial").write_text("01")
    (folder / "config").write_text(CONFIG.format(folder=folder))
    return folder


def stamp(authority: Path, request: bytes) -> bytes:
    (authority / "query").write_bytes(request)
    subprocess.run(
        ["openssl", "ts", "-reply", "-config", authority / "config", "-section", "authority",
         "-queryfile", authority / "query", "-out", authority / "reply"],
        check=True, capture_output=True,
    )  # fmt: skip
    return (authority / "reply").read_bytes()


def openssl_verifies(authority: Path, anchor: anchoring.Anchor) -> bool:
    done = subprocess.run(
        ["openssl", "ts", "-verify", "-in", anchor.reply, "-data", anchor.note, "-CAfile", authority / "tsa.pem"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode == 0 and "Verification: OK" in done.stdout + done.stderr


def test_a_stamped_checkpoint_is_verified_by_openssl(authority: Path, local_ledger: Ledger) -> None:
    key = local_ledger.signer.verifier
    assert anchoring.anchor(local_ledger.log_dir, key, lambda _: b"") is None
    for _ in range(3):
        checkpoint = local_ledger.grow(3)
        anchor = anchoring.anchor(local_ledger.log_dir, key, lambda request: stamp(authority, request))
        assert anchor is not None
        assert anchor.note.read_text() == checkpoint.note
        assert openssl_verifies(authority, anchor)
    anchor.note.write_text(checkpoint.note.replace("9", "8", 1))
    assert not openssl_verifies(authority, anchor)


def test_a_checkpoint_is_stamped_once(authority: Path, local_ledger: Ledger) -> None:
    local_ledger.grow(1)
    asked: list[bytes] = []

    def ask(request: bytes) -> bytes:
        asked.append(request)
        return stamp(authority, request)

    for _ in range(2):
        anchoring.anchor(local_ledger.log_dir, local_ledger.signer.verifier, ask)
    assert len(asked) == 1


def test_a_reply_to_another_request_is_refused(authority: Path, local_ledger: Ledger) -> None:
    local_ledger.grow(1)
    note = (local_ledger.log_dir / "checkpoint").read_bytes()
    nonce = bytes(range(1, 9))
    granted = stamp(authority, anchoring.timestamp_request(note, nonce))
    assert anchoring.answers(granted, note, nonce)
    assert not anchoring.answers(granted, note, nonce[::-1])
    assert not anchoring.answers(granted, note + b"x", nonce)
    refused = stamp(authority, anchoring.timestamp_request(note, nonce).replace(bytes.fromhex("0201"), b"\x02\x02", 1))
    for reply in (granted, refused, b"", b"\x30", b"<html>"):
        with pytest.raises(audit.LogBroken, match="refused, or answered another request"):
            anchoring.anchor(local_ledger.log_dir, local_ledger.signer.verifier, lambda _, reply=reply: reply)
    assert not (local_ledger.log_dir / "anchors").exists()
