"""Attacks on the finished result: somebody who knows a few subjects' true records looks for them in it.

The known subjects are drawn by a seed of the release's own. What its tables tell of each subject is gathered while they
stream out (the result as it leaves, and what it was made from), so each attack is run on both sides, beside the rate of
a blind guess. Rates are rounded up to a step that no small count of known subjects stands behind.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from gateway.release.work import Work
from pseudonymization import attacks, matching
from pseudonymization.classes import ClassTable, distinct
from pseudonymization.columns import Role, Study, Table
from pseudonymization.deidentify import Prepared
from pseudonymization.matching import Candidates, Held, Ints, Traces
from pseudonymization.plan import Act, Plan
from pseudonymization.pseudonyms import subject_pseudonyms

KNOWN_SHARE, FEWEST_KNOWN, MOST_KNOWN = 0.05, 20, 200
RESULTS_KNOWN = 3

_VISITS = ("SV", "VS", "LB", "EX", "AE")
_TIMED = ("LB", "VS", "EG", "PC")
_RESULTS = ("LB", "ADLB", "ADLBC", "VS", "ADVS")
_TERMS = ("AE", "MH", "CM", "ADAE")
_TESTS = ("LBTESTCD", "VSTESTCD", "PARAMCD")
_VALUES = ("LBSTRESN", "LBSTRESC", "LBORRES", "VSSTRESN", "VSSTRESC", "VSORRES", "AVAL", "AVALC")
_NAMED = ("AEDECOD", "AETERM", "MHDECOD", "MHTERM", "CMDECOD", "CMTRT")
_GRAINS = {Act.TRUNCATE_MONTH: matching.MONTH, Act.TRUNCATE_YEAR: matching.YEAR}


@dataclass(frozen=True, slots=True)
class Watched:
    """The columns of one table that tell a subject apart; empty where it has none of a kind."""

    visits: str = ""
    times: str = ""
    results: tuple[str, ...] = ()
    term: str = ""


def watched(study: Study) -> dict[str, Watched]:
    """Where visit days, clock times and results are looked for (one table each) and terms (events, history, drugs)."""
    visits = _first(study, _VISITS, _date)
    times = _first(study, _TIMED, _date) or visits
    results = _first(study, _RESULTS, lambda table: ",".join(_tested(table)))
    found: dict[str, Watched] = {}
    for table in study.tables:
        if table.subject_key is None:
            continue
        term = _named(table, _NAMED) if table.domain in _TERMS else ""
        one = Watched(
            _date(table) if table.name == visits else "",
            _date(table) if table.name == times else "",
            _tested(table) if table.name == results else (),
            term,
        )
        if one != Watched():
            found[table.name] = one
    return found


def _first(study: Study, domains: Sequence[str], has: Callable[[Table], str]) -> str:
    """The name of the first table, by domain, that has what is looked for; "" where none has."""
    fit = [table for table in study.tables if table.subject_key and table.domain in domains and has(table)]
    return min(fit, key=lambda table: domains.index(table.domain)).name if fit else ""


def _date(table: Table) -> str:
    dates = [column.name for column in table.with_role(Role.DATE)]
    return next((name for name in dates if name.endswith(("STDTC", "DTC"))), dates[0] if dates else "")


def _named(table: Table, wanted: Sequence[str]) -> str:
    held = {column.name for column in table.columns}
    return next((name for name in wanted if name in held), "")


def _tested(table: Table) -> tuple[str, ...]:
    test, value = _named(table, _TESTS), _named(table, _VALUES)
    return (test, value) if test and value else ()


@dataclass(slots=True)
class Gathered:
    """What tables tell of subjects before and after, under the pseudonyms of the release."""

    work: Work
    plan: Plan
    columns: Mapping[str, Watched]
    before: Traces
    after: Traces
    names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def begin(cls, work: Work, plan: Plan) -> "Gathered":
        """Nothing gathered yet."""
        key = work.gateway.keys.derive(f"attack/{work.release.id}")
        return cls(work, plan, watched(work.asked), Traces(key), Traces(key))

    def add(self, table: str, treated: pa.RecordBatch, original: pa.RecordBatch) -> None:
        """One batch as it leaves, and as it was."""
        one, key = self.columns.get(table), self.work.asked[table].subject_key
        if one is None or key is None or key not in treated.schema.names:
            return
        acts = {column.column: column.act for column in self.plan.of(table)}
        hour = str(self.plan.safeguards.time_of_day) == "hour"
        grain = _GRAINS.get(acts.get(one.visits, Act.KEEP), matching.DAY)
        self._take(self.before, one, original, self._pseudonyms(_column(original, key)), matching.DAY, matching.MINUTE)
        clock = matching.HOUR if hour else matching.MINUTE
        self._take(self.after, one, treated, _column(treated, key), grain, clock)

    def _take(
        self, traces: Traces, one: Watched, batch: pa.RecordBatch, subjects: pa.Array, grain: str, clock: str
    ) -> None:
        held = set(batch.schema.names)
        if one.visits in held:
            traces.days(subjects, _column(batch, one.visits), grain)
        if one.times in held:
            traces.times(subjects, _column(batch, one.times), clock)
        if one.results and held.issuperset(one.results):
            traces.items(matching.RESULTS, subjects, [_column(batch, name) for name in one.results])
        if one.term in held:
            traces.items(matching.TERMS, subjects, [_column(batch, one.term)])

    def _pseudonyms(self, ids: pa.Array) -> pa.Array:
        coded = ids if pa.types.is_dictionary(ids.type) else ids.dictionary_encode()
        texts = [str(text) for text in coded.dictionary.to_pylist()]
        fresh = [text for text in texts if text not in self.names]
        self.names.update(zip(fresh, subject_pseudonyms(self.work.key, fresh), strict=True))
        return pa.DictionaryArray.from_arrays(coded.indices, pa.array([self.names[t] for t in texts], pa.string()))


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    return batch.column(batch.schema.get_field_index(name))


def attacked(work: Work, prepared: Prepared, gathered: Gathered) -> dict[str, Any]:
    """Every attack with its rate before, after and of a blind guess; and what survives any shift of dates."""
    subjects = len(prepared.table.subjects)
    names = subject_pseudonyms(work.key, prepared.table.subjects)
    place = {name: at for at, name in enumerate(names)}
    seed = int.from_bytes(work.gateway.keys.derive(f"attackers/{work.release.id}")[:8], "big")
    generator = np.random.default_rng(seed)
    known = min(subjects, MOST_KNOWN, max(FEWEST_KNOWN, math.ceil(KNOWN_SHARE * subjects)))
    targets = np.sort(generator.permutation(subjects)[:known]).astype(np.int64)
    field_ = _Field(prepared, gathered, place, targets, generator)
    step = 0.01 if known >= 100 else 0.05 if known >= FEWEST_KNOWN else 0.25
    found = [*field_.matching(), *field_.on_classes(seed)]
    return {
        "known_share": KNOWN_SHARE,
        "fewest_known": FEWEST_KNOWN,
        "rounded_up_to": step,
        "attacks": [one.told(step) for one in found],
        "residual": field_.residual(),
    }


@dataclass(frozen=True, slots=True)
class _Result:
    """An attack as it is told: its name, what the attacker knows, three rates."""

    name: str
    knows: str
    before: float
    after: float
    baseline: float

    def told(self, step: float) -> dict[str, Any]:
        """Rates rounded up to the step."""
        up = {side: _up(getattr(self, side), step) for side in ("before", "after")}
        baseline = self.baseline if self.baseline < step else _up(self.baseline, step)
        return {"name": self.name, "knows": self.knows, **up, "baseline": round(baseline, 4)}


def _up(rate: float, step: float) -> float:
    return round(min(1.0, math.ceil(rate / step - 1e-9) * step), 4)


@dataclass(frozen=True, slots=True)
class _Field:
    """The subjects, what is told of them on both sides, and whom the attacker knows."""

    prepared: Prepared
    gathered: Gathered
    place: Mapping[str, int]
    targets: Ints
    generator: np.random.Generator

    def matching(self) -> list[_Result]:
        """The attacks that look for a known subject's record."""
        demographic = self._demographic()
        dates, results = self._two_dates(), self._items(matching.RESULTS, RESULTS_KNOWN)
        terms = self._items(matching.TERMS, 1)
        everything = tuple(matching.both(*sides) for sides in zip(demographic, dates, terms, strict=True))
        return [
            self._result("demographics", "all quasi-identifiers", demographic),
            self._result("two dates", "two days on which the subject was seen", dates),
            self._result("visit gaps", "the days between all visits", self._prints(matching.VISITS, gaps=True)),
            self._result("clock times", "all times of day of measurements", self._prints(matching.TIMES)),
            self._result("lab values", f"{RESULTS_KNOWN} results, without their dates", results),
            self._result("rare term", "the subject's rarest event, diagnosis or medicine", terms),
            self._result("demographics, two dates and a term", "all of these together", everything),
        ]

    def on_classes(self, seed: int) -> list[_Result]:
        """Singling out, linkage and inference on the classes, of all subjects (Article 29 Working Party, 05/2014)."""
        table, ladders, plan = self.prepared.table, self.prepared.ladders, self.prepared.plan
        tries = int(min(300, max(30, 2e7 // max(1, table.codes.size))))
        common = self._commonest()
        held = {"the commonest term": common} if common is not None else None
        raw = dict.fromkeys(table.names, 0)
        nobody = np.zeros(len(table.subjects), dtype=np.bool_)
        sides = [
            attacks.attacks(table, ladders, levels, blanked, sensitive=held, tries=tries, seed=seed)
            for levels, blanked in ((raw, nobody), (plan.levels, self.prepared.blanked_rows))
        ]
        knows = "the quasi-identifiers of every subject"
        return [
            _Result(after.name, knows, before.rate, after.rate, after.baseline)
            for before, after in zip(*sides, strict=True)
        ]

    def residual(self) -> dict[str, dict[str, float]]:
        """The share of subjects whom the whole sequence of visit gaps, or set of clock times, tells from all others."""
        found = {}
        for kind, words in ((matching.VISITS, "visit gaps"), (matching.TIMES, "clock times")):
            before, after = self._held(kind)
            found[words] = {
                "before": round(matching.alone(before.prints(gaps=kind == matching.VISITS)), 2) if before else 0.0,
                "after": round(matching.alone(after.prints(gaps=kind == matching.VISITS)), 2) if after else 0.0,
            }
        return found

    def _held(self, kind: str) -> tuple[Held | None, Held | None]:
        return self.gathered.before.of(kind, self.place), self.gathered.after.of(kind, self.place)

    def _result(self, name: str, knows: str, sides: Sequence[Candidates]) -> _Result:
        count = len(self.place)
        before, after = (matching.rate(one, self.targets, count) for one in sides)
        return _Result(name, knows, before, after, 1 / count)

    def _nothing(self) -> Candidates:
        return [None] * len(self.targets)

    def _demographic(self) -> tuple[Candidates, Candidates]:
        table, ladders = self.prepared.table, self.prepared.ladders
        if not table.names:
            return self._nothing(), self._nothing()
        nobody = np.flatnonzero(np.zeros(len(table.of), dtype=np.bool_))
        told, released = _told(table, ladders, self.prepared.plan.levels, self.prepared.blanked_rows)
        before = matching.by_classes(table.of, table.of, nobody, self.targets)
        blanked = np.flatnonzero(self.prepared.blanked_rows)
        return before, matching.by_classes(told, released, blanked, self.targets)

    def _prints(self, kind: str, *, gaps: bool = False) -> tuple[Candidates, Candidates]:
        before, after = self._held(kind)
        if before is None:
            return self._nothing(), self._nothing()
        own = before.prints(gaps=gaps)
        truth, released = own, None
        if after is not None:
            absolute = gaps and after.grain == matching.DAY
            truth = before.as_fine_as(after.grain).prints(gaps=absolute)
            released = after.prints(gaps=absolute)
        return matching.by_print(own, own, self.targets), matching.by_print(truth, released, self.targets)

    def _items(self, kind: str, count: int) -> tuple[Candidates, Candidates]:
        """The attacker knows the rarest values of each target; one drawn by lot where several are as rare."""
        before, after = self._held(kind)
        if before is None:
            return self._nothing(), self._nothing()
        values, where, held = np.unique(before.what, return_inverse=True, return_counts=True)
        rarity = held if kind == matching.TERMS else self.generator.permutation(len(values))
        known = []
        for target in self.targets.tolist():
            low, high = np.searchsorted(before.who, [target, target + 1])
            mine = where[low:high]
            known.append(values[mine[np.argsort(rarity[mine], kind="stable")[:count]]])
        return matching.by_items(known, before), matching.by_items(known, after)

    def _two_dates(self) -> tuple[Candidates, Candidates]:
        before, after = self._held(matching.VISITS)
        if before is None:
            return self._nothing(), self._nothing()
        most = int(max(10, 2e7 // max(1, len(before.who))))
        known: list[Ints] = []
        for at, target in enumerate(self.targets.tolist()):
            days = before.of(target) if at < most else before.what[:0]
            known.append(np.sort(self.generator.permutation(days)[:2]))
        first = matching.by_two_days(known, before, absolute=True)
        if after is None:
            return first, self._nothing()
        coarse = before.as_fine_as(after.grain)
        told = known if coarse is before else [np.unique(_as(days, after.grain)) for days in known]
        seen = {(name, one.visits) for name, one in self.gathered.columns.items() if one.visits}
        kept = any(c.act is Act.KEEP and (c.table, c.column) in seen for c in self.gathered.plan.columns)
        return first, matching.by_two_days(told, after, absolute=kept)

    def _commonest(self) -> Ints | None:
        """Per subject whether it has the term that most subjects have."""
        before = self.gathered.before.of(matching.TERMS, self.place)
        if before is None:
            return None
        values, held = np.unique(before.what, return_counts=True)
        has = np.zeros(len(self.place), dtype=np.int64)
        has[before.holders(int(values[held.argmax()]))] = 1
        return has


def _as(days: Ints, grain: str) -> Ints:
    """Days told as months or years."""
    return Held(np.zeros(len(days), dtype=np.int64), days, matching.DAY, 1).as_fine_as(grain).what


def _told(table: ClassTable, ladders: Mapping[str, Any], levels: Mapping[str, int], blanked: Any) -> tuple[Ints, Ints]:
    """Per subject the class its true values fall into, and the class it was released in; one numbering for both."""
    columns, sizes = [], []
    for at, (name, ladder) in enumerate(zip(table.names, table.lifted(ladders), strict=True)):
        true = ladder.codes[levels[name]][table.codes[:, at]].astype(np.int64) + 1
        columns.append(np.concatenate([true, np.where(blanked, 0, true)]))
        sizes.append(int(true.max()) + 1)
    group = distinct(columns, sizes)[1]
    return group[: len(blanked)], group[len(blanked) :]
