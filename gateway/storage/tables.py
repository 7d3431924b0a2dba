"""The tables. Times are UTC; JSON columns hold what the domain's values hold."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A UTC time that is aware on both databases (SQLite stores no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - fixed by SQLAlchemy
        """Store UTC."""
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - fixed by SQLAlchemy
        """Read UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _id(name: str = "id") -> Column[str]:
    return Column(name, String(64), primary_key=True)


accounts = Table(
    "accounts",
    metadata,
    _id(),
    Column("name", String(200), nullable=False),
    Column("organisation", String(200), nullable=False),
    Column("created", Moment, nullable=False),
    Column("disabled", Boolean, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    Column("study", String(64), primary_key=True),
    Column("role", String(32), primary_key=True),
)

tokens = Table(
    "tokens",
    metadata,
    _id(),
    Column("account", ForeignKey("accounts.id"), nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("label", String(200), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created", Moment, nullable=False),
    Column("expires", Moment, nullable=False),
    Column("revoked", Boolean, nullable=False),
)

credentials = Table(
    "credentials",
    metadata,
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    Column("password", String(200), nullable=False),
    Column("must_change", Boolean, nullable=False),
    Column("changed", Moment, nullable=False),
    Column("code_secret", LargeBinary),
    Column("last_step", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("locked_until", Moment),
)

sessions = Table(
    "sessions",
    metadata,
    _id(),
    Column("account", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("created", Moment, nullable=False),
    Column("seen", Moment, nullable=False),
    Column("proven", Boolean, nullable=False),
    Column("ended", Boolean, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    _id(),
    Column("title", String(300), nullable=False),
    Column("categories", JSON, nullable=False),
    Column("approvers", Integer, nullable=False),
    Column("version", String(64), nullable=False),
    Column("circles", JSON, nullable=False),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    _id(),
    Column("dataset", String(64), nullable=False, index=True),
    Column("path", Text, nullable=False),
    Column("content", String(64), nullable=False),
    Column("column_file", Text, nullable=False),
    Column("unresolved", Integer, nullable=False),
    Column("created", Moment, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    _id(),
    Column("requester", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("dataset", ForeignKey("datasets.id"), nullable=False, index=True),
    Column("terms", JSON, nullable=False),
    Column("status", String(32), nullable=False, index=True),
    Column("created", Moment, nullable=False),
    Column("updated", Moment, nullable=False),
    Column("decision", String(64), nullable=False),
    Column("approvals", JSON, nullable=False),
    Column("note", Text, nullable=False),
    Column("release", String(64), nullable=False),
    Column("revision", Integer, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    _id(),
    Column("request", String(64), nullable=False, index=True),
    Column("as_of", String(10), nullable=False),
    Column("facts", JSON, nullable=False),
    Column("verdict", JSON, nullable=False),
    Column("bundle", String(64), nullable=False),
    Column("created", Moment, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    _id(),
    Column("request", ForeignKey("requests.id"), nullable=False, index=True),
    Column("dataset", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("step", String(32), nullable=False),
    Column("created", Moment, nullable=False),
    Column("expires", Moment),
    Column("values", JSON, nullable=False),
    Column("fault", Text, nullable=False),
    Column("progress", Float, nullable=False),
    Column("revoked", Boolean, nullable=False),
)

release_tables = Table(
    "release_tables",
    metadata,
    Column("release", ForeignKey("releases.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("contribution", LargeBinary, nullable=False),
)

obligations = Table(
    "obligations",
    metadata,
    _id(),
    Column("release", ForeignKey("releases.id"), nullable=False, index=True),
    Column("dataset", String(64), nullable=False),
    Column("rule", String(100), nullable=False),
    Column("says", Text, nullable=False),
    Column("due", Moment),
    Column("met", Moment),
    Column("evidence", Text, nullable=False),
)

rare_terms = Table(
    "rare_terms",
    metadata,
    _id(),
    Column("dataset", String(64), nullable=False, index=True),
    Column("prefix", String(8), nullable=False),
    Column("term", Text, nullable=False),
    Column("places", Text, nullable=False),
    Column("listed", String(200), nullable=False),
    Column("opened", Moment, nullable=False),
    Column("choice", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided_by", String(64), nullable=False),
    Column("decided", Moment),
)

rule_drafts = Table(
    "rule_drafts",
    metadata,
    _id(),
    Column("regime", String(100), nullable=False),
    Column("text", Text, nullable=False),
    Column("author", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("updated", Moment, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("starts", Moment),
    Column("decided_by", String(64), nullable=False),
    Column("decided", Moment),
    Column("revision", Integer, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    _id(),
    Column("created", Moment, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("owner", String(64), nullable=False),
    Column("lease_until", Moment),
    Column("fence", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
)
