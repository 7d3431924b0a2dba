"""`gateway`: all commands, and the one place where an error becomes a sentence and an exit code."""

import sys

import click
import typer

from gateway import logs
from gateway.actions.guard import translate
from gateway.cli import audit, datasets, desk, extracts, running, trying, users
from gateway.cli import requests as request_commands
from gateway.cli.session import err, say_json
from gateway.errors import EXIT, Broken, GatewayError, Invalid, Refused

app = typer.Typer(
    name="gateway",
    help="A privacy gateway in front of clinical-trial datasets: decide, de-identify, seal, log.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(datasets.app, name="datasets")
app.add_typer(request_commands.app, name="requests")
app.add_typer(users.app, name="users")
app.add_typer(users.keys, name="keys")
app.add_typer(audit.app, name="audit")
running.add_to(app)
extracts.add_to(app)
trying.add_to(app)
desk.add_to(app)


def main() -> None:
    """Run one command. Exit codes: 0 done, 1 ours to mend, 2 wrong input, 3 refused, 4 not possible, 5 not found."""
    logs.configure(level="WARNING")
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        err.print("stopped")
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - every failure leaves as one sentence
        sys.exit(tell(translate(error)))


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
