"""The measurement of a finished result, put together from what each table contributed."""

import struct
from dataclasses import dataclass

import pyarrow as pa

from gateway.crypto import at_rest
from gateway.release.attacking import Gathered
from gateway.release.work import Work
from pseudonymization import ages
from pseudonymization.measure import Collector, Measured, Qualified
from pseudonymization.plan import Act, Plan

_SIZE = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class Collected:
    """What the judge needs of the tables: what an attacker can see of each subject, and what the attacks start from."""

    seen: Collector
    gathered: Gathered

    def add(self, table: str, treated: pa.RecordBatch, original: pa.RecordBatch) -> None:
        """Take in one batch as it leaves, and as it was."""
        treated, original = ages.united(treated), ages.united(original)
        self.seen.add(table, treated)
        self.gathered.add(table, treated, original)

    def contribution(self) -> bytes:
        """What was collected so far, to be stored sealed with the finished table and absorbed later."""
        parts = self.seen.contribution(), self.gathered.before.to_bytes(), self.gathered.after.to_bytes()
        return b"".join(_SIZE.pack(len(part)) + part for part in parts)

    def absorb(self, contribution: bytes) -> None:
        """Take in what a table of this release contributed."""
        parts, at = [], 0
        while at < len(contribution):
            (size,) = _SIZE.unpack_from(contribution, at)
            parts.append(contribution[at + _SIZE.size : at + _SIZE.size + size])
            at += _SIZE.size + size
        seen, before, after = parts
        self.seen.absorb(seen)
        self.gathered.before.absorb(before)
        self.gathered.after.absorb(after)


def collector(work: Work, plan: Plan) -> Collected:
    """A collector for the result of this release: its quasi-identifiers, and each table's subject column."""
    quasi = dict.fromkeys(c.column for c in plan.columns if c.act is Act.GENERALIZE)
    inside: dict[str, list[Qualified]] = {}
    for column in plan.columns:
        described = work.whole[column.table][column.column]
        for part in column.parts:
            if part.act is Act.GENERALIZE:
                attribute = described.qualifier(part.column).attribute
                quasi[attribute] = None
                found = Qualified(described.by, part.column, column.column, attribute)
                inside.setdefault(column.table, []).append(found)
    subjects = {c.table: c.column for c in plan.columns if c.act is Act.PSEUDONYM}
    key = work.gateway.keys.derive(f"measure/{work.release.id}")
    return Collected(Collector(quasi, subjects, qualified=inside, key=key), Gathered.begin(work, plan))


def context(work: Work, table: str) -> str:
    """What binds a stored contribution to its release and table."""
    return f"contribution/{work.release.id}/{table}"


def of_tables(work: Work, plan: Plan) -> tuple[Measured, Gathered]:
    """The risk over all tables that stand sealed, and what the attacks start from."""
    collected = collector(work, plan)
    key = work.gateway.keys.derive("at-rest")
    for name, table in work.gateway.store.release_tables(work.release.id).items():
        collected.absorb(at_rest.unseal(table.contribution, key, context(work, name)))
    return collected.seen.measure(plan.safeguards.attempt), collected.gathered
