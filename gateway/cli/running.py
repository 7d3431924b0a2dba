"""`gateway init | serve | worker | demo`: making and running a gateway."""

import signal
import threading
from typing import Annotated

import typer
import uvicorn
from rich.console import Console

from gateway import logs, settings, worker
from gateway.actions import setup
from gateway.app import build
from gateway.cli.session import LOCAL_ACCOUNT, AsJson, out, say_json, say_pairs, say_table
from gateway.context import open_gateway
from gateway.demo.play import play
from gateway.demo.stage import tokens_of


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    for command in (init, serve, run_worker, demo):
        app.command(command.__name__.removeprefix("run_"))(command)


def init(
    steward: Annotated[str, typer.Option(help="Id of the first steward's account.")] = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """Make the home folder, keys, database and the first two accounts. A second run changes nothing."""
    answer = setup.initialise(settings.load(), steward=steward)
    say_json(answer) if json else say_pairs(answer)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    with_worker: Annotated[bool, typer.Option(help="Run releases in this process too.")] = True,
) -> None:
    """Serve the pages and the HTTP API; /docs describes its calls."""
    logs.configure()
    gateway = open_gateway(settings.load())
    out.print(f"the pages: http://{host}:{port}   the API: http://{host}:{port}/docs", soft_wrap=True)
    if people := tokens_of(gateway.settings.home):
        rows = [(one["account"], one["role"], one.get("password", "")) for one in people]
        say_table("Demo accounts", ("account", "role", "password"), rows, empty="")
        out.print("Their API tokens stand in demo-tokens.json of this home.", markup=False, soft_wrap=True)
    uvicorn.run(build(gateway, with_worker=with_worker), host=host, port=port, log_level="warning", server_header=False)


def run_worker(
    once: Annotated[bool, typer.Option("--once", help="Stop when the queue is empty.")] = False,
) -> None:
    """Run queued releases until stopped (Ctrl-C, or SIGTERM between two releases)."""
    logs.configure()
    gateway = open_gateway(settings.load())
    worker.keep_memory()
    if once:
        name = worker.owner()
        while worker.work_once(gateway, name=name) is not None:
            pass
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    worker.serve(gateway, stop)


def demo(
    fresh: Annotated[bool, typer.Option(help="Empty the demo's own home first; nothing else is touched.")] = True,
    subjects: Annotated[int, typer.Option(help="Subjects of the synthetic trial.", min=60, max=5000)] = 400,
    json: AsJson = False,
) -> None:
    """Play the whole story on a synthetic trial: request, decision, release, download, open, verify.

    Steward, researcher and auditor act through the real HTTP API, in a home of its own (GATEWAY_HOME/demo).
    """
    story = play(settings.load(), fresh=fresh, subjects=subjects, console=Console(highlight=False, quiet=json))
    if json:
        say_json(story)
