"""`gateway anonymize | risk`: the engine alone, on one table."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gateway.actions import standalone
from gateway.cli.session import AsJson, err, say_json, say_pairs
from gateway.errors import Invalid

Table = Annotated[Path, typer.Argument(help="CSV (any separator), Parquet or SAS XPORT; one row for each subject.")]
Quasi = Annotated[str, typer.Option("--quasi", help="Quasi-identifiers, separated by commas.")]
Sensitive = Annotated[str, typer.Option("--sensitive", help="Sensitive columns, separated by commas.")]
Separator = Annotated[str | None, typer.Option("--separator", help="Of the CSV; found if not given.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command("anonymize")(anonymize)
    app.command("risk")(risk)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def anonymize(
    table: Table,
    quasi: Quasi,
    to: Annotated[Path, typer.Option("--out", help="The recoded table, .csv or .parquet.")],
    hierarchies: Annotated[Path | None, typer.Option(help="Folder of NAME.csv, level 0 first, no header.")] = None,
    k: Annotated[int, typer.Option("--k", min=1, help="Smallest class.")] = 1,
    max_risk: Annotated[float | None, typer.Option("--max-risk", help="Largest risk: 0.09 means k = 11.")] = None,
    avg_risk: Annotated[float, typer.Option("--avg-risk", min=0, max=1, help="Average risk at most.")] = 1.0,
    blank_limit: Annotated[float, typer.Option(min=0, max=1, help="Share of subjects that may be blanked.")] = 0.0,
    sensitive: Sensitive = "",
    distinct_l: Annotated[int | None, typer.Option("--l", min=1, help="Distinct sensitive values per class.")] = None,
    t: Annotated[float | None, typer.Option("--t", min=0, max=1, help="Distance from the whole table.")] = None,
    mode: Annotated[str, typer.Option(help="global (one level per column, optimal) or local.")] = "global",
    loss: Annotated[str, typer.Option(help="What is kept small: granularity.")] = "granularity",
    weight: Annotated[list[str] | None, typer.Option(help="COLUMN=NUMBER; may be repeated.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Stop the search after this long, with the best found.")] = None,
    separator: Separator = None,
    report_file: Annotated[Path | None, typer.Option("--report", help="Where the JSON report goes.")] = None,
    json: AsJson = False,
) -> None:
    """Recode a table so that the thresholds hold, at the least loss; the optimum is proven."""
    if loss != "granularity":
        raise Invalid("there is no such loss", place="--loss", cure="use granularity")
    columns = (TextColumn("search"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=json, transient=True) as bars:
        bar = bars.add_task("search", total=1.0)
        report = standalone.recode(
            table,
            to,
            quasi=_names(quasi),
            k=k,
            max_risk=max_risk,
            average_risk=avg_risk,
            blank_limit=blank_limit,
            hierarchies=hierarchies,
            sensitive=_names(sensitive),
            l_diversity=distinct_l,
            t_closeness=t,
            mode=mode,
            separator=separator,
            weights=_weights(weight or []),
            budget_seconds=seconds,
            progress=lambda share, _: bars.update(bar, completed=share),
        )
    if report_file is not None:
        standalone.write_report(report, report_file)
    if json:
        say_json(report)
        return
    say_pairs(
        {
            "levels": ", ".join(f"{name} {level}" for name, level in report.get("levels", {}).items()) or "local",
            "proven optimal": report["proven_optimal"],
            "smallest class": report["risk"]["k"],
            "share blanked": f"{report['share_blanked']:.4f}",
            "granularity": f"{report['utility']['granularity']:.4f}",
            "search": f"{report['seconds']['search']:.3f} s",
            "out": str(to),
        }
    )


def _weights(given: list[str]) -> dict[str, float]:
    found = {}
    for text in given:
        name, _, number = text.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            raise Invalid("a weight is written COLUMN=NUMBER", place="--weight", cure="for instance AGE=3") from None
    return found


def risk(
    table: Table,
    quasi: Quasi,
    sensitive: Sensitive = "",
    attempt: Annotated[float, typer.Option(min=0, max=1, help="Probability that an attack is tried.")] = 1.0,
    population: Annotated[int | None, typer.Option(help="People in the population the table is a sample of.")] = None,
    separator: Separator = None,
    json: AsJson = False,
) -> None:
    """The risk of a table as it is."""
    report = standalone.risk(
        table,
        quasi=_names(quasi),
        sensitive=_names(sensitive),
        attempt=attempt,
        population=population,
        separator=separator,
    )
    say_json(report) if json else say_pairs({name: value for name, value in report.items() if value not in ({}, None)})
