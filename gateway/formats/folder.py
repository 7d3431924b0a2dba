"""A study as a folder of table files: which files are tables, what was skipped and why, and their digests."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import overload

import pyarrow as pa

from gateway.errors import Invalid, NotFound
from gateway.formats import parquet, sas7bdat, xport
from gateway.formats.delimited import open_delimited
from gateway.formats.fields import is_text
from gateway.formats.parquet import open_parquet
from gateway.formats.sas7bdat import open_sas7bdat
from gateway.formats.tables import BATCH_ROWS, TableFile, table_name
from gateway.formats.xport import open_xport

OPENERS: Mapping[str, Callable[[Path], TableFile]] = MappingProxyType(
    {
        ".xpt": open_xport,
        ".sas7bdat": open_sas7bdat,
        ".parquet": open_parquet,
        ".csv": open_delimited,
    }
)
_MAGIC: Mapping[str, bytes] = MappingProxyType(
    {".xpt": xport.MAGIC, ".sas7bdat": sas7bdat.MAGIC, ".parquet": parquet.MAGIC}
)
_MOST_OPENED = 256
_TABLES = "XPORT (.xpt), SAS7BDAT (.sas7bdat), CSV (.csv) or Parquet (.parquet)"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file of the folder that is not read, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Folder(Sequence[TableFile]):
    """The tables of a folder in order of name, and what lies beside them."""

    path: Path
    tables: tuple[TableFile, ...]
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.tables)

    @overload
    def __getitem__(self, index: int) -> TableFile: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[TableFile, ...]: ...

    def __getitem__(self, index: int | slice) -> TableFile | tuple[TableFile, ...]:
        return self.tables[index]

    def table(self, name: str) -> TableFile:
        """The table of this name.

        Raises:
            NotFound: there is none.
        """
        for table in self.tables:
            if table.name == name:
                return table
        raise NotFound(f"no table `{name}`", place=self.path.name, cure="look at the study's tables")


def open_table(path: Path) -> TableFile:
    """The table in one file: `.xpt`, `.sas7bdat`, `.csv` or `.parquet`.

    Raises:
        Invalid: no table format, wrong extension, empty, truncated or corrupt; names the file, never a value.
    """
    if not path.is_file():
        raise NotFound("no such file", place=path.name, cure="check the path")
    found = path.stat()
    return _opened(path, found.st_mtime_ns, found.st_size, found.st_ino)


@lru_cache(maxsize=_MOST_OPENED)
def _opened(path: Path, _changed: int, _size: int, _inode: int) -> TableFile:
    """What a file says of itself is read once, for as long as the file is the same; rows are not kept."""
    ending = path.suffix.lower()
    if ending not in OPENERS:
        raise Invalid("not a table format that is read", place=path.name, cure=f"store it as {_TABLES}")
    with path.open("rb") as file:
        start = file.read(32)
    if not start:
        raise Invalid("the file is empty", place=path.name, cure="copy or export the file again")
    actual = next((kind for kind, magic in _MAGIC.items() if start.startswith(magic)), None)
    if actual is not None and actual != ending:
        raise Invalid(
            f"the content is {actual[1:]}, the extension says {ending[1:]}",
            place=path.name,
            cure=f"rename the file to end in {actual}",
        )
    if ending in _MAGIC and actual is None:
        raise Invalid(
            f"the content is not {ending[1:]}",
            place=path.name,
            cure="give the file the extension of its format, or export it again",
        )
    return OPENERS[ending](path)


def scan(path: Path) -> Folder:
    """The tables of a folder, or of one file. Other files are skipped and listed.

    A folder without a table of its own is taken as several packages of one study (SDTM beside ADaM): the folders in it
    are searched too, one level down. Any other folder's subfolders are not entered.

    Raises:
        NotFound: no such path.
        Invalid: no table at all, a table that cannot be read, two files for one table name.
    """
    if path.is_file():
        return Folder(path, (open_table(path),))
    paths, skipped = _sort_out(path)
    taken: dict[str, Path] = {}
    for file in paths:
        name = table_name(file)
        if name in taken:
            raise Invalid(
                f"two files hold table `{name}`",
                place=f"{taken[name].name}, {file.name}",
                cure="keep one file for each table",
            )
        taken[name] = file
    if not taken:
        raise Invalid("the folder holds no tables", place=path.name, cure=f"add tables as {_TABLES}")
    tables = [open_table(taken[name]) for name in sorted(taken)]
    return Folder(path, tuple(_agree(tables)), tuple(skipped))


def _agree(tables: Sequence[TableFile]) -> Iterator[TableFile]:
    """The tables, CSV columns read as text where a column of the same name is text in another table.

    CSV declares no types: ids that happen to be `1015` everywhere in one table and `0007` somewhere in another
    would otherwise no longer join.
    """
    texts = {column.name for table in tables for column in table.schema if is_text(column.type)}
    for table in tables:
        numbers = {column.name for column in table.schema if not is_text(column.type)}
        clash = numbers & texts if table.format == "csv" else set()
        yield open_delimited(table.path, clash) if clash else table


def _sort_out(path: Path) -> tuple[list[Path], list[Skipped]]:
    """The table files of a folder, or else of the folders in it; and the rest with a reason."""
    if not path.is_dir():
        raise NotFound("no such folder", place=path.name, cure="check the path")
    paths, skipped = _sorted_out(path)
    if paths:
        return paths, skipped
    inner = [entry for entry in sorted(path.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
    kept = [one for one in skipped if one.name not in {f"{entry.name}/" for entry in inner}]
    for entry in inner:
        found, left = _sorted_out(entry)
        paths += found
        kept += [Skipped(f"{entry.name}/{one.name}", one.why) for one in left]
    return (paths, kept) if paths else (paths, skipped)


def _sorted_out(path: Path) -> tuple[list[Path], list[Skipped]]:
    paths: list[Path] = []
    skipped: list[Skipped] = []
    for entry in sorted(path.iterdir()):
        if entry.is_dir():
            skipped.append(Skipped(f"{entry.name}/", "a folder inside the folder"))
        elif entry.name.startswith("."):
            skipped.append(Skipped(entry.name, "a hidden file"))
        elif entry.suffix.lower() in OPENERS:
            paths.append(entry)
        elif entry.suffix.lower() in {".gz", ".zip", ".bz2", ".xz", ".zst"}:
            skipped.append(Skipped(entry.name, "compressed: unpack it first if it holds a table"))
        else:
            skipped.append(Skipped(entry.name, "not a table"))
    return paths, skipped


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(path: Path) -> dict[str, str]:
    """SHA-256 of each table file in a folder (or of one file), by table name. Opens no table."""
    paths = [path] if path.is_file() else _sort_out(path)[0]
    return {table_name(file): digest(file) for file in paths}


def content_digest(by_table: Mapping[str, str]) -> str:
    """SHA-256 over all tables: lines of `digest  NAME` in order of name, so that file order plays no part."""
    lines = "".join(f"{by_table[name]}  {name}\n" for name in sorted(by_table))
    return hashlib.sha256(lines.encode()).hexdigest()


class FileSource:
    """The rows of a study in a folder, as `pseudonymization.columns.Source` asks for them."""

    def __init__(self, folder: Folder | Path, *, batch_rows: int = BATCH_ROWS) -> None:
        self.folder = scan(folder) if isinstance(folder, Path) else folder
        self._batch_rows = batch_rows

    def batches(self, table: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Stream one table, all columns or those named, as record batches in file order.

        Raises:
            NotFound: no such table.
            Invalid: no such column, or a file that can no longer be read.
        """
        return self.folder.table(table).batches(columns, self._batch_rows)
