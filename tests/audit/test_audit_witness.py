"""Gateways that witness each other, and a watcher outside: two histories are found out."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from gateway import audit
from gateway.audit import merkle, tiles, witnessing
from gateway.audit.notes import encode64, sign_checkpoint
from tests.audit.conftest import START, Ledger, back_up, restored, visit

Post = Callable[[str, bytes], tuple[int, str]]


class Gateway:
    """A log, and a witness for the logs of others; `post` stands for HTTP between them."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self.ledger = ledger
        self.cosigner = audit.Cosigner(f"{name}.example.org/witness", Ed25519PrivateKey.generate())
        self.logs: dict[str, audit.VerifierKey] = {}
        self.asked = 0

    def knows(self, other: "Gateway") -> None:
        key = other.ledger.signer.verifier
        self.logs[key.name] = key

    def as_witness(self) -> audit.Witness:
        return audit.Witness("https://witness.example", self.cosigner.verifier)

    def answer(self, body: bytes) -> audit.Answer:
        self.asked += 1
        return audit.add_checkpoint(
            self.ledger.engine, body, logs=self.logs, signer=self.cosigner, now=self.ledger.tick()
        )

    def post(self, url: str, body: bytes) -> tuple[int, str]:
        assert url == "https://witness.example/add-checkpoint"
        answer = self.answer(body)
        return answer.status, answer.body

    def ask(self, other: "Gateway") -> audit.Cosigning:
        key = self.ledger.signer.verifier
        return audit.cosign(self.ledger.log_dir, key, [other.as_witness()], other.post)


@pytest.fixture
def pair(make_ledger: Callable[[str], Ledger]) -> tuple[Gateway, Gateway]:
    north, south = Gateway(make_ledger("north"), "north"), Gateway(make_ledger("south"), "south")
    north.knows(south)
    south.knows(north)
    return north, south


def test_two_gateways_witness_each_other(pair: tuple[Gateway, Gateway]) -> None:
    for count in (1, 1, 254, 1, 300):
        for one, other in (pair, pair[::-1]):
            one.ledger.grow(count)
            result = one.ask(other)
            assert result == audit.Cosigning(result.checkpoint, (other.cosigner.name,))
            receipt = audit.receipt(one.ledger.engine, one.ledger.log_dir, one.ledger.ids[0], cosigned=True)
            key, witness = one.ledger.signer.verifier, other.cosigner.verifier
            audit.verify_proof(receipt, key, witnesses=[witness], quorum=1)
            with pytest.raises(audit.NoteRefused, match="fewer than 1"):
                audit.verify_proof(receipt, key, witnesses=[one.cosigner.verifier], quorum=1)
            assert one.ledger.verify().sound


def test_a_known_size_saves_a_second_request(pair: tuple[Gateway, Gateway]) -> None:
    north, south = pair
    for count in (3, 3, 3):
        north.ledger.grow(count)
        north.ask(south)
    assert south.asked == 3


def test_a_forked_history_is_refused_and_told(pair: tuple[Gateway, Gateway], tmp_path: Path) -> None:
    north, south = pair
    north.ledger.grow(5)
    back_up(north.ledger, tmp_path)
    north.ledger.grow(2)
    assert north.ask(south).cosigned
    restored(north.ledger, 5, tmp_path)
    north.ledger.grow(4)
    assert north.ledger.verify().sound  # from inside, nothing is to be seen
    result = north.ask(south)
    assert result.alarm
    assert result.cosigned == ()
    reason = result.refused[south.cosigner.name]
    assert "another history of this log" in reason
    assert "size 9 is not shown to continue the one of size 7" in reason


def test_two_histories_of_one_size_leave_evidence(pair: tuple[Gateway, Gateway], tmp_path: Path) -> None:
    north, south = pair
    north.ledger.grow(5)
    back_up(north.ledger, tmp_path)
    first = north.ledger.grow(2)
    north.ask(south)
    restored(north.ledger, 5, tmp_path)
    second = north.ledger.grow(2)
    result = north.ask(south)
    assert result.alarm
    with south.ledger.engine.connect() as connection:
        evidence = audit.contradictions(connection)
    assert evidence == {north.ledger.signer.name: first.note + second.note}


def test_a_restored_backup_is_told_by_the_witness(pair: tuple[Gateway, Gateway], tmp_path: Path) -> None:
    north, south = pair
    north.ledger.grow(5)
    back_up(north.ledger, tmp_path)
    north.ledger.grow(9)
    north.ask(south)
    restored(north.ledger, 5, tmp_path)
    north.ledger.grow(1)
    result = north.ask(south)
    assert result.alarm
    assert "an older backup of database and log folder was restored" in result.refused[south.cosigner.name]


