"""`gateway release | open | verify`: the main job on one line, and what a recipient does with its outcome."""

import re
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gateway import worker
from gateway.actions import accounts, releases, requests
from gateway.actions.terms import read_document, read_terms
from gateway.cli.requests import say_verdict
from gateway.cli.session import LOCAL_ACCOUNT, AsJson, AsUser, Session, begin, err, noting, out, say_json, say_pairs
from gateway.client import package
from gateway.domain.actor import Actor
from gateway.domain.release import Release, Step
from gateway.errors import Invalid, NotFound, NotPossible
from gateway.release import shelf

Trusted = Annotated[
    str, typer.Option("--trust", help="Fingerprint the signing key must have, as the gateway's operator tells it.")
]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command("release")(release)
    app.command("open")(open_extract)
    app.command("verify")(verify)


def release(
    document: Annotated[Path, typer.Argument(help="The request file (YAML); its fields are in README.md.")],
    to: Annotated[Path, typer.Option("--out", help="Folder for the finished release; must be empty or not exist.")],
    note: Annotated[str, typer.Option(help="Your reason, where a rule asks for a person's judgement.")] = "",
    second: Annotated[str, typer.Option("--second", help="A second approver's account, where two are needed.")] = "",
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """Run the main job for a steward: request, decision, approval, release; exits 0 only when the extract stands.

    The request is entered in the name of the recipient's organisation, so that your approval is never of your own.
    Stopped halfway (or killed), the release goes on with `gateway worker`, or when this command runs any other job.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise Invalid("the output folder is not empty", place=str(to), cure="name a new folder")
    session = begin(user)
    with noting(session, "request.draft"):
        content = read_document(document)
        organisation = str(read_terms(content).recipient["org"])
    requester = _requester(session, organisation)
    request = requests.draft(session.gateway, requester, content)
    request, decision = requests.submit(session.gateway, requester, request.id)
    if not json:
        say_verdict(decision.verdict)
    approvers = [session.actor, *([accounts.local_actor(session.gateway, second)] if second else [])]
    for approver in approvers:
        if request.release:
            break
        request = requests.approve(session.gateway, approver, request.id, note=note)
    if not request.release:
        raise NotPossible(
            "this release needs another approver", rule="four-eyes", cure="name one with --second, or let them approve"
        )
    done = _work_off(session, request.release, quiet=json)
    if done.step is not Step.DELIVERED:
        raise NotPossible(f"the release stopped: {done.fault}", rule="release-stopped", cure=f"release {done.id}")
    shutil.copytree(shelf.extract(session.gateway.settings.releases_folder, done.id), to, dirs_exist_ok=True)
    _say_release(done, request.id, to, json=json)


def _requester(session: Session, organisation: str) -> Actor:
    """The account that stands for the recipient's organisation; made on first use."""
    key = "for-" + (re.sub(r"[^a-z0-9]+", "-", organisation.lower()).strip("-") or "recipient")[:55]
    try:
        return session.gateway.store.actor(key)
    except NotFound:
        operator = accounts.local_actor(session.gateway, accounts.OPERATOR)
        accounts.add(session.gateway, operator, key=key, name=organisation, organisation=organisation)
        accounts.grant(session.gateway, operator, key=key, role="researcher")
        return session.gateway.store.actor(key)


def _work_off(session: Session, wanted: str, *, quiet: bool) -> Release:
    """Run queued releases until this one ends, with a bar."""
    name = worker.owner()
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, disable=quiet, transient=True) as bars:
        bar = bars.add_task("prepare", total=1.0)
        while worker.work_once(
            session.gateway, name=name, progress=lambda step, share: bars.update(bar, description=step, completed=share)
        ):
            found = session.gateway.store.release(wanted)
            if found.step is Step.DELIVERED or found.fault:
                return found
    return session.gateway.store.release(wanted)


def _say_release(done: Release, request: str, to: Path, *, json: bool) -> None:
    after = done.values["after"]
    answer = {
        "release": done.id,
        "request": request,
        "folder": str(to),
        "tables": len([file for file in done.values["files"] if file["name"].endswith(releases.SEALED)]),
        "smallest class": after["k"],
        "average risk": round(after["average_risk"], 4),
        "detail kept": round(done.values["utility"]["granularity"], 4),
        "expires": done.expires.isoformat(timespec="seconds") if done.expires else "",
        "report": str(to / shelf.REPORT),
    }
    say_json(answer) if json else say_pairs(answer)


def verify(
    folder: Annotated[Path, typer.Argument(help="The folder of a release.")],
    trust: Trusted = "",
    json: AsJson = False,
) -> None:
    """Check a release offline: signature, digests, the log's receipt. Exits 4 if anything is wrong."""
    checked = package.verify(folder, trusted=trust)
    if json:
        say_json(
            {
                "sound": checked.sound,
                "release": checked.release,
                "signed_by": checked.signed_by,
                "trusted": checked.pinned,
                "log": checked.log,
                "cosigned_by": checked.cosigned,
                "witnesses": checked.witnesses,
                "files": checked.files,
                "good": checked.good,
                "problems": checked.problems,
            }
        )
    else:
        for problem in checked.problems:
            err.print(problem, style="red", markup=False, soft_wrap=True)
        _say_checked(checked)
    if not checked.sound:
        raise typer.Exit(4)


def _say_checked(checked: package.Checked) -> None:
    word = "OK" if checked.sound else "NOT OK"
    out.print(f"{word} {checked.good}/{checked.files} files, release {checked.release}, logged in {checked.log or '–'}")
    if checked.witnesses:
        names = ", ".join(checked.cosigned) or "nobody"
        out.print(f"receipt cosigned by {names} ({len(checked.cosigned)} of {checked.witnesses} witnesses)")
    if checked.signed_by:
        known = (
            "the trusted key"
            if checked.pinned
            else "compare it with what the gateway's operator publishes, or --trust it"
        )
        out.print(f"signed by {checked.signed_by} ({known})")


def open_extract(
    folder: Annotated[Path, typer.Argument(help="The folder of a release.")],
    identity: Annotated[Path, typer.Option("--identity", help="Your secret key file.")],
    to: Annotated[Path, typer.Option("--out", help="Where the tables go.")],
    trust: Trusted = "",
    json: AsJson = False,
) -> None:
    """Verify a release, then decrypt its tables."""
    checked, opened = package.open_release(folder, identity, to, trusted=trust)
    if json:
        say_json({"ok": f"{checked.good}/{checked.files}", "opened": [str(path) for path in opened]})
        return
    _say_checked(checked)
    out.print(f"opened {len(opened)} tables in {to}: {', '.join(path.name for path in opened)}", soft_wrap=True)
