"""`gateway decide`: the rules tried on a file of facts, without a request."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.actions import decisions
from gateway.actions.terms import read_document
from gateway.cli.session import LOCAL_ACCOUNT, AsUser, begin, err, say_json
from gateway.errors import Invalid


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command("decide")(decide)


def decide(
    document: Annotated[Path, typer.Argument(help="Facts (YAML): one document, or a list under `scenarios:`.")],
    user: AsUser = LOCAL_ACCOUNT,
    json: Annotated[bool, typer.Option("--json", help="The answer is JSON with or without this.")] = False,  # noqa: ARG001
) -> None:
    """Say what the rules make of facts, as JSON. Scenarios with `expected` are compared; a miss exits 4."""
    content = read_document(document)
    if not isinstance(content, dict):
        raise Invalid("the file holds no facts", place=str(document), cure="see policies/README.md for the vocabulary")
    session = begin(user)
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


def _parts(scenario: dict[str, Any]) -> tuple[dict[str, Any], date | None]:
    """Facts and day of a scenario; a document that is only facts is taken whole."""
    given = scenario.get("as_of")
    day = date.fromisoformat(str(given)) if given else None
    return (scenario["request"] if "request" in scenario else {k: v for k, v in scenario.items() if k != "as_of"}), day


def matches(expected: dict[str, Any], verdict: dict[str, Any]) -> bool:
    """Whether a verdict has the expected decision (or an acceptable one), missing facts and flags."""
    accepted = [expected["decision"], *expected.get("acceptable", [])] if "decision" in expected else None
    if accepted is not None and verdict["decision"] not in accepted:
        return False
    if not set(expected.get("missing", [])) <= set(verdict["missing"]):
        return False
    return all(verdict["flags"].get(name) == value for name, value in expected.get("flags", {}).items())
