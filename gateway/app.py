"""The web application: routes, problem documents, limits. Built around one running gateway."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from gateway import worker
from gateway.api import audit, datasets, problems, releases, requests
from gateway.context import Gateway

DESCRIPTION = (
    "Ask for clinical-trial data; get a sealed, signed, logged extract. Every call needs `Authorization: Bearer …`. "
    "Errors are problem documents (RFC 9457): `rule` says which rule refused, `cure` what would change the answer."
)


def build(gateway: Gateway, *, with_worker: bool = False) -> FastAPI:
    """The application. With a worker, releases run in a thread of this process (the embedded default)."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
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
        telemetry={"auto_configure": False},
        max_body_size=gateway.settings.max_body_bytes,
    )
    app.state.gateway = gateway
    problems.install(app)
    for room in (datasets, requests, releases, audit):
        app.include_router(room.router)
    return app
