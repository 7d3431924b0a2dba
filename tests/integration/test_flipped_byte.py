"""One byte is another, anywhere in a release or in the log: it is found, and the place is named."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway import audit
from gateway.client import package
from gateway.crypto import signing
from gateway.storage.database import open_database

SMALL = ("manifest.sig", "manifest.pub", "receipt.tlog-proof", "log.vkey")
LARGE = ("manifest.json", "report.html", "verify_log_proof.py", "DM.csv.age", "AE.csv.age")


@pytest.fixture(scope="module")
def releases(world: Any) -> dict[str, Path]:
    """Two releases of the same request, so that one can be passed off as the other."""
    given = {"tables": ["DM", "AE"], "format": "csv"}
    return {name: world.folder(world.released(**given)) for name in ("one", "two")}


@pytest.fixture
def folder(releases: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(releases["one"], tmp_path / "release"))


def problems(folder: Path) -> str:
    """What is found; empty if nothing is."""
    checked = package.verify(folder)
    assert checked.sound == (not checked.problems)
    return "\n".join(checked.problems)


@contextmanager
def altered(path: Path, content: bytes) -> Iterator[None]:
    """A file with other content for a moment."""
    before = path.read_bytes()
    assert content != before
    path.write_bytes(content)
    yield
    path.write_bytes(before)


def places(size: int, wanted: int) -> list[int]:
    """Byte positions: all of a small file; of a larger one the first, the last and some between."""
    return (
        list(range(size)) if size <= wanted else sorted({round(at * (size - 1) / wanted) for at in range(wanted + 1)})
    )


def test_the_release_as_it_was_made_is_sound_and_holds_these_files(folder: Path) -> None:
    assert problems(folder) == ""
    assert sorted(path.name for path in folder.iterdir()) == sorted((*SMALL, *LARGE))


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80])
def test_a_flipped_byte_is_found_and_its_file_is_named(folder: Path, name: str, mask: int) -> None:
    path = folder / name
    content = path.read_bytes()
    missed, unnamed = [], []
    for at in places(len(content), 300 if name in SMALL else 60):
        with altered(path, content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :]):
            found = problems(folder)
        missed += [] if found else [at]
        unnamed += [] if name in found else [at]
    assert (missed, unnamed) == ([], [])
    assert problems(folder) == ""


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_a_byte_too_few_or_too_many_is_found(folder: Path, name: str) -> None:
    path = folder / name
    content = path.read_bytes()
    changed = {
        "the last byte is gone": content[:-1],
        "half is gone": content[: len(content) // 2],
        "nothing is left": b"",
        "the first byte is gone": content[1:],
        "a newline more": content + b"\n",
        "a space more": content + b" ",
        "a newline before": b"\n" + content,
        "twice": content + content,
        "lines end otherwise": content.replace(b"\n", b"\r\n"),
        "a byte order mark": b"\xef\xbb\xbf" + content,
    }
    if name == "DM.csv.age" and b"\n" not in content:
        changed.pop("lines end otherwise")
    for what, other in changed.items():
        with altered(path, other):
            assert name in problems(folder), what


@pytest.mark.parametrize("name", ["manifest.sig", "manifest.pub", "receipt.tlog-proof"])
def test_base64_has_one_spelling(folder: Path, name: str) -> None:
    """The last letter before `=` has bits that decode to nothing; padding can be left out or doubled."""
    path = folder / name
    content = path.read_bytes()
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    ends = [at for at in range(1, len(content)) if content[at : at + 1] == b"=" and content[at - 1 : at] != b"="]
    assert ends
    for end in ends:
        for letter in letters:
            other = content[: end - 1] + bytes([letter]) + content[end:]
            if other != content:
                with altered(path, other):
                    assert name in problems(folder), chr(letter)
        for other in (content[:end] + content[end + 1 :], content[:end] + b"=" + content[end:]):
            with altered(path, other):
                assert name in problems(folder)


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_a_missing_file_is_found(folder: Path, name: str) -> None:
    (folder / name).unlink()
    if name == "manifest.json":
        with pytest.raises(Exception, match="holds no release"):
            package.verify(folder)
    else:
        assert name in problems(folder)


@pytest.mark.parametrize("name", ["extra.csv", ".hidden", "DM.csv", "manifest.json.bak"])
def test_a_file_too_many_is_found(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"x")
    assert f"{name}: not part of the release" in problems(folder)


def test_a_folder_too_many_is_found(folder: Path) -> None:
    (folder / "more").mkdir()
    assert "more: not part of the release" in problems(folder)


def test_swapped_files_are_found(folder: Path) -> None:
    one, two = folder / "DM.csv.age", folder / "AE.csv.age"
    content = one.read_bytes(), two.read_bytes()
    one.write_bytes(content[1])
    two.write_bytes(content[0])
    found = problems(folder)
    assert "DM.csv.age" in found
    assert "AE.csv.age" in found


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", "receipt.tlog-proof", "report.html", "DM.csv.age"])
def test_a_file_of_another_release_is_found(folder: Path, releases: dict[str, Path], name: str) -> None:
    shutil.copy(releases["two"] / name, folder / name)
    assert name in problems(folder)


def test_another_release_s_manifest_with_its_signature_is_found(folder: Path, releases: dict[str, Path]) -> None:
    for name in ("manifest.json", "manifest.sig", "manifest.pub"):
        shutil.copy(releases["two"] / name, folder / name)
    found = problems(folder)
    assert "receipt.tlog-proof: the receipt is of another release" in found
    assert "DM.csv.age" in found


def test_a_manifest_signed_anew_with_another_key_needs_another_log_too(folder: Path, world: Any) -> None:
    """Whoever makes keys of their own can sign an altered manifest; the log still says what was released."""
    content = (folder / "manifest.json").read_bytes().replace(b'"mode": "controlled"', b'"mode": "public"')
    key = Ed25519PrivateKey.generate()
    (folder / "manifest.json").write_bytes(content)
    (folder / "manifest.sig").write_text(signing.sign(content, key))
    (folder / "manifest.pub").write_text(signing.public_text(key.public_key()))
    assert "receipt.tlog-proof: the log holds another manifest" in problems(folder)
    own = signing.fingerprint(world.gateway.keys.manifest.public_key())
    assert any("another key than the trusted" in found for found in package.verify(folder, trusted=own).problems)


def test_the_command_says_which_file_and_exits_4(
    folder: Path, cli: Callable[..., Any], tmp_path: Path, world: Any
) -> None:
    assert cli(tmp_path / "none", "verify", folder).code == 0
    content = (folder / "DM.csv.age").read_bytes()
    (folder / "DM.csv.age").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    told = cli(tmp_path / "none", "verify", folder)
    assert (told.code, told.err.strip()) == (4, "DM.csv.age: altered or damaged; download it again")
    assert cli(tmp_path / "none", "verify", folder, "--json").answer["sound"] is False
    opened = cli(
        tmp_path / "none", "open", folder, "--identity", world.identities["researcher"], "--out", tmp_path / "o"
    )
    assert opened.code == 2
    assert "DM.csv.age" in opened.err
    assert not (tmp_path / "o").exists()
    assert not (tmp_path / "none").exists()


def other(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    if isinstance(value, int):
        return value + 1_000_000
    if value is None:
        return "x"
    return value[:-1] + ("x" if value[-1] != "x" else "y")


@dataclass(frozen=True)
class Log:
    """A copy of a log in which everything may be changed: SQLite file and folder."""

    database: Path
    folder: Path
    key: audit.VerifierKey

    def sound(self) -> bool:
        engine = open_database(f"sqlite:///{self.database}")
        found = audit.verify(engine, self.folder, [self.key])
        engine.dispose()
        return found.sound

    def rows(self, table: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and rows, `rowid` first."""
        with closing(sqlite3.connect(self.database)) as connection:
            found = connection.execute(f"SELECT rowid AS row, * FROM {table}")  # noqa: S608
            return [column[0] for column in found.description], found.fetchall()

    def run(self, statement: str, *values: Any) -> None:
        """What someone with the database's password does."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            assert connection.execute(statement, values).rowcount > 0


@pytest.fixture(scope="module")
def log(world: Any, releases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A log with all kinds of rows, all of them published."""
    assert releases
    world.gateway.publish()
    base = tmp_path_factory.mktemp("log")
    with world.gateway.store.engine.connect() as connection:
        connection.connection.driver_connection.execute("VACUUM INTO ?", (str(base / "copy.db"),))
    shutil.copytree(world.gateway.settings.log_folder, base / "log")
    return Log(base / "copy.db", base / "log", world.gateway.signer.verifier)


