"""`gateway requests`: draft, submit, decide, answer."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.actions import obligations, requests
from gateway.actions.terms import read_document
from gateway.api.views import decision_view, request_view
from gateway.cli.session import (
    LOCAL_ACCOUNT,
    AsJson,
    AsUser,
    begin,
    noting,
    out,
    say_item,
    say_json,
    say_pairs,
    say_table,
)
from gateway.domain.request import Request, Status

app = typer.Typer(help="Requests for data.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The request's id (q-…)")]
Note = Annotated[str, typer.Option(help="The reason, in a sentence.")]


@app.command("draft")
def draft(
    document: Annotated[Path, typer.Argument(help="The request file (YAML).")],
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """A new draft from a request file."""
    session = begin(user)
    with noting(session, "request.draft"):
        content = read_document(document)
    _say(requests.draft(session.gateway, session.actor, content), json=json)


@app.command("submit")
def submit(key: Key, user: AsUser = LOCAL_ACCOUNT, json: AsJson = False) -> None:
    """Hand a draft in; says at once what the rules make of it."""
    session = begin(user)
    request, decision = requests.submit(session.gateway, session.actor, key)
    if json:
        say_json({**request_view(request), "verdict": decision_view(decision)["verdict"]})
        return
    _say(request, json=False)
    say_verdict(decision.verdict)


@app.command("list")
def listing(
    status: Annotated[Status | None, typer.Option(help="Only those in this state.")] = None,
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """The requests you may see, newest first."""
    session = begin(user)
    found = requests.listing(session.gateway, session.actor, status=status)
    if json:
        say_json([request_view(request) for request in found])
        return
    rows = [(r.id, r.status, r.terms.dataset, r.terms.mode, r.release, r.terms.recipient["org"]) for r in found]
    names = ("id", "status", "dataset", "mode", "release", "recipient")
    empty = "no requests yet; draft one with `gateway requests draft FILE`"
    say_table("Requests", names, rows, empty=empty, wrap=("dataset", "recipient"))


@app.command("show")
def show(key: Key, user: AsUser = LOCAL_ACCOUNT, json: AsJson = False) -> None:
    """One request, with its decision."""
    session = begin(user)
    request = requests.read(session.gateway, session.actor, key)
    decision = requests.decision_of(session.gateway, session.actor, key)
    if json:
        say_json({**request_view(request), "verdict": dict(decision.verdict) if decision else None})
        return
    _say(request, json=False)
    if decision:
        say_verdict(decision.verdict)


@app.command("return")
def give_back(key: Key, note: Note, user: AsUser = LOCAL_ACCOUNT, json: AsJson = False) -> None:
    """Give a request back with a question."""
    session = begin(user)
    _say(requests.give_back(session.gateway, session.actor, key, note=note), json=json)


@app.command("alternatives")
def alternatives(key: Key, user: AsUser = LOCAL_ACCOUNT, json: AsJson = False) -> None:
    """What else could be released: risk and utility of each, none weaker than the rules. One is picked at approval."""
    session = begin(user)
    found = requests.alternatives(session.gateway, session.actor, key)
    if json:
        say_json([{"number": at} | one.to_dict() for at, one in enumerate(found, start=1)])
        return
    rows = [
        (at, one.why, one.k, f"{one.average_risk:.3f}", f"{one.uniques:.0%}", f"{one.granularity:.0%}",
         f"{one.blanked:.0%}", ", ".join(f"{name} {kept:.0%}" for name, kept in one.columns.items()))
        for at, one in enumerate(found, start=1)
    ]  # fmt: skip
    names = ("no.", "what", "k", "average risk", "alone", "detail kept", "blanked", "by column")
    say_table("Alternatives", names, rows, empty="nothing else meets the rules", wrap=("what", "by column"))


@app.command("approve")
def approve(
    key: Key,
    note: Note = "",
    alternative: Annotated[
        int | None, typer.Option(help="Release this one, by its number in `requests alternatives`.")
    ] = None,
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """Say yes. With the last yes that is needed, the release is queued for the worker."""
    session = begin(user)
    _say(requests.approve(session.gateway, session.actor, key, note=note, alternative=alternative), json=json)


@app.command("refuse")
def refuse(key: Key, note: Note, user: AsUser = LOCAL_ACCOUNT, json: AsJson = False) -> None:
    """Say no, with a reason and, if there is one, a cure."""
    session = begin(user)
    _say(requests.refuse(session.gateway, session.actor, key, note=note), json=json)


@app.command("withdraw")
def withdraw(key: Key, user: AsUser = LOCAL_ACCOUNT, json: AsJson = False) -> None:
    """Take your own request back."""
    session = begin(user)
    _say(requests.withdraw(session.gateway, session.actor, key), json=json)


def _say(request: Request, *, json: bool) -> None:
    view = request_view(request)
    if json:
        say_json(view)
        return
    shown = ("id", "status", "dataset", "mode", "project", "purpose", "destination", "note", "release")
    recipient = request.terms.recipient["org"]
    approved = [approval.approver for approval in request.approvals]
    moves = [str(one) for one in view["moves"]]
    more = {"recipient": recipient, "approved by": approved, "possible now": moves or "nothing: this state is final"}
    say_pairs({name: value for name, value in ({n: view[n] for n in shown} | more).items() if value})


def say_verdict(verdict: Any) -> None:
    """Write a verdict: the headline, then each reason with its citation and cure."""
    out.print(f"\nthe rules say: [bold]{verdict['decision']}[/bold] (as of {verdict['as_of']})")
    for part in ("denials", "licences", "reviews"):
        for reason in verdict[part]:
            say_item(f"{part[:-1]}: ", f"{reason['sentence']} ({reason['article']}) [{reason['rule']}]")
            if reason["cure"]:
                say_item("→ ", reason["cure"], indent=4)
    for condition in verdict["conditions"]:
        say_item("condition: ", f"{condition['says'] or condition['sentence']} ({condition['article']})")
    if verdict["missing"]:
        say_item("missing: ", ", ".join(verdict["missing"]))
    if verdict["partial_release_allowed"]:
        say_item("clean by themselves: ", f"{', '.join(verdict['partial_release_allowed'])}; may be asked for alone")


@app.command("obligations")
def open_obligations(
    everything: Annotated[bool, typer.Option("--all", help="Also those that were met.")] = False,
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """What releases oblige someone to do, soonest first."""
    session = begin(user)
    found = obligations.listing(session.gateway, session.actor, open_only=not everything)
    if json:
        say_json([asdict(one) for one in found])
        return
    rows = [
        (one.id, one.due.date() if one.due else "–", "met" if one.met else "open", f"{one.says} [{one.rule}]")
        for one in found
    ]
    say_table("Obligations", ("id", "due", "state", "what"), rows, empty="no open obligations", wrap=("what",))


@app.command("met")
def met(
    key: Annotated[str, typer.Argument(help="The obligation's id (o-…)")],
    evidence: Annotated[str, typer.Option(help="Where it can be seen that it was done.")],
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """Note that an obligation was met."""
    session = begin(user)
    one = obligations.meet(session.gateway, session.actor, key, evidence=evidence)
    say_json(asdict(one)) if json else out.print(f"{one.id} is met")
