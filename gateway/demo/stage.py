"""Where the demo plays: a home of its own, the accounts with their tokens, and the real API on a free local port."""

import json
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import httpx2
import uvicorn

from gateway.actions import accounts, sessions
from gateway.app import build
from gateway.context import Gateway
from gateway.domain.actor import EVERY_STUDY
from gateway.errors import Broken, Invalid, NotFound
from gateway.settings import Settings

FOLDER, TOKENS = "demo", "demo-tokens.json"
WARNING = "Tokens and passwords of invented people in a demo home. They open nothing else; delete them with the folder."
_PATIENCE = 30.0

LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Person:
    """An invented account: id, name, where they work, and their role in the study."""

    id: str
    name: str
    organisation: str
    role: str


STEWARD = Person("s.lindqvist", "Sigrid Lindqvist", "Aldergrove Trials", "steward")
SECOND = Person("m.moreau", "Mathieu Moreau", "Aldergrove Trials", "steward")
RESEARCHER = Person("r.okafor", "Ruth Okafor", "Maple Bay University", "researcher")
AUDITOR = Person("a.tanaka", "Aiko Tanaka", "Data protection office", "auditor")
CAST = (STEWARD, SECOND, RESEARCHER, AUDITOR)


def home_of(given: Settings) -> Path:
    """The demo's home for these settings: `demo` under the home, or the home itself if it is a demo's already."""
    return given.home if (given.home / TOKENS).is_file() else given.home / FOLDER


def settings_of(given: Settings) -> Settings:
    """Settings that touch nothing outside the demo's home: its own SQLite file, keys, log and releases."""
    own = {"home": home_of(given), "database_url": "", "keys": None, "mode": "development", "workers": 1}
    return given.model_copy(update=own)


def clear(home: Path) -> None:
    """Empty the demo's home, and only one that a demo made.

    Raises:
        Invalid: the folder holds something else.
    """
    if not home.exists() or not any(home.iterdir()):
        return
    if not (home / TOKENS).is_file():
        _not_ours(home)
    shutil.rmtree(home)


def mark(home: Path) -> int:
    """Make the home, and the file that says it is a demo's, before anything else stands in it.

    Returns the how-manieth playing this is.

    Raises:
        Invalid: the folder holds something else.
    """
    if home.exists() and any(home.iterdir()) and not (home / TOKENS).is_file():
        _not_ours(home)
    home.mkdir(parents=True, exist_ok=True)
    take = _takes(home) + 1
    _write_tokens(home, {}, {}, take)
    return take


def _takes(home: Path) -> int:
    """How often the demo was played in this home."""
    try:
        return int(json.loads((home / TOKENS).read_text("utf-8")).get("takes", 0))
    except (OSError, ValueError):
        return 0


def _not_ours(home: Path) -> NoReturn:
    raise Invalid(
        "this folder was not made by the demo, so it is left alone",
        place=str(home),
        cure="set GATEWAY_HOME to another folder, or move this one away",
    )


def people(gateway: Gateway) -> dict[str, str]:
    """Make the accounts that do not stand yet, and a fresh token for each; returns account id to token.

    Tokens and passwords are written to `demo-tokens.json` in the home, readable by its owner alone.
    """
    accounts.found(gateway, steward=LOCAL, name="you, on this machine")
    operator = accounts.local_actor(gateway, accounts.OPERATOR)
    tokens, passwords = {}, {}
    for person in CAST:
        try:
            gateway.store.actor(person.id)
        except NotFound:
            accounts.add(gateway, operator, key=person.id, name=person.name, organisation=person.organisation)
            accounts.grant(gateway, operator, key=person.id, role=person.role, study=EVERY_STUDY)
        _, tokens[person.id] = accounts.issue_token(gateway, operator, key=person.id, days=30, label="demo")
        chosen = "-".join(secrets.token_hex(2) for _ in range(4))
        passwords[person.id] = sessions.set_password(
            gateway, operator, key=person.id, password=chosen, must_change=False
        )
    _write_tokens(gateway.settings.home, tokens, passwords, _takes(gateway.settings.home))
    return tokens


def _write_tokens(home: Path, tokens: Mapping[str, str], passwords: Mapping[str, str], takes: int) -> None:
    held = [
        {"account": p.id, "name": p.name, "role": p.role, "password": passwords[p.id], "token": tokens[p.id]}
        for p in CAST
        if p.id in tokens
    ]
    file = os.open(home / TOKENS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as out:
        out.write(json.dumps({"demo": WARNING, "takes": takes, "accounts": held}, indent=1) + "\n")


def tokens_of(home: Path) -> list[dict[str, str]]:
    """The accounts and tokens of a demo's home; none for any other home."""
    try:
        content = json.loads((home / TOKENS).read_text("utf-8"))
    except (OSError, ValueError):
        return []
    held: list[dict[str, str]] = content.get("accounts", [])
    return held


@dataclass(frozen=True, slots=True)
class Reply:
    """What the API answered: the status, and the JSON body (a problem document if it refused)."""

    status: int
    body: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether it did as asked."""
        return self.status < 400

    @property
    def problem(self) -> str:
        """Why it refused, on one line: status, rule or place, reason and cure."""
        which = self.body.get("rule") or self.body.get("place") or ""
        cure = f" → {self.body['cure']}" if self.body.get("cure") else ""
        return f"{self.status} {self.body.get('detail', '')}" + (f" [{which}]" if which else "") + cure


@dataclass(frozen=True, slots=True)
class Door:
    """One person at the API, with their token."""

    person: Person
    client: httpx2.Client

    def ask(self, method: str, path: str, content: object = None) -> Reply:
        """One call, whatever comes of it."""
        answer = self.client.request(method, path, json=content)
        return Reply(answer.status_code, answer.json())

    def must(self, method: str, path: str, content: object = None) -> Mapping[str, Any]:
        """One call that has to succeed for the story to go on.

        Raises:
            Broken: it was refused.
        """
        reply = self.ask(method, path, content)
        if not reply.ok:
            raise Broken(f"{method} {path}: {reply.problem}")
        return reply.body


Doors = Callable[[Person], Door]


@contextmanager
def serving(gateway: Gateway, tokens: Mapping[str, str]) -> Iterator[tuple[str, Doors]]:
    """The API with its worker on a free port of this machine, until the block ends; a door for each person.

    Raises:
        Broken: the server does not come up.
    """
    app = build(gateway, with_worker=True)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", server_header=False))
    thread = threading.Thread(target=server.run, name="demo-api", daemon=True)
    thread.start()
    deadline = time.monotonic() + _PATIENCE
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise Broken("the API did not come up on this machine")
        time.sleep(0.02)
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    clients: dict[str, httpx2.Client] = {}

    def door(person: Person) -> Door:
        if person.id not in clients:
            headers = {"Authorization": f"Bearer {tokens[person.id]}"}
            clients[person.id] = httpx2.Client(base_url=address, headers=headers, timeout=120.0)
        return Door(person, clients[person.id])

    try:
        yield address, door
    finally:
        for client in clients.values():
            client.close()
        server.should_exit = True
        thread.join(_PATIENCE)
