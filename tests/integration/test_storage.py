"""The laws of the store, on SQLite and on PostgreSQL (where `GATEWAY_TEST_POSTGRES` names a server)."""

import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.engine import make_url

from gateway import audit
from gateway.client import package
from gateway.domain.account import Account, Decision, Grant, Token
from gateway.domain.actor import Actor
from gateway.domain.dataset import Dataset, DatasetVersion
from gateway.domain.event import Event, EventKind
from gateway.domain.release import Release, ReleaseTable, Step
from gateway.domain.request import Approval, Request, RowFilter, Status, Terms
from gateway.errors import Invalid, NotFound, NotPossible
from gateway.storage import tables as t
from gateway.storage.database import open_database, upgrade
from gateway.storage.jobs import Claim, Enqueue, Finish, Hold, JobState
from gateway.storage.store import Store

NOW = datetime(2026, 3, 2, 9, 30, 15, 123456, tzinfo=UTC)
DONE = Event(EventKind.DATASET_READ, "r.okafor", facts={"n": 1})


@dataclass
class Shelf:
    """A store with two people, two studies and a request of each person."""

    store: Store
    engine: Engine

    def events(self) -> int:
        with self.store.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(audit.tables.event)).scalar_one())

    def save(self, *things: Any, **given: Any) -> str:
        return self.store.save(*things, event=DONE, now=NOW, **given)

    def claim(self, owner: str, at: datetime = NOW, seconds: int = 60) -> Claim | None:
        return self.store.claim(owner=owner, now=at, lease_seconds=seconds)


def terms(dataset: str) -> Terms:
    return Terms(
        dataset=dataset,
        tables={"DM": None, "AE": ("USUBJID", "AEDECOD")},
        mode="controlled",
        project="p",
        purpose="scientific_research",
        exporter={"org": "A", "country": "DE", "roles": ["trial_sponsor"]},
        recipient={"org": "B", "country": "CA"},
        destination="CA",
        keys=("age1x",),
        rows=(RowFilter("DM", "COUNTRY", ("CAN", "USA")),),
        facts={"instruments": ["SCC"], "öäü": "值"},
    )


def request(key: str, who: str, dataset: str = "one", **changes: Any) -> Request:
    return replace(Request(key, who, terms(dataset), Status.DRAFT, NOW, NOW), **changes)


def dataset(key: str) -> Dataset:
    version = DatasetVersion(f"v-{key}", key, "/data", "c" * 64, "columns: {}", 0, NOW)
    return Dataset(key, f"Study {key}", ("health",), 1, version)


