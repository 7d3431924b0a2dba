"""The catalogue as a researcher searches it: studies by their words, the variables of one study, what is asked beside.

Coverage is told in steps of five percent, so that no small number of empty cells can be worked out.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gateway.actions.guard import action, allow
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.domain.dataset import Dataset
from gateway.domain.event import Event, EventKind
from gateway.domain.request import Status
from gateway.formats import scan
from gateway.release.extract import whole_study
from policies import vocabulary
from pseudonymization.columns import Column, Role, Table
from pseudonymization.subjects import ONE_ROW_EACH

_SHOWN = 12
_STEP = 0.05
_AGREED = (Status.RELEASED, Status.APPROVED, Status.RELEASING, Status.EXPIRED)


@dataclass(frozen=True, slots=True)
class Match:
    """A variable whose name or label holds all the words."""

    table: str
    column: str
    label: str
    role: str


@dataclass(frozen=True, slots=True)
class Found:
    """A study of the catalogue: its size, and where the words were found (`more` beyond those listed)."""

    dataset: Dataset
    tables: int
    variables: int
    matches: tuple[Match, ...]
    more: int


@action("dataset", "list")
def search(gateway: Gateway, actor: Actor, words: str = "") -> list[Found]:
    """The studies whose title, tables or variables hold all the words; without words, all of them."""
    row = allow(gateway, actor, "dataset", "list")
    wanted = words.lower().split()
    found = [_found(dataset, wanted) for dataset in gateway.store.datasets()]
    kept = [one for one in found if one is not None]
    event = Event(EventKind.DATASET_READ, actor.id, facts={"what": "search", "shown": len(kept), "allowed_by": row})
    gateway.store.record(event, now=gateway.now())
    return kept


def _found(dataset: Dataset, wanted: Sequence[str]) -> Found | None:
    study = whole_study(dataset.version)
    columns = [(table, column) for table in study.tables for column in table.columns]
    in_title = all(word in f"{dataset.id} {dataset.title}".lower() for word in wanted)
    hits = [_match(table, column) for table, column in columns if wanted and _holds(table, column, wanted)]
    if wanted and not hits and not in_title:
        return None
    return Found(dataset, len(study.tables), len(columns), tuple(hits[:_SHOWN]), max(0, len(hits) - _SHOWN))


def _holds(table: Table, column: Column, wanted: Sequence[str]) -> bool:
    text = f"{table.name} {table.label} {column.name} {column.label}".lower()
    return all(word in text for word in wanted)


def _match(table: Table, column: Column) -> Match:
    return Match(table.name, column.name, column.label, column.role.value)


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of a study. `coverage`: share of rows that hold a value; None if it may not leave at all."""

    name: str
    label: str
    kind: str
    role: str
    because: str
    coverage: float | None
    offered: bool


@dataclass(frozen=True, slots=True)
class Contents:
    """One study as a researcher sees it. `holder` is the exporter of the last request that was agreed to, if any."""

    dataset: Dataset
    tables: Mapping[str, tuple[str, tuple[Variable, ...]]]
    holder: Mapping[str, Any]


@action("dataset", "read")
def contents(gateway: Gateway, actor: Actor, key: str) -> Contents:
    """A study with its tables and variables, what each is and how full; the table of subjects first."""
    dataset = gateway.store.dataset(key)
    row = allow(gateway, actor, "dataset", "read", study=key)
    event = Event(
        EventKind.DATASET_READ, actor.id, about={"dataset": key}, facts={"what": "variables", "allowed_by": row}
    )
    gateway.store.record(event, now=gateway.now())
    filled = _coverage(gateway, dataset)
    tables = {
        table.name: (
            table.label,
            tuple(
                Variable(
                    column.name,
                    column.label,
                    column.kind.value,
                    column.role.value,
                    column.because,
                    filled.get(f"{table.name}.{column.name}"),
                    column.role is not Role.UNRESOLVED,
                )
                for column in table.columns
            ),
        )
        for table in sorted(whole_study(dataset.version).tables, key=lambda one: one.domain not in ONE_ROW_EACH)
    }
    return Contents(dataset, tables, _holder(gateway, key))


def _holder(gateway: Gateway, key: str) -> Mapping[str, Any]:
    """Who exported last: what most requests for the study say again. A sponsor's name is no secret."""
    request = gateway.store.latest_request(key, _AGREED)
    return dict(request.terms.exporter) if request else {}


def _coverage(gateway: Gateway, dataset: Dataset) -> Mapping[str, float]:
    """Share of rows with a value by `TABLE.COLUMN`, counted once for a version and kept beside its column file."""
    version = dataset.version
    kept = gateway.settings.home / "datasets" / dataset.id / f"coverage-{version.content[:16]}.json"
    if kept.is_file():
        return dict(json.loads(kept.read_text("utf-8")))
    found: dict[str, float] = {}
    for table in scan(Path(version.path)):
        rows, full = 0, dict.fromkeys(table.schema.names, 0)
        for batch in table.batches():
            rows += batch.num_rows
            for name in full:
                full[name] += _filled(batch.column(batch.schema.get_field_index(name)))
        for name, count in full.items():
            found[f"{table.name}.{name}"] = round(round(count / rows / _STEP) * _STEP, 2) if rows else 0.0
    kept.parent.mkdir(parents=True, exist_ok=True)
    # Whole or not at all: another reader may come at this moment.
    part = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}")
    part.write_text(json.dumps(found), "utf-8")
    part.replace(kept)
    return found


def _filled(array: pa.Array) -> int:
    """How many cells hold something: a blank text counts as nothing."""
    present = len(array) - int(array.null_count)
    plain = array.dictionary if pa.types.is_dictionary(array.type) else array
    if not (pa.types.is_string(plain.type) or pa.types.is_large_string(plain.type)):
        return present
    blank = pc.equal(pc.utf8_trim_whitespace(plain), "")
    if pa.types.is_dictionary(array.type):
        blank = pc.take(blank, array.indices)
    return present - int(pc.sum(blank).as_py() or 0)


@dataclass(frozen=True, slots=True)
class Question:
    """A fact that a rule waits for: its dotted name, how it is answered, and between what to choose."""

    path: str
    form: str
    choices: tuple[str, ...] = ()


# What the gateway establishes itself, or only a steward may state.
_NOT_ASKED = ("subjects", "partitions", "categories", "identifiability", "metrics", "counts", "licences", "level")


def questions(missing: Sequence[str]) -> list[Question]:
    """The facts a verdict misses that a requester can state, each with the form of its answer."""
    found = []
    for path in dict.fromkeys(missing):
        if path.split(".")[0] in _NOT_ASKED:
            continue
        kind = vocabulary.kind_of(path)
        if kind is None or kind.fields:
            continue
        if kind is vocabulary.FLAG:
            found.append(Question(path, "flag"))
        elif kind is vocabulary.COUNTRY:
            found.append(Question(path, "country"))
        elif kind is vocabulary.DAY:
            found.append(Question(path, "date"))
        elif kind.choices:
            found.append(Question(path, "choice", tuple(sorted(kind.choices))))
        elif kind is vocabulary.COUNT or kind is vocabulary.NUMBER:
            found.append(Question(path, "number"))
        else:
            found.append(Question(path, "words"))
    return found


def countries() -> list[tuple[str, str]]:
    """ISO 3166-1 codes with their English names, by name."""
    return vocabulary.named_countries()
