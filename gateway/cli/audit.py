"""`gateway audit`: read and verify the access log."""

from datetime import datetime
from typing import Annotated

import typer

from gateway.actions import audits
from gateway.api.audit import event_view
from gateway.cli.session import LOCAL_ACCOUNT, AsJson, AsUser, begin, out, say_json, say_table

app = typer.Typer(help="The access log.", no_args_is_help=True)

NOT_SOUND = 4


@app.command("list")
def listing(
    kind: Annotated[str | None, typer.Option(help="For instance release.completed")] = None,
    who: Annotated[str | None, typer.Option(help="An account id")] = None,
    about: Annotated[str | None, typer.Option(help="The id of a request, release, dataset or user")] = None,
    after: Annotated[datetime | None, typer.Option(help="Not before this time (UTC)")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """Events, newest first."""
    session = begin(user)
    page = audits.events(
        session.gateway, session.actor, kind=kind, who=who, about=about, after=_utc(after), limit=limit
    )
    if json:
        say_json([event_view(event) for event in page.events])
        return
    rows = [
        (
            event.index if event.index is not None else "…",
            event.time.strftime("%Y-%m-%d %H:%M:%S"),
            event.kind,
            event.outcome,
            event.actor,
            " ".join(f"{role}={thing}" for role, thing in event.about.items()),
        )
        for event in page.events
    ]
    say_table("Events", ("index", "time (UTC)", "event", "outcome", "actor", "about"), rows, empty="no such events")


def _utc(time: datetime | None) -> datetime | None:
    return time.astimezone() if time is not None and time.tzinfo is None else time


@app.command("verify")
def verify(user: AsUser = LOCAL_ACCOUNT, json: AsJson = False) -> None:
    """Read the whole log again and say whether it is sound. Exits 4 if it is not."""
    session = begin(user)
    found = audits.verify(session.gateway, session.actor)
    if json:
        say_json({"sound": found.sound, "size": found.size, "root": found.root.hex(), "findings": found.findings})
    else:
        out.print(f"{'sound' if found.sound else 'NOT SOUND'}: {found.size} events, root {found.root.hex()}")
        for sentence in (*found.findings, *found.notes):
            out.print(f"  {sentence}", markup=False, soft_wrap=True)
    if not found.sound:
        raise typer.Exit(NOT_SOUND)
