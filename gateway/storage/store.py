"""The store: every write takes its event, both in one transaction; every list starts from what the actor may see."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, false, or_, select, true, update

from gateway.domain.account import Account, Credential, Decision, Session, Token
from gateway.domain.actor import EVERY_STUDY, Actor
from gateway.domain.dataset import Dataset, DatasetVersion
from gateway.domain.event import Event
from gateway.domain.rare_term import RareTerm
from gateway.domain.release import Obligation, Release, ReleaseTable, Step
from gateway.domain.request import Request, Status
from gateway.domain.rule_draft import DraftState, RuleDraft
from gateway.errors import NotFound
from gateway.storage import jobs, rows
from gateway.storage import tables as t
from gateway.storage.database import READING

Recorder = Callable[[Connection, Event, datetime], str]

# Roles that see every request of their studies; a researcher sees only their own.
OVERSEEING = frozenset({"steward", "auditor", "operator"})


class Store:
    """Reads and writes of one gateway. `record` appends an event to the access log inside the transaction."""

    def __init__(self, engine: Engine, record: Recorder) -> None:
        self.engine, self._record = engine, record
        self._alone: Callable[[Event], str] | None = None

    def share_commits(self, alone: Callable[[Event], str] | None) -> None:
        """Let events that stand alone be written by one thread, many callers to a transaction (a serving process)."""
        self._alone = alone

    def save(self, *things: rows.Thing, event: Event, now: datetime, job: jobs.Change | None = None) -> str:
        """Write things, a change of the job queue and the event, all or nothing; returns the event's id.

        Raises:
            NotPossible: another save came first, or the worker's lease was lost.
        """
        with self.engine.begin() as connection:
            if job is not None:
                jobs.apply(connection, job, now)
            for thing in things:
                rows.write(thing, connection)
            return self._record(connection, event, now)

    def record(self, event: Event, *, now: datetime) -> str:
        """Log an event that changes nothing else: a read, a refusal, a download. It is durable on return."""
        return self._alone(event) if self._alone is not None else self.save(event=event, now=now)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that only reads, with one consistent view."""
        options: dict[str, Any] = {READING: True}
        if self.engine.dialect.name == "postgresql":  # where each statement would otherwise see what was saved since
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self.engine.connect().execution_options(**options) as connection:
            yield connection

    def _one(self, connection: Connection, table: Any, key: str, what: str) -> Any:
        row = connection.execute(select(table).where(table.c.id == key)).one_or_none()
        if row is None:
            raise NotFound(f"no such {what}", place=what, cure=f"list what there is with `gateway {what}s list`")
        return row

    def actor(self, account: str) -> Actor:
        """The actor of an account that is not disabled."""
        with self.reading() as connection:
            row = self._one(connection, t.accounts, account, "user")
            if row.disabled:
                raise NotFound("no such user", place="user")
            return rows.read_actor(connection, row)

    def accounts(self) -> list[tuple[Account, Actor]]:
        """All accounts, with their roles."""
        with self.reading() as connection:
            found = connection.execute(select(t.accounts).order_by(t.accounts.c.id)).all()
            return [(Account(**row._asdict()), rows.read_actor(connection, row)) for row in found]

    def token(self, *, sha256: str = "", key: str = "") -> Token | None:
        """A token by digest or id."""
        column, value = (t.tokens.c.sha256, sha256) if sha256 else (t.tokens.c.id, key)
        with self.reading() as connection:
            row = connection.execute(select(t.tokens).where(column == value)).one_or_none()
            return rows.read_token(row) if row is not None else None

    def credential(self, account: str) -> Credential | None:
        """How an account signs in; None if it has no password, or there is no such account."""
        with self.reading() as connection:
            row = connection.execute(select(t.credentials).where(t.credentials.c.account == account)).one_or_none()
            return Credential(**row._asdict()) if row is not None else None

    def session(self, key: str) -> Session | None:
        """A session of the pages by its id."""
        with self.reading() as connection:
            row = connection.execute(select(t.sessions).where(t.sessions.c.id == key)).one_or_none()
            return Session(**row._asdict()) if row is not None else None

    def touch(self, session: str, now: datetime) -> None:
        """Note that a session is in use. No event: whatever it was used for has one."""
        with self.engine.begin() as connection:
            connection.execute(update(t.sessions).where(t.sessions.c.id == session).values(seen=now))

    def sessions_of(self, account: str) -> list[Session]:
        """The sessions of an account that were not ended, newest first."""
        query = select(t.sessions).where(t.sessions.c.account == account, t.sessions.c.ended.is_(False))
        with self.reading() as connection:
            return [Session(**row._asdict()) for row in connection.execute(query.order_by(t.sessions.c.created.desc()))]

    def dataset(self, key: str) -> Dataset:
        """A dataset with its newest version."""
        with self.reading() as connection:
            return rows.read_dataset(connection, self._one(connection, t.datasets, key, "dataset"))

    def datasets(self) -> list[Dataset]:
        """The catalogue."""
        with self.reading() as connection:
            found = connection.execute(select(t.datasets).order_by(t.datasets.c.id)).all()
            return [rows.read_dataset(connection, row) for row in found]

    def version(self, key: str) -> DatasetVersion:
        """One version of a dataset, newest or not."""
        with self.reading() as connection:
            row = self._one(connection, t.dataset_versions, key, "dataset")
            return DatasetVersion(**row._asdict())

    def request(self, key: str, *, seen_by: Actor) -> Request:
        """A request this actor may see.

        Raises:
            NotFound: there is none, or the actor may not know of it; the two look the same.
        """
        with self.reading() as connection:
            query = select(t.requests).where(t.requests.c.id == key, visible(seen_by))
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound("no such request", place="request", cure="list yours with `gateway requests list`")
        return rows.read_request(row)

    def requests(
        self,
        *,
        seen_by: Actor,
        status: Status | None = None,
        requester: str = "",
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Request]:
        """The requests this actor may see, newest first: all, or `limit` of them after the first `offset`."""
        query = select(t.requests).where(visible(seen_by)).order_by(t.requests.c.created.desc(), t.requests.c.id)
        if status is not None:
            query = query.where(t.requests.c.status == status.value)
        if requester:
            query = query.where(t.requests.c.requester == requester)
        with self.reading() as connection:
            return [rows.read_request(row) for row in connection.execute(query.limit(limit).offset(offset))]

    def latest_request(self, dataset: str, statuses: Sequence[Status]) -> Request | None:
        """The newest request for a dataset in one of these states, whoever made it."""
        query = (
            select(t.requests)
            .where(t.requests.c.dataset == dataset, t.requests.c.status.in_([status.value for status in statuses]))
            .order_by(t.requests.c.created.desc())
            .limit(1)
        )
        with self.reading() as connection:
            row = connection.execute(query).one_or_none()
            return rows.read_request(row) if row is not None else None

    def decision(self, key: str) -> Decision:
        """A decision as it was made."""
        with self.reading() as connection:
            return Decision(**self._one(connection, t.decisions, key, "decision")._asdict())

    def decisions(self, keys: Sequence[str]) -> dict[str, Decision]:
        """Several decisions by id; those that do not exist are left out."""
        query = select(t.decisions).where(t.decisions.c.id.in_(keys))
        with self.reading() as connection:
            return {row.id: Decision(**row._asdict()) for row in connection.execute(query)}

    def recent_decisions(self, since: datetime, limit: int) -> list[Decision]:
        """The newest decisions since a moment, newest first."""
        d = t.decisions.c
        query = select(t.decisions).where(d.created >= since).order_by(d.created.desc(), d.id).limit(limit)
        with self.reading() as connection:
            return [Decision(**row._asdict()) for row in connection.execute(query)]

    def rule_draft(self, key: str) -> RuleDraft:
        """A change of the rules."""
        with self.reading() as connection:
            return rows.read_rule_draft(self._one(connection, t.rule_drafts, key, "draft"))

    def rule_drafts(self, *, regime: str = "") -> list[RuleDraft]:
        """All changes of the rules, or of one regime, newest first."""
        query = select(t.rule_drafts).order_by(t.rule_drafts.c.created.desc(), t.rule_drafts.c.id)
        if regime:
            query = query.where(t.rule_drafts.c.regime == regime)
        with self.reading() as connection:
            return [rows.read_rule_draft(row) for row in connection.execute(query)]

    def overlays(self, when: datetime) -> dict[str, str]:
        """Regime → the change of it that is in force at a moment (its id): the last one that has started."""
        d = t.rule_drafts.c
        query = (
            select(d.regime, d.id)
            .where(d.state == DraftState.ACTIVATED.value, d.starts <= when)
            .order_by(d.starts, d.decided, d.id)
        )
        with self.reading() as connection:
            return {row.regime: row.id for row in connection.execute(query)}

    def release(self, key: str, *, seen_by: Actor | None = None) -> Release:
        """A release; with `seen_by`, only one whose request that actor may see."""
        query = select(t.releases).where(t.releases.c.id == key)
        if seen_by is not None:
            query = query.join(t.requests, t.requests.c.id == t.releases.c.request).where(visible(seen_by))
        with self.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound("no such release", place="release", cure="list requests with `gateway requests list`")
        return rows.read_release(row._asdict())

    def releases_of(self, dataset: str, projects: Collection[str], mode: str) -> list[tuple[str, Release]]:
        """(project, delivered release) of one dataset to these projects in one mode, oldest first.

        For the composition guard. Revoked and expired ones are among them: bytes already fetched cannot be called back.
        """
        query = (
            select(t.releases, t.requests.c.terms)
            .join(t.requests, t.requests.c.id == t.releases.c.request)
            .where(t.releases.c.dataset == dataset, t.releases.c.step == Step.DELIVERED.value)
            .order_by(t.releases.c.created, t.releases.c.id)
        )
        with self.reading() as connection:
            found = connection.execute(query).all()
        wanted = [row._asdict() for row in found if row.terms["project"] in projects and row.terms["mode"] == mode]
        return [
            (row["terms"]["project"], rows.read_release({name: row[name] for name in t.releases.c.keys()}))  # noqa: SIM118
            for row in wanted
        ]

    def ledger(self, exporter: str, since: datetime) -> list[tuple[datetime, str, Decision]]:
        """What an exporter has sent since a day: (when, dataset, the decision with its facts), oldest first."""
        query = (
            select(t.releases.c.created.label("sent"), t.releases.c.dataset, t.decisions)
            .join(t.requests, t.requests.c.id == t.releases.c.request)
            .join(t.decisions, t.decisions.c.id == t.requests.c.decision)
            .where(t.releases.c.step == Step.DELIVERED.value, t.releases.c.created >= since)
            .order_by(t.releases.c.created, t.releases.c.id)
        )
        with self.reading() as connection:
            found = [row._asdict() for row in connection.execute(query)]
        sent = [(row.pop("sent"), row.pop("dataset"), Decision(**row)) for row in found]
        return [entry for entry in sent if entry[2].facts["exporter"]["org"] == exporter]

    def obligations(self, *, seen_by: Actor, open_only: bool = True) -> list[Obligation]:
        """The obligations of releases this actor may see, soonest first, those without a date last."""
        query = (
            select(t.obligations)
            .join(t.releases, t.releases.c.id == t.obligations.c.release)
            .join(t.requests, t.requests.c.id == t.releases.c.request)
            .where(visible(seen_by))
        )
        if open_only:
            query = query.where(t.obligations.c.met.is_(None))
        with self.reading() as connection:
            found = [Obligation(**row._asdict()) for row in connection.execute(query)]
        return sorted(found, key=lambda one: (one.due is None, one.due.timestamp() if one.due else 0.0, one.id))

    def rare_terms(self, dataset: str, *, open_only: bool = False) -> list[RareTerm]:
        """The review queue of a dataset, by place and term."""
        query = select(t.rare_terms).where(t.rare_terms.c.dataset == dataset)
        if open_only:
            query = query.where(t.rare_terms.c.choice == "")
        with self.reading() as connection:
            found = [RareTerm(**row._asdict()) for row in connection.execute(query)]
        return sorted(found, key=lambda one: (one.prefix, one.term))

    def release_tables(self, release: str) -> dict[str, ReleaseTable]:
        """The tables that stand sealed already."""
        query = select(t.release_tables).where(t.release_tables.c.release == release)
        with self.reading() as connection:
            return {row.name: ReleaseTable(**row._asdict()) for row in connection.execute(query)}

    def claim(self, *, owner: str, now: datetime, lease_seconds: int) -> jobs.Claim | None:
        """Take the next job that waits or whose worker fell silent."""
        with self.engine.begin() as connection:
            return jobs.claim(connection, owner=owner, now=now, lease_seconds=lease_seconds)

    def renew(self, claim: jobs.Claim, *, now: datetime, lease_seconds: int) -> None:
        """Keep a claim for longer."""
        with self.engine.begin() as connection:
            jobs.renew(connection, claim, now, lease_seconds)

    def queue_length(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        with self.reading() as connection:
            return jobs.lengths(connection)


def visible(actor: Actor) -> ColumnElement[bool]:
    """The requests an actor may know of: their own, and all of the studies they oversee."""
    overseen = {study for study, roles in actor.roles.items() if roles & OVERSEEING}
    if EVERY_STUDY in overseen:
        return true()
    conditions: Sequence[ColumnElement[bool]] = [
        t.requests.c.requester == actor.id,
        t.requests.c.dataset.in_(sorted(overseen)) if overseen else false(),
    ]
    return or_(*conditions)
