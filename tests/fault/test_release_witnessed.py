"""A release with witnesses: its receipt carries their cosignatures, or says that it does not, or nothing leaves."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import audit, worker
from gateway.actions import releases
from gateway.client import package
from gateway.context import Gateway
from gateway.domain.event import EventKind
from gateway.domain.release import Step
from gateway.errors import NotPossible
from tests.audit.test_audit_gateways import Town
from tests.fault.conftest import Queue, completions


@pytest.fixture
def south(tmp_path: Path) -> Town:
    return Town("south", tmp_path)


@pytest.fixture
def north(queue: Queue, south: Town) -> Iterator[Gateway]:
    """The gateway of the queued release, which needs the cosignature of its neighbour."""
    gateway = queue.gateway()
    named = f"http://127.0.0.1:{south.port}/witness {south.witness}"
    changed = gateway.settings.model_copy(update={"witnesses": named, "witnesses_needed": 1})
    yield replace(gateway, settings=changed)
    gateway.store.engine.dispose()


class Neighbour(Town):
    """A neighbour that knows the log of the queue."""

    def __init__(self, south: Town, log: str) -> None:
        self.__dict__ |= south.__dict__
        self.log = log

    def settings(self) -> object:  # type: ignore[override]
        return super().settings().model_copy(update={"witness_for": self.log})


def delivered(gateway: Gateway) -> list[audit.LoggedEvent]:
    with gateway.store.reading() as connection:
        steps = audit.events(connection, kind=EventKind.RELEASE_STEP, limit=50).events
    return [step for step in steps if step.facts["step"] == "delivered"]


def test_a_receipt_carries_the_cosignatures_and_is_checked_offline(
    queue: Queue, north: Gateway, south: Town, tmp_path: Path
) -> None:
    with Neighbour(south, str(north.signer.verifier)).running():  # type: ignore[arg-type]
        assert worker.work_once(north, name="w") == queue.release
    release = north.store.release(queue.release)
    assert (release.step, release.fault) == (Step.DELIVERED, "")
    extract = queue.home / "releases" / queue.release / "extract"
    checked = package.verify(extract)
    assert checked.sound, checked.problems
    assert (checked.cosigned, checked.witnesses) == (("south.example.org/witness",), 1)
    audit.verify_proof(
        (extract / "receipt.tlog-proof").read_text(),
        north.signer.verifier,
        witnesses=[audit.VerifierKey.parse(south.witness)],
        quorum=1,
    )
    (event,) = delivered(north)
    assert (event.facts["cosigned_by"], event.facts["not_cosigned_by"]) == (["south.example.org/witness"], [])
    # The cosignature taken away again: the release says that it needs one.
    proof = extract / "receipt.tlog-proof"
    lines = [line for line in proof.read_text().splitlines(keepends=True) if "— south" not in line]
    proof.write_text("".join(lines))
    assert any("0 of the 1 witnesses needed" in problem for problem in package.verify(extract).problems)


def test_where_a_witness_is_needed_and_out_of_reach_nothing_leaves(queue: Queue, north: Gateway) -> None:
    worker.work_once(north, name="w")
    release = north.store.release(queue.release)
    assert release.step is Step.LOGGED
    assert "0 of the 1 cosignatures needed" in release.fault
    assert "it cannot be reached" in release.fault
    assert not (queue.home / "releases" / queue.release / "extract").exists()
    with pytest.raises(NotPossible):
        releases.files(north, north.store.actor("researcher"), queue.release)
    assert completions(north, queue.release) == 1  # a record without a delivery, never the other way round


def test_where_none_is_needed_the_release_leaves_and_says_who_did_not_cosign(queue: Queue, north: Gateway) -> None:
    lenient = replace(north, settings=north.settings.model_copy(update={"witnesses_needed": 0}))
    worker.work_once(lenient, name="w")
    assert north.store.release(queue.release).step is Step.DELIVERED
    checked = package.verify(queue.home / "releases" / queue.release / "extract")
    assert checked.sound, checked.problems
    assert (checked.cosigned, checked.witnesses) == ((), 1)
    (event,) = delivered(north)
    assert event.facts["not_cosigned_by"] == ["south.example.org/witness"]


def test_more_witnesses_needed_than_named_stops_the_release(queue: Queue, north: Gateway) -> None:
    strict = replace(north, settings=north.settings.model_copy(update={"witnesses_needed": 2}))
    worker.work_once(strict, name="w")
    assert "2 witnesses are needed but 1 named" in north.store.release(queue.release).fault
