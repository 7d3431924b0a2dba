"""Medical terms: which few subjects hold, which are sensitive, and what becomes of them; how far verbatims are coded.

The columns of one term stand and fall together: `AETERM`, `AELLT`, `AEDECOD` and their codes are emptied in a row whose
preferred term must not leave, and `AEDECOD` takes the next higher term of the row that enough subjects hold.
A death is such a rare event too: its marks (`DTHFL`, `AESDTH`, `DSDECOD`, `AEOUT`, `DTHDTC`) fall together.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from pseudonymization import cells
from pseudonymization.cells import Flags
from pseudonymization.columns import Role, Source, Study, Table
from pseudonymization.faults import Place
from pseudonymization.wordings import RareTerms

_RANKS: Mapping[str, int] = {
    "TERM": 0, "TRT": 0, "MODIFY": 0, "LLT": 0, "LLTCD": 0, "LLTN": 0, "DECOD": 0, "PTCD": 0, "DECODN": 0,
    "HLT": 1, "HLTCD": 1, "HLGT": 2, "HLGTCD": 2,
    "BODSYS": 3, "BDSYCD": 3, "SOC": 3, "SOCCD": 3, "CLAS": 3, "CLASCD": 3,
}  # fmt: skip
"""How high in its hierarchy a column stands (MedDRA: preferred term, HLT, HLGT, SOC; WHODrug: drug, class)."""

_VERBATIM = ("TERM", "TRT")
_LADDER = ("HLT", "HLGT", "BODSYS", "SOC", "CLAS")
_NO_MEDICINE = frozenset({"DS", "DC", "EX", "EC", "SE"})
"""Prefixes whose DECOD is a study's own: disposition, treatment, elements."""
_ALL = 9
_CHANGING = frozenset({RareTerms.UP, RareTerms.BLANK})
UNCODED = frozenset({"", "uncoded", "not coded", "uncodable", "not codable", "unknown", "un-coded"})
DEATH = "death"
"""The item that stands for all marks of a death."""

_DEATH_MARKS: tuple[tuple[re.Pattern[str], frozenset[str] | None], ...] = (
    (re.compile(r"DTH\w*FL|..SDTH"), frozenset({"y"})),
    (re.compile(r"(DS|DC)(DECOD|S?REAS\w*)|DDTEST\w*"), frozenset({"death", "died"})),
    (re.compile(r"..OUT"), frozenset({"fatal"})),
    (re.compile(r"DTH(DTC|DT|DY|CAUS|ADY|DOM\w*)|LDDTHELD|LDDTHGR\d"), None),
)
"""Columns that mark a death, and by which of their values; None: by any."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far a verbatim column is coded: `share` of its filled rows whose coded twin holds a term."""

    verbatim: Place
    coded: str
    share: float


@dataclass(frozen=True, slots=True)
class Item:
    """One term that a steward may have to decide: where it stands, the term, and why it is listed. Never logged."""

    prefix: str
    term: str = field(repr=False)
    rare: bool
    sensitive: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """The columns of one term in one table: `key` holds the preferred term, `ranks` how high each column stands."""

    table: str
    prefix: str
    key: str
    ranks: Mapping[str, int]


@dataclass(slots=True)
class Survey:
    """What was counted: per prefix, level and term its subjects; per prefix and preferred term the terms above it."""

    families: tuple[Family, ...]
    holders: dict[tuple[str, str, str], set[str]] = field(default_factory=dict, repr=False)
    above: dict[tuple[str, str], dict[str, Counter[str]]] = field(default_factory=dict, repr=False)
    dead: set[str] = field(default_factory=set, repr=False)
    marks: dict[Place, frozenset[str] | None] = field(default_factory=dict)


