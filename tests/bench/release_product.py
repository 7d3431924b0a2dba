"""HOOK: the product's side of the release benchmark, `gateway release` of the same study to the same key."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """A prepared release: the command that is timed, its whole environment, and the sealed LB it leaves behind."""

    command: Sequence[str]
    sealed: Path
    environment: dict[str, str] = field(default_factory=dict)


def prepare_product(study: Path, work: Path, recipient: str) -> Run | None:
    """Set up a home in `work` (not timed: init, register, accept columns) and say what command releases `study`.

    `study` holds dm.parquet and lb.parquet. None means the product is not wired yet: only the floor is shown.
    A fresh `work` is handed in for every run.
    """
    del study, work, recipient
    return None
