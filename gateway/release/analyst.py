"""What an analyst sees of an extract, before and after: distributions, events, time to event, laboratory means.

Each table's pictures are worked out while it is treated, from the original and the released cells side by side, and
stored with it already protected (see `figures`). They stand in the manifest and, drawn, in the report.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gateway.release import figures
from pseudonymization import ages, cells, isodates, tabulate, treat
from pseudonymization.columns import Source, Table
from pseudonymization.dates import arrow_days
from pseudonymization.lookups import Lookups
from pseudonymization.plan import Act
from pseudonymization.subjects import ONE_ROW_EACH
from pseudonymization.tabulate import SMALLEST, Cells

_ARMS = ("ARM", "TRT01P", "ACTARM", "TRT01A", "ARMCD", "TRTP", "TRTA")
_SYSTEMS = ("AEBODSYS", "AESOC")
_RESULTS = (("LBTEST", "VISIT", "LBSTRESN"), ("LBTESTCD", "VISITNUM", "LBSTRESN"), ("PARAM", "AVISIT", "AVAL"))
_SHARES = (("AGE", "Age"), ("SEX", "Sex"), ("COUNTRY", "Country"))
_LAB_DOMAINS = ("LB", "ADLB")
_UNPLANNED = re.compile(r"unsched|retriev|ambul", re.IGNORECASE)
_MOST_TESTS, _MOST_SYSTEMS, _MOST_VISITS = 6, 12, 16
Positions = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Roster:
    """The subject table, original and released, row by row; and per subject the arm before and after ("" for none)."""

    table: Table
    before: pa.Table
    after: pa.Table
    arms_before: Sequence[str]
    arms_after: Sequence[str]


def roster_of(lookups: Lookups, source: Source) -> Roster | None:
    """The subject table of this release, if it is in it; it has one row for each subject."""
    for domain in ONE_ROW_EACH:
        for table in lookups.study.tables:
            planned = lookups.plan.get(table.name, {})
            leaves = any(column.act is not Act.REMOVE for column in planned.values())
            if table.domain != domain or not table.subject_key or not leaves:
                continue
            wanted = [column.name for column in table.columns if column.name in planned]
            batches = list(source.batches(table.name, wanted))
            before = pa.Table.from_batches(batches)
            after = pa.Table.from_batches([treat.treat(lookups, table.name, batch) for batch in batches])
            arm = next((name for name in _ARMS if name in after.column_names), "")
            who = _who(lookups, before.column(table.subject_key))
            arms = [_by_subject(lookups, who, held, arm) for held in (before, after)]
            return Roster(table, before, after, *arms)
    return None


def _united(held: pa.Table) -> pa.Table:
    return pa.Table.from_batches([ages.united(batch) for batch in held.combine_chunks().to_batches()])


def _who(lookups: Lookups, ids: Any) -> Positions:
    coded = cells.encode(ids)
    return np.append(lookups.subjects.positions(coded.values), np.int32(-1))[coded.codes]


def _by_subject(lookups: Lookups, who: Positions, held: pa.Table, name: str) -> Sequence[str]:
    arms = [""] * len(lookups.subjects)
    if name:
        for at, text in zip(who.tolist(), held.column(name).to_pylist(), strict=True):
            arms[at] = text or ""
    return arms


def pictures(lookups: Lookups, table: str, roster: Roster | None) -> "Pictures":
    """The pictures of one table; survival comes from ADTTE where the release has one, else from the subject table."""
    with_adtte = any(other.domain == "ADTTE" and lookups.plan.get(other.name) for other in lookups.study.tables)
    return Pictures(lookups, lookups.study[table], roster, with_adtte)


@dataclass(slots=True)
class Pictures:
    """Collects one table's pictures while it streams by."""

    lookups: Lookups
    table: Table
    roster: Roster | None
    with_adtte: bool
    _events: tuple[Cells, Cells] = field(default_factory=lambda: (Cells(), Cells()))
    _means: tuple[Cells, Cells] = field(default_factory=lambda: (Cells(), Cells()))
    _times: list[pa.Table] = field(default_factory=list)

    def add(self, before: pa.RecordBatch, after: pa.RecordBatch) -> None:
        """The same rows, original and released."""
        if self.table.subject_key is None:
            return
        if self.table.domain in {"AE", "ADAE"}:
            self._add_events(before, after)
        elif self.table.domain.startswith(_LAB_DOMAINS):
            self._add_results(before, after)
        elif self.table.domain == "ADTTE":
            self._add_times(before, after)

    def _rows(self, before: pa.RecordBatch) -> Positions:
        return _who(self.lookups, before.column(self.table.subject_key))

    def _add_events(self, before: pa.RecordBatch, after: pa.RecordBatch) -> None:
        name = next((name for name in _SYSTEMS if name in after.schema.names), None)
        if name is None or self.roster is None:
            return
        who = self._rows(before)
        for held, batch, arms in (
            (self._events[0], before, self.roster.arms_before),
            (self._events[1], after, self.roster.arms_after),
        ):
            codes = pa.array(arms, pa.string()).take(pa.array(who, mask=who < 0))
            held.add([batch.column(name), codes], who)

    def _add_results(self, before: pa.RecordBatch, after: pa.RecordBatch) -> None:
        names = next((names for names in _RESULTS if all(name in after.schema.names for name in names)), None)
        if names is None or not pa.types.is_floating(after.column(names[2]).type):
            return
        test, visit, value = names
        who = self._rows(before)
        for held, batch in zip(self._means, (before, after), strict=True):
            held.add([batch.column(test), batch.column(visit)], who, batch.column(value))

    def _add_times(self, before: pa.RecordBatch, after: pa.RecordBatch) -> None:
        if self.roster is None or not all(name in after.schema.names for name in ("PARAM", "AVAL", "CNSR")):
            return
        parts = [self._rows(before), before.column("PARAM").cast(pa.string())]
        for batch in (before, after):
            parts += [batch.column(name).cast(pa.float64()) for name in ("AVAL", "CNSR")]
        self._times.append(pa.table(parts, names=["who", "param", "time0", "cens0", "time1", "cens1"]))

    def finish(self) -> list[dict[str, Any]]:
        """All pictures of the table, protected and JSON-ready."""
        found: list[dict[str, Any]] = []
        if self.roster is not None and self.roster.table.name == self.table.name:
            found += self._shares(self.roster)
            if not self.with_adtte:
                found += self._until_end(self.roster)
        found += self._event_table()
        found += self._mean_lines()
        found += self._survivals()
        return [picture | {"table": self.table.name} for picture in found]

    def _shares(self, roster: Roster) -> list[dict[str, Any]]:
        arm = next((name for name in _ARMS if name in roster.after.column_names), "")
        found = []
        for name, title in (*_SHARES, (arm, "Arm")):
            if name not in roster.after.column_names:
                continue
            old, new = (_texts(held.column(name)) for held in (roster.before, roster.after))
            if name == "AGE":
                old = [ages.in_years(text) for text in old]
                new = [ages.in_years(text) for text in _texts(_united(roster.after).column(name))]
            found.append(figures.ages(old, new) if name == "AGE" else figures.categories(title, old, new))
        return found

    def _until_end(self, roster: Roster) -> list[dict[str, Any]]:
        """Days from the reference start to death, censored at the end of participation; else to that end."""
        sides = []
        for held in (roster.before, roster.after):
            start, end, death = (_days(held, name) for name in ("RFSTDTC", "RFENDTC", "DTHDTC"))
            died = np.isfinite(death)
            sides.append((np.where(died, death, end) - start, died, end - start))
        who = _who(self.lookups, roster.before.column(roster.table.subject_key))
        times, happened = [(time, died) for time, died, _ in sides], "Time to death"
        if all(np.isfinite(time[died]).sum() < SMALLEST for time, died in times):
            times, happened = [(end, np.isfinite(end)) for _, _, end in sides], "Time to the end of participation"
        return figures.curves(happened, "days from the reference start", self._arms(who), times)

    def _survivals(self) -> list[dict[str, Any]]:
        if not self._times or self.roster is None:
            return []
        whole = pa.concat_tables(self._times)
        found = []
        for param in sorted(set(whole.column("param").to_pylist()) - {None, ""})[:3]:
            rows = whole.filter(pa.compute.equal(whole.column("param"), param))
            held = {name: rows.column(name).to_numpy() for name in rows.column_names if name != "param"}
            times = [(held[f"time{side}"], held[f"cens{side}"] == 0) for side in (0, 1)]
            found += figures.curves(param, "as in AVAL", self._arms(held["who"]), times)
        return found

    def _arms(self, who: npt.NDArray[Any]) -> list[npt.NDArray[np.str_]]:
        """The arm of each row, before and after."""
        roster = self.roster
        sides = (roster.arms_before, roster.arms_after) if roster is not None else ([], [])
        return [np.array(side, dtype=np.str_)[who] for side in sides]

    def _event_table(self) -> list[dict[str, Any]]:
        before, after = (side.held for side in self._events)
        arms = sorted({arm for _, arm in before} | {arm for _, arm in after})
        counted: dict[str, int] = {}
        for (system, _), cell in after.items():
            counted[system] = counted.get(system, 0) + cell.rows
        rows = []
        for system in sorted(counted, key=lambda name: (-counted[name], name)):
            told = [figures.told(before.get((system, arm)), after.get((system, arm))) for arm in arms]
            if any(cell["after"] is not None for cell in told):
                rows.append({"label": system, "cells": told})
        if not rows:
            return []
        far = tabulate.total_variation({k: c.rows for k, c in before.items()}, {k: c.rows for k, c in after.items()})
        title = "Adverse events by body system and arm"
        return [
            {
                "kind": "events",
                "title": title,
                "arms": arms,
                "rows": rows[:_MOST_SYSTEMS],
                "distance": figures.near(far),
            }
        ]

    def _mean_lines(self) -> list[dict[str, Any]]:
        before, after = (side.held for side in self._means)
        sides = {"before": before, "after": after}
        counted: dict[str, int] = {}
        for (test, _), cell in before.items():
            counted[test] = counted.get(test, 0) + cell.rows
        found = []
        for test in sorted(counted, key=lambda name: (-counted[name], name)):
            visits = [v for v in _in_order(before, test) if before[test, v].shown and _shown(after.get((test, v)))]
            if len(visits) < 3:
                continue
            rows = [
                {"label": v} | {side: figures.digits(held[test, v].mean) for side, held in sides.items()}
                for v in visits[:_MOST_VISITS]
            ]
            means = [before[test, v].mean for v in visits]
            spread = max(means) - min(means)
            apart = max(abs(before[test, v].mean - after[test, v].mean) for v in visits)
            far = apart / spread if spread else 0.0 if apart == 0 else 1.0
            found.append({"kind": "means", "title": test, "rows": rows, "distance": figures.near(far)})
            if len(found) == _MOST_TESTS:
                break
        return found


