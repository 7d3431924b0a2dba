"""A log in an empty folder, on SQLite and, where `GATEWAY_TEST_POSTGRES` names a server, on PostgreSQL."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, create_engine, text

from gateway import audit
from gateway.domain.event import Event, EventKind, Outcome
from gateway.storage.database import open_database

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Ledger:
    """A log under test: database, folder, key, and a clock that ticks by itself."""

    engine: Engine
    log_dir: Path
    signer: audit.Signer
    now: datetime = START
    ids: list[str] = field(default_factory=list)

    def tick(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def event(self, number: int, **changes: object) -> Event:
        values: dict[str, object] = {
            "kind": EventKind.DATASET_READ,
            "actor": f"actor-{number % 3}",
            "outcome": Outcome.DONE,
            "about": {"dataset": f"dataset-{number % 5}"},
            "facts": {"number": number},
            "personal": {"name": f"Person {number}", "address": "192.0.2.7"},
        }
        return Event(**(values | changes))  # type: ignore[arg-type]

    def write(self, count: int) -> list[str]:
        with self.engine.begin() as connection:
            first = len(self.ids)
            ids = audit.append_all(connection, [self.event(first + n) for n in range(count)], self.tick())
        self.ids += ids
        return ids

    def sequence(self, **options: int) -> audit.Checkpoint | None:
        return audit.sequence(self.engine, self.signer, self.log_dir, self.tick(), **options)

    def grow(self, count: int) -> audit.Checkpoint:
        self.write(count)
        checkpoint = self.sequence()
        assert checkpoint is not None
        return checkpoint

    def verify(self) -> audit.Soundness:
        return audit.verify(self.engine, self.log_dir, [self.signer.verifier])

    def edit(self, statement: str, **values: object) -> None:
        """What an administrator of the database does behind our back."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET session_replication_role = replica"))
            else:
                connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
            assert connection.execute(text(statement), values).rowcount > 0
            connection.commit()
            connection.invalidate()


def restored(ledger: Ledger, size: int, tmp_path: Path) -> None:
    """Put database and folder back to an older state, as a restored backup of both does."""
    backup = tmp_path / "backup"
    ledger.engine.dispose()
    for name in ("gateway.db", "log"):
        target = ledger.log_dir.parent / name
        (shutil.rmtree if target.is_dir() else Path.unlink)(target)
        (shutil.copytree if (backup / name).is_dir() else shutil.copy)(backup / name, target)
    for rest in ("gateway.db-wal", "gateway.db-shm"):
        (ledger.log_dir.parent / rest).unlink(missing_ok=True)
    ledger.ids = ledger.ids[:size]


def back_up(ledger: Ledger, tmp_path: Path) -> None:
    ledger.engine.dispose()
    (tmp_path / "backup").mkdir()
    shutil.copy(ledger.log_dir.parent / "gateway.db", tmp_path / "backup" / "gateway.db")
    shutil.copytree(ledger.log_dir, tmp_path / "backup" / "log")


def visit(
    ledger: Ledger, before: audit.Seen | None, later: timedelta = timedelta(0), **options: object
) -> audit.Sighting:
    def fetch(path: str) -> bytes | None:
        file = ledger.log_dir / path
        return file.read_bytes() if file.is_file() else None

    return audit.watch(fetch, ledger.signer.verifier, before, START + later, **options)  # type: ignore[arg-type]


def sqlite(path: Path) -> Engine:
    return open_database(f"sqlite:///{path}")


@pytest.fixture(scope="session")
def make_signer() -> Callable[[str], audit.Signer]:
    return lambda name="log.example.org/gateway": audit.Signer(name, Ed25519PrivateKey.generate())


@pytest.fixture
def open_sqlite() -> Callable[[Path], Engine]:
    return sqlite


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        engine = sqlite(tmp_path / "gateway.db")
        audit.metadata.create_all(engine)
        yield engine
        engine.dispose()
        return
    url = os.environ.get("GATEWAY_TEST_POSTGRES")
    if not url:
        pytest.skip("GATEWAY_TEST_POSTGRES names no server")
    schema = f"audit_{secrets.token_hex(6)}"
    server = create_engine(url)
    with server.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    engine = create_engine(url, connect_args={"options": f"-csearch_path={schema}"})
    audit.metadata.create_all(engine)
    yield engine
    engine.dispose()
    with server.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    server.dispose()


@pytest.fixture
def ledger(engine: Engine, tmp_path: Path, make_signer: Callable[..., audit.Signer]) -> Ledger:
    return Ledger(engine, tmp_path / "log", make_signer())


@pytest.fixture
def local_ledger(tmp_path: Path, make_signer: Callable[..., audit.Signer]) -> Iterator[Ledger]:
    """On SQLite alone: for what does not depend on the database."""
    engine = sqlite(tmp_path / "gateway.db")
    audit.metadata.create_all(engine)
    yield Ledger(engine, tmp_path / "log", make_signer())
    engine.dispose()


@pytest.fixture
def make_ledger(tmp_path: Path, make_signer: Callable[..., audit.Signer]) -> Iterator[Callable[[str], Ledger]]:
    """Several independent logs side by side."""
    engines: list[Engine] = []

    def make(name: str) -> Ledger:
        (tmp_path / name).mkdir()
        engine = sqlite(tmp_path / name / "gateway.db")
        engines.append(engine)
        audit.metadata.create_all(engine)
        return Ledger(engine, tmp_path / name / "log", make_signer(f"{name}.example.org/log"))

    yield make
    for engine in engines:
        engine.dispose()
