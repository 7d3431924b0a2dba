"""The measurement of a finished result, put together from what each table contributed."""

from gateway.crypto import at_rest
from gateway.release.work import Work
from pseudonymization.measure import Collector, Measured, Qualified
from pseudonymization.plan import Act, Plan


def collector(work: Work, plan: Plan) -> Collector:
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
    return Collector(quasi, subjects, qualified=inside, key=work.gateway.keys.derive(f"measure/{work.release.id}"))


def context(work: Work, table: str) -> str:
    """What binds a stored contribution to its release and table."""
    return f"contribution/{work.release.id}/{table}"


def of_tables(work: Work, plan: Plan) -> Measured:
    """The risk over all tables that stand sealed."""
    collected = collector(work, plan)
    key = work.gateway.keys.derive("at-rest")
    for name, table in work.gateway.store.release_tables(work.release.id).items():
        collected.absorb(at_rest.unseal(table.contribution, key, context(work, name)))
    return collected.measure(plan.safeguards.attempt)