def _in_order(held: Mapping[tuple[str, ...], tabulate.Cell], test: str) -> list[str]:
    """The planned visits of a test: by their number where they carry one, those before treatment first."""

    def place(visit: str) -> tuple[float, str]:
        number = re.search(r"-?\d+(?:\.\d+)?", visit)
        early = re.search(r"screen|base", visit, re.IGNORECASE)
        return (float(number[0]) if number and not early else -1.0 if early else math.inf, visit)

    planned = {visit for name, visit in held if name == test and not _UNPLANNED.search(visit)}
    return sorted(planned, key=place)


def _shown(cell: tabulate.Cell | None) -> bool:
    return cell is not None and cell.shown


def _texts(column: pa.ChunkedArray) -> list[str]:
    array = column.combine_chunks()
    coded = cells.encode(array)
    return [text or figures.BLANK for text in np.append(coded.texts(), "")[coded.codes].tolist()]


def _days(held: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """Complete dates as days; not a number where there is none or the column is gone."""
    nothing = np.full(held.num_rows, np.nan)
    if name not in held.column_names:
        return nothing
    array = held.column(name).combine_chunks()
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if pa.types.is_temporal(kind):
        days, has = arrow_days(array)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        coded = cells.encode(array)
        read, complete = isodates.complete_days(coded.values)
        days, has = np.append(read, 0)[coded.codes], np.append(complete, False)[coded.codes]
    else:
        return nothing
    return np.where(has, days.astype(np.float64), np.nan)
