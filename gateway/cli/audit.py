"""`gateway audit`: read and verify the access log."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.actions import audits, logkeeping
from gateway.api.audit import event_view
from gateway.audit import LoggedEvent
from gateway.cli.session import LOCAL_ACCOUNT, OPERATOR, AsJson, AsUser, begin, out, say_json, say_pairs, say_table
from gateway.client import watching

app = typer.Typer(help="The access log.", no_args_is_help=True)

NOT_SOUND = 4


@app.command("list")
def listing(
    kind: Annotated[str | None, typer.Option(help="Only this kind, for instance release.completed.")] = None,
    who: Annotated[str | None, typer.Option(help="Only what this account did.")] = None,
    about: Annotated[str | None, typer.Option(help="Only about this request, release, dataset or user.")] = None,
    after: Annotated[datetime | None, typer.Option(help="Not before this time (UTC).")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)] = 50,
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
            event.actor,
            event.kind,
            _detail(event),
        )
        for event in page.events
    ]
    names = ("index", "time (UTC)", "actor", "event", "about")
    say_table("Events, newest first", names, rows, empty="no such events", wrap=("about",))
    if any(event.index is None for event in page.events):
        out.print("… waits for its place in the log; `gateway audit verify` and the worker give it one")


_ABOUT = ("file", "release", "request", "user", "dataset", "study", "token")


def _detail(event: LoggedEvent) -> str:
    """The nearest thing an event is about, how it ended if not well, and the step, verdict, rule or action."""
    thing = next((event.about[name] for name in _ABOUT if name in event.about), "")
    ended = event.outcome if event.outcome != "done" else ""
    told = [event.facts.get(name) for name in ("action", "step", "verdict", "rule", "fault", "role", "table")]
    return " ".join(str(word) for word in (thing, ended, *dict.fromkeys(told)) if word)


def _utc(time: datetime | None) -> datetime | None:
    return time.astimezone() if time is not None and time.tzinfo is None else time


@app.command("verify")
def verify(
    folder: Annotated[Path | None, typer.Option(help="A copy of the log's folder, checked offline by itself.")] = None,
    key: Annotated[str, typer.Option(help="With --folder: the log's verifier key.")] = "",
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """Read the whole log again and say whether it is sound. Exits 4 if it is not."""
    if folder is not None:
        size, root = watching.check_copy(folder, key=key)
        say_json({"sound": True, "size": size, "root": root}) if json else out.print(
            f"sound: {size} events, root {root}"
        )
        return
    session = begin(user)
    found = audits.verify(session.gateway, session.actor)
    if json:
        say_json({"sound": found.sound, "size": found.size, "root": found.root.hex(), "findings": found.findings})
    else:
        out.print(
            f"{'sound' if found.sound else 'NOT SOUND'}: {found.size} events, root {found.root.hex()}", soft_wrap=True
        )
        for sentence in (*found.findings, *found.notes):
            out.print(f"  {sentence}", markup=False, soft_wrap=True)
    if not found.sound:
        raise typer.Exit(NOT_SOUND)


@app.command("anchor")
def anchor(user: AsUser = OPERATOR, json: AsJson = False) -> None:
    """Have the newest checkpoint dated by the time-stamping authority of GATEWAY_TSA (RFC 3161)."""
    session = begin(user)
    made = logkeeping.anchor(session.gateway, session.actor)
    answer = {
        "size": made.checkpoint.size,
        "time": made.stamp.time.isoformat(),
        "authority": made.stamp.authority,
        "trusted": made.stamp.trusted,
        "note": str(made.note),
        "reply": str(made.reply),
    }
    say_json(answer) if json else say_pairs(answer)


@app.command("export")
def export(
    to: Annotated[Path, typer.Option("--out", help="Folder for the copy; must be empty or not exist.")],
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """Copy the log's files out, with its key and the small verifier. No personal text is in them."""
    session = begin(user)
    size, root = logkeeping.export(session.gateway, session.actor, to)
    answer = {"size": size, "root": root, "out": str(to)}
    say_json(answer) if json else say_pairs(answer)


@app.command("watch")
def watch(
    where: Annotated[str, typer.Argument(help="The log's URL (https://…/log) or a folder that holds a copy.")],
    key: Annotated[str, typer.Option(help="The log's verifier key, as `gateway init` prints it.")],
    state: Annotated[Path, typer.Option(help="Where this watcher remembers what it saw.")],
    witness: Annotated[list[str] | None, typer.Option(help="A witness's verifier key; may be repeated.")] = None,
    quorum: Annotated[int, typer.Option(help="How many witnesses must have cosigned.", min=0)] = 0,
    json: AsJson = False,
) -> None:
    """Visit a log from outside: signature, consistency with the last visit, freshness. Exits 4 on an alarm.

    Run it from a timer, on a machine the log's operator does not hold.
    """
    seen = watching.visit(where, key=key, state=state, witnesses=tuple(witness or ()), quorum=quorum)
    if json:
        say_json({"size": seen.size, "alarms": seen.alarms, "new": dict(seen.kinds), "evidence": seen.evidence})
    else:
        out.print(f"{'ALARM' if seen.alarms else 'all is well'}: {seen.size} events")
        for sentence in seen.alarms:
            out.print(f"  {sentence}", markup=False, soft_wrap=True)
    if seen.alarms:
        raise typer.Exit(NOT_SOUND)


@app.command("erase")
def erase(
    event: Annotated[list[str], typer.Argument(help="Ids of events whose personal text goes.")],
    reason: Annotated[str, typer.Option(help="Why, for the log.")],
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """Erase the personal text of events. Proofs stay whole: leaves hold only salted commitments."""
    session = begin(user)
    gone = audits.erase(session.gateway, session.actor, events=tuple(event), reason=reason)
    say_json({"erased": gone}) if json else out.print(f"personal text of {gone} events erased")
