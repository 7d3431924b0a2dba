"""`gateway decide | replay | tables protect`: the rules tried, a decision made again, counts made fit to show."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.actions import counts, decisions, replay
from gateway.actions.terms import read_document
from gateway.cli.session import LOCAL_ACCOUNT, AsJson, AsUser, begin, err, noting, out, say_json, say_pairs
from gateway.errors import Invalid

tables = typer.Typer(help="Tables of counts.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command("decide")(decide)
    app.command("replay")(replay_decision)
    app.add_typer(tables, name="tables")


def decide(
    document: Annotated[Path, typer.Argument(help="Facts (YAML): one document, or a list under `scenarios:`.")],
    user: AsUser = LOCAL_ACCOUNT,
    json: Annotated[bool, typer.Option("--json", help="The answer is JSON with or without this.")] = False,  # noqa: ARG001
) -> None:
    """Say what the rules make of facts, as JSON. Scenarios with `expected` are compared; a miss exits 4."""
    session = begin(user)
    with noting(session, "policy.decide"):
        content = _read(document)
    if "scenarios" not in content:
        facts, day = _parts(content)
        say_json(decisions.try_facts(session.gateway, session.actor, facts, as_of=day))
        return
    answers, missed = [], []
    for scenario in content["scenarios"]:
        facts, day = _parts(scenario)
        verdict = decisions.try_facts(session.gateway, session.actor, facts, as_of=day)
        answer = {"id": scenario.get("id"), "verdict": verdict}
        if "expected" in scenario:
            answer["as_expected"] = matches(scenario["expected"], verdict)
            missed += [] if answer["as_expected"] else [str(scenario.get("id"))]
        answers.append(answer)
    say_json(answers)
    if missed:
        err.print(f"not as expected: {', '.join(missed)}", style="red")
        raise typer.Exit(4)


def _read(document: Path) -> dict[str, Any]:
    """The facts, or the scenarios, of a file.

    Raises:
        Invalid: the file is no YAML, or holds neither.
    """
    content = read_document(document)
    scenarios = content.get("scenarios", []) if isinstance(content, dict) else None
    if not isinstance(scenarios, list) or not all(isinstance(scenario, dict) for scenario in scenarios):
        raise Invalid("the file holds no facts", place=str(document), cure="see policies/README.md for the vocabulary")
    for one in scenarios or [content]:
        _parts(one)
    return dict(content)


def _parts(scenario: dict[str, Any]) -> tuple[dict[str, Any], date | None]:
    """Facts and day of a scenario; a document that is only facts is taken whole."""
    given = scenario.get("as_of")
    try:
        day = date.fromisoformat(str(given)) if given else None
    except ValueError:
        raise Invalid("`as_of` is no date", place="as_of", cure="write it as 2026-03-01") from None
    return (scenario["request"] if "request" in scenario else {k: v for k, v in scenario.items() if k != "as_of"}), day


def matches(expected: dict[str, Any], verdict: dict[str, Any]) -> bool:
    """Whether a verdict has the expected decision (or an acceptable one), missing facts and flags."""
    accepted = [expected["decision"], *expected.get("acceptable", [])] if "decision" in expected else None
    if accepted is not None and verdict["decision"] not in accepted:
        return False
    if not set(expected.get("missing", [])) <= set(verdict["missing"]):
        return False
    return all(verdict["flags"].get(name) == value for name, value in expected.get("flags", {}).items())


def replay_decision(
    key: Annotated[str, typer.Argument(help="The decision's id (d-…)")],
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """Make a decision again from what it kept; says the same bit for bit, or what differs (exit 4)."""
    session = begin(user)
    made = replay.replay(session.gateway, session.actor, key)
    if json:
        say_json({"decision": key, "same": made.same, "same_rules": made.same_rules, "differences": made.differences})
    else:
        out.print(f"{'the same, bit for bit' if made.same else 'NOT the same'}: {key} as of {made.as_of}")
        for sentence in made.differences:
            out.print(f"  {sentence}", markup=False, soft_wrap=True)
    if not made.same:
        raise typer.Exit(4)


@tables.command("protect")
def protect(
    table: Annotated[Path, typer.Argument(help="CSV of counts: names in the first row and column.")],
    to: Annotated[Path, typer.Option("--out", help="The protected table, with totals.")],
    source: Annotated[str, typer.Option(help="NHS_HES, CMS_RIF or smallest-cell-5.")] = "CMS_RIF",
    json: AsJson = False,
) -> None:
    """Hide small counts, round the others, and hide enough beside them that no hidden one can be worked out."""
    if source not in counts.SOURCES:
        raise Invalid("there is no such source", place="--source", cure=f"one of {', '.join(counts.SOURCES)}")
    rows, columns = counts.protect_file(table, to, counts.SOURCES[source])
    answer = {"rows": rows, "columns": columns, "out": str(to)}
    say_json(answer) if json else say_pairs(answer)
