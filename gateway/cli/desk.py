"""`gateway anonymize | risk | hierarchies`: the engine alone, on one table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gateway.actions import standalone
from gateway.cli import written
from gateway.cli.session import AsJson, err, say_json, say_pairs, say_table

_SIZES, _VALUES, _PEOPLE = "Thresholds on classes", "Demands on sensitive columns", "Against a population"
_SHAPE, _FILES = "Hierarchies and search", "Files and output"

ladders = typer.Typer(no_args_is_help=True, help="Hierarchies: how a column is made coarser, as files.")

Table = Annotated[Path, typer.Argument(help="CSV (any separator), Parquet or SAS XPORT; each row is a subject.")]
Quasi = Annotated[str, typer.Option("--quasi", help="Quasi-identifiers, separated by commas.")]
Sensitive = Annotated[
    str, typer.Option("--sensitive", help="Sensitive columns, separated by commas.", rich_help_panel=_VALUES)
]
Subject = Annotated[str | None, typer.Option(help="The column that says whose row it is: many rows a subject.")]
Separator = Annotated[
    str | None, typer.Option("--separator", help="Of the CSV; found if not given.", rich_help_panel=_FILES)
]
Attempt = Annotated[
    float, typer.Option(min=0, max=1, help="Probability that an attack is tried.", rich_help_panel=_SIZES)
]
Population = Annotated[
    Path | None,
    typer.Option(help="Table with one row per person and the same quasi-identifiers.", rich_help_panel=_PEOPLE),
]
Hierarchies = Annotated[
    Path | None, typer.Option(help="Folder of NAME.csv, level 0 first, no header.", rich_help_panel=_SHAPE)
]


def _size(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_SIZES, **more)


def _value(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_VALUES, **more)


def _people(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_PEOPLE, **more)


def _shape(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_SHAPE, **more)


def _file(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_FILES, **more)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command("anonymize")(anonymize)
    app.command("risk")(risk)
    app.command("frontier")(frontier)
    app.add_typer(ladders, name="hierarchies")


def anonymize(
    table: Table,
    quasi: Quasi,
    to: Annotated[Path, _file("--out", help="The recoded table, .csv or .parquet.")],
    subject: Subject = None,
    k: Annotated[int, _size("--k", min=1, help="Smallest class of subjects alike.")] = 1,
    max_risk: Annotated[float | None, _size(help="Largest risk: 0.09 means k = 11.")] = None,
    avg_risk: Annotated[float, _size(min=0, max=1, help="Average risk, times --attempt, at most.")] = 1.0,
    attempt: Attempt = 1.0,
    uniques: Annotated[float, _size(min=0, max=1, help="Share of subjects alone in their class at most.")] = 1.0,
    blank_limit: Annotated[float, _size(min=0, max=1, help="Share of subjects whose cells may be blanked.")] = 0.0,
    k_by: Annotated[list[str] | None, _size(help="COLUMN=FILE: lines `value;k`, the k of such subjects.")] = None,
    k_of: Annotated[list[str] | None, _size(help="COLUMN:VALUE=K: the k of such subjects; repeatable.")] = None,
    sensitive: Sensitive = "",
    distinct_l: Annotated[int | None, _value("--l", min=1, help="Different values in each class.")] = None,
    entropy_l: Annotated[float | None, _value("--entropy-l", help="Entropy of each class at least log of it.")] = None,
    recursive_l: Annotated[str | None, _value("--recursive-l", help="C,L: recursive (c, l)-diversity.")] = None,
    t: Annotated[float | None, _value("--t", min=0, max=1, help="Distance from the whole table at most.")] = None,
    t_distance: Annotated[str, _value(help="equal, ordered, or hierarchical (needs its NAME.csv).")] = "equal",
    population: Population = None,
    k_map: Annotated[int | None, _people(min=1, help="Each class fits so many people.")] = None,
    presence: Annotated[str | None, _people(help="LOW,HIGH: bounds of subjects / people of a class.")] = None,
    hierarchies: Hierarchies = None,
    hierarchy: Annotated[list[str] | None, _shape(help="COLUMN=KIND, AGE=interval:5 for instance; repeatable.")] = None,
    mode: Annotated[str, _shape(help="global (one level per column, optimal) or local (levels differ).")] = "global",
    cells: Annotated[str, _shape(help="In local mode: labels of the hierarchy, or sets of values.")] = "labels",
    loss: Annotated[str, _shape(help=f"What is kept small: {', '.join(standalone.LOSSES)}.")] = "granularity",
    weight: Annotated[list[str] | None, _shape(help="COLUMN=NUMBER: how much its loss counts; repeatable.")] = None,
    fix: Annotated[list[str] | None, _shape(help="COLUMN=LEVEL: leaves on this level; repeatable.")] = None,
    forbid: Annotated[list[str] | None, _shape(help="COLUMN=LEVEL: never leaves on it; repeatable.")] = None,
    seconds: Annotated[float | None, _shape(min=0, help="Stop after this long, with the best found.")] = None,
    separator: Separator = None,
    report_file: Annotated[Path | None, _file("--report", help="Where the JSON report goes.")] = None,
    json: AsJson = False,
) -> None:
    """Recode a table so that all thresholds hold, at the least loss; in global mode the optimum is proven.

    Hierarchies come from the folder, from --hierarchy, or are proposed from the data. Kinds: age, country, date, flat,
    pool, interval:WIDTH[,START], quantile:N, cuts:A,B, prefix:N,M, or a CSV file in the folder. A missing value matches
    only missing values. Ctrl-C stops, and writes nothing.
    """
    options = dict(locals())
    report = _recoded(table, to, _asked(options), report_file, quiet=json)
    say_json(report) if json else say_pairs({**_told(report), "out": str(to)})


def _asked(given: dict[str, Any]) -> standalone.Asked:
    """The options of `anonymize`, read."""
    return standalone.Asked(
        quasi=written.names(given["quasi"]),
        k=given["k"],
        max_risk=given["max_risk"],
        average_risk=given["avg_risk"],
        attempt=given["attempt"],
        uniques=given["uniques"],
        blank_limit=given["blank_limit"],
        k_by=written.thresholds(given["k_of"], "--k-of"),
        k_files=written.per_column(given["k_by"], "--k-by", written.file, "COUNTRY=thresholds.csv"),
        sensitive=written.names(given["sensitive"]),
        l_diversity=given["distinct_l"],
        entropy_l=given["entropy_l"],
        recursive_l=written.pair(given["recursive_l"], "--recursive-l", int, "4,3"),
        t_closeness=given["t"],
        t_distance=given["t_distance"],
        population=given["population"],
        k_map=given["k_map"],
        presence=written.pair(given["presence"], "--presence", float, "0,0.33"),
        subject=given["subject"],
        hierarchies=given["hierarchies"],
        kinds=written.per_column(given["hierarchy"], "--hierarchy", str, "AGE=interval:5"),
        mode=given["mode"],
        cells=given["cells"],
        loss=given["loss"],
        weights=written.per_column(given["weight"], "--weight", float, "AGE=3"),
        fixed=written.per_column(given["fix"], "--fix", int, "AGE=1"),
        forbidden=written.levels(given["forbid"], "--forbid"),
        separator=given["separator"],
        seconds=given["seconds"],
    )


def _recoded(
    table: Path, to: Path, asked: standalone.Asked, report_file: Path | None, *, quiet: bool
) -> dict[str, Any]:
    """Recode, with a bar on standard error; when cancelled, say so."""
    columns = (TextColumn("search"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn())
    try:
        with Progress(*columns, console=err, disable=quiet, transient=True) as bars:
            bar = bars.add_task("search", total=1.0)
            return standalone.recode(
                table,
                to,
                asked,
                report_file=report_file,
                progress=lambda share, _: bars.update(bar, completed=share),
            )
    except KeyboardInterrupt:
        err.print("stopped: nothing was written")
        raise typer.Exit(130) from None


def _told(report: dict[str, Any]) -> dict[str, object]:
    """The report in a few lines."""
    risk, utility, titles = report["risk"], report["utility"], report.get("titles")
    told: dict[str, object] = {"mode": report["mode"]}
    if titles is not None:
        told["levels"] = [f"{name} {level} ({titles[name]})" for name, level in report["levels"].items()]
        told["proven optimal"] = "yes" if report["proven_optimal"] else f"no; no loss is below {report['bound']:.4f}"
        told["nodes checked"] = f"{report['nodes_checked']} of {report['lattice']}"
    told |= {
        "smallest class": risk["k"],
        "classes": risk["classes"],
        "average risk": f"{risk['average']:.4f}",
        "marketer's risk": f"{risk['marketer']:.4f}",
        "share blanked": f"{report['share_blanked']:.4f}",
        "granularity": f"{utility['granularity']:.4f}",
        "search": f"{report['seconds']['search']:.3f} s",
    }
    for name, found in report["sensitive"].items():
        told[name] = f"l = {found['distinct_l']:g}, entropy l = {found['entropy_l']:.2f}, t = {found['t_equal']:.3f}"
    return told


def risk(
    table: Table,
    quasi: Quasi,
    subject: Subject = None,
    sensitive: Sensitive = "",
    hierarchies: Hierarchies = None,
    attempt: Attempt = 1.0,
    population: Population = None,
    people: Annotated[int | None, _people(min=1, help="People the table is a sample of: estimates uniques.")] = None,
    separator: Separator = None,
    json: AsJson = False,
) -> None:
    """The risk of a table as it is: class sizes, maximum, average and marketer's risk, uniques, l and t."""
    report = standalone.risk(
        table,
        quasi=written.names(quasi),
        sensitive=written.names(sensitive),
        subject=subject,
        hierarchies=hierarchies,
        attempt=attempt,
        population=population,
        people=people,
        separator=separator,
    )
    say_json(report) if json else say_pairs(_flat(report))


