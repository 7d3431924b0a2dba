"""The two threads a process may run: one that commits events of many callers together, one that runs the sequencer.

A disk flushes a few hundred times a second, whatever is flushed. Callers whose event stands alone (a read, a denial)
therefore share one transaction; callers that change something append in their own.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DataError

from gateway.audit import tables
from gateway.audit.faults import LogBroken
from gateway.audit.journal import append_all
from gateway.audit.notes import Checkpoint, Signer
from gateway.audit.sequencing import sequence
from gateway.domain.event import Event
from gateway.errors import GatewayError, Invalid

Clock = Callable[[], datetime]
_Waiting = tuple[Event, Future[str]]

COMMITTED_TOGETHER = 512
PATIENCE = 0.002
"""Seconds a transaction waits for callers expected to join it; half of what one flush of a disk takes."""
INTERVAL = 1.0
"""Seconds: a checkpoint at least this often while there are events."""


class Recorder:
    """Records events that stand alone, durably, many callers to one transaction.

    `record` returns once the event is on disk and raises if it is not: the caller must not go on then.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="audit-recorder", daemon=True)
        self._closed, self._last = False, 1

    def __enter__(self) -> "Recorder":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def record(self, event: Event) -> str:
        """The id of the event, which is durable now. Raises what the database or the event's shape raised."""
        if self._closed or not self._thread.is_alive():
            raise LogBroken("the recorder of events is not running", cure="start it with `with Recorder(…)`")
        done: Future[str] = Future()
        self._queue.put((event, done))
        return done.result()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            group, last = self._gather(first)
            self._commit(group)
            if last:
                break
        while not self._queue.empty():
            if late := self._queue.get():
                late[1].set_exception(LogBroken("the recorder of events has been stopped"))

    def _gather(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """Everyone who came while the last transaction was being flushed; whether the end was asked for.

        Callers who were answered together come back together, a moment later. Waiting that moment for as many as
        came last time halves the number of flushes; a caller who is alone waits for nobody.
        """
        group, patience = [first], time.monotonic() + (PATIENCE if self._last > 1 else 0)
        while len(group) < COMMITTED_TOGETHER:
            try:
                left = patience - time.monotonic() if len(group) < self._last else 0
                following = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except Empty:
                break
            if following is None:
                return group, True
            group.append(following)
        self._last = len(group)
        return group, False

    def _commit(self, group: list[_Waiting]) -> None:
        try:
            with self._engine.begin() as connection:
                ids = append_all(connection, [event for event, _ in group], self._clock())
        except Exception as fault:  # noqa: BLE001 - handed to the callers, whose access must not happen
            self._refuse(group, fault)
            return
        for (_, done), event_id in zip(group, ids, strict=True):
            done.set_result(event_id)

    def _refuse(self, group: list[_Waiting], fault: Exception) -> None:
        """Tell the callers. One event of bad shape must not take the others with it: then each is tried alone."""
        if len(group) > 1 and isinstance(fault, Invalid | DataError):
            for alone in group:
                self._commit([alone])
            return
        for _, done in group:
            done.set_exception(fault)


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
