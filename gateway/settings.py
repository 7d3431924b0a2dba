"""Settings in one place, read from the environment (`GATEWAY_*`), validated, with advice in the error."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.errors import Invalid

ADVICE = {
    "home": "name a folder this process may write",
    "database_url": "use postgresql://user@host/name or sqlite:///path",
    "mode": "one of development, production",
    "workers": "a whole number of processes, 1 to 64",
}


class Settings(BaseSettings):
    """All settings, each with a default that works for one person on one machine.

    home: folder of the embedded database, keys, log and releases. database_url: SQLAlchemy URL; empty means SQLite
    under `home`. keys: folder of the key files; empty means `home`/keys. tls_in_front: the operator declares that a
    proxy ends TLS before this process. origin: the log's name, the first line of every checkpoint. witnesses: who is
    asked to cosign it, `URL VKEY` pairs separated by `;`. witnesses_needed: how many of them must have cosigned before
    an extract leaves; with 0 it leaves with those that could be reached. witness_for: keys of partners' logs that this
    gateway cosigns, separated by blanks. tsa: URL of a time-stamping authority (RFC 3161) that dates the log, every
    anchor_hours; tsa_certificates: PEM file of its certificates. extract_days: how long an extract stays downloadable
    unless a rule says shorter. lease_seconds: a worker silent for so long loses its job. batch_rows: rows held in
    memory at once.
    session_idle_minutes, session_hours: a session of the pages ends after so long without use, and at the latest.
    """

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", extra="ignore")

    home: Path = Path(".gateway")
    database_url: str = ""
    keys: Path | None = None
    mode: Literal["development", "production"] = "development"
    tls_in_front: bool = False
    workers: int = Field(default=1, ge=1, le=64)
    origin: str = Field(default="trial-data-gateway.localhost/log", min_length=3, max_length=200)
    witnesses: str = ""
    witness_for: str = ""
    witnesses_needed: int = Field(default=0, ge=0, le=20)
    tsa: str = ""
    tsa_certificates: Path | None = None
    anchor_hours: int = Field(default=24, ge=1, le=744)
    extract_days: int = Field(default=90, ge=1, le=3650)
    lease_seconds: int = Field(default=60, ge=5, le=3600)
    max_body_bytes: int = Field(default=1_000_000, ge=1_000)
    batch_rows: int = Field(default=500_000, ge=1_000)
    session_idle_minutes: int = Field(default=30, ge=1, le=720)
    session_hours: int = Field(default=12, ge=1, le=72)

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database_url or f"sqlite:///{(self.home / 'gateway.db').resolve()}"

    @property
    def keys_folder(self) -> Path:
        """Where key files stand."""
        return self.keys or self.home / "keys"

    @property
    def log_folder(self) -> Path:
        """Where tiles and checkpoints of the access log stand."""
        return self.home / "log"

    @property
    def releases_folder(self) -> Path:
        """Where sealed extracts stand."""
        return self.home / "releases"


def load(**given: object) -> Settings:
    """The settings of this process: environment first, then what is given, then defaults.

    Raises:
        Invalid: a setting cannot be read, or production mode was asked for with unsafe settings.
    """
    try:
        settings = Settings.model_validate({**_environment(), **given})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        place = f"GATEWAY_{name.upper()}"
        advice = ADVICE.get(name, "see the settings table in README.md")
        raise Invalid(f"setting {place}: {first['msg'].lower()}", place=place, cure=advice) from None
    refuse_unsafe(settings)
    return settings


def _environment() -> dict[str, object]:
    """What the environment sets, as the settings class itself reads it."""
    return Settings().model_dump(exclude_unset=True)


def refuse_unsafe(settings: Settings) -> None:
    """Refuse to start in production mode with settings that are only good for trying things out.

    Raises:
        Invalid: naming every unsafe setting and its cure.
    """
    if settings.mode != "production":
        return
    unsafe = []
    if settings.keys is None:
        unsafe.append("GATEWAY_KEYS is not set: keep keys in a folder of their own, apart from the data they protect")
    if settings.database.startswith("sqlite") and settings.workers > 1:
        unsafe.append("GATEWAY_WORKERS is above 1 with SQLite: set GATEWAY_DATABASE_URL to a PostgreSQL server")
    if not settings.tls_in_front:
        unsafe.append("GATEWAY_TLS_IN_FRONT is not true: end TLS in a proxy before this process, then declare it")
    if settings.origin.endswith("localhost/log"):
        unsafe.append(
            "GATEWAY_ORIGIN is the default: name the log after a domain you hold, for instance example.org/log"
        )
    if unsafe:
        raise Invalid("production mode refuses these settings: " + "; ".join(unsafe), place="settings", cure=unsafe[0])
