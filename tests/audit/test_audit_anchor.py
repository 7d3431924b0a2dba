"""Checkpoints dated by a time-stamping authority: a real one (OpenSSL), asked over HTTP, its stamps checked twice."""

import contextlib
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509

from gateway import audit, settings
from gateway.actions import accounts, audits, logkeeping
from gateway.audit import anchoring, timestamps
from gateway.context import open_gateway, utc_now
from gateway.domain.actor import Actor
from gateway.domain.event import EventKind
from gateway.errors import Invalid, NotPossible
from tests.audit.conftest import Ledger

CONFIG = """
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
certs = {folder}/root.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_alg = {ess}
"""


def openssl(*words: object) -> None:
    subprocess.run(["openssl", *(str(word) for word in words)], check=True, capture_output=True)


def make_authority(
    folder: Path, key: tuple[str, ...], ess: str = "sha256", usage: str = "critical,timeStamping"
) -> Path:
    """A root, and an authority's certificate issued by it."""
    (folder / "serial").write_text("01")
    (folder / "config").write_text(CONFIG.format(folder=folder, ess=ess))
    (folder / "usage").write_text(f"extendedKeyUsage={usage}\n")
    root = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    openssl("req", "-x509", *root, "-nodes", "-days", 2, "-subj", "/CN=Root", "-keyout", folder / "root.key",
            "-out", folder / "root.pem")  # fmt: skip
    openssl("req", "-new", *key, "-nodes", "-subj", "/CN=Time", "-keyout", folder / "tsa.key",
            "-out", folder / "tsa.csr")  # fmt: skip
    openssl("x509", "-req", "-in", folder / "tsa.csr", "-CA", folder / "root.pem", "-CAkey", folder / "root.key",
            "-CAcreateserial", "-days", 2, "-extfile", folder / "usage", "-out", folder / "tsa.pem")  # fmt: skip
    return folder


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA = ("-newkey", "rsa:2048")


