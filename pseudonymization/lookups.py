"""All that treating a row needs, worked out once per release: pseudonyms, shifts, labels, codes; plain values only."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pseudonymization import dates, pseudonyms
from pseudonymization.columns import Column, Handling, Kind, Role, Study, Table
from pseudonymization.copies import Expected
from pseudonymization.faults import Place, Unresolved
from pseudonymization.isodates import NO_DAY, Days
from pseudonymization.plan import Act, ColumnPlan, Plan
from pseudonymization.safeguards import DateRule, TimeOfDay
from pseudonymization.subjects import AMBIGUOUS, Subjects
from pseudonymization.surrogates import Surrogates
from pseudonymization.text import REDACTED, SHORTEST, STAND_INS, Redactor
from pseudonymization.tokens import Tokens, spelling
from pseudonymization.visits import NO_VISITS, Visits
from pseudonymization.wordings import Replacement

_START = re.compile(r"^(.*)ST(DTC|DTM|DT|DAT)$")
_MOVED = frozenset({Act.SHIFT, Act.ANCHOR})
_DATED = _MOVED | {Act.STUDY_DAY}
_MAY_BE_KEPT = frozenset({Role.QUASI, Role.SENSITIVE, Role.DATE, Role.FREE_TEXT, Role.KEPT})

NOTHING_EXPECTED = Expected()


@dataclass(frozen=True, slots=True)
class LabelMap:
    """What a quasi-identifier's values become: raw value, as `cells.canonical` spells it → label.

    `kind` is NUMBER where the labels are numbers and leave as such. A missing value may have a label under the key "".
    `exact` are the ages that leave exact in another unit than years, as `ages` spells them.
    """

    labels: Mapping[str, str] = field(repr=False)
    kind: Kind = Kind.TEXT
    exact: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Lookups:
    """A release's answers, by subject position or by value. The last entry of each per-subject array is for nobody.

    pseudonyms: text; ranks: each one's place among them sorted, `ranked`. shifts, baseline: days; stated: baselines
    that are the study's own. blanked: whose
    quasi-identifier cells are emptied. labels: per quasi-identifier. codes: per namespace, value → code. embedded: ids
    in text → pseudonym. pairs: per table, start → end column.
    """

    plan: Mapping[str, Mapping[str, ColumnPlan]]
    study: Study
    subjects: Subjects
    key: pseudonyms.ProjectKey
    pseudonyms: pa.Array
    ranks: npt.NDArray[np.int32]
    ranked: pa.Array
    shifts: Days = field(repr=False)
    baseline: Days
    stated: npt.NDArray[np.bool_]
    blanked: npt.NDArray[np.bool_]
    labels: Mapping[str, LabelMap]
    codes: Mapping[str, Mapping[str, str]] = field(repr=False)
    embedded: Tokens
    redactor: Redactor
    surrogates: Mapping[str, Surrogates]
    pairs: Mapping[str, Mapping[str, str]]
    date_rule: DateRule
    time_of_day: TimeOfDay
    age_top: int | None
    expected: Expected
    visits: Visits

    def planned(self, table: str, column: str) -> ColumnPlan:
        """The plan of a column.

        Raises:
            Unresolved: nobody has planned this column; it never passes through.
        """
        plan = self.plan.get(table, {}).get(column)
        if plan is None:
            raise Unresolved(
                "a column has no treatment in the plan",
                places=(Place(table, column),),
                cure="give the column a role and plan the release again",
            )
        return plan

    def of_qualifier(self, planned: ColumnPlan, part: ColumnPlan) -> "Lookups":
        """The same answers for a table that holds one qualifier of a column, named as a column of its own."""
        table = self.study[planned.table]
        key = table.with_role(Role.SUBJECT_KEY)
        alone = replace(table, columns=(*key, table[planned.column].qualifier(part.column)))
        plan = {**{column.name: self.planned(table.name, column.name) for column in key}, part.column: part}
        study = replace(self.study, tables=(alone,))
        return replace(self, plan={table.name: plan}, study=study, pairs={table.name: {}})


def look_up(
    plan: Plan,
    study: Study,
    subjects: Subjects,
    blanked: npt.NDArray[np.bool_],
    labels: Mapping[str, LabelMap],
    key: pseudonyms.ProjectKey,
    *,
    window: tuple[int, int] = dates.SHIFT_WINDOW,
    expected: Expected = NOTHING_EXPECTED,
    at_visits: Visits = NO_VISITS,
) -> Lookups:
    """The lookups of one release. `blanked` has one flag per subject, in the order of `subjects`.

    Raises:
        Unresolved: a treatment that its column's role forbids or cannot have; a quasi-identifier without labels;
            two ids that meet in one pseudonym; dates that span more years than the shift moves them.
        ValueError: `blanked` is not one flag per subject.
    """
    if len(blanked) != len(subjects):
        raise ValueError("one flag per subject says whose cells are blanked")
    _check(plan, study, labels)
    acts = plan.acts()
    ids = subjects.ids.to_pylist()
    shifts = _shifts(subjects, acts, key, window)
    names = pseudonyms.subject_pseudonyms(key, ids)
    codes = _codes(study, subjects, key)
    order = np.argsort(np.array(names, dtype=np.str_))
    originals = {value for held in subjects.identifying.values() for value in held}
    wanted = {c.surrogate or "name" for planned, c, _ in _treated(plan, study) if planned.act is Act.SURROGATE}
    return Lookups(
        plan={table.name: {planned.column: planned for planned in plan.of(table.name)} for table in study.tables},
        study=study,
        subjects=subjects,
        key=key,
        pseudonyms=pa.array(names, pa.string()),
        ranks=np.append(np.argsort(order), -1).astype(np.int32),
        ranked=pa.array([names[at] for at in order.tolist()], pa.string()),
        shifts=np.append(shifts, 0),
        baseline=np.append(subjects.baseline, NO_DAY),
        stated=np.append(subjects.stated, False),
        blanked=np.append(blanked, True),
        labels=dict(labels),
        codes=codes,
        embedded=_embedded(study, subjects, names, codes) if Act.EMBEDDED in acts else Tokens({}),
        redactor=_redactor(study, subjects, key, originals) if Act.REDACT in acts else Redactor({}),
        surrogates={kind: Surrogates(key, kind, originals) for kind in sorted(wanted)},
        pairs={table.name: _pairs(plan, table) for table in study.tables},
        date_rule=plan.safeguards.dates,
        time_of_day=plan.safeguards.time_of_day,
        age_top=plan.safeguards.age_top,
        expected=expected,
        visits=at_visits,
    )


def _redactor(study: Study, subjects: Subjects, key: pseudonyms.ProjectKey, originals: set[str]) -> Redactor:
    """A redactor of what the study knows, with stand-ins if the study's options ask for them."""
    asked = study.options.text_replacement
    shapes = STAND_INS if asked is Replacement.SURROGATE else {}
    stand_ins = {kind: Surrogates(key, shape, originals) for kind, shape in shapes.items()}
    return Redactor.of(subjects, replacement=asked, stand_ins=stand_ins)


