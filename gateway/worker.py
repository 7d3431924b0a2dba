"""The worker: claims queued releases and runs them, one at a time, until told to stop."""

import ctypes
import gc
import os
import secrets
import socket
import threading
import time

import pyarrow as pa

from gateway import logs
from gateway.actions import logkeeping, releases, standing
from gateway.actions.guard import translate
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.release.run import run
from gateway.release.work import Progress

IDLE_SECONDS = 0.5
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 256 << 20
SWEEPER = Actor("system", "the gateway itself", roles={"*": frozenset({"operator"})})


def owner() -> str:
    """A name for this worker that no other has."""
    return f"{socket.gethostname()[:30]}-{os.getpid()}-{secrets.token_hex(3)}"


def quiet(_step: str, _share: float) -> None:
    """Progress that nobody watches."""


def work_once(gateway: Gateway, *, name: str, progress: Progress = quiet) -> str | None:
    """Claim and run the next release; its id, or None if there is nothing to do."""
    claim = gateway.store.claim(owner=name, now=gateway.now(), lease_seconds=gateway.settings.lease_seconds)
    if claim is None:
        return None
    wall, cpu = time.perf_counter(), time.process_time()
    run(gateway, claim, progress=progress, translate=translate)
    logs.logger("worker").info(
        "release ended",
        release=claim.id,
        wall_seconds=round(time.perf_counter() - wall, 3),
        cpu_seconds=round(time.process_time() - cpu, 3),
    )
    return claim.id


def keep_memory() -> None:
    """Keep what one batch frees for the next, instead of giving it back to the system page by page.

    Columns of half a million rows come and go many times a second, and a page fetched anew has to be cleared first:
    a tenth of a release. Only glibc can be told so (mallopt(3)); elsewhere Arrow's own pool stays. What was loaded at
    the start (rules, schemas, code) is taken out of garbage collection, for it is never garbage.
    """
    gc.freeze()
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        pa.set_memory_pool(pa.system_memory_pool())


def serve(gateway: Gateway, stop: threading.Event) -> None:
    """Work until `stop` is set. Between releases, end those whose time is over and publish and date the log."""
    name, log, dating = owner(), logs.logger("worker"), logkeeping.Dating()
    log.info("worker started", worker=name)
    standing.note_changes(gateway)
    while not stop.is_set():
        try:
            if work_once(gateway, name=name) is None:
                releases.expire(gateway, SWEEPER)
                gateway.publish()
                dating.turn(gateway)
                stop.wait(IDLE_SECONDS)
        except Exception as error:  # noqa: BLE001 - a worker outlives one bad job
            logs.incident("worker", error)
            stop.wait(IDLE_SECONDS)
    log.info("worker stopped", worker=name)