class Sensitive:
    """The list of sensitive terms: says by which of its entries a term is sensitive."""

    def __init__(self, entries: Mapping[str, Sequence[str]]) -> None:
        """`entries`: a name, and starts of words (case folded) by which a term is told."""
        self._entries = {
            name: re.compile("|".join(rf"\b{re.escape(start.casefold())}" for start in starts))
            for name, starts in entries.items()
            if starts
        }

    def entry(self, term: str) -> str:
        """The name of the entry that the term falls under; empty if none."""
        folded = term.casefold()
        return next((name for name, pattern in self._entries.items() if pattern.search(folded)), "")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a row with a preferred term: columns below `rank` are emptied, the key says `label` instead."""

    rank: int
    label: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is done to terms in one release.

    outcomes: by prefix and preferred term. levels: higher terms that few subjects hold or that are sensitive, by
    prefix, level and term; their cells are emptied wherever nobody decided to keep the row's term (`kept`).
    emptied: marks of deaths, by table and column. open: what a steward has yet to decide.
    """

    families: Mapping[str, tuple[Family, ...]] = field(default_factory=dict)
    outcomes: Mapping[tuple[str, str], Outcome] = field(default_factory=dict, repr=False)
    levels: frozenset[tuple[str, str, str]] = field(default=frozenset(), repr=False)
    kept: frozenset[tuple[str, str]] = field(default=frozenset(), repr=False)
    emptied: Mapping[tuple[str, str], frozenset[str] | None] = field(default_factory=dict)
    open: tuple[Item, ...] = ()

    def schema(self, table: str, treated: pa.Schema) -> pa.Schema:
        """The treated table's schema: what may be emptied may hold nulls, what is lifted has its own width."""
        own = self.families.get(table, ())
        lifted = {family.key for family in own}
        touched = {name for family in own for name in family.ranks}
        touched |= {name for name in treated.names if (table, name) in self.emptied}
        fields = [one.with_nullable(nullable=True) if one.name in touched else one for one in treated]
        return pa.schema([_relabelled(one) if one.name in lifted else one for one in fields])

    def apply(
        self, table: str, original: pa.RecordBatch, treated: pa.RecordBatch
    ) -> tuple[pa.RecordBatch, Counter[str]]:
        """The treated batch with terms lifted or emptied, and the number of rows changed per column.

        `original` holds the same rows before treatment, in the same order.
        """
        changed = Counter[str]()
        arrays = dict(zip(treated.schema.names, treated.columns, strict=True))
        for family in self.families.get(table, ()):
            if family.key in original.schema.names:
                self._lift(family, original, arrays, changed)
        for name, array in list(arrays.items()):
            if (table, name) in self.emptied and name in original.schema.names:
                gone = _holds(original.column(name), self.emptied[table, name])
                arrays[name] = _without(array, gone)
                changed[name] += int(gone.sum())
        schema = self.schema(table, treated.schema)
        cast = [arrays[one.name].cast(one.type) for one in schema]
        return pa.RecordBatch.from_arrays(cast, schema=schema), +changed

    def _lift(
        self, family: Family, original: pa.RecordBatch, arrays: dict[str, pa.Array], changed: Counter[str]
    ) -> None:
        coded = cells.encode(original.column(family.key))
        texts = coded.texts()
        outcomes = [self.outcomes.get((family.prefix, fold(text))) for text in texts]
        ranks = np.array([outcome.rank if outcome else 0 for outcome in outcomes] + [0], dtype=np.int8)[coded.codes]
        kept = np.array([*((family.prefix, fold(text)) in self.kept for text in texts), False])[coded.codes]
        few = {rank: gone & ~kept for rank, gone in self._few(family, original).items()}
        for name, rank in family.ranks.items():
            if name not in arrays:
                continue
            gone = (ranks > rank) | few.get(rank, False) & (name != family.key)
            changed[name] += int(gone.sum())
            if name == family.key and ranks.any():
                labels = [outcome.label if outcome else text for outcome, text in zip(outcomes, texts, strict=True)]
                arrays[name] = cells.relabel(coded, labels)
            elif gone.any():
                arrays[name] = _without(arrays[name], gone)

    def _few(self, family: Family, original: pa.RecordBatch) -> dict[int, Flags]:
        """Per rank, the rows whose term of that level must not leave, whatever the term below it is."""
        found: dict[int, Flags] = {}
        for suffix in _LADDER:
            name = f"{family.prefix}{suffix}"
            if name == family.key or name not in original.schema.names:
                continue
            terms = cells.encode(original.column(name))
            flags = [(family.prefix, suffix, fold(text)) in self.levels for text in terms.texts()]
            gone = np.array([*flags, False], dtype=np.bool_)[terms.codes]
            found[_RANKS[suffix]] = found.get(_RANKS[suffix], np.False_) | gone
        return found


