"""Step 2, treat: the plan is run batch by batch, and each table is sealed as it streams out.

Plaintext of the result exists only in memory and in a pipe. A table that stands sealed is noted with its digests and
its contribution to the measurement (keyed digests, sealed to the gateway), so that a killed release goes on with the
next table. A hit of the leak scan stops the release.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from gateway.crypto import at_rest, recipients
from gateway.crypto.sealing import Sealed, Sealer
from gateway.domain.actor import SYSTEM
from gateway.domain.event import Event, EventKind
from gateway.domain.release import ReleaseTable, Step
from gateway.formats import Folder, scan, writer
from gateway.release import analyst, measuring, scanning, shelf, words
from gateway.release.measuring import Collected
from gateway.release.work import Work
from gateway.storage.jobs import Hold
from pseudonymization import deidentify, order, treat
from pseudonymization.deidentify import Prepared
from pseudonymization.faults import Place
from pseudonymization.leaks import Scanner
from pseudonymization.plan import Act, Plan
from pseudonymization.terms import Terms
from pseudonymization.treat import Lookups, Tally

SMALLEST_SHOWN = 11
ENDINGS = {"parquet": ".parquet", "csv": ".csv", "xport": ".xpt"}


@dataclass(frozen=True, slots=True)
class Bench:
    """What lies ready while tables are treated. Rows are counted over all tables, for progress."""

    work: Work
    plan: Plan
    lookups: Lookups
    terms: Terms
    scanner: Scanner
    roster: analyst.Roster | None
    folder: Folder
    staging: Path
    total_rows: int


def treat_tables(work: Work, prepared: Prepared, scanner: Scanner) -> Work:
    """Treat and seal every table that does not stand sealed yet.

    Raises:
        Unreadable: a date does not parse. Leak: the result holds what should be gone.
    """
    bench = _bench(work, prepared, scanner)
    bench.scanner.scan_moves(bench.lookups.shifts[:-1], scanning.other_shifts(work, prepared))
    bench.scanner.verdict()
    standing = work.gateway.store.release_tables(work.release.id)
    names, done = _leaving(bench.plan), 0
    for name in names:
        if name not in standing:
            _store(bench, name, _table(bench, name, done), done)
        done += bench.folder.table(name).rows
    bench.scanner.judge_moves(bench.lookups.shifts[:-1])
    bench.scanner.verdict()
    cleared = sorted(work.whole.options.reasons())
    return work.store(
        Step.TREATED, {"tables": len(names), "cleared": cleared}, treated_at=work.gateway.now().isoformat()
    )


def _leaving(plan: Plan) -> Sequence[str]:
    """The tables of which something leaves; of a dropped one (comments) every column is removed."""
    kept = {column.table for column in plan.columns if column.act is not Act.REMOVE}
    return [name for name in deidentify.tables_of(plan) if name in kept]


def _bench(work: Work, prepared: Prepared, scanner: Scanner) -> Bench:
    looked_up = deidentify.lookups(prepared, work.whole, work.asked, work.key)
    folder = scan(Path(work.version.path))
    rows = sum(folder.table(name).rows for name in deidentify.tables_of(prepared.plan))
    return Bench(
        work,
        prepared.plan,
        looked_up,
        words.again(work, prepared.plan),
        scanner,
        analyst.roster_of(looked_up, work.source),
        folder,
        shelf.staging(work.gateway.settings.releases_folder, work.claim),
        max(1, rows),
    )


def _table(bench: Bench, name: str, done: int) -> ReleaseTable:
    """Stream one table from its file through the kernel, the scanner and the writer into the sealer."""
    work, table, planned = bench.work, bench.folder.table(name), bench.lookups.plan[name]
    wanted = [column for column in table.schema.names if column in planned]
    treated = treat.schema(bench.lookups, name, pa.schema([table.schema.field(column) for column in wanted]))
    treated = bench.terms.schema(name, treated)
    file = f"{name}{ENDINGS[work.request.terms.format]}.age"
    bench.scanner.scan_text(f"{name} {table.label}", Place(name))
    collected = measuring.collector(work, bench.plan)
    counted = _Counted(analyst.pictures(bench.lookups, name, bench.roster))
    with Sealer(bench.staging / file, recipients.parse(work.request.terms.keys)) as sealer:
        changed = [column for column in treated.names if planned[column].act is not Act.KEEP]
        edges: Any = scanning.Edges(sealer.stream)
        out = writer(work.request.terms.format, treated, edges, name=name, label=table.label, changed=changed)
        batches = _treated(bench, name, wanted, collected, counted, done)
        key = bench.lookups.study[name].subject_key
        for batch in order.by_pseudonym(batches, key, most_held=2 * work.gateway.settings.batch_rows, pruned=True):
            out.write(batch)
        out.close()
        bench.scanner.scan_document(edges.metadata(work.request.terms.format), Place(name))
        bench.scanner.verdict()
    sealed = work.gateway.keys.derive("at-rest")
    near = sorted(place.column for place in bench.scanner.near_misses if place.table == name)
    value = _value(name, file, treated, counted, sealer.sealed) | {"near_misses": near}
    contribution = at_rest.seal(collected.contribution(), sealed, measuring.context(work, name))
    return ReleaseTable(work.release.id, name, value, contribution)


@dataclass(slots=True)
class _Counted:
    """What adds up while a table streams by."""

    pictures: analyst.Pictures
    rows: int = 0
    read: int = 0
    tally: Tally = field(default_factory=Tally)
    lifted: Counter[str] = field(default_factory=Counter)


def _treated(
    bench: Bench, name: str, wanted: Sequence[str], collected: Collected, counted: _Counted, done: int
) -> Iterator[pa.RecordBatch]:
    """The treated batches of one table: each searched for leaks and measured before anything of it is written."""
    for batch in bench.work.source.batches(name, wanted):
        result = treat.treat_counted(bench.lookups, name, batch, counted.read)
        left, lifted = bench.terms.apply(name, batch, result.batch)
        bench.scanner.scan(name, left)
        bench.scanner.see_moves(name, batch, left)
        bench.scanner.verdict()
        collected.add(name, left, batch)
        counted.pictures.add(batch, left)
        counted.tally += result.tally
        counted.lifted += lifted
        counted.rows += left.num_rows
        counted.read += batch.num_rows
        bench.work.renew((done + counted.read) / bench.total_rows)
        yield left


def _value(name: str, file: str, treated: pa.Schema, counted: _Counted, sealed: Sealed) -> dict[str, Any]:
    """What the manifest says of a table. Flips and redactions are counted over rows, not over subjects."""
    return {
        "name": name,
        "file": file,
        "rows": counted.rows,
        "columns": treated.names,
        "plaintext": {"sha256": sealed.plain_sha256, "size": sealed.plain_size},
        "sealed": {"sha256": sealed.sealed_sha256, "size": sealed.sealed_size},
        "date_flips": {
            column: {what: protected(count) for what, count in asdict(flips).items()}
            for (_, column), flips in sorted(counted.tally.flips.items())
        },
        "study_days": {
            column: {what: protected(count) for what, count in asdict(checks).items()}
            for (_, column), checks in sorted(counted.tally.study_days.items())
        },
        "analyst": counted.pictures.finish(),
        "redacted": {
            f"{column}: {kind}": protected(n) for (_, column, kind), n in sorted(counted.tally.redacted.items())
        },
        "terms_changed": {column: protected(rows) for column, rows in sorted(counted.lifted.items())},
    }


def protected(count: int) -> int | str:
    """A count as it may be shown: from 1 to 10 only that it is small (11 is the usual smallest cell)."""
    return count if count == 0 or count >= SMALLEST_SHOWN else f"<{SMALLEST_SHOWN}"


def _store(bench: Bench, name: str, table: ReleaseTable, done: int) -> None:
    """Note that a table stands sealed, with its event, if the claim still holds."""
    work = bench.work
    share = (done + bench.folder.table(name).rows) / bench.total_rows
    told = [*table.value["redacted"].items(), *((f"{c}: term", n) for c, n in table.value["terms_changed"].items())]
    facts = {
        "step": "table",
        "table": name,
        "sealed_sha256": table.value["sealed"]["sha256"],
        "redacted": [f"{place}: {count}" for place, count in told],
    }
    event = Event(EventKind.RELEASE_STEP, SYSTEM.id, about=work.about, facts=facts)
    progressed = work.progressed(share)
    work.gateway.store.save(table, progressed, event=event, now=work.gateway.now(), job=Hold(work.claim))
