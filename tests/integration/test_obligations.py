"""Conditions of a verdict become obligations with a due day, tracked until someone shows that they were met."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.actions import obligations
from gateway.errors import Invalid, NotAllowed, NotFound
from gateway.release.obligations import due_day

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def owed(world):
    """A public release, whose conditions nobody has met yet."""
    return world.released(mode="public", project="open-data")


def test_every_condition_without_evidence_is_an_open_obligation(world, owed):
    wanted = {c["rule"] for c in owed.values["verdict"]["conditions"] if not c["evidenced"]}
    assert wanted, "the public release of the test has no conditions"
    found = obligations.listing(world.gateway, world.people["steward"])
    assert {one.rule for one in found} == wanted
    assert {(one.release, one.met) for one in found} == {(owed.id, None)}


def test_an_obligation_needs_evidence_and_a_steward_and_is_met_once(world, owed):
    one = obligations.listing(world.gateway, world.people["steward"])[0]
    with pytest.raises(Invalid):
        obligations.meet(world.gateway, world.people["steward"], one.id, evidence=" ")
    with pytest.raises(NotAllowed):
        obligations.meet(world.gateway, world.people["researcher"], one.id, evidence="file 7")
    obligations.meet(world.gateway, world.people["steward"], one.id, evidence="file 7, page 2")
    with pytest.raises(NotFound):
        obligations.meet(world.gateway, world.people["steward"], one.id, evidence="file 7")
    assert one.id not in {o.id for o in obligations.listing(world.gateway, world.people["steward"])}
    everything = obligations.listing(world.gateway, world.people["steward"], open_only=False)
    assert next(o for o in everything if o.id == one.id).evidence == "file 7, page 2"
    assert world.events(kind="obligation.met")[0].about["obligation"] == one.id


def test_someone_else_does_not_see_them(world, owed):
    assert obligations.listing(world.gateway, world.people["other"]) == []


@pytest.mark.parametrize(
    ("span", "days"), [("14 days", 14), ("5 business days", 7), ("1 year", 365), ("18 months", 540), ("", None)]
)
def test_due_days(span, days):
    assert due_day(span, NOW) == (NOW + timedelta(days=days) if days is not None else None)
