"""The catalogue: registering a study, settling its columns, checking what is unresolved, reading it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.actions.guard import action, allow
from gateway.catalogue import admission, columnfile, profile, propose
from gateway.catalogue.rules import rules_for
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.domain.dataset import Dataset, DatasetVersion
from gateway.domain.event import Event, EventKind
from gateway.errors import Invalid, NotFound
from gateway.formats import FileSource, content_digest, digests, scan
from gateway.release import sound
from gateway.release.sound import Fault
from pseudonymization.columns import Column, ColumnRef, Role, Study

# Columns that are never released as things stand, each with the reason; `("", "country")` is the study's country.
Waiting = Sequence[tuple[ColumnRef, str]]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
CATEGORIES = ("health", "genomic", "epigenomic", "proteomic", "transcriptomic", "biometric", "geolocation", "financial")


Facts = dict[str, str | int | float | bool | list[str] | None]


def column_file(gateway: Gateway, key: str) -> Path:
    """Where the steward edits a study's column file."""
    return gateway.settings.home / "datasets" / key / "columns.yaml"


@action("dataset", "add")
def add(
    gateway: Gateway,
    actor: Actor,
    path: Path,
    *,
    key: str,
    title: str = "",
    country: str = "",
    categories: Sequence[str] = ("health",),
    approvers: int = 1,
    columns: Path | None = None,
    accept: bool = False,
) -> tuple[Dataset, Waiting]:
    """Register a study, or its new content: profile every table, propose a column file, store the version.

    `country` is one ISO code for all subjects, or `TABLE.COLUMN`; empty takes COUNTRY of the subject table.
    `columns` is a column file to use instead of a proposal. A column file that stands already is kept: only new
    columns are proposed. Source files stay where they are.

    Raises:
        Invalid: an id, country or category of the wrong form; a table that cannot be read; a wrong column file.
    """
    row = allow(gateway, actor, "dataset", "add", study=key)
    if not _ID.fullmatch(key):
        raise Invalid("this is no dataset id", place="--id", cure="letters, digits, . _ -; for instance `trial-7`")
    for category in categories:
        if category not in CATEGORIES:
            raise Invalid("there is no such category", place="--category", cure=f"one of {', '.join(CATEGORIES)}")
    file = column_file(gateway, key)
    held = _text(columns or file)
    study = _merged(held, _proposed(path.resolve(), key, country))
    accepted = accept or _is_accepted(held)
    if accept:
        study = columnfile.accept(study)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(columnfile.dumps(study, accepted=accepted, previous=held), "utf-8")
    study = columnfile.loads(file.read_text("utf-8"), place=str(file))
    admission.admit(study, file)
    known = {dataset.id: dataset for dataset in gateway.store.datasets()}
    fallback = known[key].title if key in known else key
    circles = known[key].circles if key in known else ()
    version = _version(gateway, path.resolve(), key, study)
    dataset = Dataset(key, title or fallback, tuple(categories), max(1, approvers), version, circles)
    _save(gateway, actor, dataset, EventKind.DATASET_ADDED, row)
    return dataset, columnfile.unresolved(study)


@action("dataset", "accept")
def accept(gateway: Gateway, actor: Actor, key: str) -> tuple[Dataset, Waiting]:
    """Take all proposals that are certain, and store the version that follows."""
    row = allow(gateway, actor, "dataset", "accept", study=key)
    return settle(gateway, actor, key, row, EventKind.DATASET_ACCEPTED, columnfile.accept, accepted=True)


@action("dataset", "check")
def check(gateway: Gateway, actor: Actor, key: str) -> tuple[Dataset, Waiting]:
    """Read the column file and the source files again; store a new version if either changed; say what waits.

    Raises:
        Invalid: the column file is wrong (file and line), or does not fit the data.
    """
    row = allow(gateway, actor, "dataset", "check", study=key)
    return settle(gateway, actor, key, row, EventKind.DATASET_CHECKED)


@action("dataset", "check")
def faults(gateway: Gateway, actor: Actor, key: str) -> tuple[Fault, ...]:
    """What does not fit in a study's data: each with table, variable and row numbers, and the option that decides it.

    Raises:
        Invalid: the column file is wrong, or a table cannot be read.
    """
    row = allow(gateway, actor, "dataset", "check", study=key)
    version = gateway.store.dataset(key).version
    folder = scan(Path(version.path))
    whole = columnfile.loads(version.column_file, place=key)
    found = sound.faults(whole, FileSource(Path(version.path)), [(table.name, table.encoding) for table in folder])
    facts: Facts = {"what": "faults", "kinds": sorted({fault.kind for fault in found}), "allowed_by": row}
    event = Event(EventKind.DATASET_READ, actor.id, about={"dataset": key}, facts=facts)
    gateway.store.record(event, now=gateway.now())
    return found


