"""The web application: the API with its problem documents and limits, and the pages beside it, around one gateway."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from fastapi import FastAPI

from gateway import audit, logs, worker
from gateway.actions import logkeeping, standing
from gateway.api import audit as audit_routes
from gateway.api import datasets, examples, log, problems, releases, requests
from gateway.context import Gateway
from gateway.web import site

DESCRIPTION = (
    "Ask for clinical-trial data; get a sealed, signed, logged extract. Every call needs `Authorization: Bearer …`. "
    "Errors are problem documents (RFC 9457): `rule` says which rule refused, `cure` what would change the answer."
)


@contextmanager
def _log_kept(gateway: Gateway) -> Iterator[None]:
    """The two threads of the log: events that stand alone share commits; a checkpoint at least every second."""
    with logkeeping.witnesses_asked(gateway) as wanted, _threads(gateway, wanted) as recorder:
        gateway.store.share_commits(recorder.record)
        try:
            yield
        finally:
            gateway.store.share_commits(None)


@contextmanager
def _threads(gateway: Gateway, wanted: threading.Event | None) -> Iterator[audit.Recorder]:
    sequencer = audit.Sequencer(
        gateway.store.engine,
        gateway.signer,
        gateway.settings.log_folder,
        gateway.now,
        on_checkpoint=(lambda _: wanted.set()) if wanted is not None else None,
        on_fault=lambda fault: logs.logger("audit").error("the log cannot be published", reason=str(fault)),
    )
    with audit.Recorder(gateway.store.engine, gateway.now) as recorder, sequencer:
        yield recorder


def build(gateway: Gateway, *, with_worker: bool = False) -> FastAPI:
    """The application. With a worker, releases run in a thread of this process (the embedded default)."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        standing.note_changes(gateway)
        with _log_kept(gateway):
            stop = threading.Event()
            thread = threading.Thread(target=worker.serve, args=(gateway, stop), name="worker")
            if with_worker:
                thread.start()
            yield
            stop.set()
            if with_worker:
                thread.join()

    app = FastAPI(
        title="Trial Data Gateway",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry={"auto_configure": False},
    )
    app.state.gateway = gateway
    problems.install(app, most_bytes=gateway.settings.max_body_bytes)
    for room in (datasets, requests, releases, audit_routes, log):
        app.include_router(room.router, responses=examples.refusals() if room is not log else None)
    app.add_api_route("/v1/{rest:path}", problems.no_such_call, include_in_schema=False, methods=problems.METHODS)
    app.mount("/", site.build(gateway, describe=app.openapi))
    return app
