"""Damaged tiles written again from the database, once the database has reproduced the signed root."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, select

from gateway.audit import files, tables
from gateway.audit.faults import LogBroken
from gateway.audit.leaves import as_bytes
from gateway.audit.merkle import Frontier, leaf_hash
from gateway.audit.notes import VerifierKey
from gateway.audit.sequencing import BATCH, FILES_AT_ONCE, published_checkpoint
from gateway.audit.tiles import Edge


def rebuild(engine: Engine, log_dir: Path, key: VerifierKey) -> list[str]:
    """Write missing and damaged tiles and bundles of the published tree again; returns their paths.

    Damaged partial tiles of older checkpoints are removed; the tile that grew out of them stands in for them.
    Signs nothing. Raises LogBroken when the checkpoint is missing or not of `key`, or when the database does not
    hash to its root: then the folder is the evidence, and is left alone.
    """
    with files.locked(log_dir), tables.reading(engine) as connection:
        checkpoint = published_checkpoint(log_dir, key)
        if checkpoint is None:
            raise LogBroken(
                "the log folder has no checkpoint to rebuild to",
                cure="restore `checkpoint` from a copy; or, if the database is known to be the newest, run the "
                "sequencer, which publishes it anew",
            )
        frontier = Frontier()
        for leaf in _leaves(connection, checkpoint.size):
            frontier.append(leaf_hash(leaf))
        if (frontier.size, frontier.root()) != (checkpoint.size, checkpoint.root):
            raise LogBroken(
                f"the database does not hash to the signed root of {checkpoint.size} events; nothing was rebuilt",
                cure="run the audit verification to locate the changed rows, then restore the right database",
            )
        edge, written = Edge(), list[str]()
        for leaf in _leaves(connection, checkpoint.size):
            edge.append(leaf)
            if len(edge.files) > FILES_AT_ONCE:
                written += _mend(log_dir, edge.files)
                edge.files.clear()
        written += _mend(log_dir, edge.files | edge.partials())
        # Older partial tiles are not needed: the tile that grew out of them stands in for them.
        for path in files.strange_partials(log_dir):
            (log_dir / path).unlink()
            written.append(path)
        return written


def _mend(log_dir: Path, made: dict[str, bytes]) -> list[str]:
    damaged = {path: data for path, data in made.items() if files.read(log_dir, path) != data}
    for path, data in damaged.items():
        files.replace(log_dir, path, data)
    return list(damaged)


def _leaves(connection: Connection, size: int) -> Iterator[bytes]:
    event = tables.event
    query = select(event.c.leaf).where(event.c.idx >= 0, event.c.idx < size).order_by(event.c.idx)
    with connection.execute(query, execution_options={"yield_per": BATCH}) as rows:
        for (leaf,) in rows:
            yield as_bytes(leaf)
