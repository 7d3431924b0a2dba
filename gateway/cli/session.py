"""What every command needs: the gateway of these settings, who acts, and how answers are written."""

import getpass
import json
import os
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway import settings
from gateway.actions import accounts, standing
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

# A column that may wrap gets at least this many characters, or the table is not written as one.
_LEAST_WRAPPED = 12

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
    standing.note_changes(gateway)
    return Session(gateway, accounts.sign_in_locally(gateway, user, system_user=_system_user()))


def _system_user() -> str:
    """Whoever runs this command, as the system knows them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in containers
        return str(os.getuid())


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


def say_table(
    title: str, names: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str, wrap: Collection[str] = ()
) -> None:
    """Write a table, or the sentence for when there is nothing. Only the columns named in `wrap` break over lines."""
    if not rows:
        out.print(empty, markup=False, soft_wrap=True)
        return
    shown = [[str(cell) for cell in row] for row in rows]
    if _too_narrow(names, shown, wrap):
        out.print(title, style="bold", markup=False)
        for row in shown:
            say_pairs({name: cell for name, cell in zip(names, row, strict=True) if cell})
            out.print()
        return
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    table.show_edge, table.padding = False, (0, 1, 0, 0)
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name not in wrap)
    for row in shown:
        table.add_row(*(Text(cell) for cell in row))
    out.print(table)


def _too_narrow(names: Sequence[str], rows: Sequence[Sequence[str]], wrap: Collection[str]) -> bool:
    """Whether whole words and ids would have to be cut: then each row is written as lines instead."""
    needed = 0
    for at, name in enumerate(names):
        widest = max(len(name), *(len(row[at]) for row in rows))
        needed += 2 + (min(widest, _LEAST_WRAPPED) if name in wrap else widest)
    return needed > out.width


def say_item(lead: str, sentence: str, *, indent: int = 2) -> None:
    """Write one item of a list; what does not fit on a line goes on under the sentence, not under the lead."""
    first, rest = " " * indent + lead, " " * (indent + len(lead))
    text = textwrap.fill(
        sentence,
        width=max(40, out.width),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    out.print(text, markup=False, soft_wrap=True)


def say_pairs(pairs: Mapping[str, object]) -> None:
    """Write names and values, one to a line."""
    width = max(len(name) for name in pairs)
    for name, value in pairs.items():
        text = ", ".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)
        out.print(f"{name:<{width}}  {text}", soft_wrap=True, markup=False)
