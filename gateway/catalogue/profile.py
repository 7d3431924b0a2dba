"""The profile of a table: shapes and shares of its columns, gathered in one stream of its rows.

A profile holds no value of the study, and what it shows to people holds no count below 11.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gateway.catalogue import shapes
from gateway.catalogue.shapes import IdSet
from pseudonymization.columns import Kind

SMALL = 11
"""The smallest count that is shown (Health Canada PRCI and CMS both stop at 11)."""
DISTINCT_LIMIT = 20_000
SAMPLE = 2_000
"""Distinct values of a batch that are looked at once a column has shown `DISTINCT_LIMIT`."""
_YEARS = range(1900, 2101)


class TableLike(Protocol):
    """What a profile needs of a table; `gateway.formats.TableFile` is one."""

    @property
    def name(self) -> str:
        """The table's name."""
        ...

    @property
    def label(self) -> str:
        """The table's label, or the empty string."""
        ...

    @property
    def domain(self) -> str:
        """The SDTM domain, or the name."""
        ...

    @property
    def schema(self) -> pa.Schema:
        """Columns with `label` in their metadata."""
        ...

    @property
    def rows(self) -> int:
        """How many rows there are."""
        ...

    def batches(self, columns: Sequence[str] | None = None, batch_rows: int = ...) -> Iterator[Any]:
        """The rows as Arrow record batches."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class ColumnProfile:
    """One column. Shares are of its distinct values (of a sample past 20,000); `missing` is of its rows.

    iso: an ISO 8601 date or part of one; dated: a date somewhere inside; ids: a subject's id inside; is_id: nothing
    but a subject's id; email, phone, titled, person, country, prose, number: of that form. whole: numbers without a
    fraction. years, compact: whole numbers that could be a calendar year, or a date as YYYYMMDD. longest: in
    characters. per_subject: one value for each subject (None without subjects).
    """

    name: str
    kind: Kind
    rows: int
    missing: float
    distinct: int
    per_subject: bool | None
    longest: int
    iso: float = 0.0
    dated: float = 0.0
    ids: float = 0.0
    is_id: float = 0.0
    email: float = 0.0
    phone: float = 0.0
    titled: float = 0.0
    person: float = 0.0
    country: float = 0.0
    prose: float = 0.0
    number: float = 0.0
    whole: bool = False
    years: bool = False
    compact: bool = False

    @property
    def empty(self) -> bool:
        """No row holds a value."""
        return self.distinct == 0

    @property
    def coded(self) -> bool:
        """Short values, often repeated, of no telling form: a code list, flags, plain numbers."""
        if self.kind is not Kind.TEXT:
            return True
        named = self.person >= 0.5 and self.distinct > 15
        return not self.telling and not named and self.prose <= 0.2 and self.longest <= 60

    @property
    def short_list(self) -> bool:
        """At most 15 values of at most 40 characters, of no telling form: a code list whose terms may be phrases."""
        return self.kind is not Kind.TEXT or (not self.telling and self.distinct <= 15 and self.longest <= 40)

    @property
    def telling(self) -> bool:
        """A value holds a subject's id, a date, an address, a phone number or a person with a title."""
        return bool(self.ids or self.dated or self.email or self.phone or self.titled)

    def shown(self) -> dict[str, str | bool]:
        """The profile as people see it: counts below 11 unsaid, shares in words."""
        held = {
            name: _share(getattr(self, name))
            for name in ("missing", "iso", "dated", "ids", "email", "phone", "titled", "person", "country", "prose")
            if getattr(self, name) > 0
        }
        facts: dict[str, str | bool] = {"kind": str(self.kind), "distinct": _count(self.distinct), **held}
        if self.per_subject is not None:
            facts["per_subject"] = self.per_subject
        return facts

    def __repr__(self) -> str:
        return f"ColumnProfile({self.name}, {self.shown()})"


@dataclass(frozen=True, slots=True)
class TableProfile:
    """One table: its columns' profiles, and the column that says whose row it is, if one does.

    `qualified` are the profiles of QVAL of a SUPP-- table for each variable that QNAM names; `domains` the distinct
    values of DOMAIN (of RDOMAIN in a SUPP-- table), which are one unless tables were put together that do not belong
    together.
    """

    name: str
    domain: str
    label: str
    rows: int
    subject_key: str | None
    columns: tuple[ColumnProfile, ...]
    labels: tuple[str, ...]
    qualified: tuple[ColumnProfile, ...] = ()
    domains: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> ColumnProfile:
        return next(column for column in self.columns if column.name == name)

    def __contains__(self, name: str) -> bool:
        return any(column.name == name for column in self.columns)


def _count(number: int) -> str:
    if number == 0:
        return "none"
    if number < SMALL:
        return f"fewer than {SMALL}"
    return f"{number}" if number < DISTINCT_LIMIT else f"{DISTINCT_LIMIT} or more"