def settle(
    gateway: Gateway,
    actor: Actor,
    key: str,
    row: str,
    kind: EventKind,
    change: Callable[[Study], Study] | None = None,
    *,
    accepted: bool = False,
    facts: Callable[[], Facts] = dict,
    personal: Mapping[str, str] | None = None,
) -> tuple[Dataset, Waiting]:
    """Change the column file, if there is something to change, and store the version that follows.

    `change` gets the study as proposed; `accepted` says that its certain proposals count from now on. `row` is the
    access rule that allowed it; `facts` of the event are asked for after the change.

    Raises:
        Invalid: the column file is wrong (file and line), or does not fit the data.
        NotPossible: it would let true dates out.
    """
    dataset, file = gateway.store.dataset(key), column_file(gateway, key)
    held = _text(file)
    if not held:
        raise NotFound("the column file is gone", place=str(file), cure="register the study again")
    path, text = Path(dataset.version.path), held
    if change is not None:
        changed = change(columnfile.loads(held, place=str(file), proposals=True))
        text = columnfile.dumps(changed, accepted=accepted or _is_accepted(held), previous=held)
    study = columnfile.loads(text, place=str(file))
    _fits(study, path, file)
    admission.admit(study, file)
    file.write_text(text, "utf-8")
    version = _version(gateway, path, key, study)
    saved = replace(dataset, version=version)
    _save(gateway, actor, saved, kind, row, facts(), personal or {})
    return saved, columnfile.unresolved(study)


def _text(file: Path) -> str:
    """The text of a column file; empty where there is none."""
    try:
        return file.read_text("utf-8") if file.is_file() else ""
    except UnicodeDecodeError:
        raise Invalid("the column file is not UTF-8 text", place=str(file), cure="save it as UTF-8") from None


def _is_accepted(text: str) -> bool:
    """Whether a steward has accepted this file: one that says `accepted: false` has no settled column."""
    study = columnfile.loads(text) if text else None
    return study is not None and any(c.role is not Role.UNRESOLVED for t in study.tables for c in t.columns)


def _fits(study: Study, path: Path, file: Path) -> None:
    """The column file must speak of the tables and columns that there are."""
    found = columnfile.differences(study, scan(path))
    if found:
        ref, what = found[0]
        raise Invalid(
            f"`{ref.table}.{ref.column}` is {what}" + (f", and {len(found) - 1} more" if len(found) > 1 else ""),
            place=str(file),
            cure="register the study again with `gateway datasets add`: what is settled stays",
        )


def _proposed(path: Path, key: str, country: str) -> Study:
    folder = scan(path)
    profiles = profile.profile_study(folder)
    study = propose.propose(profiles, name=key, country=_country(country))
    read = tuple(f"{table.name}={table.encoding}" for table in folder if table.encoding.lower() not in sound.PLAIN)
    return replace(study, options=replace(study.options, encodings=read))


def _country(text: str) -> ColumnRef | str:
    table, dot, column = text.partition(".")
    return ColumnRef(table, column) if dot else text


def _merged(held: str, proposed: Study) -> Study:
    """The steward's file as it stands, with proposals for the tables and columns that it does not know yet."""
    if not held:
        return proposed
    standing = columnfile.loads(held, proposals=True)
    tables = []
    for table in proposed.tables:
        before = next((t for t in standing.tables if t.name == table.name), None)
        known = {column.name: column for column in before.columns} if before else {}
        tables.append(replace(table, columns=tuple(_kept(known.get(c.name), c) for c in table.columns)))
    return replace(standing, tables=tuple(tables), country=standing.country or proposed.country)


def _kept(standing: Column | None, proposed: Column) -> Column:
    """The steward's line for a column, with proposals for the qualifiers that it does not know yet."""
    if standing is None:
        return proposed
    known = {part.name for part in standing.qualifiers}
    new = tuple(part for part in proposed.qualifiers if part.name not in known)
    return replace(standing, qualifiers=(*standing.qualifiers, *new)) if standing.qualifiers else standing


def _version(gateway: Gateway, path: Path, key: str, study: Study) -> DatasetVersion:
    """The version of this content and this column file: the hash of both."""
    content = content_digest(digests(path))
    number, text = columnfile.version_id(content, study), columnfile.dumps(study)
    return DatasetVersion(number, key, str(path), content, text, len(columnfile.unresolved(study)), gateway.now())


def _save(
    gateway: Gateway,
    actor: Actor,
    dataset: Dataset,
    kind: EventKind,
    row: str,
    more: Facts | None = None,
    personal: Mapping[str, str] | None = None,
) -> None:
    facts: Facts = {
        "version": dataset.version.id,
        "content_sha256": dataset.version.content,
        "unresolved": dataset.version.unresolved,
        "allowed_by": row,
        **(more or {}),
    }
    event = Event(kind, actor.id, about={"dataset": dataset.id}, facts=facts, personal=personal or {})
    gateway.store.save(dataset, event=event, now=gateway.now())


