"""`gateway datasets`: register studies, settle their columns, look at them."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from csv import DictWriter
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.actions import datasets, overrides
from gateway.actions.datasets import Waiting
from gateway.api.views import dataset_view
from gateway.cli.session import LOCAL_ACCOUNT, AsJson, AsUser, Session, begin, out, say_json, say_table
from gateway.domain.dataset import Dataset

app = typer.Typer(help="The catalogue of studies.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The dataset's id")]


@app.command("add")
def add(
    path: Annotated[Path, typer.Argument(help="A folder of tables (.xpt .sas7bdat .csv .parquet), or one file.")],
    key: Annotated[str, typer.Option("--id", help="An id for the dataset.")],
    title: Annotated[str, typer.Option(help="What people see in the catalogue.")] = "",
    country: Annotated[str, typer.Option(help="One ISO code for all subjects, or TABLE.COLUMN.")] = "",
    category: Annotated[list[str] | None, typer.Option(help="health (default), genomic, …; may be repeated.")] = None,
    approvers: Annotated[int, typer.Option(help="How many people must approve a request.", min=1, max=5)] = 1,
    columns: Annotated[Path | None, typer.Option(help="A column file to use instead of the proposal.")] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Take all proposals that are certain.")] = False,
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """Register a study, or the new content of one: every table is profiled and a column file proposed.

    The source files stay where they are; they must not change afterwards.
    """
    session = begin(user)
    dataset, waiting = datasets.add(
        session.gateway,
        session.actor,
        path,
        key=key,
        title=title,
        country=country,
        categories=tuple(category or ("health",)),
        approvers=approvers,
        columns=columns,
        accept=accept,
    )
    _say(session, dataset, waiting, json=json)


@app.command("accept")
def accept(key: Key, user: AsUser = LOCAL_ACCOUNT, json: AsJson = False) -> None:
    """Take all proposals of the column file that are certain."""
    session = begin(user)
    _say(session, *datasets.accept(session.gateway, session.actor, key), json=json)


@app.command("check")
def check(key: Key, user: AsUser = LOCAL_ACCOUNT, json: AsJson = False) -> None:
    """Read the column file and the data again, and say what is unresolved and what does not fit."""
    session = begin(user)
    dataset, waiting = datasets.check(session.gateway, session.actor, key)
    found = datasets.faults(session.gateway, session.actor, key)
    told = [{"fault": f.kind, "place": str(f.place).replace("`", ""), "option": f.choices} for f in found]
    _say(session, dataset, waiting, json=json, faults=told)


@app.command("override")
def override(
    key: Key,
    variable: Annotated[str, typer.Argument(help="TABLE.VARIABLE, or TABLE.QVAL:QNAM.")],
    treat: Annotated[str, typer.Option(help="The rule to treat it by; see `gateway datasets rules`.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the event in the log.")],
    accept_risk: Annotated[bool, typer.Option("--accept-risk", help="Less care than proposed is meant.")] = False,
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """Treat one variable by another rule than the proposed one. Nothing else changes; the reason is logged."""
    session = begin(user)
    done = overrides.override(session.gateway, session.actor, key, variable, treat, reason, accept_risk=accept_risk)
    _say(session, *done, json=json)


def _say(
    session: Session,
    dataset: Dataset,
    waiting: Waiting,
    *,
    json: bool,
    faults: Sequence[Mapping[str, str]] | None = None,
) -> None:
    file = datasets.column_file(session.gateway, dataset.id)
    if json:
        unresolved = [
            {"table": ref.table, "column": ref.column, "qualifier": ref.qualifier, "why": why} for ref, why in waiting
        ]
        said = {} if faults is None else {"faults": faults}
        say_json({**dataset_view(dataset), "column_file": str(file), "waiting": unresolved, **said})
        return
    out.print(f"{dataset.id}: version {dataset.version.id[:16]}, column file {file}", soft_wrap=True)
    rows = [(ref.table, f"{ref.column}:{ref.qualifier}".rstrip(":"), why) for ref, why in waiting]
    empty = "all columns are settled"
    say_table("Unresolved: never released until settled", ("table", "column", "why"), rows, empty=empty, wrap=("why",))
    if rows:
        out.print(f"settle them in the column file, then run `gateway datasets check {dataset.id}`", soft_wrap=True)
    if faults:
        shown = [(fault["fault"], fault["place"], fault["option"]) for fault in faults]
        names = ("fault", "place", "option of the column file")
        say_table("Does not fit, or had to be guessed", names, shown, empty="", wrap=names)


@app.command("circles")
def circles(
    key: Key,
    projects: Annotated[list[str] | None, typer.Argument(help="Projects to take for one; none lists.")] = None,
    ended: Annotated[bool, typer.Option("--end", help="Dissolve the circle of just these projects.")] = False,
    user: AsUser = LOCAL_ACCOUNT,
    json: AsJson = False,
) -> None:
    """Projects whose recipients are taken for one: a release to any is joined with what all of them hold."""
    session = begin(user)
    if projects:
        datasets.circle(session.gateway, session.actor, key, projects, ended=ended)
    found = datasets.circles(session.gateway, session.actor, key)
    if json:
        say_json([list(circle) for circle in found])
        return
    rows = [(", ".join(circle),) for circle in found]
    say_table("Circles", ("projects",), rows, empty="no circles: each project is joined with itself only")


@app.command("list")
def listing(user: AsUser = LOCAL_ACCOUNT, json: AsJson = False) -> None:
    """The studies that stand in the catalogue."""
    session = begin(user)
    found = datasets.listing(session.gateway, session.actor)
    if json:
        say_json([dataset_view(dataset) for dataset in found])
        return
    rows = [(d.id, d.version.id[:16], d.version.unresolved, d.title) for d in found]
    empty = "no studies yet; add one with `gateway datasets add PATH --id ID`"
    say_table("Datasets", ("id", "version", "unresolved", "title"), rows, empty=empty, wrap=("id", "title"))


@app.command("rules")
def rules(
    domain: Annotated[str, typer.Option(help="Only the rules that hold in this domain: AE, SUPPAE, ADSL.")] = "",
    csv: Annotated[bool, typer.Option("--csv", help="Write the table as CSV.")] = False,
    json: AsJson = False,
) -> None:
    """The rules that proposals follow: what each variable is, what is done to it, where the rule comes from."""
    rows = datasets.rule_table(domain)
    if json:
        say_json(rows)
        return
    if csv:
        sheet = DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        sheet.writeheader()
        sheet.writerows(rows)
        return
    names = ("variables", "domains", "class", "rule", "alternative", "treated", "source", "because")
    told = [[row[name] for name in names] for row in rows]
    wrap = ("variables", "because", "treated", "domains")
    say_table("Rules for variables; the first that fits decides", names, told, empty="no rules", wrap=wrap)


@app.command("show")
def show(key: Key, user: AsUser = LOCAL_ACCOUNT, json: AsJson = False) -> None:
    """One study: its tables and columns, the role of each and why."""
    session = begin(user)
    dataset, tables = datasets.show(session.gateway, session.actor, key)
    if json:
        say_json({**dataset_view(dataset), "tables": tables})
        return
    for table in tables:
        out.print()
        rows = [(c["name"], _role(c), c["label"], c["because"]) for c in _lines(table["columns"])]
        names, wrap = ("column", "role", "label", "because"), ("label", "because")
        say_table(f"{table['name']} {table['label']}", names, rows, empty="no columns", wrap=wrap)


def _lines(columns: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Each column, and after it its qualifiers as `QVAL:RACE1`."""
    for column in columns:
        yield column
        for part in column.get("qualifiers", ()):
            yield {**part, "name": f"{column['name']}:{part['name']}"}


def _role(column: Mapping[str, Any]) -> str:
    handling = f", {column['handling']}" if column["handling"] else ""
    return f"{column['role']}{handling}".replace("_", " ")
