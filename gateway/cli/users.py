"""`gateway users` and `gateway keys`: accounts, roles, tokens; recipient key pairs."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.actions import accounts, sessions
from gateway.cli.session import OPERATOR, AsJson, AsUser, begin, out, say_json, say_pairs, say_table
from gateway.client.pairs import new_pair
from gateway.domain.actor import EVERY_STUDY

app = typer.Typer(help="Accounts, their roles and tokens.", no_args_is_help=True)
keys = typer.Typer(help="Key pairs of recipients.", no_args_is_help=True)

Study = Annotated[str, typer.Option("--study", help="One study, or * for all.")]
Key = Annotated[str, typer.Argument(help="The account's id.")]
Role = Annotated[str, typer.Argument(help="researcher, steward, auditor or operator.")]


@app.command("add")
def add(
    key: Annotated[str, typer.Argument(help="Account id, for instance r.okafor")],
    name: Annotated[str, typer.Option(help="The person's name.")],
    organisation: Annotated[str, typer.Option(help="Where they work.")] = "",
    role: Annotated[list[str] | None, typer.Option(help="A role to grant; may be repeated.")] = None,
    study: Study = EVERY_STUDY,
    user: AsUser = OPERATOR,
    json: AsJson = False,
) -> None:
    """Add an account, with roles if given."""
    session = begin(user)
    accounts.add(session.gateway, session.actor, key=key, name=name, organisation=organisation)
    for one in role or []:
        accounts.grant(session.gateway, session.actor, key=key, role=one, study=study)
    say_json({"account": key}) if json else out.print(f"account {key} added")


@app.command("grant")
def grant(key: Key, role: Role, study: Study = EVERY_STUDY, user: AsUser = OPERATOR, json: AsJson = False) -> None:
    """Give a role: researcher, steward, auditor or operator."""
    session = begin(user)
    accounts.grant(session.gateway, session.actor, key=key, role=role, study=study)
    say_json({"account": key, "role": role, "study": study}) if json else out.print(f"{key} is {role} in {study}")


@app.command("revoke")
def revoke(key: Key, role: Role, study: Study = EVERY_STUDY, user: AsUser = OPERATOR, json: AsJson = False) -> None:
    """Take a role away."""
    session = begin(user)
    accounts.revoke(session.gateway, session.actor, key=key, role=role, study=study)
    say_json({"account": key}) if json else out.print(f"{key} is no longer {role} in {study}")


@app.command("password")
def password(key: Key, user: AsUser = OPERATOR, json: AsJson = False) -> None:
    """Make up a new password for the pages. It is shown once; its owner must change it at the first sign-in.

    The account's sessions and its second factor end.
    """
    session = begin(user)
    answer = {"account": key, "password": sessions.set_password(session.gateway, session.actor, key=key)}
    say_json(answer) if json else say_pairs(answer)


@app.command("disable")
def disable(key: Key, user: AsUser = OPERATOR, json: AsJson = False) -> None:
    """Let an account in no more. Its tokens and sessions hold no longer; its history stays."""
    session = begin(user)
    accounts.disable(session.gateway, session.actor, key=key)
    say_json({"account": key, "disabled": True}) if json else out.print(f"account {key} is disabled")


@app.command("enable")
def enable(key: Key, user: AsUser = OPERATOR, json: AsJson = False) -> None:
    """Let a disabled account in again."""
    session = begin(user)
    accounts.enable(session.gateway, session.actor, key=key)
    say_json({"account": key, "disabled": False}) if json else out.print(f"account {key} is let in again")


@app.command("list")
def listing(user: AsUser = OPERATOR, json: AsJson = False) -> None:
    """All accounts with their roles."""
    session = begin(user)
    found = accounts.listing(session.gateway, session.actor)
    rows = [(account.id, account.name, account.organisation, _roles(actor.roles)) for account, actor in found]
    if json:
        say_json([{"id": i, "name": n, "organisation": o, "roles": r} for i, n, o, r in rows])
    else:
        names = ("id", "name", "organisation", "roles")
        say_table("Accounts", names, rows, empty="no accounts yet", wrap=names[1:])


def _roles(roles: object) -> str:
    held = dict(roles)  # type: ignore[call-overload]
    return ", ".join(
        role if study == EVERY_STUDY else f"{role} in {study}" for study in sorted(held) for role in sorted(held[study])
    )


@app.command("token")
def token(
    key: Key,
    days: Annotated[int, typer.Option(help="How long it lives, 1 to 366.")] = 90,
    scope: Annotated[list[str] | None, typer.Option(help="Limit to object:action; may be repeated.")] = None,
    user: AsUser = OPERATOR,
    json: AsJson = False,
) -> None:
    """Issue an API token. It is shown once."""
    session = begin(user)
    held, secret = accounts.issue_token(session.gateway, session.actor, key=key, days=days, scopes=tuple(scope or ()))
    answer = {"token": secret, "id": held.id, "expires": held.expires.isoformat()}
    say_json(answer) if json else say_pairs(answer)


@app.command("revoke-token")
def revoke_token(
    token_id: Annotated[str, typer.Argument(help="The token's id, shown when it was issued.")],
    user: AsUser = OPERATOR,
    json: AsJson = False,
) -> None:
    """End a token now."""
    session = begin(user)
    accounts.revoke_token(session.gateway, session.actor, token=token_id)
    say_json({"revoked": token_id}) if json else out.print(f"token {token_id} is revoked")


@keys.command("new")
def new_key(
    out_file: Annotated[Path, typer.Option("--out", help="Where the secret key goes; must not exist.")],
    json: AsJson = False,
) -> None:
    """Make a recipient key pair. The secret stays in the file; send only the line that begins with age1.

    Whoever loses the secret cannot open extracts sealed to it, and nobody can restore it.
    """
    answer = {"public": new_pair(out_file), "identity_file": str(out_file)}
    say_json(answer) if json else say_pairs(answer)
