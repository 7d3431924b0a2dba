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
    """A study in the catalogue. `categories` are the kinds of data (`health`, `genomic`), for the rules.

    `circles` are groups of projects whose recipients a steward takes for one: what one of them holds, all may.
    """

    id: str
    title: str
    categories: tuple[str, ...]
    approvers: int
    version: DatasetVersion
    circles: tuple[tuple[str, ...], ...] = ()

    def beside(self, project: str) -> frozenset[str]:
        """The projects whose recipients may hold what this one's do: itself, its circles, and circles of those."""
        found, before = frozenset({project}), frozenset[str]()
        while found != before:
            before = found
            found = found.union(*(circle for circle in self.circles if found & set(circle)))
        return found
