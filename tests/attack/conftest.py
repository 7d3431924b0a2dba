"""A gateway with people, an API client, a command line, and a net that catches every word that leaves it."""

import contextlib
import functools
import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from gateway import audit, context, logs, worker
from gateway.actions import accounts, datasets, requests
from gateway.app import build
from gateway.catalogue import columnfile
from gateway.cli.main import main
from gateway.context import Gateway, open_gateway, utc_now
from gateway.crypto import keys, recipients
from gateway.domain.actor import Actor
from gateway.domain.release import Release
from gateway.settings import Settings
from gateway.storage.database import open_database, upgrade
from gateway.storage.store import Store
from policies import loader
from pseudonymization.columns import Column, Role

PEOPLE = {
    "researcher": "researcher",
    "rival": "researcher",
    "steward": "steward",
    "auditor": "auditor",
    "operator": "operator",
}


@dataclass
class Net:
    """Everything that came out, by where it came out."""

    said: list[tuple[str, str]] = field(default_factory=list)

    def catch(self, where: str, text: str) -> None:
        self.said.append((where, text))

    def holding(self, tokens: set[str]) -> list[str]:
        """Where any of the tokens was said, also as a part of something longer.

        Every token is or contains a run of consonants, a day, or a number with decimals; only such places are looked
        at, by windows as long as some token is.
        """
        parts = {part for token in tokens for part in _TELLING.findall(token)}
        assert all(_TELLING.search(token) for token in tokens)
        lengths = sorted({len(part) for part in parts})
        return sorted({where for where, text in self.said if _holds(text, parts, lengths)})


_TELLING = re.compile(r"[BCDFGHJKLMNPQRSTVWXZ]{8,}|\d{4}-\d\d-\d\d|\d{4,}\.\d+")


def _holds(text: str, parts: set[str], lengths: list[int]) -> bool:
    for run in _TELLING.findall(text):
        for length in lengths:
            for at in range(len(run) - length + 1):
                if run[at : at + length] in parts:
                    return True
    return False


