"""Opening the database: SQLite tuned for one machine, PostgreSQL for many. Schema changes go through Alembic."""

import sqlite3
import threading
from collections import deque
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection as Opened
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from gateway.errors import Invalid

MIGRATIONS = Path(__file__).parent / "migrations"
READING = "reading"


POOL = {"pool_size": 10, "max_overflow": 30}
"""Connections of one process: as many as the web server has threads."""
WAIT_SECONDS = 60
"""How long a writer waits for the others before it gives up."""


class Turns:
    """The writers of one process, in the order in which they came.

    SQLite lets waiting writers sleep and try again, up to a tenth of a second each time: who is late comes later
    still, and some wait for seconds. Here each is woken when it is their turn. Other processes still wait its way.
    """

    def __init__(self) -> None:
        self._mutex, self._taken = threading.Lock(), False
        self._waiting: deque[threading.Lock] = deque()

    def take(self, seconds: float) -> bool:
        """Wait for the turn; False when the time was over before."""
        with self._mutex:
            if not self._taken:
                self._taken = True
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=seconds):
            return True
        with self._mutex:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return False
        return True

    def give(self) -> None:
        """The next one's turn."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


class Connection(sqlite3.Connection):
    """A connection to SQLite that writes in its turn: from `BEGIN IMMEDIATE` to the end of the transaction."""

    turns: Turns | None = None
    _mine = False

    def begin_to_write(self) -> None:
        """Wait for the turn, then for other processes. Without a turn in time, SQLite decides."""
        if self.turns is not None and not self._mine:
            self._mine = self.turns.take(WAIT_SECONDS)
        try:
            self.execute("BEGIN IMMEDIATE")
        finally:
            self._ended()

    def commit(self) -> None:
        """End the transaction and let the next writer in."""
        try:
            super().commit()
        finally:
            self._ended()

    def rollback(self) -> None:
        """Undo the transaction and let the next writer in."""
        try:
            super().rollback()
        finally:
            self._ended()

    def close(self) -> None:
        """Close; a transaction that is still open is undone."""
        try:
            super().close()
        finally:
            self._give()

    def _ended(self) -> None:
        if not self.in_transaction:
            self._give()

    def _give(self) -> None:
        if self._mine and self.turns is not None:
            self._mine = False
            self.turns.give()


def open_database(url: str) -> Engine:
    """An engine for the URL.

    On SQLite a transaction takes the write lock when it begins, unless the connection says it only reads, so that
    two writers wait for each other instead of failing halfway.

    Raises:
        Invalid: the URL is none, or names another database.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise Invalid(
            "the database URL cannot be read", place="GATEWAY_DATABASE_URL", cure="sqlite:///… or postgresql://…"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        options, turns = {"timeout": WAIT_SECONDS, "factory": Connection}, Turns()
        engine = create_engine(parsed, connect_args=options, **POOL)
        event.listen(engine, "connect", lambda connection, _: _tune(connection, turns))
        event.listen(engine, "begin", _begin)
        return engine
    if parsed.get_backend_name() == "postgresql":
        return create_engine(parsed, pool_pre_ping=True, **POOL)
    raise Invalid("this database is not supported", place="GATEWAY_DATABASE_URL", cure="use SQLite or PostgreSQL")


def _tune(connection: Connection, turns: Turns) -> None:
    """Durable writes, readers beside one writer, no transaction but those we begin, erased text really gone."""
    connection.isolation_level, connection.turns = None, turns
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Opened) -> None:
    if connection.get_execution_options().get(READING, False):
        connection.exec_driver_sql("BEGIN")
        return
    raw: Any = connection.connection.dbapi_connection
    try:
        raw.begin_to_write()
    except sqlite3.OperationalError as fault:
        raise OperationalError("BEGIN IMMEDIATE", None, fault) from None


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest revision.

    Raises:
        Invalid: the database cannot be reached, or was written by a newer version of this software.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError:
        raise Invalid(
            "the database was written by a newer version of this software",
            place="GATEWAY_DATABASE_URL",
            cure="install that version again, or restore a backup from before it",
        ) from None
    except SQLAlchemyError as error:
        raise Invalid(
            f"the database cannot be opened ({type(error).__name__})",
            place="GATEWAY_DATABASE_URL",
            cure="check that the server runs, and the name, user and password",
        ) from None