def test_a_witness_out_of_reach_or_lying_holds_nothing_up(pair: tuple[Gateway, Gateway]) -> None:
    north, south = pair
    north.ledger.grow(3)
    stranger = audit.Cosigner(south.cosigner.name, Ed25519PrivateKey.generate())

    def unreachable(url: str, body: bytes) -> tuple[int, str]:
        raise ConnectionRefusedError

    def forging(url: str, body: bytes) -> tuple[int, str]:
        return 200, stranger.line("another text\n", 1)

    answers: dict[str, Post] = {
        "cannot be reached": unreachable,
        "no cosignature that verifies": forging,
        "it answered 500": lambda url, body: (500, "down"),
        "without its size": lambda url, body: (409, "x"),
        "a signature line starts": lambda url, body: (200, "fine"),
    }
    for reason, post in answers.items():
        result = audit.cosign(north.ledger.log_dir, north.ledger.signer.verifier, [south.as_witness()], post)
        assert reason in result.refused[south.cosigner.name]
        assert not result.alarm
    assert not (north.ledger.log_dir / "cosigned").exists()
    assert north.ledger.verify().sound


def test_a_cosigned_checkpoint_is_never_replaced_by_an_older_one(pair: tuple[Gateway, Gateway]) -> None:
    north, south = pair
    north.ledger.grow(3)
    key = north.ledger.signer.verifier

    def slow(url: str, body: bytes) -> tuple[int, str]:
        answer = south.post(url, body)
        if b"\n3\n" in body:
            north.ledger.grow(4)
            assert north.ask(south).cosigned
        return answer

    assert audit.cosign(north.ledger.log_dir, key, [south.as_witness()], slow).cosigned
    for name in ("cosigned", "checkpoint"):
        assert audit.open_checkpoint((north.ledger.log_dir / name).read_text(), key).size == 7


def test_a_checkpoint_overtaken_by_another_asker_is_no_alarm(pair: tuple[Gateway, Gateway]) -> None:
    north, south = pair
    north.ledger.grow(3)
    key = north.ledger.signer.verifier
    overtaken: list[bytes] = []

    def late(url: str, body: bytes) -> tuple[int, str]:
        if not overtaken:
            overtaken.append(body)
            north.ledger.grow(4)
            assert north.ask(south).cosigned
        return south.post(url, body)

    result = audit.cosign(north.ledger.log_dir, key, [south.as_witness()], late)
    assert (result.cosigned, result.alarm) == ((south.cosigner.name,), False)
    assert result.checkpoint is not None
    assert result.checkpoint.size == 7
    assert south.cosigner.name in result.checkpoint.note


# The rules of c2sp.org/tlog-witness, add-checkpoint, one by one.


class Submitted:
    """Trees of one log in memory, to make requests by hand."""

    def __init__(self, signer: audit.Signer) -> None:
        self.signer, self.edge, self.files = signer, tiles.Edge(), dict[str, bytes]()

    def grow(self, size: int, fork: bytes = b"") -> audit.Checkpoint:
        while self.edge.size < size:
            self.edge.append(fork + b"%d" % self.edge.size)
        self.files |= self.edge.files | self.edge.partials()
        return sign_checkpoint(self.signer, size, self.edge.root())

    def body(self, old: int, checkpoint: audit.Checkpoint) -> bytes:
        tree = tiles.TileReader(self.files.get, checkpoint.size, checkpoint.root)
        proof = merkle.consistency_proof(tree.node, old, checkpoint.size)
        return witnessing.write_submission(old, proof, checkpoint.note).encode()


@pytest.fixture
def submitted(make_signer: Callable[..., audit.Signer]) -> Submitted:
    return Submitted(make_signer("partner.example.net/log"))


@pytest.fixture
def witness(engine: Engine, submitted: Submitted) -> Callable[[bytes], audit.Answer]:
    cosigner = audit.Cosigner("witness.example.org", Ed25519PrivateKey.generate())
    logs = {submitted.signer.name: submitted.signer.verifier}
    return lambda body: audit.add_checkpoint(engine, body, logs=logs, signer=cosigner, now=START)


Ask = Callable[[bytes], audit.Answer]