def frontier(
    table: Table,
    quasi: Quasi,
    subject: Subject = None,
    k: Annotated[int, _size("--k", min=1, help="Smallest class of subjects alike.")] = 1,
    avg_risk: Annotated[float, _size(min=0, max=1, help="Average risk, times --attempt, at most.")] = 1.0,
    attempt: Attempt = 1.0,
    uniques: Annotated[float, _size(min=0, max=1, help="Share of subjects alone in their class at most.")] = 1.0,
    blank_limit: Annotated[float, _size(min=0, max=1, help="Share of subjects whose cells may be blanked.")] = 0.0,
    hierarchies: Hierarchies = None,
    hierarchy: Annotated[list[str] | None, _shape(help="COLUMN=KIND, AGE=interval:5 for instance; repeatable.")] = None,
    weight: Annotated[list[str] | None, _shape(help="COLUMN=NUMBER: how much its loss counts; repeatable.")] = None,
    separator: Separator = None,
    json: AsJson = False,
) -> None:
    """What else could be done under these thresholds: recodings by risk and utility, to choose from."""
    asked = standalone.Asked(
        quasi=written.names(quasi),
        k=k,
        average_risk=avg_risk,
        attempt=attempt,
        uniques=uniques,
        blank_limit=blank_limit,
        subject=subject,
        hierarchies=hierarchies,
        kinds=written.per_column(hierarchy, "--hierarchy", str, "AGE=interval:5"),
        weights=written.per_column(weight, "--weight", float, "AGE=3"),
        separator=separator,
    )
    found = standalone.frontier(table, asked)
    if json:
        say_json({"alternatives": found})
        return
    shares = ("granularity", "blanked", "maximum_risk", "average_risk", "uniques")
    rows = [
        (
            at,
            one["why"],
            one["k"],
            *(f"{one[name]:.3f}" for name in shares),
            ", ".join(_levels(one["levels"])),
        )
        for at, one in enumerate(found, start=1)
    ]
    names = ("", "plan", "k", "detail", "blanked", "max risk", "avg risk", "alone", "levels")
    say_table("Alternatives, the most useful first", names, rows, empty="nothing", wrap=("plan", "levels"))


