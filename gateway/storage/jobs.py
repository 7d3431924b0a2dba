"""The job queue: one table, leases and fencing tokens.

A job is enqueued in the transaction that approves it. A worker claims one (SKIP LOCKED on PostgreSQL; on SQLite the
write lock is taken when the transaction begins), renews its lease while it works, and finishes with the fence number
it was given. A worker that was paused past its lease finds that its fence is old: nothing it does then is saved.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, and_, func, insert, or_, select, update

from gateway.errors import NotPossible
from gateway.storage.tables import jobs


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's hold on a job until the lease ends. `attempts` counts claims, this one included."""

    id: str
    owner: str
    fence: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Put a job into the queue; one that is there and not running waits again, its attempts counted anew."""

    id: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Check, inside a save, that the claim still holds."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class Finish:
    """End a job, well or stopped."""

    claim: Claim
    state: JobState


Change = Enqueue | Hold | Finish


def apply(connection: Connection, change: Change, now: datetime) -> None:
    """Carry out a change of the queue inside the caller's transaction.

    Raises:
        NotPossible: the claim is no longer held.
    """
    if isinstance(change, Enqueue):
        _enqueue(connection, change.id, now)
        return
    claim = change.claim
    values = {"state": JobState.RUNNING if isinstance(change, Hold) else change.state}
    held = connection.execute(
        update(jobs)
        .where(jobs.c.id == claim.id, jobs.c.fence == claim.fence, jobs.c.state == JobState.RUNNING)
        .values(**values)
    )
    if held.rowcount != 1:
        raise _lost()


def _enqueue(connection: Connection, key: str, now: datetime) -> None:
    again = connection.execute(
        update(jobs)
        .where(jobs.c.id == key, jobs.c.state != JobState.RUNNING)
        .values(state=JobState.WAITING, owner="", lease_until=None, attempts=0)
    )
    if again.rowcount == 0:
        connection.execute(
            insert(jobs).values(id=key, created=now, state=JobState.WAITING, owner="", fence=0, attempts=0)
        )


def claim(connection: Connection, *, owner: str, now: datetime, lease_seconds: int) -> Claim | None:
    """Take the oldest job that waits, or whose lease has run out."""
    free = or_(
        jobs.c.state == JobState.WAITING,
        and_(jobs.c.state == JobState.RUNNING, jobs.c.lease_until < now),
    )
    query = select(jobs).where(free).order_by(jobs.c.created, jobs.c.id).limit(1).with_for_update(skip_locked=True)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    taken = Claim(row.id, owner, row.fence + 1, row.attempts + 1)
    connection.execute(
        update(jobs)
        .where(jobs.c.id == row.id)
        .values(
            state=JobState.RUNNING,
            owner=owner,
            fence=taken.fence,
            attempts=taken.attempts,
            lease_until=now + timedelta(seconds=lease_seconds),
        )
    )
    return taken


def renew(connection: Connection, held: Claim, now: datetime, lease_seconds: int) -> None:
    """Push the end of a lease out.

    Raises:
        NotPossible: the claim is no longer held.
    """
    changed = connection.execute(
        update(jobs)
        .where(jobs.c.id == held.id, jobs.c.fence == held.fence, jobs.c.state == JobState.RUNNING)
        .values(lease_until=now + timedelta(seconds=lease_seconds))
    )
    if changed.rowcount != 1:
        raise _lost()


def lengths(connection: Connection) -> dict[str, int]:
    """How many jobs there are in each state."""
    found = connection.execute(select(jobs.c.state, func.count().label("number")).group_by(jobs.c.state))
    return {row.state: row.number for row in found}


def _lost() -> NotPossible:
    return NotPossible(
        "another worker has taken this job over", rule="job-lease", cure="nothing to do: the other worker ends it"
    )