def test_growing_trees_are_cosigned_with_the_time(witness: Ask, submitted: Submitted) -> None:
    old = 0
    for size in (1, 2, 3, 255, 256, 257, 600, 600):
        checkpoint = submitted.grow(size)
        answer = witness(submitted.body(old, checkpoint))
        assert (answer.status, answer.content_type) == (200, "text/plain; charset=utf-8")
        assert audit.notes.parse_signature(answer.body).timestamp == int(START.timestamp())
        old = size


def test_an_unknown_log_is_404_and_a_foreign_signature_403(
    witness: Ask, submitted: Submitted, make_signer: Callable[..., audit.Signer]
) -> None:
    unknown = sign_checkpoint(make_signer("unknown.example"), 0, merkle.EMPTY_ROOT)
    assert witness(submitted.body(0, unknown)).status == 404
    forged = sign_checkpoint(make_signer(submitted.signer.name), 0, merkle.EMPTY_ROOT)
    assert witness(submitted.body(0, forged)).status == 403


def test_a_wrong_old_size_is_409_with_the_size_that_stands(witness: Ask, submitted: Submitted) -> None:
    first, second = submitted.grow(3), submitted.grow(8)
    assert witness(submitted.body(0, first)).status == 200
    assert witness(submitted.body(0, second)) == audit.Answer(409, "3\n", "text/x.tlog.size")
    assert witness(submitted.body(5, second)) == audit.Answer(409, "3\n", "text/x.tlog.size")
    assert witness(submitted.body(3, second)).status == 200
    assert witness(submitted.body(3, first)) == audit.Answer(409, "8\n", "text/x.tlog.size")


def test_an_old_size_above_the_checkpoints_is_400(witness: Ask, submitted: Submitted) -> None:
    checkpoint = submitted.grow(3)
    assert witness(witnessing.write_submission(4, [], checkpoint.note).encode()).status == 400


def test_a_proof_that_does_not_hold_is_422(witness: Ask, submitted: Submitted) -> None:
    first, second = submitted.grow(3), submitted.grow(8)
    assert witness(witnessing.write_submission(0, [bytes(32)], first.note).encode()).status == 422
    assert witness(submitted.body(0, first)).status == 200
    for proof in ([], [bytes(32)] * 4):
        assert witness(witnessing.write_submission(3, proof, second.note).encode()).status == 422
    assert witness(submitted.body(3, second)).status == 200


def test_another_root_of_the_same_size_is_409(witness: Ask, submitted: Submitted) -> None:
    assert witness(submitted.body(0, submitted.grow(3))).status == 200
    fork = Submitted(submitted.signer)
    assert witness(fork.body(3, fork.grow(3, b"fork"))).status == 409


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: b"",
        lambda body: b"\xff\xfe",
        lambda body: body.replace(b"old 0", b"old 00"),
        lambda body: body.replace(b"old 0", b"old -1"),
        lambda body: body.replace(b"old 0", b"new 0"),
        lambda body: body.replace(b"old 0\n", b"old 0\nAAAA\n"),
        lambda body: body.replace(b"old 0\n", b"old 0\n" + (encode64(bytes(32)) + "\n").encode() * 64),
        lambda body: body.replace(b"\n3\n", b"\n03\n"),
        lambda body: body[:-1],
        lambda body: body + b"x",
    ],
)
def test_a_malformed_request_is_400(witness: Ask, submitted: Submitted, spoil: Callable[[bytes], bytes]) -> None:
    body = submitted.body(0, submitted.grow(3))
    assert witness(spoil(body)).status == 400
    assert witness(body).status == 200


def test_of_many_histories_submitted_at_once_one_is_cosigned(witness: Ask, submitted: Submitted) -> None:
    forks = [Submitted(submitted.signer) for _ in range(4)]
    bodies = [fork.body(0, fork.grow(3, b"%d" % number)) for number, fork in enumerate(forks)]
    answers: list[int] = []
    threads = [threading.Thread(target=lambda b=body: answers.append(witness(b).status)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 409, 409, 409]


# The watcher.


def test_a_watcher_demands_fresh_cosignatures(pair: tuple[Gateway, Gateway]) -> None:
    north, south = pair
    trust = {"witnesses": [south.cosigner.verifier], "quorum": 1}
    north.ledger.grow(2)
    assert visit(north.ledger, None, **trust).alarms == ("0 of the 1 witnesses needed have cosigned the checkpoint",)
    north.ask(south)
    assert visit(north.ledger, None, **trust).alarms == ()
    assert "stale" in visit(north.ledger, None, timedelta(days=2), **trust).alarms[0]
    assert "future" in visit(north.ledger, None, -timedelta(days=2), **trust).alarms[0]
