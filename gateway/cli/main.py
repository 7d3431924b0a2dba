"""`gateway`: all commands, and the one place where an error becomes a sentence and an exit code."""

import sys
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from gateway import logs
from gateway.actions.guard import translate
from gateway.cli import audit, datasets, desk, extracts, held, running, terms, trying, users
from gateway.cli import requests as request_commands
from gateway.cli.session import err, out, say_json
from gateway.errors import EXIT, Broken, GatewayError, Invalid, Refused

# Which commands stand together in `gateway --help`.
PANELS = {
    "Begin": ("demo", "init", "serve", "worker"),
    "Data stewards": ("datasets", "requests", "release", "terms"),
    "Partner researchers": ("keys", "verify", "open"),
    "Auditors and operators": ("audit", "users"),
    "Rules and tables alone": ("decide", "replay", "tables", "anonymize", "frontier", "risk", "hierarchies"),
}

app = typer.Typer(
    name="gateway",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
held.add_to(datasets.app)
app.add_typer(datasets.app, name="datasets")
app.add_typer(request_commands.app, name="requests")
app.add_typer(terms.app, name="terms")
app.add_typer(users.app, name="users")
app.add_typer(users.keys, name="keys")
app.add_typer(audit.app, name="audit")
running.add_to(app)
extracts.add_to(app)
trying.add_to(app)
desk.add_to(app)


def _arrange() -> None:
    """Put each command under its panel."""
    panels = {name: panel for panel, names in PANELS.items() for name in names}
    commands: list[Any] = [*app.registered_commands, *app.registered_groups]
    for command in commands:
        if command.name in panels:
            command.rich_help_panel = panels[command.name]


_arrange()


def _version(asked: bool) -> None:
    if asked:
        out.print(f"gateway {metadata.version('trial-data-gateway')}")
        raise typer.Exit


@app.callback()
def _gateway(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """A privacy gateway in front of clinical-trial datasets: decide, de-identify, seal, log."""


def main() -> None:
    """Run one command. Exit codes: 0 done, 1 ours to mend, 2 wrong input, 3 refused, 4 not possible, 5 not found."""
    logs.configure(level="WARNING")
    try:
        code = app(standalone_mode=False, prog_name="gateway")
        sys.exit(code if isinstance(code, int) else 0)
    except TyperException as error:
        sys.exit(misused(error))
    except (typer.Abort, KeyboardInterrupt):
        err.print("stopped")
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - every failure leaves as one sentence
        sys.exit(tell(translate(error)))


def misused(error: TyperException) -> int:
    """Say which argument or option is missing or wrong, and where its help is; returns the exit code.

    A group called without a command answers with its help, which is already written.
    """
    sentence = error.format_message().replace("Value error, ", "").rstrip(".")
    if not sentence.strip():
        return error.exit_code
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "gateway"
    cure = f"see `{command} --help`"
    if "--json" in sys.argv:
        say_json({"error": "Invalid", "reason": sentence, "cure": cure, "place": command, "rule": "", "incident": ""})
    err.print(sentence[0].lower() + sentence[1:], style="red", markup=False, soft_wrap=True)
    err.print(f"→ {cure}", markup=False, soft_wrap=True)
    return error.exit_code


def tell(error: GatewayError) -> int:
    """Say what went wrong, where, and what to do; returns the exit code."""
    place = f"{error.place}: " if isinstance(error, Invalid) and error.place else ""
    rule = f" [{error.rule}]" if isinstance(error, Refused) else ""
    if "--json" in sys.argv:
        say_json(
            {
                "error": type(error).__name__,
                "reason": error.reason if not isinstance(error, Broken) else "something of ours failed",
                "cure": error.cure,
                "place": getattr(error, "place", ""),
                "rule": getattr(error, "rule", ""),
                "incident": getattr(error, "incident", ""),
            }
        )
    err.print(f"{place}{error.reason}{rule}", style="red", markup=False, soft_wrap=True)
    if error.cure:
        err.print(f"→ {error.cure}", markup=False, soft_wrap=True)
    return next(EXIT[kind] for kind in type(error).__mro__ if kind in EXIT)
