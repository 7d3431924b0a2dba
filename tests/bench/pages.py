"""Page times over a large home: `python -m tests.bench.pages`.

Median and 95th percentile of each main page, as a person of its role asks for it over HTTP, one after the other, with
100,000 requests and 2 million events in the database. Requests and events are copies in bulk of ones that the product
made itself, under new ids and times; the copied events have no leaf in the published tree, so what reads the whole
log (verification) is not measured here. The home is kept in the temporary folder and used again.
"""

import argparse
import json
import shutil
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import uvicorn
from sqlalchemy import Connection, text

from gateway import audit
from gateway.actions import accounts, datasets, requests, sessions
from gateway.app import build
from gateway.context import Gateway, open_gateway
from gateway.crypto import recipients
from gateway.demo.trial import write_trial
from gateway.settings import Settings

WORDS = "four words and a number 7"
PEOPLE = {"r.okafor": "researcher", "s.moreau": "steward", "a.vega": "auditor"}
TEMPLATES = 20
SLICE = 20_000


def found(home: Path) -> Gateway:
    """A home made by the product: one study, three people, a few requests."""
    gateway = open_gateway(Settings(home=home))
    local = accounts.found(gateway, steward="local", name="S. Steward")
    operator = gateway.store.actor("operator")
    datasets.add(gateway, local, write_trial(home / "study", subjects=80, fmt="parquet"), key="trial", accept=True)
    for account, role in PEOPLE.items():
        accounts.add(gateway, operator, key=account, name=account, organisation="Maple Bay University")
        accounts.grant(gateway, operator, key=account, role=role)
        sessions.set_password(gateway, operator, key=account, password=WORDS, must_change=False)
    asker, key = gateway.store.actor("r.okafor"), recipients.generate()[1]
    for number in range(TEMPLATES):
        document = {
            "dataset": "trial",
            "tables": {"DM": ["AGE", "SEX"]},
            "mode": "controlled",
            "project": f"project-{number}",
            "purpose": "scientific_research",
            "exporter": {"org": "Aldergrove Trials", "country": "US", "roles": ["trial_sponsor"]},
            "recipient": {"org": "Maple Bay University", "country": "CA"},
            "destination": "CA",
            "keys": [key],
            "format": "csv",
        }
        requests.submit(gateway, asker, requests.draft(gateway, asker, document).id)
    gateway.publish()
    return gateway


def columns_of(connection: Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(text(f"PRAGMA table_info({table})"))]


