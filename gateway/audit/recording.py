"""Events of many callers committed together, and the thread that runs the sequencer.

A disk flushes a few hundred times a second, whatever is flushed. Callers whose event stands alone (a read, a denial)
therefore share one transaction; callers that change something append in their own.
"""

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from threading import Condition, Lock, Thread
from threading import Event as Flag

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DataError

from gateway.audit import tables
from gateway.audit.faults import LogBroken
from gateway.audit.journal import append_all
from gateway.audit.notes import Checkpoint, Signer
from gateway.audit.sequencing import sequence
from gateway.domain.event import Event
from gateway.errors import GatewayError, Invalid

Clock = Callable[[], datetime]

COMMITTED_TOGETHER = 512
PATIENCE = 0.002
"""Seconds a transaction waits at most for callers expected to join it; never more than half of what the last took."""
TRUSTED_IDLE = 5.0
"""Seconds after which a connection that rested is asked for anew, so that a server's restart is noticed there."""
INTERVAL = 1.0
"""Seconds: a checkpoint at least this often while there are events."""


class Call:
    """One caller's event on its way to the disk, and what became of it: an id or a fault."""

    __slots__ = ("event", "event_id", "fault", "turn")

    def __init__(self, event: Event) -> None:
        self.event, self.event_id = event, ""
        self.fault: Exception | None = None
        self.turn = Lock()
        self.turn.acquire()

    @property
    def answered(self) -> bool:
        """Whether the caller may go on."""
        return bool(self.event_id) or self.fault is not None


class Recorder:
    """Records events that stand alone, durably, many callers to one transaction.

    `record` returns once the event is on disk and raises if it is not: the caller must not go on then. There is no
    thread of its own: the first caller commits for all who came meanwhile, and hands over to the first of those who
    came after. So a caller who is alone waits for one commit and for no other thread.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self._mutex = Lock()
        self._joined = Condition(self._mutex)
        self._queue: deque[Call] = deque()
        self._led, self._open = False, False
        self._last, self._expected = 1, 0
        self._took = self._rested = 0.0
        self._held: Connection | None = None
        self._pool: object = None

    def __enter__(self) -> "Recorder":
        self._open = True
        return self

    def __exit__(self, *_: object) -> None:
        """Stop when all who came have been answered."""
        with self._joined:
            self._open = False
            self._joined.notify_all()
            self._joined.wait_for(lambda: not self._led)
            self._let_go()

    def record(self, event: Event) -> str:
        """The id of the event, which is durable now. Raises what the database or the event's shape raised."""
        call = Call(event)
        with self._mutex:
            if not self._open:
                raise LogBroken("the recorder of events is not running", cure="start it with `with Recorder(…)`")
            self._queue.append(call)
            waits, self._led = self._led, True
            if waits and len(self._queue) == self._expected:
                self._joined.notify_all()
        if waits:
            call.turn.acquire()
        if not call.answered:
            self._lead(call)
        if call.fault is not None:
            raise call.fault
        return call.event_id

    def _lead(self, leader: Call) -> None:
        """Commit for everyone who waits, the leader first, and hand over to the first of those who came meanwhile."""
        group = [leader]
        try:
            group = self._gather()
            began = time.monotonic()
            self._commit(group)
            self._took = time.monotonic() - began
        finally:
            with self._joined:
                if self._queue and self._queue[0] is leader:
                    self._queue.popleft()
                heir = self._queue[0] if self._queue else None
                self._led = heir is not None
                self._joined.notify_all()
            for call in group:
                if not call.answered:
                    call.fault = LogBroken("the event was not recorded", cure="try again; look into the database")
                call.turn.release()
            if heir is not None:
                heir.turn.release()

    def _gather(self) -> list[Call]:
        """Everyone who came while the last transaction was being flushed.

        Callers who were answered together come back together, a moment later. Waiting that moment for as many as
        came last time halves the number of flushes; a caller who is alone waits for nobody.
        """
        with self._joined:
            if len(self._queue) < self._last and self._open:
                self._expected = self._last
                self._joined.wait(min(PATIENCE, self._took / 2))
                self._expected = 0
            group = [self._queue.popleft() for _ in range(min(len(self._queue), COMMITTED_TOGETHER))]
        self._last = len(group)
        return group

    def _commit(self, group: list[Call]) -> None:
        try:
            connection = self._connection()
            with connection.begin():
                ids = append_all(connection, [call.event for call in group], self._clock())
        except Exception as fault:  # noqa: BLE001 - handed to the callers, whose access must not happen
            if not isinstance(fault, Invalid | DataError):
                self._let_go()
            self._refuse(group, fault)
            return
        for call, event_id in zip(group, ids, strict=True):
            call.event_id = event_id

    def _refuse(self, group: list[Call], fault: Exception) -> None:
        """Tell the callers. One event of bad shape must not take the others with it: then each is tried alone."""
        if len(group) > 1 and isinstance(fault, Invalid | DataError):
            for alone in group:
                self._commit([alone])
            return
        for call in group:
            call.fault = fault

    def _connection(self) -> Connection:
        """One connection, kept: its statements stay prepared, and its events are one chain of seals.

        On PostgreSQL it commits by itself, as each commit here is one statement: one way to the server and back.
        """
        if self._held is not None and (
            self._pool is not self._engine.pool or time.monotonic() - self._rested > TRUSTED_IDLE
        ):
            self._let_go()
        if self._held is None:
            self._pool, self._held = self._engine.pool, self._engine.connect()
            if self._engine.dialect.name == "postgresql":
                self._held.execution_options(isolation_level="AUTOCOMMIT")
        self._rested = time.monotonic()
        return self._held

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()
        self._held = None