# The order of arrival, a column that the schema allows only one value of, and the time of the sequencer's last turn
# are no part of what was logged.
UNLOGGED = {("audit_event", "id"), ("audit_head", "id"), ("audit_head", "time")}
FEWEST = {"audit_event": 30, "audit_about": 30, "audit_personal": 5, "audit_head": 1}


@pytest.mark.parametrize("table", FEWEST)
def test_every_row_of_the_log_s_tables_is_guarded(log: Log, table: str) -> None:
    """Each row once, the columns in turn, so that each column is changed in many rows."""
    names, rows = log.rows(table)
    assert len(rows) >= FEWEST[table]
    guarded = [at for at, name in enumerate(names) if at and (table, name) not in UNLOGGED]
    missed = []
    for turn, row in enumerate(rows):
        for at in guarded if len(rows) < 10 else [guarded[turn % len(guarded)]]:
            change = f"UPDATE {table} SET {names[at]} = ? WHERE rowid = ?"  # noqa: S608
            log.run(change, other(row[at]), row[0])
            missed += [(names[at], turn)] if log.sound() else []
            log.run(change, row[at], row[0])
    assert missed == []
    assert log.sound()


@pytest.mark.parametrize("table", FEWEST)
def test_every_removed_row_of_the_log_is_found(log: Log, table: str) -> None:
    names, rows = log.rows(table)
    missed = []
    for row in rows[:: max(1, len(rows) // 25)]:
        log.run(f"DELETE FROM {table} WHERE rowid = ?", row[0])  # noqa: S608
        missed += [row[0]] if log.sound() else []
        marks = ", ".join("?" for _ in row)
        log.run(f"INSERT INTO {table} (rowid, {', '.join(names[1:])}) VALUES ({marks})", *row)  # noqa: S608
    assert missed == []
    assert log.sound()


def test_every_file_of_the_log_is_guarded(log: Log) -> None:
    files = [path for path in sorted(log.folder.rglob("*")) if path.is_file() and path.stat().st_size]
    assert len(files) >= 3
    missed = []
    for path in files:
        content, name = path.read_bytes(), path.relative_to(log.folder).as_posix()
        for at in places(len(content), 12):
            with altered(path, content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]):
                missed += [(name, at)] if log.sound() else []
    assert missed == []
    assert log.sound()


def test_every_missing_file_of_the_log_is_found(log: Log) -> None:
    """Partial tiles that a longer one has replaced may go (C2SP tlog-tiles); all else is needed."""
    files = [path for path in sorted(log.folder.rglob("*")) if path.is_file() and path.stat().st_size]
    newest = {
        path.parent: max(int(p.name) for p in files if p.parent == path.parent)
        for path in files
        if path.parent.suffix == ".p"
    }
    missed = []
    for path in files:
        if path.parent in newest and int(path.name) < newest[path.parent]:
            continue
        path.rename(path.with_suffix(".away"))
        missed += [path.relative_to(log.folder).as_posix()] if log.sound() else []
        path.with_suffix(".away").rename(path)
    assert missed == []
    assert log.sound()


def test_the_command_says_sound_of_a_sound_log(world: Any, cli: Callable[..., Any]) -> None:
    told = cli(world.home, "audit", "verify", "--json")
    assert (told.code, told.answer["sound"], told.answer["findings"]) == (0, True, [])


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_event SET actor = 'x' WHERE idx = 3",
        "UPDATE audit_event SET idx = NULL WHERE idx = 3",
        "DELETE FROM audit_event WHERE idx = 3",
        "DELETE FROM audit_event WHERE idx = (SELECT MAX(idx) FROM audit_event)",
        "UPDATE audit_personal SET texts = NULL, salt = NULL",
        "UPDATE audit_head SET size = size - 1",
        "UPDATE audit_head SET frontier = zeroblob(32)",
    ],
)
def test_the_command_finds_a_changed_log(fresh: Any, cli: Callable[..., Any], change: str) -> None:
    """`gateway audit verify` publishes first; that must neither fail without a word nor heal what was done."""
    fresh.gateway.publish()
    with closing(sqlite3.connect(fresh.home / "gateway.db")) as connection, connection:
        assert connection.execute(change).rowcount > 0
    told = cli(fresh.home, "audit", "verify", "--json")
    assert told.code == 4, told.err
    assert json.loads(told.out)["findings"]
