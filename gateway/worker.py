"""The worker: claims queued releases and runs them, one at a time, until told to stop."""

import os
import secrets
import socket
import threading
import time

from gateway import logs
from gateway.actions import releases
from gateway.actions.guard import translate
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.release.run import run
from gateway.release.work import Progress

IDLE_SECONDS = 0.5
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


def serve(gateway: Gateway, stop: threading.Event) -> None:
    """Work until `stop` is set. Between releases, end those whose time is over and publish the log."""
    name, log = owner(), logs.logger("worker")
    log.info("worker started", worker=name)
    while not stop.is_set():
        try:
            if work_once(gateway, name=name) is None:
                releases.expire(gateway, SWEEPER)
                gateway.publish()
                stop.wait(IDLE_SECONDS)
        except Exception as error:  # noqa: BLE001 - a worker outlives one bad job
            logs.incident("worker", error)
            stop.wait(IDLE_SECONDS)
    log.info("worker stopped", worker=name)
