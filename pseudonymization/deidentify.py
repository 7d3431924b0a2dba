"""The one entry to the engine: classes → search → plan, and from a stored plan back to what the kernel looks up.

Two ways lead to `Prepared`: `prepare` searches, `resume` takes a plan that was stored and a study that did not change.
Both stream the study; neither holds rows.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pseudonymization import ages, classes, copies, options, pseudonyms, risk, search, subjects
from pseudonymization.classes import ClassTable
from pseudonymization.columns import ColumnRef, Handling, Kind, Role, Source, Study, Table
from pseudonymization.copies import Expected
from pseudonymization.hierarchies import Ladder, ladder_for
from pseudonymization.lookups import NOTHING_EXPECTED, LabelMap, Lookups, look_up
from pseudonymization.plan import Plan
from pseudonymization.pseudonyms import ProjectKey
from pseudonymization.risk import Risk
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import Found
from pseudonymization.subjects import Subjects
from pseudonymization.treatments import plan_of
from pseudonymization.visits import NO_VISITS, Visits, visits_of

Progress = Callable[[float, float], None]

SEARCH_SECONDS = 120.0
"""After this long the search stops with the best recoding found; the plan says that it is not proven optimal."""

SITE_WEIGHT = 0.2
"""What losing a site costs beside losing an age: an analysis seldom needs the site, and it identifies strongly."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What is needed to run a plan.

    `blanked` says per subject of `subjects` whether its quasi-identifier cells are blanked, `blanked_rows` the same per
    subject of `table`. `before` is the risk of
    the study as it is, `predicted` that of the plan by the search's own count (the judge measures again).
    """

    plan: Plan
    subjects: Subjects
    table: ClassTable
    ladders: Mapping[str, Ladder]
    blanked: npt.NDArray[np.bool_]
    blanked_rows: npt.NDArray[np.bool_]
    before: Risk
    predicted: Risk
    loss: float
    expected: Expected = NOTHING_EXPECTED
    at_visits: Visits = NO_VISITS


def weights(asked: Study) -> dict[str, float]:
    """How much each quasi-identifier's loss counts: recoded places little, all others the same."""
    return {
        name: SITE_WEIGHT if asked.at(places[0]).handling is Handling.RECODE else 1.0
        for name, places in asked.quasi_identifiers().items()
    }


def with_references(whole: Study, asked: Study) -> Study:
    """The tables asked for, and the columns elsewhere that say who a subject is, where from and since when.

    All identifying columns of the subject table come along, asked for or not: what must be gone from the result has
    to be known to be searched for.
    """
    wanted: dict[str, set[str]] = {}
    for ref in (whole.country, whole.baseline):
        if isinstance(ref, ColumnRef):
            wanted.setdefault(ref.table, set()).add(ref.column)
    for table in whole.tables:
        if table.domain in subjects.ONE_ROW_EACH and table.subject_key:
            identifying = {c.name for c in table.columns if c.role is Role.DIRECT or c.handling is Handling.RECODE}
            wanted.setdefault(table.name, set()).update(identifying)
    extra = []
    for name, names in wanted.items():
        held = next((table for table in asked.tables if table.name == name), None)
        table = held or whole[name]
        present = {column.name for column in held.columns} if held else set()
        needed = present | names | ({table.subject_key} if table.subject_key else set())
        columns = tuple(column for column in whole[name].columns if column.name in needed)
        extra.append(Table(table.name, columns, table.domain, table.label))
    replaced = {table.name for table in extra}
    kept = tuple(table for table in asked.tables if table.name not in replaced)
    return replace(asked, tables=(*kept, *extra), country=whole.country, baseline=whole.baseline)