def _relabelled(column: pa.Field) -> pa.Field:
    """A field that keeps its label and loses its width and format: a higher term may be longer."""
    label = (column.metadata or {}).get(b"label")
    return column.with_metadata({b"label": label} if label else None)


def fold(term: str) -> str:
    """A term as it is counted: cases and outer blanks do not tell terms apart."""
    return term.strip().casefold()


def _without(array: pa.Array, gone: Flags) -> pa.Array:
    """The column with nulls where a cell must go."""
    return cells.pruned(array.take(pa.array(np.arange(len(array)), mask=gone)))


def _holds(array: pa.Array, values: frozenset[str] | None) -> Flags:
    """Which rows hold one of these values (folded), or any value."""
    coded = cells.encode(array)
    flags = [values is None or fold(text) in values for text in coded.texts()]
    return np.array([*flags, False], dtype=np.bool_)[coded.codes]


def families(study: Study) -> tuple[Family, ...]:
    """The term columns of every table of subjects that holds a preferred term or one above it."""
    return tuple(_families(study))


def _families(study: Study) -> Iterator[Family]:
    for table in study.tables:
        found: dict[str, dict[str, int]] = {}
        for column in table.columns:
            prefix, suffix = column.name[:2], column.name[2:]
            if suffix in _RANKS and prefix not in _NO_MEDICINE and table.subject_key:
                found.setdefault(prefix, {})[column.name] = _RANKS[suffix]
        for prefix, ranks in found.items():
            key = next((f"{prefix}{s}" for s in ("DECOD", "LLT", *_LADDER) if f"{prefix}{s}" in ranks), "")
            if key:
                yield Family(table.name, prefix, key, ranks)


def survey(study: Study, source: Source) -> Survey:
    """Count the subjects of every term, and find the terms above it, by one streamed pass over the term columns."""
    found = Survey(families(study))
    for table in study.tables:
        own = [family for family in found.families if family.table == table.name]
        marks = _marks(table)
        found.marks.update({Place(table.name, name): values for name, values in marks.items()})
        if table.subject_key is None or not (own or marks):
            continue
        upper = {f"{family.prefix}{suffix}" for family in own for suffix in _LADDER}
        wanted = [table.subject_key, *(c.name for c in table.columns if c.name in upper | marks.keys())]
        wanted += [family.key for family in own if family.key not in wanted]
        for batch in source.batches(table.name, wanted):
            who = cells.encode(batch.column(table.subject_key))
            for family in own:
                _count(found, family, batch, who)
            for name, values in marks.items():
                held = _holds(batch.column(name), values)
                texts = who.texts()
                found.dead.update(texts[at] for at in np.unique(who.codes[held & (who.codes >= 0)]))
    return found


def _marks(table: Table) -> dict[str, frozenset[str] | None]:
    """The columns of a table that mark a death, as far as they may leave; a date says one only in a table of them."""
    return {
        column.name: values
        for pattern, values in _DEATH_MARKS
        for column in table.columns
        if pattern.fullmatch(column.name) and column.role is not Role.DIRECT
    }


def _count(found: Survey, family: Family, batch: pa.RecordBatch, who: cells.Coded) -> None:
    names = [n for n in (family.key, *(f"{family.prefix}{s}" for s in _LADDER)) if n in batch.schema.names]
    columns = {name: cells.encode(batch.column(name)) for name in dict.fromkeys(names)}
    people = who.texts()
    for name, column in columns.items():
        terms = [fold(text) for text in column.texts()]
        level = "" if name == family.key else name[2:]
        pairs = np.unique(np.stack([column.codes, who.codes]), axis=1)
        for term, person in zip(*pairs.tolist(), strict=True):
            if term >= 0 and person >= 0:
                found.holders.setdefault((family.prefix, level, terms[term]), set()).add(people[person])
    key = columns[family.key]
    keys = [fold(text) for text in key.texts()]
    for name, column in columns.items():
        if name == family.key:
            continue
        texts = column.texts()
        pairs, times = np.unique(np.stack([key.codes, column.codes]), axis=1, return_counts=True)
        for term, upper, count in zip(*pairs.tolist(), times.tolist(), strict=True):
            if term >= 0 and upper >= 0:
                up = found.above.setdefault((family.prefix, keys[term]), {}).setdefault(name[2:], Counter())
                up[texts[upper]] += count


