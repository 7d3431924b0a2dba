"""`gateway terms`: the rare and sensitive medical terms that wait for a steward."""

from collections.abc import Sequence
from typing import Annotated

import typer

from gateway.actions import rare_terms
from gateway.cli.session import LOCAL_ACCOUNT, AsJson, AsUser, begin, say_json, say_table
from gateway.domain.rare_term import RareTerm

app = typer.Typer(help="Rare and sensitive medical terms that wait for a steward.", no_args_is_help=True)

Dataset = Annotated[str, typer.Argument(help="The dataset's id")]


@app.command("list")
def listing(
    dataset: Dataset,
    everything: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """The terms that wait, with where they stand and why they are listed. Each look is logged."""
    session = begin(user)
    _say(rare_terms.listing(session.gateway, session.actor, dataset, open_only=not everything), json=json)


@app.command("decide")
def decide(
    dataset: Dataset,
    choice: Annotated[str, typer.Argument(help="keep (as it is), up (its higher term) or blank (emptied).")],
    terms: Annotated[list[str] | None, typer.Argument(help="Ids of terms (t-…); none: all that are open.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for whoever reviews it later.")] = "",
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """Decide what becomes of terms in this dataset's releases. Then the release can be started again."""
    session = begin(user)
    decided = rare_terms.decide(session.gateway, session.actor, dataset, terms or [], choice=choice, reason=reason)
    _say(decided, json=json)


def _say(found: Sequence[RareTerm], *, json: bool) -> None:
    if json:
        say_json(
            [
                {"id": one.id, "places": one.places, "term": one.term, "listed": one.listed, "choice": one.choice}
                for one in found
            ]
        )
        return
    rows = [[one.id, one.places, one.term, one.listed, one.choice or "open"] for one in found]
    say_table(
        "Rare and sensitive terms",
        ("id", "places", "term", "listed", "choice"),
        rows,
        empty="no terms wait",
        wrap=("places", "term"),
    )