class Sequencer:
    """Runs the sequencer in the background: at least every second while there are events, sooner when woken.

    A fault does not end it: it is kept in `fault` and told to `on_fault`, and the next turn tries again.
    """

    def __init__(
        self,
        engine: Engine,
        signer: Signer,
        log_dir: Path,
        clock: Clock,
        *,
        interval: float = INTERVAL,
        on_checkpoint: Callable[[Checkpoint], None] | None = None,
        on_fault: Callable[[Exception], None] | None = None,
    ) -> None:
        self._engine, self._signer, self._log_dir, self._clock = engine, signer, log_dir, clock
        self._interval, self._on_checkpoint, self._on_fault = interval, on_checkpoint, on_fault
        self._woken, self._stopped = Flag(), Flag()
        self._thread = Thread(target=self._run, name="audit-sequencer", daemon=True)
        self.checkpoint: Checkpoint | None = None
        self.fault: Exception | None = None

    def __enter__(self) -> "Sequencer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop after one last turn, so that what was committed before is published."""
        self._stopped.set()
        self._woken.set()
        self._thread.join()

    def wake(self) -> None:
        """Do not wait for the interval: an event needs its proof now."""
        self._woken.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.wait(self._interval)
            self._woken.clear()
            self._turn()
        self._turn()

    def _turn(self) -> None:
        try:
            if self.fault is None and self.checkpoint is not None and not waiting(self._engine):
                return
            checkpoint = sequence(self._engine, self._signer, self._log_dir, self._clock())
        except Exception as fault:  # noqa: BLE001 - a background thread has nobody to raise to
            self.fault = fault
            if self._on_fault is not None:
                self._on_fault(fault if isinstance(fault, GatewayError) else _unforeseen(fault))
            return
        self.fault = None
        changed = checkpoint is not None and checkpoint != self.checkpoint
        self.checkpoint = checkpoint
        if changed and checkpoint is not None and self._on_checkpoint is not None:
            self._on_checkpoint(checkpoint)


def waiting(engine: Engine) -> int:
    """How many events are committed but not sequenced."""
    event = tables.event
    with tables.reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(event).where(event.c.idx.is_(None))).scalar_one()


def _unforeseen(fault: Exception) -> LogBroken:
    """The kind of fault only: the text of a foreign error may hold data."""
    return LogBroken(
        f"the sequencer failed ({type(fault).__name__})", cure="events keep being recorded; look into the database"
    )
