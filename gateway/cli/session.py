"""What every command needs: the gateway of these settings, who acts, and how answers are written."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from gateway import settings
from gateway.actions import accounts
from gateway.actions.guard import note
from gateway.context import Gateway, open_gateway
from gateway.domain.actor import Actor
from gateway.errors import GatewayError

LOCAL_ACCOUNT = "local"
OPERATOR = accounts.OPERATOR

AsJson = Annotated[bool, typer.Option("--json", help="Write the answer as JSON.")]
AsUser = Annotated[
    str,
    typer.Option("--as", envvar="GATEWAY_USER", help="The account that acts; on a fresh gateway, the first one."),
]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Session:
    """A running gateway and the actor of this command."""

    gateway: Gateway
    actor: Actor


def begin(user: str = LOCAL_ACCOUNT) -> Session:
    """Open the gateway; on a fresh one, the first account is made for whoever runs this.

    Raises:
        GatewayError: settings, keys or database are not right, or there is no such account.
    """
    gateway = open_gateway(settings.load())
    if not gateway.store.accounts():
        accounts.found(gateway, steward=LOCAL_ACCOUNT, name=os.environ.get("USER", "local steward"))
    return Session(gateway, accounts.local_actor(gateway, user))


@contextmanager
def noting(session: Session, what: str) -> Iterator[None]:
    """What goes wrong inside becomes an event too: for input that no action ever sees."""
    try:
        yield
    except GatewayError as error:
        note(session.gateway, session.actor, what, error)
        raise


def say_json(content: Any) -> None:
    """Write JSON to standard output, nothing else beside it."""
    print(json.dumps(content, indent=1, ensure_ascii=False, default=str))  # noqa: T201 - the answer itself


def say_table(title: str, names: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Write a table, or the sentence for when there is nothing."""
    if not rows:
        out.print(empty)
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    out.print(table)


def say_pairs(pairs: Mapping[str, object]) -> None:
    """Write names and values, one to a line."""
    width = max(len(name) for name in pairs)
    for name, value in pairs.items():
        out.print(f"{name:<{width}}  {value}", soft_wrap=True, markup=False)
