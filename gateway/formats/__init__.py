"""Tables in and out: SAS XPORT, SAS7BDAT, CSV and Parquet as streams of Arrow batches."""

from gateway.formats.folder import (
    FileSource,
    Folder,
    Skipped,
    content_digest,
    digest,
    digests,
    open_table,
    scan,
)
from gateway.formats.tables import BATCH_ROWS, TableFile
from gateway.formats.writers import TableWriter, writer

__all__ = [
    "BATCH_ROWS",
    "FileSource",
    "Folder",
    "Skipped",
    "TableFile",
    "TableWriter",
    "content_digest",
    "digest",
    "digests",
    "open_table",
    "scan",
    "writer",
]
