"""`gateway datasets held`: the documents beside a study's tables, which no release ever takes."""

import typer

from gateway.actions import documents
from gateway.cli.datasets import Key
from gateway.cli.session import LOCAL_ACCOUNT, AsJson, AsUser, begin, say_json, say_table


def add_to(app: typer.Typer) -> None:
    """Add the command to `gateway datasets`."""
    app.command("held")(held)


def held(key: Key, user: AsUser = LOCAL_ACCOUNT, json: AsJson = False) -> None:
    """Files beside the tables (narratives, scans, archives): held, never released."""
    session = begin(user)
    found = documents.held(session.gateway, session.actor, key)
    if json:
        say_json([{"file": one.name, "why": one.why} for one in found])
    else:
        say_table("Held files", ("file", "why"), [[one.name, one.why] for one in found], empty="nothing is held")
