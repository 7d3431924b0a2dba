"""A dataset: a study that stands in the catalogue, and its versions."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """One version: the hash of content and column file together.

    `path` is where the source files stand (they are never copied); `content` the SHA-256 over them; `column_file`
    the canonical text of the column file; `unresolved` how many columns still wait for a steward.
    """

    id: str
    dataset: str
    path: str
    content: str
    column_file: str
    unresolved: int
    created: datetime


@dataclass(frozen=True, slots=True)
class Dataset:
    """A study in the catalogue. `categories` are the kinds of data (`health`, `genomic`), for the rules."""

    id: str
    title: str
    categories: tuple[str, ...]
    approvers: int
    version: DatasetVersion
