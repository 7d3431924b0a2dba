"""A study seen as one row per subject: coded quasi-identifiers, and the distinct rows with their weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pseudonymization import ages, cells
from pseudonymization.columns import Column, Role, Source, Study
from pseudonymization.faults import Place, Unresolved
from pseudonymization.hierarchies import MISSING, Ladder

IntArray = npt.NDArray[np.int32]
Codes = npt.NDArray[np.int32]
_MANY = 1 << 62


def spelled(array: Any) -> tuple[IntArray, list[str]]:
    """An Arrow array as (index per row, the texts that occur), spelled as everywhere (`cells.canonical`)."""
    coded = cells.encode(array)
    missing, texts = coded.codes == cells.MISSING, coded.texts()
    if not missing.any():
        return coded.codes, texts
    return np.where(missing, np.int32(len(texts)), coded.codes), [*texts, MISSING]


@dataclass(frozen=True, slots=True, eq=False)
class ClassTable:
    """One row per subject.

    subjects: n ids, in order of first sight. names: the q quasi-identifiers. codes: n × q int32, each code naming an
    entry of `sets`. domains: per name the values that occur. sets: per name and code, the domain codes of the
    subject's values (mostly one; several where tables or rows differ). rows: m × q, the distinct rows of `codes`;
    weights: subjects per distinct row (int64); of: per subject its distinct row.
    """

    subjects: tuple[str, ...]
    names: tuple[str, ...]
    codes: Codes
    domains: tuple[tuple[str, ...], ...]
    sets: tuple[tuple[tuple[int, ...], ...], ...]
    rows: Codes
    weights: npt.NDArray[np.int64]
    of: npt.NDArray[np.int64]

    def counts(self, name: str) -> tuple[int, ...]:
        """Subjects per domain value; one who has several values counts for each."""
        at = self.names.index(name)
        held = np.bincount(self.codes[:, at], minlength=len(self.sets[at]))
        found = [0] * len(self.domains[at])
        for members, count in zip(self.sets[at], held.tolist(), strict=True):
            for member in members:
                found[member] += count
        return tuple(found)

    def lifted(self, ladders: Mapping[str, Ladder]) -> tuple[Ladder, ...]:
        """The ladders in the order of `names`, over the codes of this table.

        Raises:
            Unresolved: a quasi-identifier has no ladder, or the ladder is over another domain.
        """
        found = []
        for name, domain, sets in zip(self.names, self.domains, self.sets, strict=True):
            if name not in ladders:
                raise Unresolved(f"`{name}` has no hierarchy", cure="name one in the column file")
            ladder = ladders[name] if ladders[name].domain == domain else ladders[name].restricted(domain)
            found.append(ladder.over(sets))
        return tuple(found)


def distinct(columns: Sequence[npt.NDArray[Any]], sizes: Sequence[int]) -> tuple[npt.NDArray[np.int64], ...]:
    """Rows alike in all columns. Returns (first row of each group, group of each row).

    sizes: the number of codes of each column. Codes are packed into one integer; columns whose product of sizes
    passes 2⁶² are first made dense.
    """
    count = len(columns[0]) if columns else 0
    key, span = np.zeros(count, dtype=np.int64), 1
    for column, size in zip(columns, sizes, strict=True):
        if span * max(1, size) >= _MANY:
            found, key = np.unique(key, return_inverse=True)
            key, span = key.astype(np.int64), len(found)
        key *= size
        key += column
        span *= max(1, size)
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    return first.astype(np.int64), group.astype(np.int64)


def table_of(
    subjects: Sequence[str],
    names: Sequence[str],
    codes: Codes,
    domains: Sequence[Sequence[str]],
    sets: Sequence[Sequence[tuple[int, ...]]] | None = None,
) -> ClassTable:
    """A class table from codes already made; without `sets`, each code is its own value."""
    if sets is None:
        sets = [[(at,) for at in range(len(domain))] for domain in domains]
    columns = [codes[:, at] for at in range(len(names))]
    first, group = distinct(columns, [len(s) for s in sets]) if len(names) else _one_group(len(subjects))
    weights = np.bincount(group, minlength=len(first)).astype(np.int64)
    return ClassTable(
        subjects=tuple(subjects),
        names=tuple(names),
        codes=codes,
        domains=tuple(tuple(domain) for domain in domains),
        sets=tuple(tuple(s) for s in sets),
        rows=np.ascontiguousarray(codes[first]),
        weights=weights,
        of=group,
    )


def _one_group(count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return np.zeros(min(1, count), dtype=np.int64), np.zeros(count, dtype=np.int64)


@dataclass(slots=True)
class _Attribute:
    """What has been seen of one quasi-identifier: one value per subject, and pairs for those who have more."""

    place: dict[str, int] = field(default_factory=dict)
    first: npt.NDArray[np.int32] = field(default_factory=lambda: np.full(1024, -1, dtype=np.int32))
    more: set[tuple[int, int]] = field(default_factory=set)

    def add(self, subjects: npt.NDArray[np.int64], values: IntArray, texts: Sequence[str], count: int) -> None:
        recode = np.array([self.place.setdefault(text, len(self.place)) for text in texts], dtype=np.int64)
        if count > len(self.first):
            grown = np.full(max(count, 2 * len(self.first)), -1, dtype=np.int32)
            grown[: len(self.first)] = self.first
            self.first = grown
        pairs = np.unique((subjects << 32) | recode[values])
        who, what = pairs >> 32, (pairs & 0xFFFFFFFF).astype(np.int32)
        new = self.first[who] < 0
        self.first[who[new]] = what[new]
        other = self.first[who] != what
        if other.any():
            self.more.update(zip(who[other].tolist(), what[other].tolist(), strict=True))

    def finish(self, count: int) -> tuple[Codes, tuple[str, ...], list[tuple[int, ...]]]:
        """(set code per subject, domain in sorted order, domain codes of each set)."""
        seen = (
            self.first[:count]
            if count <= len(self.first)
            else np.pad(self.first, (0, count - len(self.first)), constant_values=-1)
        )
        if (seen < 0).any():
            seen = np.where(seen < 0, self.place.setdefault(MISSING, len(self.place)), seen)
        texts = list(self.place)
        order = sorted(range(len(texts)), key=texts.__getitem__)
        rank = np.empty(len(texts), dtype=np.int32)
        rank[order] = np.arange(len(texts), dtype=np.int32)
        codes = rank[seen]
        used = np.unique(codes)
        several: dict[int, set[int]] = {}
        for who, what in self.more:
            several.setdefault(who, {int(codes[who])}).add(int(rank[what]))
        kept = sorted({*used.tolist(), *(member for members in several.values() for member in members)})
        dense = {code: at for at, code in enumerate(kept)}
        sets: dict[tuple[int, ...], int] = {(at,): at for at in range(len(kept))}
        coded = np.array([dense.get(code, -1) for code in range(len(texts))], dtype=np.int32)[codes]
        for who in sorted(several):
            members = tuple(sorted(dense[member] for member in several[who]))
            coded[who] = sets.setdefault(members, len(sets))
        return coded, tuple(texts[order[code]] for code in kept), list(sets)


def build(study: Study, source: Source, tables: Sequence[str] | None = None, *, roster: str = "") -> ClassTable:
    """Stream the study's tables (or those named) into one row per subject.

    Quasi-identifiers are collected from every table; one name is one attribute. A subject with several values of one
    attribute has the set of them; one with none has the missing value. Every subject of every table counts, also
    of tables without quasi-identifiers. Memory grows with distinct subjects and values, not with rows.

    `roster` names a table that is known to list every subject of the others, where there is one: then tables without
    quasi-identifiers have nothing to tell and are not read.

    Raises:
        Unresolved: no subject at all, a row without a subject id, or ages whose units nobody spelled out.
    """
    chosen = [table for table in study.tables if tables is None or table.name in tables]
    names = [
        n for n, refs in study.quasi_identifiers().items() if any(r.table in {t.name for t in chosen} for r in refs)
    ]
    attributes = {name: _Attribute() for name in names}
    ids: dict[str, int] = {}
    for table in chosen:
        key = table.subject_key
        here = table.with_role(Role.QUASI)
        inside = [column for column in table.columns if any(part.role is Role.QUASI for part in column.qualifiers)]
        known = roster in {each.name for each in chosen} and table.name != roster
        if key is None or (known and not here and not inside):
            continue
        units = {c.name: unit for c in here if (unit := ages.unit_column(table, c))}
        needed = [key, *units.values(), *(c.name for c in here), *(name for c in inside for name in (c.by, c.name))]
        for batch in source.batches(table.name, [*dict.fromkeys(needed)]):
            rows, texts = spelled(batch.column(batch.schema.get_field_index(key)))
            if MISSING in texts:
                where = (Place(table.name, key),)
                cure = "give each row its subject, or leave the table out"
                raise Unresolved("a row has no subject id", places=where, cure=cure)
            for name, unit in units.items():
                held = [batch.column(batch.schema.get_field_index(each)) for each in (name, unit)]
                ages.check_united(Place(table.name, unit), *held)
            places = np.array([ids.setdefault(text, len(ids)) for text in texts], dtype=np.int64)
            subjects = places[rows] if here or inside else places
            for column in here:
                values, words = spelled(batch.column(batch.schema.get_field_index(column.name)))
                attributes[column.attribute].add(subjects, values, words, len(ids))
            for column in inside:
                _add_qualified(attributes, column, batch, subjects, len(ids))
    if not ids:
        raise Unresolved("the study holds no subject", cure="check the subject keys and the row filter")
    done = [attributes[name].finish(len(ids)) for name in names]
    codes = np.stack([d[0] for d in done], axis=1) if done else np.zeros((len(ids), 0), dtype=np.int32)
    return table_of(list(ids), names, codes, [d[1] for d in done], [d[2] for d in done])


def _add_qualified(
    attributes: Mapping[str, _Attribute],
    column: Column,
    batch: Any,
    subjects: npt.NDArray[np.int64],
    count: int,
) -> None:
    """Take in the quasi-identifiers among the qualifiers of a SUPP-- table, each with the attribute that it follows."""
    named = cells.encode(batch.column(batch.schema.get_field_index(column.by)))
    values, words = spelled(batch.column(batch.schema.get_field_index(column.name)))
    for code, name in enumerate(named.texts()):
        part = next((part for part in column.qualifiers if part.name == name), None)
        if part is not None and part.role is Role.QUASI:
            rows = named.codes == code
            attributes[part.attribute].add(subjects[rows], values[rows], words, count)