@dataclass
class Stage:
    """One gateway, its people, and what they were told."""

    folder: Path
    gateway: Gateway
    people: dict[str, Actor]
    tokens: dict[str, str]
    public: str
    identity: Path
    net: Net
    client: TestClient

    @property
    def home(self) -> Path:
        return self.gateway.settings.home

    def refused(self, what: str, act: Callable[[], Any]) -> Exception:
        """Do what must fail; the error and its traceback go into the net."""
        try:
            act()
        except Exception as error:  # noqa: BLE001 - whatever it is, its words are looked at
            return self.heard(what, error)
        raise AssertionError(f"{what} went through")

    def heard(self, what: str, error: Exception) -> Exception:
        """An error's text, all it carries and its traceback go into the net."""
        self.net.catch(f"error of {what}", f"{error}\n{vars(error)}\n{''.join(traceback.format_exception(error))}")
        return error

    def call(self, method: str, url: str, who: str = "", **more: Any) -> Any:
        """One HTTP call; body and headers of the answer go into the net."""
        headers = dict(more.pop("headers", {}))
        if who:
            headers["Authorization"] = f"Bearer {self.tokens[who]}"
        answer = self.client.request(method, url, headers=headers, **more)
        if not url.endswith(".age"):
            self.net.catch(f"{method} {url} → {answer.status_code}", f"{answer.headers}\n{answer.text}")
        return answer

    def cli(self, *words: object) -> int:
        """`gateway …` in this process; what it wrote goes into the net."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        before = dict(os.environ), sys.argv
        os.environ |= {"GATEWAY_HOME": str(self.home), "COLUMNS": "1000"}
        sys.argv = ["gateway", *(str(word) for word in words)]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            os.environ.clear()
            os.environ |= before[0]
            sys.argv = before[1]
        self.net.catch(f"gateway {' '.join(map(str, words))} → {code}", f"{out.getvalue()}\n{err.getvalue()}")
        return code

    def document(self, dataset: str, tables: Any, **changes: Any) -> dict[str, Any]:
        return {
            "dataset": dataset,
            "tables": tables,
            "mode": "controlled",
            "project": "p-1",
            "purpose": "scientific_research",
            "exporter": {"org": "Aldergrove Trials", "country": "US", "roles": ["trial_sponsor"]},
            "recipient": {"org": "Maple Bay University", "country": "CA"},
            "destination": "CA",
            "keys": [self.public],
            "format": "csv",
        } | changes

    def register(self, key: str, study: Path, change: Callable[[str, Column], Column] | None = None) -> None:
        """Register a study, all that is not settled removed as direct identifiers, or as `change` has it."""
        datasets.add(self.gateway, self.people["steward"], study, key=key, accept=True)
        file = datasets.column_file(self.gateway, key)
        proposed = columnfile.loads(file.read_text(), proposals=True)
        change = change or (lambda _table, column: column)
        tables = tuple(
            replace(table, columns=tuple(change(table.name, _settled(c)) for c in table.columns))
            for table in proposed.tables
        )
        file.write_text(columnfile.dumps(replace(proposed, tables=tables)))
        _, waiting = datasets.check(self.gateway, self.people["steward"], key)
        assert not waiting

    def approved(self, dataset: str, tables: Any, **changes: Any) -> str:
        """A release that waits in the queue."""
        request = requests.draft(self.gateway, self.people["researcher"], self.document(dataset, tables, **changes))
        requests.submit(self.gateway, self.people["researcher"], request.id)
        done = requests.approve(self.gateway, self.people["steward"], request.id, note="the review points are settled")
        return done.release

    def run(self, release: str) -> Release:
        """Let the worker do all that waits."""
        while worker.work_once(self.gateway, name="worker") is not None:
            pass
        found = self.gateway.store.release(release)
        self.net.catch(f"fault of {release}", found.fault)
        return found

    def resting(self) -> Iterator[tuple[str, str]]:
        """Every file under the home as text: database, log, manifests, reports, column files, sealed tables."""
        self.gateway.publish()
        self.gateway.store.engine.dispose()
        for path in sorted(self.home.rglob("*")):
            if path.is_file():
                yield str(path.relative_to(self.home)), path.read_bytes().decode("latin-1")


def _settled(column: Column) -> Column:
    """The column, or the qualifiers in it, removed as direct identifiers where they wait for somebody to look."""
    if column.certain and column.role is not Role.UNRESOLVED:
        return replace(column, qualifiers=tuple(_settled(part) for part in column.qualifiers))
    return Column(column.name, Role.DIRECT, column.kind, column.label, because="settled by a steward")


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    """A gateway for the sake of its rules, which take a second to load."""
    return open_gateway(Settings(home=tmp_path_factory.mktemp("rules")))


def raised(folder: Path, parts: Gateway) -> Stage:
    """A fresh gateway under `folder`, with its people and their tokens."""
    held = Settings(home=folder / "home", batch_rows=1_000)
    keys.make(held.keys_folder)
    secret = keys.load(held.keys_folder, strict=False)
    engine = open_database(held.database)
    upgrade(engine)
    gateway = replace(
        parts, settings=held, store=Store(engine, audit.append), keys=secret,
        signer=audit.Signer(held.origin, secret.log), now=utc_now,
    )  # fmt: skip
    accounts.found(gateway, steward="local", name="steward")
    operator = gateway.store.actor("operator")
    people, tokens = {}, {}
    for key, role in PEOPLE.items():
        if key != "operator":
            accounts.add(gateway, operator, key=key, name=f"the {key}")
            accounts.grant(gateway, operator, key=key, role=role)
        people[key] = gateway.store.actor(key)
        tokens[key] = accounts.issue_token(gateway, operator, key=key)[1]
    identity, public = recipients.generate()
    (folder / "identity.txt").write_text(identity + "\n")
    client = TestClient(build(gateway), raise_server_exceptions=False)
    return Stage(folder, gateway, people, tokens, public, folder / "identity.txt", Net(), client)


@pytest.fixture
def quick_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line opens the gateway anew for each command; the rules are read from their files only once."""
    monkeypatch.setattr(context, "loader", _Once())


class _Once:
    load = staticmethod(functools.cache(loader.load))


@pytest.fixture
def stage(tmp_path: Path, parts: Gateway, quick_rules: None) -> Iterator[Stage]:
    stage = raised(tmp_path, parts)
    logs.configure(level="DEBUG", as_json=True)
    yield stage
    stage.gateway.store.engine.dispose()
