"""Opening the database: SQLite tuned for one machine, PostgreSQL for many. Schema changes go through Alembic."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from gateway.errors import Invalid

MIGRATIONS = Path(__file__).parent / "migrations"
READING = "reading"


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
        engine = create_engine(parsed, connect_args={"timeout": 60})
        event.listen(engine, "connect", _tune)
        event.listen(engine, "begin", _begin)
        return engine
    if parsed.get_backend_name() == "postgresql":
        return create_engine(parsed, pool_pre_ping=True, pool_size=10, max_overflow=30)
    raise Invalid("this database is not supported", place="GATEWAY_DATABASE_URL", cure="use SQLite or PostgreSQL")


def _tune(connection: Any, _record: object) -> None:
    """Durable writes, readers beside one writer, no transaction but those we begin, erased text really gone."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get(READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


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
