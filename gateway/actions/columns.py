"""A steward's view of a study: what stands in it, what waits, and on what each proposed role rests."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.actions import datasets
from gateway.actions.guard import action, allow
from gateway.catalogue import columnfile, evidence, overriding, profile
from gateway.catalogue import vocabulary as words
from gateway.catalogue.profile import TableProfile
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.domain.dataset import Dataset
from gateway.domain.event import Event, EventKind
from gateway.errors import Invalid, NotFound
from gateway.formats import scan
from gateway.release.sound import Fault
from policies import vocabulary
from pseudonymization.columns import Column, ColumnRef, Role, Study
from pseudonymization.subjects import ONE_ROW_EACH

MOST_HELD = 200


@dataclass(frozen=True, slots=True)
class Standing:
    """A study in the steward's list: how many tables and variables it has, and how many of them wait."""

    dataset: Dataset
    tables: int
    variables: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Line:
    """A variable as it stands in the column file: what is proposed, and whether that waits for a steward."""

    ref: str
    name: str
    label: str
    kind: str
    role: str
    handling: str
    hierarchy: str
    because: str
    overridden: str
    waiting: bool
    settles: bool


@dataclass(frozen=True, slots=True)
class TableLines:
    """A table with its variables, those that wait first."""

    name: str
    label: str
    domain: str
    lines: tuple[Line, ...]

    @property
    def waiting(self) -> int:
        """How many of its variables wait."""
        return sum(line.waiting for line in self.lines)


