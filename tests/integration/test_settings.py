"""Settings: read in one place, each fault told with its cure; production refuses what is only good for trying out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import settings
from gateway.context import open_gateway
from gateway.crypto import keys
from gateway.errors import Invalid


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment that sets nothing of ours."""
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(f"GATEWAY_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def safe(folder: Path, **changes: Any) -> dict[str, Any]:
    """Settings that production accepts."""
    return {
        "mode": "production",
        "home": folder / "home",
        "keys": folder / "keys",
        "tls_in_front": True,
        "origin": "log.example.org/gateway",
    } | changes


UNSAFE = [
    ({"keys": None}, "GATEWAY_KEYS is not set", "keep keys in a folder of their own"),
    ({"workers": 2}, "GATEWAY_WORKERS is above 1 with SQLite", "set GATEWAY_DATABASE_URL to a PostgreSQL server"),
    ({"tls_in_front": False}, "GATEWAY_TLS_IN_FRONT is not true", "end TLS in a proxy before this process"),
    ({"origin": "trial-data-gateway.localhost/log"}, "GATEWAY_ORIGIN is the default", "after a domain you hold"),
]


@pytest.mark.parametrize(("change", "fault", "cure"), UNSAFE)
def test_production_refuses_each_unsafe_setting_and_says_the_cure(
    tmp_path: Path, change: dict[str, Any], fault: str, cure: str
) -> None:
    assert settings.load(**safe(tmp_path)).mode == "production"
    for refuse in (settings.load, lambda **given: open_gateway(settings.Settings(**given))):
        with pytest.raises(Invalid, match="production mode refuses these settings") as caught:
            refuse(**safe(tmp_path, **change))
        assert fault in caught.value.reason
        assert cure in caught.value.cure
    assert not (tmp_path / "home").exists()


def test_production_names_all_that_is_unsafe_at_once(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        settings.load(mode="production", home=tmp_path, workers=2)
    assert all(fault in caught.value.reason for _, fault, _ in UNSAFE)


def test_several_workers_are_fine_on_postgresql_and_in_development(tmp_path: Path) -> None:
    url = "postgresql://gateway@db.example.org/gateway"
    assert settings.load(**safe(tmp_path, workers=8, database_url=url)).workers == 8
    assert settings.load(home=tmp_path, workers=8).workers == 8


def test_production_makes_no_keys_by_itself_and_wants_them_unread_by_others(tmp_path: Path) -> None:
    given = settings.load(**safe(tmp_path))
    with pytest.raises(Invalid, match="a key file is missing") as caught:
        open_gateway(given)
    assert "gateway init" in caught.value.cure
    assert not (tmp_path / "home" / "gateway.db").exists()
    keys.make(tmp_path / "keys")
    open_gateway(given).store.engine.dispose()
    (tmp_path / "keys" / "root.key").chmod(0o644)
    with pytest.raises(Invalid, match="readable by other users") as caught:
        open_gateway(given)
    assert caught.value.cure == "chmod 600 on the file"


def test_a_production_steward_is_no_auditor(
    tmp_path: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in safe(tmp_path).items():
        monkeypatch.setenv(f"GATEWAY_{name.upper()}", str(value))
    made = cli(tmp_path / "home", "init", "--json")
    assert made.code == 0, made.err
    assert cli(tmp_path / "home", "datasets", "list").code == 0
    assert cli(tmp_path / "home", "audit", "list").code == 3


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("MODE", "prod", "one of development, production"),
        ("WORKERS", "0", "a whole number of processes, 1 to 64"),
        ("WORKERS", "many", "a whole number of processes, 1 to 64"),
        ("EXTRACT_DAYS", "0", "README.md"),
        ("ORIGIN", "x", "README.md"),
        ("TLS_IN_FRONT", "perhaps", "README.md"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(
    tmp_path: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str, value: str, cure: str
) -> None:
    monkeypatch.setenv(f"GATEWAY_{name}", value)
    told = cli(tmp_path / "home", "datasets", "list")
    assert (told.code, len(told.err.strip().splitlines())) == (2, 2)
    assert f"setting GATEWAY_{name}: " in told.err
    assert cure in told.err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("nonsense", "cannot be read"),
        ("mysql://host/name", "not supported"),
        ("postgresql://nobody:hunter2@127.0.0.1:1/none", "cannot be opened"),
    ],
)
def test_a_database_that_cannot_be_opened_is_told_without_its_password(
    tmp_path: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, url: str, part: str
) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", url)
    told = cli(tmp_path / "home", "datasets", "list")
    assert told.code == 2
    assert part in told.err
    assert "GATEWAY_DATABASE_URL" in told.err
    assert "hunter2" not in told.err


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path, cli: Callable[..., Any]) -> None:
    (tmp_path / "file").touch()
    told = cli(tmp_path / "file" / "home", "init")
    assert (told.code, "cannot be written" in told.err) == (2, True)
