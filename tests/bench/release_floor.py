"""The least a release of one table can cost: read its Parquet, write zstd Parquet into a pipe, seal with age.

No treatment, no policy, no log: what is left is reading, encoding and encrypting. Statistics are not written and
a row group is one batch of 500,000 rows, as in a release, so that the floor is as low as the libraries allow.
`python -m tests.bench.release_floor SOURCE SEALED RECIPIENT`.
"""

import os
import sys
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pyrage

ROWS_PER_GROUP = 500_000
_BUFFER = 1 << 20


def release_floor(source: str, sealed: str, recipient: str) -> None:
    """Seal the rows of a Parquet file to one X25519 recipient (`age1…`); plain bytes are only ever in the pipe."""
    key = pyrage.x25519.Recipient.from_str(recipient)
    receiving, sending = os.pipe()
    faults: list[BaseException] = []
    sealing = threading.Thread(target=_seal, args=(receiving, sealed, key, faults))
    sealing.start()
    try:
        _write(source, sending)
    finally:
        sealing.join()
    if faults:
        raise faults[0]


def _write(source: str, sending: int) -> None:
    with (
        os.fdopen(sending, "wb", buffering=_BUFFER) as pipe,
        pq.ParquetFile(source) as table,
        pq.ParquetWriter(pipe, table.schema_arrow, compression="zstd", write_statistics=False) as writer,
    ):
        for batch in table.iter_batches(batch_size=ROWS_PER_GROUP):
            writer.write_batch(batch, row_group_size=ROWS_PER_GROUP)


def _seal(receiving: int, sealed: str, key: pyrage.x25519.Recipient, faults: list[BaseException]) -> None:
    try:
        with os.fdopen(receiving, "rb", buffering=_BUFFER) as pipe, Path(sealed).open("wb") as file:
            pyrage.encrypt_io(pipe, file, [key])
    except Exception as fault:  # noqa: BLE001 it is raised again by the thread that waits
        faults.append(fault)


if __name__ == "__main__":
    release_floor(*sys.argv[1:])