def _levels(chosen: Mapping[str, int]) -> list[str]:
    return [f"{name} {level}" for name, level in chosen.items()]


def _flat(report: Mapping[str, Any], lead: str = "") -> dict[str, object]:
    """Nested names on one line each; what is not known is left out."""
    found: dict[str, object] = {}
    for name, value in report.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{lead}{name} ")
        elif value is not None:
            found[lead + name] = f"{value:.4g}" if isinstance(value, float) else value
    return found


@ladders.command("propose")
def propose(
    table: Table,
    column: Annotated[str, typer.Argument(help="The column that needs a hierarchy.")],
    to: Annotated[Path, typer.Option("--out", help="The file, COLUMN.csv in the folder of hierarchies.")],
    kind: Annotated[str, typer.Option(help="interval:5 or parents:AEHLT,AESOC for instance; else the data tell.")] = "",
    separator: Separator = None,
    json: AsJson = False,
) -> None:
    """Write a hierarchy to edit: one line per value, level 0 first, `;` between.

    Kinds: age, country, date, flat, pool, interval:WIDTH[,START], quantile:N, cuts:A,B/C (levels after a slash),
    prefix:N,M (7,5,4,3,1 for ATC, 3 for ICD or ZIP), parents:COLUMN,COLUMN (MedDRA-like).
    """
    told = {"out": str(to), "levels": standalone.propose(table, column, to, kind=kind, separator=separator)}
    say_json(told) if json else say_pairs(told)