def _share(share: float) -> str:
    """A share in words, coarse enough that no count can be worked out from it."""
    steps = ((0.999, "all"), (0.9, "nearly all"), (0.5, "most"), (0.1, "some"))
    return next((word for least, word in steps if share >= least), "few")


def kind_of(arrow: pa.DataType) -> Kind:
    """How values of an Arrow type are stored, in the engine's words."""
    if pa.types.is_date(arrow):
        return Kind.DATE
    if pa.types.is_timestamp(arrow):
        return Kind.TIMESTAMP
    plain = arrow.value_type if pa.types.is_dictionary(arrow) else arrow
    return Kind.NUMBER if pa.types.is_integer(plain) or pa.types.is_floating(plain) else Kind.TEXT


@dataclass(slots=True)
class _Column:
    """What has been seen of one column so far."""

    kind: Kind
    ids: IdSet
    missing: int = 0
    longest: int = 0
    judged: int = 0
    seen: set[Any] = field(default_factory=set)
    forms: dict[str, int] = field(default_factory=dict)
    whole: bool = True
    years: bool = True
    compact: bool = True
    per_subject: bool = True
    first: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def add(self, values: pa.Array, subjects: npt.NDArray[np.int64] | None, known: int) -> None:
        """Take in one batch; `subjects` are subject numbers per row, below `known`."""
        coded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
        codes = coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False)
        used = np.bincount(codes, minlength=len(coded.dictionary) + 1)
        words = [*coded.dictionary.to_pylist(), None]
        blank = np.array([word in {None, ""} or (isinstance(word, float) and math.isnan(word)) for word in words])
        self.missing += int(used[blank].sum())
        present = np.flatnonzero((used > 0) & ~blank)
        if len(self.seen) >= DISTINCT_LIMIT:
            present = present[:: max(1, len(present) // SAMPLE)]
        for code in present.tolist():
            self._judge(words[code])
        if subjects is not None and self.per_subject:
            hashes = np.array([0 if gone else hash(word) for gone, word in zip(blank, words, strict=True)])
            self._compare(subjects, hashes[codes], known)

    def _judge(self, word: Any) -> None:
        """Take in one distinct value, once as long as there is room to remember it."""
        if word in self.seen:
            return
        if len(self.seen) < DISTINCT_LIMIT:
            self.seen.add(word)
        self.judged += 1
        if self.kind is Kind.NUMBER:
            self.whole = self.whole and float(word).is_integer()
            self.years = self.years and self.whole and int(word) in _YEARS
            self.compact = self.compact and self.whole and _is_compact(int(word))
        if self.kind is not Kind.TEXT:
            return
        self.longest = max(self.longest, len(word))
        for name, holds in _forms(word, self.ids):
            if holds:
                self.forms[name] = self.forms.get(name, 0) + 1

    def _compare(self, subjects: npt.NDArray[np.int64], hashes: npt.NDArray[np.int64], known: int) -> None:
        """Whether each subject still has one value; 1 more than the hash marks a subject as seen."""
        if len(self.first) < known:
            grown = np.full(known, np.iinfo(np.int64).min, dtype=np.int64)
            grown[: len(self.first)] = self.first
            self.first = grown
        fresh = self.first[subjects] == np.iinfo(np.int64).min
        self.first[subjects[fresh]] = hashes[fresh]
        self.per_subject = bool((self.first[subjects] == hashes).all())

    def profile(self, name: str, rows: int, *, subjects: bool) -> ColumnProfile:
        """The profile of all that was seen."""
        shares = {form: count / self.judged for form, count in self.forms.items()}
        numbers = self.kind is Kind.NUMBER and self.judged > 0
        return ColumnProfile(
            name=name,
            kind=self.kind,
            rows=rows,
            missing=self.missing / rows if rows else 0.0,
            distinct=len(self.seen),
            per_subject=self.per_subject if subjects and rows else None,
            longest=self.longest,
            whole=numbers and self.whole,
            years=numbers and self.years,
            compact=numbers and self.compact,
            **shares,
        )


def _forms(word: str, ids: IdSet) -> Iterator[tuple[str, bool]]:
    """Which forms a text has."""
    bare = word.strip()
    iso = shapes.ISO_DATE.match(bare) is not None
    yield "iso", iso
    yield "dated", (iso and len(bare) > 4) or shapes.DATE_INSIDE.search(bare) is not None
    yield "ids", ids.inside(bare)
    yield "is_id", ids.is_id(bare)
    yield "email", shapes.EMAIL.search(bare) is not None
    yield "phone", not iso and shapes.PHONE.search(bare) is not None
    yield "titled", shapes.TITLED.search(bare) is not None
    yield "person", shapes.is_person(bare)
    yield "country", shapes.is_country(bare)
    yield "number", shapes.NUMBER.match(bare) is not None
    yield "prose", shapes.is_prose(bare)


def _is_compact(number: int) -> bool:
    year, rest = divmod(number, 10_000)
    return year in _YEARS and 1 <= rest // 100 <= 12 and 1 <= rest % 100 <= 31


def profile(table: TableLike, subject_key: str | None, ids: IdSet) -> TableProfile:
    """The profile of one table, from one stream of its rows. Memory is bounded by distinct values and subjects.

    `subject_key` names the column that says whose row it is, if one does; `ids` are the ids of all subjects.
    """
    columns = {f.name: _Column(kind_of(f.type), ids) for f in table.schema}
    qualified: dict[str, _Column] = {}
    numbers: dict[str, int] = {}
    for batch in table.batches():
        subjects = _numbered(batch.column(subject_key), numbers) if subject_key else None
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            columns[name].add(values, subjects, len(numbers))
        if columns.keys() >= {"QNAM", "QVAL"}:
            _qualify(qualified, batch.column("QNAM"), batch.column("QVAL"), ids)
    by_subject = subject_key is not None
    done = tuple(column.profile(name, table.rows, subjects=by_subject) for name, column in columns.items())
    labels = tuple((f.metadata or {}).get(b"label", b"").decode() for f in table.schema)
    parts = tuple(qualified[name].profile(name, table.rows, subjects=False) for name in sorted(qualified))
    domains = _domains(table)
    return TableProfile(table.name, table.domain, table.label, table.rows, subject_key, done, labels, parts, domains)


def _qualify(found: dict[str, _Column], names: pa.Array, values: pa.Array, ids: IdSet) -> None:
    """Take in a batch of qualifier values, each with the variable that its row names."""
    texts = values.cast(pa.string())
    for name in pc.unique(names.cast(pa.string())).to_pylist():
        if name:
            rows = texts.filter(pc.equal(names.cast(pa.string()), name))
            found.setdefault(name, _Column(Kind.TEXT, ids)).add(rows, None, 0)


def _domains(table: TableLike) -> tuple[str, ...]:
    """The domains that a table's own rows name. RELREC and CO relate records of several domains and name one."""
    names = set(table.schema.names)
    column = "DOMAIN" if "DOMAIN" in names else "RDOMAIN" if names >= {"RDOMAIN", "QNAM"} else ""
    return tuple(sorted(distinct_texts(table, column))) if column else ()


def _numbered(keys: pa.Array, numbers: dict[str, int]) -> npt.NDArray[np.int64]:
    """Subject numbers per row, in order of first sight."""
    coded = keys if pa.types.is_dictionary(keys.type) else keys.dictionary_encode()
    words = [str(word) for word in coded.dictionary.to_pylist()]
    table = np.array([numbers.setdefault(word, len(numbers)) for word in [*words, ""]], dtype=np.int64)
    found: npt.NDArray[np.int64] = table[coded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)]
    return found


def distinct_texts(table: TableLike, column: str) -> set[str]:
    """The distinct values of a column as texts; whole numbers without a fraction. For subject ids only."""
    found: set[str] = set()
    for batch in table.batches([column]):
        values = batch.column(0)
        plain = values.dictionary if pa.types.is_dictionary(values.type) else values
        found.update(text for text in pc.unique(plain.cast(pa.string())).to_pylist() if text)
    return found


SUBJECT_KEYS = (
    "USUBJID", "SUBJID", "SUBJECT", "SUBJECT_ID", "SUBJECTID", "PATIENT_ID", "PATIENTID", "PATID", "PTID", "PATIENT",
    "PARTICIPANT_ID", "PARTICIPANTID", "PERSON_ID", "SCRNUM", "ID",
)  # fmt: skip
"""Names of the column that says whose row it is, best first."""
_ID_COLUMNS = frozenset({"USUBJID", "SUBJID"})


def subject_key_of(table: TableLike) -> str | None:
    """The column that says whose row it is, by its name; None for a trial-level table."""
    named = {name.upper(): name for name in table.schema.names}
    return next((named[key] for key in SUBJECT_KEYS if key in named), None)


def profile_study(tables: Sequence[TableLike]) -> tuple[TableProfile, ...]:
    """The profiles of all tables of a study. The subjects' ids come from the subject table, else from every table."""
    keys = {table.name: subject_key_of(table) for table in tables}
    listing = [table for table in tables if table.domain in {"DM", "ADSL"}] or list(tables)
    found: set[str] = set()
    for table in listing:
        for name in table.schema.names:
            if name == keys[table.name] or name.upper() in _ID_COLUMNS:
                found |= distinct_texts(table, name)
    ids = IdSet(found)
    return tuple(profile(table, keys[table.name], ids) for table in tables)