def prepare(
    whole: Study,
    asked: Study,
    source: Source,
    safeguards: Safeguards,
    key: ProjectKey,
    *,
    fixed: Mapping[str, int] | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Find the cheapest plan for the tables asked for, and everything needed to run it.

    `whole` is the study as registered (for country and baseline), `folder` where a steward's hierarchy files stand,
    `fixed` levels that are not to be searched.

    Raises:
        Unresolved: a column has no role, or the study lacks what a treatment needs.
        Unreachable: the safeguards cannot be met; says the nearest that can.
        Unreadable: a date does not parse.
    """
    safeguards = options.joined(whole.options, safeguards)
    people = subjects.collect(with_references(whole, asked), source)
    table = classes.build(asked, source, roster=subjects.roster_of(asked))
    ladders = climbing(asked, table, people, safeguards, key, folder)
    constant = {name: ladders[name].floor for name in table.names if len(ladders[name].domain) <= 1}
    found = search.optimal(
        table,
        ladders,
        safeguards,
        weights=weights(asked),
        fixed={**constant, **(fixed or {})},
        budget_seconds=SEARCH_SECONDS,
        progress=progress,
    )
    prepared = _chosen(asked, people, table, ladders, safeguards, found)
    return _joined_up(prepared, whole, asked, source)


def _joined_up(prepared: Prepared, whole: Study, asked: Study, source: Source) -> Prepared:
    """With what ties tables together: copies of the subject table, planned visits."""
    expected = copies.expected(whole, asked, source, prepared.subjects)
    return replace(prepared, expected=expected, at_visits=visits_of(whole, asked, source))


def adopt(prepared: Prepared, asked: Study, found: Found, why: str) -> Prepared:
    """The same study with another recoding than the cheapest: one that composes, or one that a steward picked."""
    chosen = _chosen(asked, prepared.subjects, prepared.table, prepared.ladders, prepared.plan.safeguards, found)
    plan = replace(chosen.plan, search={**(chosen.plan.search or {}), "chosen": why})
    return replace(chosen, plan=plan, expected=prepared.expected, at_visits=prepared.at_visits)


def _chosen(
    asked: Study,
    people: Subjects,
    table: ClassTable,
    ladders: Mapping[str, Ladder],
    safeguards: Safeguards,
    found: Found,
) -> Prepared:
    """The plan of a recoding that was found."""
    details = {
        "nodes_checked": found.nodes_checked,
        "lattice": found.lattice,
        "loss": round(found.loss, 6),
        "bound": round(found.bound, 6),
    }
    plan = Plan(
        columns=tuple(
            plan_of(t, column, safeguards, ladders, found.levels) for t in asked.tables for column in t.columns
        ),
        levels=dict(found.levels),
        safeguards=safeguards,
        proven_optimal=found.proven_optimal,
        search=details,
    )
    return _prepared(plan, people, table, ladders, found.blanked, found.loss)


def resume(
    whole: Study, asked: Study, source: Source, plan: Plan, key: ProjectKey, *, folder: Path | None = None
) -> Prepared:
    """The same `Prepared` from a plan that was stored: its levels are fixed, so nothing is searched.

    Raises:
        Unresolved, Unreachable, Unreadable: the study is no longer the one that the plan was made for.
    """
    people = subjects.collect(with_references(whole, asked), source)
    table = classes.build(asked, source, roster=subjects.roster_of(asked))
    ladders = climbing(asked, table, people, plan.safeguards, key, folder)
    found = search.optimal(table, ladders, plan.safeguards, fixed=plan.levels)
    prepared = _prepared(plan, people, table, ladders, found.blanked, found.loss)
    return _joined_up(prepared, whole, asked, source)


def _prepared(
    plan: Plan,
    people: Subjects,
    table: ClassTable,
    ladders: Mapping[str, Ladder],
    blanked: npt.NDArray[np.bool_],
    loss: float,
) -> Prepared:
    by_person = np.zeros(len(people), dtype=np.bool_)
    if blanked.any():
        chosen = pa.array([table.subjects[at] for at in np.flatnonzero(blanked)], pa.string())
        by_person[people.positions(chosen)] = True
    attempt = plan.safeguards.attempt
    return Prepared(
        plan=plan,
        subjects=people,
        table=table,
        ladders=ladders,
        blanked=by_person,
        blanked_rows=blanked,
        before=risk.risk_of(table.weights, attempt),
        predicted=risk.risk_of(_class_sizes(table, ladders, plan.levels, blanked), attempt),
        loss=loss,
    )


def _class_sizes(
    table: ClassTable, ladders: Mapping[str, Ladder], levels: Mapping[str, int], blanked: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Class sizes after recoding; the blanked subjects are one class."""
    lifted = dict(zip(table.names, table.lifted(ladders), strict=True))
    columns = [lifted[name].codes[levels[name]][table.codes[:, at]] for at, name in enumerate(table.names)]
    columns = [np.where(blanked, -1, column) + 1 for column in columns]
    if not columns:
        return np.array([len(table.subjects)], dtype=np.int64)
    _, group = classes.distinct(columns, [int(column.max()) + 1 for column in columns])
    return np.bincount(group).astype(np.int64)


def climbing(
    asked: Study,
    table: ClassTable,
    people: Subjects,
    safeguards: Safeguards,
    key: ProjectKey,
    folder: Path | None,
) -> dict[str, Ladder]:
    """The ladder of every quasi-identifier, recoded ones relabelled with the project's codes."""
    ladders = {}
    for name, places in asked.quasi_identifiers().items():
        column = asked.at(places[0])
        domain, counts = table.domains[table.names.index(name)], table.counts(name)
        relabel = None
        regions: Mapping[str, str] = {}
        if column.handling is Handling.RECODE:
            codes = dict(zip(domain, pseudonyms.recode(key, column.namespace or name, domain), strict=True))
            relabel = codes.__getitem__
            regions = _homes(table, name, people)
        ladders[name] = ladder_for(column, domain, counts, safeguards, regions, relabel=relabel, folder=folder)
    return ladders


def _homes(table: ClassTable, name: str, people: Subjects) -> dict[str, str]:
    """Value of a place column → the one country of its subjects, where it is one."""
    at = table.names.index(name)
    homes: dict[str, set[str]] = {}
    where = people.countries[people.positions(pa.array(table.subjects, pa.string()))]
    for code, country in zip(table.codes[:, at].tolist(), where.tolist(), strict=True):
        for member in table.sets[at][code]:
            homes.setdefault(table.domains[at][member], set()).add(country)
    return {value: next(iter(found)) for value, found in homes.items() if len(found) == 1 and found != {""}}


def label_maps(prepared: Prepared, asked: Study) -> dict[str, LabelMap]:
    """For each quasi-identifier, what each of its values becomes at the chosen level.

    A column of numbers stays one while every label is a number; a band or a top-coded class makes it text.
    """
    maps = {}
    for name, places in asked.quasi_identifiers().items():
        ladder = prepared.ladders[name]
        labels = dict(zip(ladder.domain, ladder.labels_of(prepared.plan.levels[name]), strict=True))
        exact = tuple(value for value, label in labels.items() if value == label and ages.parts(value)[1] != ages.YEARS)
        labels |= {value: ages.parts(value)[0] for value in exact if _is_number(ages.parts(value)[0])}
        numeric = asked.at(places[0]).kind is Kind.NUMBER and all(map(_is_number, labels.values()))
        maps[name] = LabelMap(labels, Kind.NUMBER if numeric else Kind.TEXT, exact)
    return maps


def _is_number(label: str) -> bool:
    try:
        return label == "" or math.isfinite(float(label))
    except ValueError:
        return False


def lookups(prepared: Prepared, whole: Study, asked: Study, key: ProjectKey) -> Lookups:
    """What the kernel looks up while it treats the tables asked for."""
    study = with_references(whole, asked)
    labels = label_maps(prepared, asked)
    return look_up(
        prepared.plan,
        study,
        prepared.subjects,
        prepared.blanked,
        labels,
        key,
        expected=prepared.expected,
        at_visits=prepared.at_visits,
    )


def tables_of(plan: Plan) -> Sequence[str]:
    """The tables of a plan, in order."""
    return tuple(dict.fromkeys(column.table for column in plan.columns))