def release(key: str, of: str) -> Release:
    return Release(key, of, "one", "v-one", Step.QUEUED, NOW)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database of its own."""
    if request.param == "sqlite":
        engine = open_database(f"sqlite:///{tmp_path / 'gateway.db'}")
        yield engine
        engine.dispose()
        return
    url = os.environ.get("GATEWAY_TEST_POSTGRES")
    if not url:
        pytest.skip("GATEWAY_TEST_POSTGRES names no server")
    schema = f"storage_{secrets.token_hex(6)}"
    server = create_engine(url)
    with server.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    engine = open_database(
        make_url(url).update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
    )
    yield engine
    engine.dispose()
    with server.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    server.dispose()


@pytest.fixture
def shelf(engine: Engine) -> Shelf:
    upgrade(engine)
    made = Shelf(Store(engine, audit.append), engine)
    people = [Account("r.okafor", "R", "", NOW), Account("r.lind", "L", "", NOW), Account("s.m", "S", "", NOW)]
    grants = [Grant("r.okafor", "*", "researcher"), Grant("r.lind", "*", "researcher"), Grant("s.m", "two", "steward")]
    made.save(*people, *grants, dataset("one"), dataset("two"))
    made.save(request("q-1", "r.okafor"), request("q-2", "r.lind", "two"))
    return made


# The whole line


def test_a_release_goes_its_whole_way_on_either_database(engine: Engine, world_on: Any) -> None:
    world = world_on(engine.url.render_as_string(hide_password=False))
    release = world.released(tables=["DM", "AE"])
    assert package.verify(world.folder(release)).sound
    assert world.call("auditor", "POST", "/v1/audit/verify").json()["sound"] is True
    name = f"/v1/releases/{release.id}/files/DM.parquet.age"
    assert world.call("researcher", "GET", name).content == (world.folder(release) / "DM.parquet.age").read_bytes()


# The schema


def test_migrations_make_what_the_tables_say(engine: Engine) -> None:
    upgrade(engine)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, [t.metadata, audit.metadata]) == []


def test_a_database_of_a_newer_version_is_refused(shelf: Shelf) -> None:
    with shelf.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Invalid) as caught:
        upgrade(shelf.engine)
    assert "newer" in caught.value.reason + caught.value.cure


# What is written is read back


def test_what_is_saved_is_read_back_as_it_was(shelf: Shelf) -> None:
    okafor = shelf.store.actor("r.okafor")
    full = request(
        "q-3",
        "r.okafor",
        status=Status.APPROVED,
        approvals=(Approval("s.m", NOW, "ok"),),
        note="ä\n'\"",
        decision="d-1",
        release="r-1",
    )
    token = Token("t-1", "r.okafor", "ab" * 32, "label", ("release:read",), NOW, NOW + timedelta(days=1))
    decision = Decision("d-1", "q-3", "2026-03-02", {"subjects": [{"count": 3}]}, {"decision": "permit"}, "b", NOW)
    value = {"rows": 12, "columns": ["A"], "nested": {"f": 0.1}}
    done = replace(release("r-1", "q-3"), values={"plan": value}, progress=0.25, expires=NOW, step=Step.TREATED)
    shelf.save(full, token, decision, done)
    shelf.save(ReleaseTable("r-1", "DM", value, b"\x00\xff"))
    assert shelf.store.request("q-3", seen_by=okafor) == replace(full, revision=1)
    assert shelf.store.token(sha256="ab" * 32) == shelf.store.token(key="t-1") == token
    assert shelf.store.decision("d-1") == decision
    assert shelf.store.release("r-1") == done
    assert shelf.store.release_tables("r-1") == {"DM": ReleaseTable("r-1", "DM", value, b"\x00\xff")}
    assert shelf.store.dataset("one") == dataset("one")
    assert okafor == Actor("r.okafor", "R", "", {"*": frozenset({"researcher"})})


def test_an_unknown_thing_is_not_found(shelf: Shelf) -> None:
    okafor = shelf.store.actor("r.okafor")
    for look in (
        lambda: shelf.store.request("q-9", seen_by=okafor),
        lambda: shelf.store.release("r-9"),
        lambda: shelf.store.dataset("nine"),
        lambda: shelf.store.version("v-9"),
        lambda: shelf.store.actor("nobody"),
        lambda: shelf.store.decision("d-9"),
    ):
        with pytest.raises(NotFound):
            look()
    assert shelf.store.token(key="t-9") is None


def test_a_role_is_given_and_taken(shelf: Shelf) -> None:
    shelf.save(Grant("r.okafor", "one", "steward"))
    assert shelf.store.actor("r.okafor").roles["one"] == frozenset({"steward"})
    shelf.save(Grant("r.okafor", "one", "steward"))
    shelf.save(Grant("r.okafor", "one", "steward", held=False))
    assert "one" not in shelf.store.actor("r.okafor").roles


# All or nothing


def test_a_save_and_its_event_stand_or_fall_together(shelf: Shelf) -> None:
    before = shelf.events()
    shelf.save(request("q-3", "r.okafor"))
    assert shelf.events() == before + 1
    okafor = shelf.store.actor("r.okafor")

    def refuse(*_: object) -> str:
        raise RuntimeError("the log refuses")

    broken = Store(shelf.engine, refuse)
    with pytest.raises(RuntimeError):
        broken.save(request("q-4", "r.okafor"), event=DONE, now=NOW, job=Enqueue("r-4"))
    with pytest.raises(NotFound):
        shelf.store.request("q-4", seen_by=okafor)
    assert shelf.store.queue_length() == {}
    unwritable = Event(EventKind.DATASET_READ, "r.okafor", facts={"n": object()})  # type: ignore[dict-item]
    with pytest.raises(Exception, match=r".+"):
        shelf.store.save(request("q-4", "r.okafor"), event=unwritable, now=NOW)
    with pytest.raises(NotFound):
        shelf.store.request("q-4", seen_by=okafor)
    assert shelf.events() == before + 1


def test_of_several_things_none_is_saved_if_one_cannot_be(shelf: Shelf) -> None:
    before, okafor = shelf.events(), shelf.store.actor("r.okafor")
    stale = request("q-1", "r.okafor", revision=7)
    with pytest.raises(NotPossible):
        shelf.save(request("q-5", "r.okafor"), stale, job=Enqueue("r-5"))
    with pytest.raises(NotFound):
        shelf.store.request("q-5", seen_by=okafor)
    assert (shelf.events(), shelf.store.queue_length()) == (before, {})


def test_the_second_of_two_who_change_a_request_is_told(shelf: Shelf) -> None:
    okafor = shelf.store.actor("r.okafor")
    mine = theirs = shelf.store.request("q-1", seen_by=okafor)
    shelf.save(replace(mine, note="mine"))
    with pytest.raises(NotPossible) as caught:
        shelf.save(replace(theirs, note="theirs"))
    assert caught.value.rule == "request-revision"
    assert shelf.store.request("q-1", seen_by=okafor).note == "mine"
    assert shelf.store.request("q-1", seen_by=okafor).revision == 2


def test_of_many_at_once_exactly_one_changes_a_request(shelf: Shelf) -> None:
    seen = shelf.store.request("q-1", seen_by=shelf.store.actor("r.okafor"))
    ended: list[str] = []
    start = threading.Barrier(6)

    def change(number: int) -> None:
        start.wait()
        try:
            shelf.save(replace(seen, note=str(number)))
            ended.append("saved")
        except NotPossible:
            ended.append("told")

    together(change, 6)
    assert sorted(ended) == ["saved", *["told"] * 5]


def together(work: Any, number: int) -> None:
    threads = [threading.Thread(target=work, args=(at,)) for at in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# The queue


def test_one_job_goes_to_one_of_many_claimers(shelf: Shelf) -> None:
    for number in range(3):
        shelf.save(job=Enqueue(f"r-{number}"))
    claims: list[Claim | None] = []
    start = threading.Barrier(8)

    def take(number: int) -> None:
        start.wait()
        claims.append(shelf.claim(f"worker-{number}"))

    together(take, 8)
    taken = [claim.id for claim in claims if claim is not None]
    # On PostgreSQL a claimer that meets a locked row takes the next; each job has at most one holder all the same.
    assert len(taken) == len(set(taken)) <= 3
    while (claim := shelf.claim("late")) is not None:
        taken.append(claim.id)
    assert sorted(taken) == ["r-0", "r-1", "r-2"]


def test_the_oldest_job_comes_first(shelf: Shelf) -> None:
    for number, key in enumerate(("r-b", "r-a", "r-c")):
        shelf.store.save(event=DONE, now=NOW + timedelta(seconds=number), job=Enqueue(key))
    assert [claim.id for _ in range(3) if (claim := shelf.claim("w"))] == ["r-b", "r-a", "r-c"]


def test_a_lease_that_ran_out_passes_to_the_next(shelf: Shelf) -> None:
    shelf.save(job=Enqueue("r-1"))
    first = shelf.claim("one", seconds=60)
    assert shelf.claim("two", NOW + timedelta(seconds=60)) is None
    second = shelf.claim("two", NOW + timedelta(seconds=61))
    assert first is not None
    assert second is not None
    assert (second.fence, second.attempts) == (first.fence + 1, first.attempts + 1)


def test_a_renewed_lease_stays(shelf: Shelf) -> None:
    shelf.save(job=Enqueue("r-1"))
    first = shelf.claim("one", seconds=60)
    assert first is not None
    shelf.store.renew(first, now=NOW + timedelta(seconds=50), lease_seconds=60)
    assert shelf.claim("two", NOW + timedelta(seconds=100)) is None
    assert shelf.claim("two", NOW + timedelta(seconds=111)) is not None


def test_a_worker_with_an_old_fence_saves_nothing(shelf: Shelf) -> None:
    shelf.save(release("r-1", "q-1"), job=Enqueue("r-1"))
    old = shelf.claim("one", seconds=60)
    new = shelf.claim("two", NOW + timedelta(seconds=61))
    assert old is not None
    assert new is not None
    before = shelf.events()
    for change in (Hold(old), Finish(old, JobState.DONE), Finish(old, JobState.STOPPED)):
        with pytest.raises(NotPossible) as caught:
            shelf.save(replace(release("r-1", "q-1"), step=Step.DELIVERED), job=change)
        assert caught.value.rule == "job-lease"
    with pytest.raises(NotPossible):
        shelf.store.renew(old, now=NOW, lease_seconds=60)
    assert (shelf.store.release("r-1").step, shelf.events()) == (Step.QUEUED, before)
    shelf.save(replace(release("r-1", "q-1"), step=Step.DELIVERED), job=Finish(new, JobState.DONE))
    assert shelf.store.release("r-1").step is Step.DELIVERED


def test_a_finished_job_can_neither_be_held_nor_claimed_until_it_is_queued_again(shelf: Shelf) -> None:
    shelf.save(job=Enqueue("r-1"))
    held = shelf.claim("one")
    assert held is not None
    shelf.save(job=Hold(held))
    shelf.save(job=Finish(held, JobState.STOPPED))
    with pytest.raises(NotPossible):
        shelf.save(job=Hold(held))
    assert shelf.claim("two", NOW + timedelta(days=1)) is None
    assert shelf.store.queue_length() == {"stopped": 1}
    shelf.save(job=Enqueue("r-1"))
    again = shelf.claim("two")
    assert again is not None
    assert again.fence > held.fence


def test_queueing_what_runs_changes_nothing(shelf: Shelf) -> None:
    shelf.save(job=Enqueue("r-1"))
    held = shelf.claim("one")
    assert held is not None
    with pytest.raises(Exception, match=r".+"):
        shelf.save(job=Enqueue("r-1"))
    shelf.save(job=Hold(held))


# Who may know of what


def test_a_researcher_sees_their_own_requests_only(shelf: Shelf) -> None:
    okafor, lind = shelf.store.actor("r.okafor"), shelf.store.actor("r.lind")
    assert [r.id for r in shelf.store.requests(seen_by=okafor)] == ["q-1"]
    assert [r.id for r in shelf.store.requests(seen_by=lind)] == ["q-2"]
    shelf.save(release("r-1", "q-1"))
    for look in (
        lambda: shelf.store.request("q-1", seen_by=lind),
        lambda: shelf.store.release("r-1", seen_by=lind),
    ):
        with pytest.raises(NotFound):
            look()
    assert shelf.store.release("r-1", seen_by=okafor).id == "r-1"


def test_a_steward_sees_the_requests_of_their_study_only(shelf: Shelf) -> None:
    steward = shelf.store.actor("s.m")
    assert [r.id for r in shelf.store.requests(seen_by=steward)] == ["q-2"]
    with pytest.raises(NotFound):
        shelf.store.request("q-1", seen_by=steward)
    shelf.save(Grant("s.m", "*", "auditor"))
    assert {r.id for r in shelf.store.requests(seen_by=shelf.store.actor("s.m"))} == {"q-1", "q-2"}
    assert shelf.store.requests(seen_by=shelf.store.actor("s.m"), status=Status.APPROVED) == []


def test_nobody_sees_anything_without_a_role(shelf: Shelf) -> None:
    assert shelf.store.requests(seen_by=Actor("stranger", "")) == []


def test_reading_sees_one_moment(shelf: Shelf) -> None:
    with shelf.store.reading() as connection:
        count = select(func.count()).select_from(t.requests)
        first = connection.execute(count).scalar_one()
        shelf.save(request("q-7", "r.okafor"))
        assert connection.execute(count).scalar_one() == first