def multiply_requests(gateway: Gateway, wanted: int) -> None:
    """Copies of the requests under new ids, each a second older than the one before."""
    with gateway.store.engine.begin() as connection:
        names = columns_of(connection, "requests")
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :copies)"
        told = {
            "id": "printf('q-%012x', n.i * 100 + r.rank)",
            "created": "datetime(created, '-' || (n.i * 20 + r.rank) || ' seconds') || '.000000'",
            "updated": "datetime(updated, '-' || (n.i * 20 + r.rank) || ' seconds') || '.000000'",
        }
        shown = ", ".join(told.get(name, f'r."{name}"') for name in names)
        source = "(SELECT *, row_number() OVER (ORDER BY id) AS rank FROM requests)"
        listed = ", ".join(f'"{name}"' for name in names)
        copies = {"copies": wanted // TEMPLATES}
        connection.execute(
            text(f"{numbers} INSERT INTO requests ({listed}) SELECT {shown} FROM n, {source} r"),  # noqa: S608
            copies,
        )


@contextmanager
def served(gateway: Gateway) -> Iterator[str]:
    """The application on a port of its own."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(build(gateway), host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def multiply_events(gateway: Gateway, wanted: int) -> None:
    """Copies of the events under new ids and times, with what they are about, in slices."""
    with gateway.store.engine.begin() as connection:
        held = connection.execute(text("SELECT count(*), max(id) FROM audit_event WHERE idx IS NOT NULL")).one()
        many, last = int(held[0]), int(held[1])
    rounds = wanted // many + 1
    for first in range(1, rounds + 1, SLICE // many):
        given = {"first": first, "end": min(rounds + 1, first + SLICE // many), "last": last, "many": many}
        with gateway.store.engine.begin() as connection:
            connection.execute(text(EVENTS), given)
            connection.execute(text(ABOUT), given)


NUMBERS = "WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :end) "
# Copies come after the true events, so that lists are filled by them; their places are below nought: the tree of the
# log, which the server goes on with meanwhile, knows nothing of them.
EVENTS = f"""{NUMBERS} INSERT INTO audit_event (event_id, idx, leaf, time, kind, outcome, actor)
SELECT printf('%08x', n.i) || substr(e.event_id, 9), -(n.i * :many + e.idx), e.leaf, e.time, e.kind, e.outcome,
e.actor FROM n, audit_event e WHERE e.idx IS NOT NULL AND e.id <= :last"""  # noqa: S608
ABOUT = f"""{NUMBERS} INSERT INTO audit_about (event_id, role, thing)
SELECT printf('%08x', n.i) || substr(a.event_id, 9), a.role, a.thing FROM n, audit_about a
JOIN audit_event e ON e.event_id = a.event_id WHERE e.id <= :last"""  # noqa: S608


def pages_of(gateway: Gateway) -> dict[str, tuple[str, str]]:
    """Name → who asks, and for what."""
    with gateway.store.reading() as connection:
        true = audit.events(connection, kind="request.submitted", limit=1).events[0]
        one = connection.execute(text("SELECT id FROM requests ORDER BY updated LIMIT 1")).scalar_one()
        event = connection.execute(text("SELECT event_id FROM audit_event ORDER BY id LIMIT 1")).scalar_one()
    return {
        "start": ("r.okafor", "/"),
        "catalogue": ("r.okafor", "/catalogue?q=age"),
        "study": ("r.okafor", "/catalogue/trial"),
        "my requests": ("r.okafor", "/requests"),
        "my requests, page 500": ("r.okafor", "/requests?page=500"),
        "a request": ("r.okafor", f"/requests/{one}"),
        "queue": ("s.moreau", "/queue"),
        "queue, page 500": ("s.moreau", "/queue?page=500"),
        "a case": ("s.moreau", f"/queue/{one}"),
        "studies": ("s.moreau", "/studies"),
        "log": ("a.vega", "/log-book"),
        "log, one kind": ("a.vega", "/log-book?kind=request.submitted"),
        "log, one person": ("a.vega", "/log-book?who=r.okafor"),
        "log, about one thing": ("a.vega", f"/log-book?about={true.about['request']}"),
        "log, a day": ("a.vega", f"/log-book?after={str(true.time)[:10]}"),
        "an event": ("a.vega", f"/log-book/event/{event}"),
        "all about a study": ("a.vega", "/log-book/of/trial"),
    }


def measure(url: str, gateway: Gateway, times: int) -> list[dict[str, object]]:
    """Milliseconds of each page, the first of each (cold) left out."""
    rows: list[dict[str, object]] = []
    held = {who: sessions.begin(gateway, account=who, password=WORDS).secret for who in PEOPLE}
    with httpx2.Client(base_url=url, timeout=120) as client:
        for name, (who, address) in pages_of(gateway).items():
            taken = []
            for _ in range(times + 1):
                start = time.perf_counter()
                answer = client.get(address, headers={"Cookie": f"gateway-session={held[who]}"})
                taken.append(1000 * (time.perf_counter() - start))
                if answer.status_code != httpx2.codes.OK:
                    raise SystemExit(f"{name} was answered {answer.status_code}")
            warm = sorted(taken[1:])
            p95 = warm[min(len(warm) - 1, int(0.95 * len(warm)))]
            rows.append({"page": name, "median_ms": round(statistics.median(warm), 1), "p95_ms": round(p95, 1)})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--fresh", action="store_true", help="make the home anew")
    given = parser.parse_args()
    home = Path(tempfile.gettempdir()) / f"gateway-pages-{given.requests}-{given.events}"
    if given.fresh or not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        gateway = found(home)
        multiply_requests(gateway, given.requests)
        multiply_events(gateway, given.events)
        (home / "ready").touch()
        gateway.store.engine.dispose()
    gateway = open_gateway(Settings(home=home))
    with served(gateway) as url:
        rows = measure(url, gateway, given.times)
    medians = [float(str(row["median_ms"])) for row in rows]
    print(json.dumps({"slowest_median_ms": max(medians), "pages": len(rows)}))


if __name__ == "__main__":
    main()