def _shifts(subjects: Subjects, acts: Collection[Act], key: pseudonyms.ProjectKey, window: tuple[int, int]) -> Days:
    """Days that each subject's dates are moved by: to the common anchor, else by a secret number."""
    anchored = Act.ANCHOR in acts
    shifts = dates.to_anchor(subjects.baseline) if anchored else dates.shifts(key, subjects.ids.to_pylist(), window)
    least = int(shifts[shifts != 0].min(initial=dates.ANCHOR)) if anchored else window[0]
    moves = Act.SHIFT in acts or anchored
    if moves and len(subjects.days) and subjects.days[-1] - subjects.days[0] >= least:
        raise Unresolved(
            "the study's dates span as many years as the shift moves them, so that a shifted date could be a true one",
            cure="widen the shift window, or truncate dates",
        )
    return shifts


def namespace(column: Column) -> str:
    """The group of columns a recoded column shares its codes with."""
    return column.namespace or column.name


def _treated(plan: Plan, study: Study) -> Iterator[tuple[ColumnPlan, Column, Place]]:
    """Each treatment with the column, or the qualifier in it, that it is for.

    Raises:
        Unresolved: the study has no such column or qualifier.
    """
    for planned in plan.columns:
        place = Place(planned.table, planned.column)
        try:
            column = study[planned.table][planned.column]
            yield planned, column, place
            for part in planned.parts:
                yield part, column.qualifier(part.column), place
        except KeyError:
            raise Unresolved("the plan names a column the study lacks", places=(place,)) from None