def rule_table(domain: str = "") -> list[dict[str, str]]:
    """The rules that proposals follow, in order, as people read them; those that can hold in a domain, if one is named.

    Raises:
        Invalid: this is no name of a domain.
    """
    if domain and not _ID.fullmatch(domain):
        raise Invalid("this is no domain", place="--domain", cure="the value of DOMAIN: AE, or SUPPAE, or ADSL")
    return [
        {
            "section": rule.section,
            "variables": ", ".join(rule.match),
            "domains": ", ".join(rule.domains) or "all",
            "when": ", ".join(rule.when),
            "class": rule.identifies.value,
            "rule": rule.treatment.value,
            "alternative": rule.alternative.value if rule.alternative else "",
            "treated": f"{rule.role.value}, {rule.handling.value}" if rule.handling else rule.role.value,
            "certain": "yes" if rule.certain else "no",
            "because": rule.because,
            "source": f"{rule.source}, verified" if rule.verified else f"{rule.source}, not verified",
        }
        for rule in rules_for(domain.upper())
    ]


@action("dataset", "circle")
def circle(gateway: Gateway, actor: Actor, key: str, projects: Sequence[str], *, ended: bool = False) -> Dataset:
    """Take the recipients of these projects for one: a release to any is joined with what all of them hold.

    `ended` dissolves the circle again; what was joined until then stays as it was released.

    Raises:
        Invalid: fewer than two projects, or there is no such circle to end.
    """
    row = allow(gateway, actor, "dataset", "circle", study=key)
    dataset, named = gateway.store.dataset(key), tuple(sorted({project.strip() for project in projects} - {""}))
    if len(named) < 2:
        raise Invalid("a circle joins two projects or more", place="projects", cure="name all projects that it joins")
    if ended and named not in dataset.circles:
        raise Invalid("there is no circle of just these projects", place="projects", cure="see those that there are")
    rest = tuple(one for one in dataset.circles if one != named)
    changed = replace(dataset, circles=rest if ended else (*rest, named))
    event = Event(
        EventKind.DATASET_CIRCLED,
        actor.id,
        about={"dataset": key},
        facts={"projects": list(named), "ended": ended, "allowed_by": row},
    )
    gateway.store.save(changed, event=event, now=gateway.now())
    return changed


@action("dataset", "circle")
def circles(gateway: Gateway, actor: Actor, key: str) -> Sequence[Sequence[str]]:
    """The circles of a study. They name projects, so they are a steward's to see, and no part of the catalogue."""
    dataset = gateway.store.dataset(key)
    row = allow(gateway, actor, "dataset", "circle", study=key)
    facts: dict[str, str | int | float | bool | list[str] | None] = {"what": "circles", "allowed_by": row}
    gateway.store.record(
        Event(EventKind.DATASET_READ, actor.id, about={"dataset": key}, facts=facts), now=gateway.now()
    )
    return dataset.circles


@action("dataset", "list")
def listing(gateway: Gateway, actor: Actor) -> Sequence[Dataset]:
    """The catalogue."""
    row = allow(gateway, actor, "dataset", "list")
    event = Event(EventKind.DATASET_READ, actor.id, facts={"what": "list", "allowed_by": row})
    gateway.store.record(event, now=gateway.now())
    return gateway.store.datasets()


@action("dataset", "read")
def show(gateway: Gateway, actor: Actor, key: str) -> tuple[Dataset, list[dict[str, Any]]]:
    """A study with its tables and columns, the role of each and why. No values, no counts."""
    dataset = gateway.store.dataset(key)
    row = allow(gateway, actor, "dataset", "read", study=key)
    study = columnfile.loads(dataset.version.column_file, place=key)
    event = Event(EventKind.DATASET_READ, actor.id, about={"dataset": key}, facts={"what": "one", "allowed_by": row})
    gateway.store.record(event, now=gateway.now())
    tables = [
        {
            "name": table.name,
            "label": table.label,
            "domain": table.domain,
            "columns": [_told(column) for column in table.columns],
        }
        for table in study.tables
    ]
    return dataset, tables


def _told(column: Column) -> dict[str, Any]:
    """A column as people read it; with its qualifiers, if it holds such."""
    told = {
        "name": column.name,
        "label": column.label,
        "role": column.role.value,
        "kind": column.kind.value,
        "handling": column.handling.value if column.handling else None,
        "because": column.because,
    }
    return told | ({"qualifiers": [_told(part) for part in column.qualifiers]} if column.qualifiers else {})