@dataclass(frozen=True, slots=True)
class Settling:
    """A study as its steward settles it. `country`: where a subject's country stands, or the one for all."""

    dataset: Dataset
    tables: tuple[TableLines, ...]
    country: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class RuleLine:
    """The rule of the table behind a proposal."""

    identifies: str
    treatment: str
    alternative: str
    because: str
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that speaks for or against a proposal; `facts` hold no value and no count below 11."""

    dataset: Dataset
    table: str
    line: Line
    facts: tuple[str, ...]
    rule: RuleLine | None
    next_waiting: str


@action("dataset", "check")
def mine(gateway: Gateway, actor: Actor) -> list[Standing]:
    """The studies that this steward answers for.

    Raises:
        NotAllowed: a steward of none.
    """
    own = [dataset for dataset in gateway.store.datasets() if "steward" in actor.roles_in(dataset.id)]
    row = allow(gateway, actor, "dataset", "check", study=own[0].id if own else "*")
    _read(gateway, actor, row, "own")
    return [_standing(dataset) for dataset in own]


def _standing(dataset: Dataset) -> Standing:
    study = columnfile.loads(dataset.version.column_file, place=dataset.id)
    variables = sum(len(column.qualifiers) or 1 for table in study.tables for column in table.columns)
    return Standing(dataset, len(study.tables), variables, dataset.version.unresolved)


def _read(gateway: Gateway, actor: Actor, row: str, what: str, dataset: str = "") -> None:
    about = {"dataset": dataset} if dataset else {}
    event = Event(EventKind.DATASET_READ, actor.id, about=about, facts={"what": what, "allowed_by": row})
    gateway.store.record(event, now=gateway.now())


@action("dataset", "check")
def settling(gateway: Gateway, actor: Actor, key: str) -> Settling:
    """One study: its tables and variables as proposed or settled, those that wait first."""
    dataset = gateway.store.dataset(key)
    row = allow(gateway, actor, "dataset", "check", study=key)
    _read(gateway, actor, row, "columns", key)
    return _settling(gateway, dataset)


def _settling(gateway: Gateway, dataset: Dataset) -> Settling:
    version = columnfile.loads(dataset.version.column_file, place=dataset.id)
    waiting = {str(ref) for ref, _ in columnfile.unresolved(version)}
    study = _proposed(gateway, dataset, version)
    tables = tuple(
        TableLines(table.name, table.label, table.domain, _lines(table.name, table.columns, waiting))
        for table in study.tables
    )
    settled = any(not line.waiting for table in tables for line in table.lines)
    return Settling(dataset, tables, str(study.country or ""), settled)


def _proposed(gateway: Gateway, dataset: Dataset, version: Study) -> Study:
    """The column file with its proposals; where it was taken away, the version without them."""
    file = datasets.column_file(gateway, dataset.id)
    if not file.is_file():
        return version
    return columnfile.loads(file.read_text("utf-8"), place=dataset.id, proposals=True)


def _lines(table: str, columns: Sequence[Column], waiting: set[str]) -> tuple[Line, ...]:
    found = []
    for column in columns:
        for part in column.qualifiers or (column,):
            ref = str(ColumnRef(table, column.name, part.name if column.qualifiers else ""))
            # A column of qualifiers that is not accepted waits as a whole.
            found.append(_line(ref, part, not waiting.isdisjoint({ref, f"{table}.{column.name}"})))
    return tuple(sorted(found, key=lambda line: not line.waiting))


def _line(ref: str, column: Column, waiting: bool) -> Line:
    handling = column.handling.value if column.handling else ""
    settles = column.role not in {Role.SUBJECT_KEY, Role.QUALIFIER}
    return Line(
        ref, column.name, column.label, column.kind.value, column.role.value, handling, column.hierarchy,
        column.because, column.override, waiting, settles,
    )  # fmt: skip


@action("dataset", "check")
def explained(gateway: Gateway, actor: Actor, key: str, variable: str) -> Evidence:
    """One variable with the evidence for its proposal.

    Raises:
        NotFound: the study has no such variable.
    """
    dataset = gateway.store.dataset(key)
    row = allow(gateway, actor, "dataset", "check", study=key)
    held = _settling(gateway, dataset)
    lines = {line.ref: (table, line) for table in held.tables for line in table.lines}
    if variable not in lines:
        raise NotFound("the study has no such variable", place="variable", cure="choose one on the study's page")
    _read(gateway, actor, row, "evidence", key)
    table, line = lines[variable]
    ref = overriding.reference(variable)
    held_profile = _profile(dataset, table.name)
    found = evidence.grounds(held_profile, ref.column, ref.qualifier) if held_profile else None
    rule = found.rule if found else None
    rest = [one.ref for part in held.tables for one in part.lines if one.waiting and one.ref != variable]
    return Evidence(
        dataset,
        table.name,
        line,
        found.facts if found else (),
        RuleLine(
            rule.identifies.value,
            rule.treatment.value,
            rule.alternative.value if rule.alternative else "",
            rule.because,
            rule.source,
            rule.verified,
        )
        if rule
        else None,
        rest[0] if rest else "",
    )


def treatments() -> list[tuple[str, str]]:
    """The rules that a steward may choose from for one variable, each with what it does."""
    offered = (rule for rule in words.Treatment if rule not in overriding.NOT_OFFERED)
    return [(rule.value, words.MEANING[rule]) for rule in offered]


@action("dataset", "add")
def register(
    gateway: Gateway,
    actor: Actor,
    *,
    path: str,
    key: str,
    title: str = "",
    country: str = "",
    categories: Sequence[str] = ("health",),
    approvers: str = "1",
) -> Dataset:
    """Register a new study from a folder of the machine that the gateway runs on. Nothing is accepted by it.

    Raises:
        Invalid: a field is wrong; `place` names it.
    """
    allow(gateway, actor, "dataset", "add", study=key or "*")
    if any(dataset.id == key for dataset in gateway.store.datasets()):
        raise Invalid("a study of this id is registered already", place="key", cure="choose another id")
    if not approvers.isdigit() or not 1 <= int(approvers) <= 9:
        raise Invalid("this is no number of approvers", place="approvers", cure="a whole number from 1 to 9")
    if not categories:
        raise Invalid("no kind of data is named", place="categories", cure="choose at least one")
    if country and "." not in country and country not in dict(vocabulary.named_countries()):
        raise Invalid("this is no country", place="country", cure="two letters as FR, TABLE.COLUMN, or nothing")
    folder = _folder(gateway, path)
    try:
        return datasets.add(
            gateway,
            actor,
            folder,
            key=key,
            title=title[:300],
            country=country,
            categories=tuple(categories),
            approvers=int(approvers),
        )[0]
    except Invalid as error:
        raise Invalid(error.reason, place=_FIELDS.get(error.place, "path"), cure=error.cure) from None


_FIELDS = {"--id": "key", "--category": "categories"}


def _folder(gateway: Gateway, text: str) -> Path:
    """The folder that was named, if it is one that may be read.

    Raises:
        Invalid: no full path, no folder, or one where the gateway keeps its own things.
    """
    if not text.startswith("/") or "\x00" in text:
        raise Invalid("this is no full path", place="path", cure="begin with /, as /data/trial-7")
    folder, home = Path(text).resolve(), gateway.settings.home.resolve()
    if folder.is_relative_to(home) or home.is_relative_to(folder):
        raise Invalid("the gateway keeps its own files there", place="path", cure="name the folder of the study")
    if not folder.is_dir():
        raise Invalid("there is no such folder on the gateway's machine", place="path", cure="check the path")
    return folder


@action("dataset", "check")
def faults(gateway: Gateway, actor: Actor, key: str) -> tuple[Fault, ...]:
    """What does not fit in the data of the version that stands; read once for each version, however often it is shown.

    A source file that was altered since then makes no version before it is read again: `datasets.check`.
    """
    version = gateway.store.dataset(key).version.id
    row = allow(gateway, actor, "dataset", "check", study=key)
    with _CHECKED_LOCK:
        held = _CHECKED.get(version)
    if held is not None:
        _read(gateway, actor, row, "faults", key)
        return held
    found = datasets.faults(gateway, actor, key)
    with _CHECKED_LOCK:
        if len(_CHECKED) >= MOST_HELD:
            _CHECKED.clear()
        _CHECKED[version] = found
    return found


_CHECKED: dict[str, tuple[Fault, ...]] = {}
_CHECKED_LOCK = threading.Lock()


class _Memory:
    """The last profiles. They depend on the content of a version alone."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, str], TableProfile | None] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, dataset: Dataset, table: str) -> TableProfile | None:
        """The profile of one table; of a version that was looked at lately, from memory."""
        key = (dataset.version.content, table)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        found = _profiled(Path(dataset.version.path), table)
        with self._lock:
            self._held[key] = found
            while len(self._held) > MOST_HELD:
                self._held.popitem(last=False)
        return found


_MEMORY = _Memory()
_profile = _MEMORY.get


def _profiled(path: Path, name: str) -> TableProfile | None:
    """One table's profile; the table of all subjects is read beside it, since their ids are searched for."""
    tables = [table for table in scan(path) if table.name == name or table.domain in ONE_ROW_EACH]
    return next((one for one in profile.profile_study(tables) if one.name == name), None)
