"""The study that is released: made in a process of its own, so that its memory is measured too."""

from pathlib import Path

from gateway.demo.large import write_large_lab


def make_study(folder: str, rows: int, subjects: int) -> None:
    """Write dm.parquet and lb.parquet into `folder`."""
    write_large_lab(Path(folder), rows=rows, subjects=subjects)