@pytest.fixture(scope="module", params=[(EC, "sha256"), (RSA, "sha1")], ids=["ec", "rsa"])
def authority(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A folder with an authority's key, certificate and configuration."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    return make_authority(tmp_path_factory.mktemp("authority"), *request.param)


def stamp(authority: Path, request: bytes) -> bytes:
    (authority / "query").write_bytes(request)
    openssl("ts", "-reply", "-config", authority / "config", "-section", "authority",
            "-queryfile", authority / "query", "-out", authority / "reply")  # fmt: skip
    return (authority / "reply").read_bytes()


@pytest.fixture
def url(authority: Path) -> Iterator[str]:
    """The authority behind HTTP, as RFC 3161 section 3.4 says; below /silent it answers nothing of use."""

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            good = self.headers["Content-Type"] == anchoring.REQUEST_TYPE and self.path == "/"
            content = stamp(authority, asked) if good else b"not here"
            self.send_response(200 if good else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def trusted(authority: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((authority / "root.pem").read_bytes())


def openssl_verifies(authority: Path, anchor: anchoring.Anchor) -> bool:
    done = subprocess.run(
        ["openssl", "ts", "-verify", "-in", anchor.reply, "-data", anchor.note, "-CAfile", authority / "root.pem"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode == 0 and "Verification: OK" in done.stdout + done.stderr


def test_a_stamped_checkpoint_is_verified_by_openssl_and_by_us(authority: Path, local_ledger: Ledger) -> None:
    key, root = local_ledger.signer.verifier, trusted(authority)
    assert anchoring.anchor(local_ledger.log_dir, key, lambda _: b"") is None
    for _ in range(3):
        checkpoint = local_ledger.grow(300)
        anchor = anchoring.anchor(local_ledger.log_dir, key, lambda request: stamp(authority, request), root)
        assert anchor is not None
        assert anchor.note.read_text() == checkpoint.note
        assert anchor.stamp.trusted
        assert anchor.stamp.authority == "CN=Time"
        assert abs(anchor.stamp.time - utc_now()) < timedelta(minutes=5)
        assert openssl_verifies(authority, anchor)
    found = anchoring.check_anchors(local_ledger.log_dir, key, root)
    assert (found.good, found.findings, found.untrusted) == (3, (), 0)
    assert anchoring.check_anchors(local_ledger.log_dir, key).untrusted == 3
    anchor.note.write_text(checkpoint.note.replace("9", "8", 1))
    assert not openssl_verifies(authority, anchor)
    found = anchoring.check_anchors(local_ledger.log_dir, key, root)
    assert found.good == 2
    assert found.findings == ("`anchors/900.tsr`: the timestamp is of other bytes",)


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
    assert timestamps.check(granted, note, nonce=nonce).authority == "CN=Time"
    with pytest.raises(timestamps.StampRefused, match="another request"):
        timestamps.check(granted, note, nonce=nonce[::-1])
    with pytest.raises(timestamps.StampRefused, match="of other bytes"):
        timestamps.check(granted, note + b"x", nonce=nonce)
    refused = stamp(authority, anchoring.timestamp_request(note, nonce).replace(bytes.fromhex("0201"), b"\x02\x02", 1))
    for reply in (granted, refused, b"", b"\x30", b"<html>"):
        with pytest.raises(audit.LogBroken, match="refused, or its answer does not hold"):
            anchoring.anchor(local_ledger.log_dir, local_ledger.signer.verifier, lambda _, reply=reply: reply)
    assert not (local_ledger.log_dir / "anchors").exists()


def test_a_stamp_with_any_bit_flipped_never_says_another_time_or_passes_for_trusted(authority: Path) -> None:
    data, root = b"what is stamped", trusted(authority)
    reply = stamp(authority, anchoring.timestamp_request(data, bytes(range(1, 9))))
    good = timestamps.check(reply, data, root)
    assert good.trusted
    refused = 0
    for at in range(len(reply)):
        flipped = bytearray(reply)
        flipped[at] ^= 1 << at % 8
        try:
            found = timestamps.check(bytes(flipped), data, root)
        except timestamps.StampRefused:
            refused += 1
            continue
        # What the signature does not cover (a version, another certificate's padding) may differ; what is said may not.
        assert found.time == good.time
    assert refused > len(reply) / 2
    for cut in range(0, len(reply), 7):
        with pytest.raises(timestamps.StampRefused):
            timestamps.check(reply[:cut], data, root)


@pytest.mark.parametrize("usage", ["critical,serverAuth", "timeStamping", "critical,timeStamping,codeSigning"])
def test_a_certificate_that_is_not_for_timestamping_alone_is_refused(usage: str, tmp_path: Path) -> None:
    """OpenSSL's own authority refuses to sign with such a one, so a good reply is checked under its certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = make_authority(tmp_path, EC, usage=usage)
    certificate = x509.load_pem_x509_certificate((folder / "tsa.pem").read_bytes())
    with pytest.raises(timestamps.StampRefused, match="timestamping"):
        timestamps._check_purpose(certificate, utc_now())


def test_a_stamp_of_a_stranger_is_not_taken_where_certificates_are_configured(
    authority: Path, local_ledger: Ledger, tmp_path: Path
) -> None:
    local_ledger.grow(2)
    stranger = make_authority(tmp_path, EC)
    with pytest.raises(audit.LogBroken, match="does not lead to a trusted one"):
        anchoring.anchor(
            local_ledger.log_dir, local_ledger.signer.verifier, lambda asked: stamp(stranger, asked), trusted(authority)
        )


def test_history_rewritten_since_an_anchor_is_found(
    authority: Path, make_ledger: Callable[[str], Ledger], tmp_path: Path
) -> None:
    first = make_ledger("first")
    first.grow(7)
    key = first.signer.verifier
    anchoring.anchor(first.log_dir, key, lambda asked: stamp(authority, asked))
    rewritten = make_ledger("second")
    rewritten.signer = first.signer
    rewritten.grow(9)
    shutil.copytree(first.log_dir / "anchors", rewritten.log_dir / "anchors")
    found = anchoring.check_anchors(rewritten.log_dir, key)
    assert "history was rewritten" in found.findings[0]
    shorter = make_ledger("third")
    shorter.signer = first.signer
    shorter.grow(3)
    shutil.copytree(first.log_dir / "anchors", shorter.log_dir / "anchors")
    assert "an older backup was restored" in anchoring.check_anchors(shorter.log_dir, key).findings[0]


class Home:
    """A gateway whose settings name the authority, and a clock that can be put forward."""

    def __init__(self, folder: Path, url: str, certificates: Path) -> None:
        given = settings.Settings(home=folder, tsa=url, tsa_certificates=certificates, anchor_hours=24)
        self.later = timedelta()
        self.gateway = open_gateway(given, now=lambda: utc_now() + self.later)
        self.steward = accounts.found(self.gateway, steward="local", name="steward")
        self.operator: Actor = accounts.local_actor(self.gateway, "operator")

    def anchored(self) -> list[audit.LoggedEvent]:
        with self.gateway.store.reading() as connection:
            return list(audit.events(connection, kind=EventKind.LOG_ANCHORED).events)


@pytest.fixture
def home(authority: Path, url: str, tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "home", url, authority / "root.pem")
    yield home
    home.gateway.store.engine.dispose()


def test_an_operator_anchors_over_http_and_verification_says_since_when(home: Home) -> None:
    made = logkeeping.anchor(home.gateway, home.operator)
    assert made.stamp.trusted
    (event,) = home.anchored()
    assert (event.actor, event.facts["size"], event.facts["allowed_by"]) == ("operator", 1, "operator-anchors")
    found = audits.verify(home.gateway, home.steward)
    assert found.sound, found.findings
    assert any(note.startswith("1 checkpoints are dated; the newest, of 1 events,") for note in found.notes)
    made.reply.write_bytes(made.reply.read_bytes()[:-9] + bytes(9))
    found = audits.verify(home.gateway, home.steward)
    assert not found.sound
    assert any("`anchors/1.tsr`" in finding for finding in found.findings)


def test_the_worker_anchors_once_a_day_and_tries_again_after_a_failure(home: Home) -> None:
    dating = logkeeping.Dating()
    assert dating.turn(home.gateway) is not None
    assert dating.turn(home.gateway) is None
    assert logkeeping.Dating().turn(home.gateway) is None  # another worker, or the same started again
    home.later = timedelta(hours=25)
    assert dating.turn(home.gateway) is not None
    assert [event.actor for event in home.anchored()] == ["system", "system"]
    broken = open_gateway(
        home.gateway.settings.model_copy(update={"tsa": f"{home.gateway.settings.tsa}silent"}),
        now=lambda: utc_now() + timedelta(hours=60),
    )
    assert dating.turn(broken) is None
    assert dating.next is not None
    assert timedelta() < dating.next - broken.now() <= logkeeping.RETRY
    broken.store.engine.dispose()


def test_without_an_authority_or_with_one_out_of_reach_the_cure_is_told(home: Home) -> None:
    for url, kind, reason in (
        ("", Invalid, "no time-stamping authority"),
        ("http://127.0.0.1:9/", NotPossible, "cannot be reached"),
        ("nonsense", NotPossible, "cannot be reached"),
    ):
        other = open_gateway(home.gateway.settings.model_copy(update={"tsa": url}))
        with contextlib.closing(other.store.engine.raw_connection()), pytest.raises(kind, match=reason):
            logkeeping.anchor(other, home.operator)
        other.store.engine.dispose()


def test_a_copy_of_the_log_leaves_with_its_key_and_verifier_and_is_logged(home: Home, tmp_path: Path) -> None:
    logkeeping.anchor(home.gateway, home.operator)
    to = tmp_path / "copy"
    size, root = logkeeping.export(home.gateway, home.steward, to)
    assert (to / "log" / "anchors" / "1.tsr").is_file()
    done = subprocess.run(
        ["python3", "-I", "verify_log_proof.py", "log", (to / "log.vkey").read_text().strip(), "log"],
        cwd=to, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.startswith(f"OK {size} entries hash to the signed root"), done.stdout + done.stderr
    assert len(bytes.fromhex(root)) == 32
    bundle = (to / "log" / "tile" / "entries" / "000.p" / str(size)).read_bytes()
    assert json.loads(bundle[bundle.rindex(b'{"about"') :])["kind"] == "audit.exported"
    with pytest.raises(Invalid, match="not empty"):
        logkeeping.export(home.gateway, home.steward, to)
