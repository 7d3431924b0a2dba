"""The scan of a release: cells, labels, names and documents against all that identifies in the study it comes from.

Known limits, kept small and stated. A short id (`701`, `1015`) is also a plausible finding, so a cell of findings that
is a number or a date as a whole is not taken for one: such columns are listed as near misses. Short ids that are so
many that any number of their length would be one (more than a twentieth of them) are listed in `unsearched`. A name of
one word (White, Chad, May) is searched for in free text and among ids only, where it cannot be a term, a race or a
country; not among invented stand-ins, one of whose words may be anybody's. Columns of numbers are compared with the
subject's own dates and ids, see `numbers`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pseudonymization import cells, dates, isodates
from pseudonymization.columns import Column, ColumnRef, Handling, Role, Source, Study
from pseudonymization.faults import Leak, Place
from pseudonymization.isodates import Days
from pseudonymization.leaks import known, moves, narratives
from pseudonymization.leaks.narratives import Narratives
from pseudonymization.leaks.numbers import OwnNumbers
from pseudonymization.plan import Act, ColumnPlan, Plan
from pseudonymization.safeguards import DateRule
from pseudonymization.subjects import AMBIGUOUS, ONE_ROW_EACH, Positions, Subjects
from pseudonymization.text import FINDING, DateWords
from pseudonymization.tokens import Tokens, spelling
from pseudonymization.wordings import Replacement

DATE, PHRASE, NOT_PLANNED = "date", "a phrase of dropped free text", "a column that the plan does not let through"

_DATE_LIKE = (
    r"(?i)[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}[a-z]{0,2}[-/. ]{0,2}(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[-. ]{0,2}[0-9]"
    r"|[0-9]{1,2}([/.]|-)[0-9]{1,2}([/.]|-)[0-9]{2}|(?:19|20)[0-9]{2}[/.]?[0-9]{2}[/.]?[0-9]{2}"
)
_DATE_FORMAT = re.compile(r"^(?:E8601D|B8601D|DATE|DATETIME|YYMM|MMDDYY|DDMMYY|JULIAN|MONYY)", re.IGNORECASE)
_LIFETIMES = (-25_566, 47_116)
"""1900-01-02 to 2098-12-31: a complete date among these, in a column that leaves as it is, is a true one. The first of
1900 and the years from 2099 on stand for `unknown` in many systems."""
_REWRITTEN = frozenset({Act.PSEUDONYM, Act.RECODE, Act.SURROGATE, Act.REDACT})


@dataclass(frozen=True, slots=True)
class Hit:
    """What kind of original stands where. Never the value."""

    kind: str
    place: Place


class Scanner:
    """Fed with the treated batches of a release as they stream out; remembers kinds and places of what it finds."""

    def __init__(
        self,
        study: Study,
        subjects: Subjects,
        plan: Plan,
        *,
        allowed: Collection[ColumnRef] = frozenset(),
        pseudonyms: pa.Array | None = None,
        source: Source | None = None,
        told: Narratives | None = None,
    ) -> None:
        """What is searched for is worked out here, once.

        allowed: columns that a steward has looked at and cleared; they are not searched. pseudonyms: text, in the order
        of `subjects`; with them, columns of numbers are compared with each subject's own dates and ids, and date shifts
        are read off. source: the study, read again only if a column of numbers could hold dates. told: phrases of
        dropped free text.
        """
        self._study = study
        self._plan = {(planned.table, planned.column): planned for planned in plan.columns}
        self._allowed = frozenset(allowed)
        self._dates_leave = plan.safeguards.dates is DateRule.KEEP
        self._days = subjects.days
        self._known = known.Known.of(subjects, study)
        self._told = told or Narratives()
        self._pseudonyms = pseudonyms
        self._numbers = OwnNumbers(study, subjects, source)
        self._observed = moves.Observed(len(subjects))
        self._secret = {planned.act for planned in plan.columns} >= {Act.SHIFT}
        self._subjects = subjects
        self._groups: dict[str, npt.NDArray[np.int64]] = {
            "country": np.unique(subjects.countries, return_inverse=True)[1].astype(np.int64)
        }
        self._hits: dict[Hit, None] = {}
        self._near: dict[Place, None] = {}

    @property
    def hits(self) -> tuple[Hit, ...]:
        """What was found so far, each kind and place once."""
        return tuple(self._hits)

    @property
    def near_misses(self) -> tuple[Place, ...]:
        """Columns in which a number, as a whole cell, equals a short id and was taken for a finding."""
        return tuple(self._near)

    @property
    def unsearched(self) -> frozenset[int]:
        """Lengths at which short numeric ids are too many to be searched for."""
        return self._known.unsearched

    def verdict(self) -> None:
        """Nothing, if nothing was found.

        Raises:
            Leak: something was; names kinds and places.
        """
        if not self._hits:
            return
        kinds = ", ".join(sorted({hit.kind for hit in self._hits}))
        raise Leak(
            f"the result still holds what should be gone: {kinds}",
            places=tuple(dict.fromkeys(hit.place for hit in self._hits)),
            cure="give the column a stricter treatment, or clear it if what was found is no identifier",
        )

    def scan(self, table: str, batch: pa.RecordBatch) -> None:
        """Search one treated batch: distinct texts, days, numbers, names, labels, and which columns there are."""
        who = cache(lambda: self._who(table, batch))
        for name, value in (batch.schema.metadata or {}).items():
            self.scan_text(f"{name.decode('utf-8', 'replace')} {value.decode('utf-8', 'replace')}", Place(table))
        for field, array in zip(batch.schema, batch.columns, strict=True):
            place = Place(table, field.name)
            planned = self._plan.get((table, field.name))
            if planned is None or planned.act is Act.REMOVE:
                self._hit(NOT_PLANNED, place)
                continue
            self.scan_text(field.name, place)
            for value in (field.metadata or {}).values():
                self.scan_text(value.decode("utf-8", "replace"), place)
            if ColumnRef(table, field.name) not in self._allowed:
                self._cells(array, field, place, planned, who)

    def _cells(
        self, array: pa.Array, field: pa.Field, place: Place, planned: ColumnPlan, who: Callable[[], Positions]
    ) -> None:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        as_it_is = planned.act is Act.KEEP and self._study[place.table].subject_key is not None
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            self._texts(_distinct(array), place, planned.act, as_it_is=as_it_is)
        elif pa.types.is_temporal(kind) and not self._dates_leave:
            days, present = dates.arrow_days(array)
            self._search_days(pa.array(days[present]).unique().to_numpy(), place, as_it_is=as_it_is)
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
            form = (field.metadata or {}).get(b"format", b"").decode("utf-8", "replace")
            if as_it_is and not self._dates_leave and _DATE_FORMAT.match(form):
                self._hit(DATE, place)
            if planned.act is Act.KEEP and self._pseudonyms is not None and not pa.types.is_dictionary(field.type):
                for found in self._numbers.look(array, who, place, dates=not self._dates_leave):
                    self._hit(found, place)

    def scan_text(self, text: str, place: Place) -> None:
        """Search one short text that is no cell: a label, a column's name, a file name."""
        for tokens in (self._known.long, self._known.short):
            for found in tokens.find(text, loose=True):
                self._hit(found.entry, place)
        self._search_phrases([text], place)
        if not self._dates_leave:
            self._search_dates([text], place)

    def scan_document(self, text: str, place: Place, *, own_days: Collection[int] = frozenset()) -> None:
        """Search a page of words and counts, or the head of a file: for what tells by itself, for a `701` is a count.

        own_days: days the document speaks of by itself (its date, those of the rules it cites).
        """
        for found in self._known.long.find(text, loose=True):
            self._hit(found.entry, place)
        self._search_phrases([text], place)
        if not self._dates_leave:
            self._search_dates([text], place, own_days)

    def scan_moves(self, shifts: Days, others: Sequence[Days] = ()) -> None:
        """Search the secret shifts of this release, and those of other projects: all in the order of the subjects."""
        if self._secret:
            for kind in (*moves.shared(shifts, self._groups), *moves.repeated(shifts, others)):
                self._hit(kind, Place("dates"))

    def see_moves(self, table: str, before: pa.RecordBatch, after: pa.RecordBatch) -> None:
        """Read the shifts off a batch before and after until every subject's is known; and who is at which site."""
        roster = self._study[table].domain in ONE_ROW_EACH
        if self._pseudonyms is None or self._study[table].subject_key is None or not (roster or self._secret):
            return
        if self._observed.complete and not roster:
            return
        who = self._who(table, after)
        for column in self._study[table].columns:
            if column.name not in before.schema.names:
                continue
            array = before.column(column.name)
            if roster and column.role is Role.QUASI and column.handling is Handling.RECODE:
                held = self._groups.setdefault(column.name, np.full(len(self._subjects), -1, dtype=np.int64))
                known_rows = who >= 0
                texts = cells.encode(array)
                codes = np.array([hash(text) & 0xFFFFFFFF for text in texts.texts()] + [-1], dtype=np.int64)
                held[who[known_rows]] = codes[texts.codes][known_rows]
            elif self._plan_act(table, column.name) is Act.SHIFT and column.name in after.schema.names:
                self._observed.see(array, after.column(column.name), who)

    def judge_moves(self, shifts: Days) -> None:
        """Search the secret shifts once more, now that sites are known, and those read off the release itself."""
        self.scan_moves(shifts)
        self.scan_moves(self._observed.shifts)

    def _plan_act(self, table: str, column: str) -> Act | None:
        planned = self._plan.get((table, column))
        return planned.act if planned else None

    def _who(self, table: str, batch: pa.RecordBatch) -> Positions:
        """Whose row each is, by pseudonym; -1 where it is nobody's."""
        key = self._study[table].subject_key
        if key is None or key not in batch.schema.names or self._pseudonyms is None:
            return np.full(batch.num_rows, AMBIGUOUS, dtype=np.int32)
        coded = cells.encode(batch.column(key))
        found = pc.fill_null(pc.index_in(coded.values, value_set=self._pseudonyms), AMBIGUOUS)
        places = np.append(found.to_numpy(zero_copy_only=False), AMBIGUOUS).astype(np.int32)
        who: Positions = places[coded.codes]
        return who

    def _texts(self, values: pa.Array, place: Place, act: Act, *, as_it_is: bool) -> None:
        column = self._study[place.table][place.column]
        if len(self._known.long):
            self._search(known.picked(values, self._known.long_shape).to_pylist(), self._known.long, place)
        is_id = _is_id(column, act)
        stand_ins = self._study.options.text_replacement is Replacement.SURROGATE
        invented = act is Act.SURROGATE or (act is Act.REDACT and stand_ins)
        if len(self._known.words) and not invented and (is_id or column.role is Role.FREE_TEXT):
            self._search_words(values.to_pylist(), place)
        if len(self._known.short):
            self._search_short(known.picked(values, self._known.short_shape), place, is_id=is_id)
        if column.role is not Role.FREE_TEXT:
            texts = narratives.long_texts(values)
            self._search_phrases([text for text in texts if not narratives.is_label(place.column, text)], place)
        if not self._dates_leave:
            days, complete = isodates.complete_days(values)
            self._search_days(days[complete], place, as_it_is=as_it_is)
            rest = values.filter(pa.array(~complete))
            self._search_dates(known.picked(rest, _DATE_LIKE).to_pylist(), place)

    def _search_short(self, candidates: pa.Array, place: Place, *, is_id: bool) -> None:
        if len(candidates) and not is_id:
            finding = pc.match_substring_regex(candidates, FINDING)
            if place not in self._near and any(
                any(self._known.short.find(text)) for text in candidates.filter(finding).to_pylist()
            ):
                self._near.setdefault(place)
            candidates = candidates.filter(pc.invert(finding))
        self._search(candidates.to_pylist(), self._known.short, place)

    def _search(self, texts: Iterable[str], tokens: Tokens, place: Place) -> None:
        for text in texts:
            for found in tokens.find(text):
                self._hit(found.entry, place)

    def _search_words(self, texts: Iterable[str], place: Place) -> None:
        """Names of one word, but for words that a steward lets stand in this column."""
        let_stand = self._study.options.allowed(place.table, place.column)
        for text in texts:
            for found in self._known.words.find(text):
                if spelling(text[found.start : found.end]) not in let_stand:
                    self._hit(found.entry, place)

    def _search_phrases(self, texts: Iterable[str], place: Place) -> None:
        if len(self._told) and any(self._told.told_in(text) for text in texts):
            self._hit(PHRASE, place)

    def _search_days(self, days: Days, place: Place, *, as_it_is: bool) -> None:
        """Any original day is one too many: what is shifted lies a century off. A kept column's days are original."""
        if np.isin(days, self._days).any() or (as_it_is and ((days >= _LIFETIMES[0]) & (days <= _LIFETIMES[1])).any()):
            self._hit(DATE, place)

    def _search_dates(self, texts: Iterable[str], place: Place, but: Collection[int] = frozenset()) -> None:
        if not len(self._days):
            return
        meant = {day for text in texts for _, _, days in DateWords.find(text) for day in days}
        if meant and np.isin(np.array(sorted(meant.difference(but)), dtype=np.int64), self._days).any():
            self._hit(DATE, place)

    def _hit(self, kind: str, place: Place) -> None:
        self._hits.setdefault(Hit(kind, place))


def _is_id(column: Column, act: Act) -> bool:
    """Whether a cell that is one number could be an id, for ids are what the column holds."""
    return act in _REWRITTEN or column.role is Role.DIRECT or column.handling is Handling.RECODE


def _distinct(array: pa.Array) -> pa.Array:
    """The values a column lists, also those that no row uses."""
    values = array.dictionary if pa.types.is_dictionary(array.type) else array.unique()
    return values.drop_null().cast(pa.string())