def decide(
    counted: Survey,
    rule: RareTerms,
    below: int,
    sensitive: Sensitive,
    decided: Mapping[tuple[str, str], RareTerms] | None = None,
) -> Terms:
    """What becomes of every rare or sensitive term: as a steward `decided` it (by prefix and term), else by the rule.

    A term is rare if fewer than `below` subjects hold it. Under `review`, what nobody has decided is in `open`, and the
    terms must not be applied.
    """
    chosen = decided or {}
    by_table: dict[str, list[Family]] = {}
    for family in counted.families:
        by_table.setdefault(family.table, []).append(family)
    outcomes: dict[tuple[str, str], Outcome] = {}
    waiting: list[Item] = []
    for item in listed(counted, below, sensitive):
        choice = chosen.get((item.prefix, item.term), rule)
        if choice is RareTerms.REVIEW:
            waiting.append(item)
        elif choice is not RareTerms.KEEP and item.prefix:
            outcomes[item.prefix, item.term] = _outcome(counted, item, choice, below, sensitive)
    emptied: dict[tuple[str, str], frozenset[str] | None] = {}
    rare_deaths = 0 < len(counted.dead) < below
    if rare_deaths and chosen.get(("", DEATH), rule) in _CHANGING:
        emptied = {(place.table, place.column): values for place, values in counted.marks.items()}
    levels = {
        (prefix, level, term)
        for (prefix, level, term), people in counted.holders.items()
        if level and (len(people) < below or sensitive.entry(term))
    }
    return Terms(
        families={name: tuple(own) for name, own in by_table.items()},
        outcomes=outcomes,
        levels=frozenset(() if rule is RareTerms.KEEP else levels),
        kept=frozenset(at for at, choice in chosen.items() if choice is RareTerms.KEEP),
        emptied=emptied,
        open=tuple(waiting),
    )


def listed(counted: Survey, below: int, sensitive: Sensitive) -> Iterator[Item]:
    """Every term that is rare or sensitive, and the deaths, if they are few."""
    for (prefix, level, term), people in sorted(counted.holders.items()):
        if level or term in UNCODED:
            continue
        entry, rare = sensitive.entry(term), len(people) < below
        if rare or entry:
            places = tuple(Place(f.table, f.key) for f in counted.families if f.prefix == prefix)
            yield Item(prefix, term, rare, entry, places)
    if 0 < len(counted.dead) < below:
        yield Item("", DEATH, rare=True, sensitive=DEATH, places=tuple(counted.marks))


def _outcome(counted: Survey, item: Item, choice: RareTerms, below: int, sensitive: Sensitive) -> Outcome:
    """The lowest term above that enough subjects hold and that is not sensitive; nothing of it is left if none is."""
    above = counted.above.get((item.prefix, item.term), {})
    for suffix in _LADDER:
        terms = above.get(suffix)
        if not terms or len(terms) > 1:
            continue
        [upper] = terms
        held = counted.holders.get((item.prefix, suffix, fold(upper)), set())
        if len(held) >= below and not sensitive.entry(upper):
            return Outcome(_RANKS[suffix], upper if choice is RareTerms.UP else "")
    return Outcome(_ALL)


def coverage(study: Study, source: Source) -> tuple[Coverage, ...]:
    """How far every verbatim column (--TERM, --TRT) is coded in its twin, where the table has one."""
    found = []
    for table in study.tables:
        names = {column.name for column in table.columns}
        for column in table.columns:
            coded = f"{column.name[:2]}DECOD"
            if column.name[2:] not in _VERBATIM or column.role is not Role.FREE_TEXT or coded not in names:
                continue
            filled = both = 0
            for batch in source.batches(table.name, [column.name, coded]):
                said = _holds(batch.column(column.name), None)
                twin = cells.encode(batch.column(coded))
                known = np.array([*(fold(text) not in UNCODED for text in twin.texts()), False])[twin.codes]
                filled, both = filled + int(said.sum()), both + int((said & known).sum())
            if filled:
                found.append(Coverage(Place(table.name, column.name), coded, both / filled))
    return tuple(found)