def _check(plan: Plan, study: Study, labels: Mapping[str, LabelMap]) -> None:
    """A plan read back from a file, or made by mistake, cannot let an identifier through."""
    for planned, column, place in _treated(plan, study):
        wrong = ""
        if planned.act is Act.KEEP and column.role not in _MAY_BE_KEPT:
            wrong = "a column may not be kept: it identifies, or nobody has settled its role"
        elif planned.act is not Act.REMOVE and column.role is Role.UNRESOLVED:
            wrong = "a column without a settled role is in the plan"
        elif (column.role is Role.SUBJECT_KEY) != (planned.act is Act.PSEUDONYM):
            wrong = "the subject key, and nothing else, gets a pseudonym"
        elif planned.act in _DATED and study[planned.table].subject_key is None:
            wrong = "dates without a subject have neither a shift nor a baseline"
        elif planned.act is Act.GENERALIZE and column.attribute not in labels:
            wrong = "a quasi-identifier has no labels"
        elif planned.act is Act.BY_QUALIFIER and (not column.by or len(planned.parts) != len(column.qualifiers)):
            wrong = "a column of qualifier values needs the column that names them, and a treatment for each"
        if wrong:
            raise Unresolved(wrong, places=(place,), cure="remove the column, or give it another role")


def _codes(study: Study, subjects: Subjects, key: pseudonyms.ProjectKey) -> dict[str, dict[str, str]]:
    """Codes of all recoded columns whose values are held, collision-checked over the whole study."""
    values: dict[str, set[str]] = {}
    for ref, held in subjects.identifying.items():
        column = study.at(ref)
        if column.handling is Handling.RECODE:
            values.setdefault(namespace(column), set()).update(held)
    return {
        name: dict(zip(ordered, pseudonyms.recode(key, name, ordered), strict=True))
        for name, ordered in ((name, sorted(found)) for name, found in sorted(values.items()))
    }


def _embedded(study: Study, subjects: Subjects, names: list[str], codes: Mapping[str, Mapping[str, str]]) -> Tokens:
    """Ids, their tails (an id without its study prefix) and other ids of a subject → pseudonym; recoded ids → code.

    What could be several subjects' is redacted: no id is given to the wrong person. So is what is generalized
    elsewhere (a site): its code inside an id would be finer than what may leave.
    """
    ids = subjects.ids.to_pylist()
    shared: dict[str, str] = {}
    for original, name in zip(ids, names, strict=True):
        runs = spelling(original).split()
        for tail in (" ".join(runs[at:]) for at in range(1, len(runs) - 1)):
            shared[tail] = REDACTED if tail in shared else name
    for alias, place in subjects.aliases.items():
        shared[alias] = REDACTED if place == AMBIGUOUS else names[place]
    for ref, values in subjects.identifying.items():
        column = study.at(ref)
        known = codes.get(namespace(column), {}) if column.role is Role.DIRECT else {}
        for value in values:
            if column.handling is Handling.RECODE and len(spelling(value)) >= SHORTEST:
                shared.setdefault(value, known.get(value, REDACTED))
    whole = dict(zip(ids, names, strict=True))
    return Tokens({**whole, **{value: entry for value, entry in shared.items() if value not in whole}})


def _pairs(plan: Plan, table: Table) -> dict[str, str]:
    """Start and end columns of one interval (AESTDTC and AEENDTC), both shifted, as text."""
    shifted = {planned.column for planned in plan.of(table.name) if planned.act in _MOVED}
    found = {}
    for start in sorted(shifted):
        match = _START.match(start)
        end = f"{match[1]}EN{match[2]}" if match else ""
        if end in shifted:
            found[start] = end
    return found
