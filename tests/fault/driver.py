"""Workers in processes of their own that die (SIGKILL) or halt (SIGSTOP) at a named point of a release.

    python driver.py, then one order (JSON) on each line of its standard input, one answer on each line of its output

The product is imported once and as it is; each worker is forked from there. In the worker, the function that stands
at the point is wrapped from outside, so that the process gets its signal just before or just after that function ran
for the n-th time. Nothing depends on time.
"""

import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway import audit, settings, worker
from gateway.context import Gateway, open_gateway, utc_now
from gateway.crypto import keys
from gateway.errors import NotPossible
from gateway.release import treat
from gateway.storage.database import open_database
from gateway.storage.store import Store

KILLED, LOST = -signal.SIGKILL, 7
SMALLEST_BATCH = 1_000
SMALL_DISK_BYTES = 400_000


@dataclass(frozen=True)
class Point:
    """`module:name`, before or after its n-th call for which `when` (seeing the arguments) holds."""

    place: str
    after: bool
    nth: int
    when: Callable[..., bool]


def _completion(*args: Any) -> bool:
    return args[1].kind == "release.completed"


def _last(thing: Any, _connection: Any) -> bool:
    return getattr(thing, "step", "") == "delivered"


def _step(name: str) -> Callable[..., bool]:
    return lambda *_args, **kwargs: kwargs["event"].facts.get("step") == name


def _always(*_args: Any, **_kwargs: Any) -> bool:
    return True


def before(place: str, nth: int = 1, when: Callable[..., bool] = _always) -> Point:
    return Point(place, after=False, nth=nth, when=when)


def after(place: str, nth: int = 1, when: Callable[..., bool] = _always) -> Point:
    return Point(place, after=True, nth=nth, when=when)


SAVE = "gateway.storage.store:Store.save"
POINTS = {
    "claimed": after("gateway.storage.store:Store.claim"),
    "begun": after("gateway.release.run:_begun"),
    "preparing": before("pseudonymization.deidentify:prepare"),
    "prepared-not-stored": after("pseudonymization.deidentify:prepare"),
    "prepared": after("gateway.release.prepare:prepare"),
    "inside-the-first-table": after("gateway.release.work:Work.renew", 1),
    "inside-a-later-table": after("pseudonymization.treat:treat_counted", 2, lambda *args: args[1] == "LB"),
    "table-sealed-not-noted": after("gateway.release.treat:_table", 1),
    "table-1-noted": after("gateway.release.treat:_store", 1),
    "table-2-noted": after("gateway.release.treat:_store", 2),
    "table-3-noted": after("gateway.release.treat:_store", 3),
    "last-table-noted": after("gateway.release.treat:_store", 4),
    "treated": after("gateway.release.treat:treat_tables"),
    "judging": before("gateway.release.judge:judge"),
    "judged": after("gateway.release.judge:judge"),
    "packing": after("gateway.release.shelf:write", 4),
    "packed-not-stored": before(SAVE, 1, _step("packed")),
    "packed": after("gateway.release.pack:pack"),
    "inside-the-logging-transaction": after("gateway.audit:append", 1, _completion),
    "logged": after("gateway.release.pack:log"),
    "published-no-proof": before("gateway.audit:receipt"),
    "proof-before-rename": before("gateway.release.shelf:deliver"),
    "renamed-not-saved": after("gateway.release.shelf:deliver"),
    "inside-the-final-save": after("gateway.storage.rows:write", 1, _last),
    "saved-not-published": after(SAVE, 1, _step("delivered")),
    "delivered": after("gateway.release.pack:deliver"),
}
"""Every kill point, in the order of a release."""


def arm(point: Point, number: int) -> None:
    """Wrap the function at the point."""
    module_name, path = point.place.split(":")
    holder: Any = importlib.import_module(module_name)
    *outer, name = path.split(".")
    for part in outer:
        holder = getattr(holder, part)
    original, calls = getattr(holder, name), 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += bool(point.when(*args, **kwargs))
        due = calls == point.nth and bool(point.when(*args, **kwargs))
        if due and not point.after:
            os.kill(os.getpid(), number)
        result = original(*args, **kwargs)
        if due and point.after:
            os.kill(os.getpid(), number)
        return result

    setattr(holder, name, wrapped)


def shrink_disk() -> None:
    """Let no file grow beyond `SMALL_DISK_BYTES` while table LB is sealed: the kernel refuses the write (EFBIG)."""
    original = treat._table

    def wrapped(bench: Any, name: str, done: int) -> Any:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_DISK_BYTES if name == "LB" else soft, hard))
        try:
            return original(bench, name, done)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    treat._table = wrapped


def work(order: dict[str, Any], parts: Gateway) -> int:
    """One worker until the queue is empty; 0, or LOST if another has taken its release over."""
    tempfile.tempdir = order["scratch"]
    if order["point"]:
        arm(POINTS[order["point"]], getattr(signal, order["signal"]))
    if order["small_disk"]:
        shrink_disk()
    gateway = over(parts, Path(order["home"]), order["url"], order["hours"])
    try:
        while worker.work_once(gateway, name=f"driver-{order['hours']}") is not None:
            pass
    except NotPossible as error:
        return LOST if error.rule == "job-lease" else 1
    return 0


def over(parts: Gateway, home: Path, url: str, hours: int) -> Gateway:
    """A gateway over a home, by a clock that is some hours ahead; rules and access rules are those of `parts`."""
    held = settings.Settings(home=home, database_url=url, batch_rows=SMALLEST_BATCH)
    engine, own = open_database(held.database), keys.load(held.keys_folder, strict=False)
    audit.guard(engine, own.derive("waiting-events"))
    return replace(
        parts,
        settings=held,
        store=Store(engine, audit.append),
        keys=own,
        signer=audit.Signer(held.origin, own.log),
        now=lambda: utc_now() + timedelta(hours=hours),
    )


def rules_alone() -> Gateway:
    """A gateway for the sake of its rules, which take a second to load."""
    with tempfile.TemporaryDirectory() as empty:
        return open_gateway(settings.Settings(home=Path(empty)))


def forked(order: dict[str, Any], parts: Gateway) -> int:
    """Fork a worker; its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        code = work(order, parts)
    except Exception:  # noqa: BLE001 - told on standard error; the exit code says the rest
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    parts, halted = rules_alone(), set[int]()
    for line in sys.stdin:
        order = json.loads(line)
        if pid := order.get("continue"):
            os.kill(pid, signal.SIGCONT)
        else:
            pid = forked(order, parts)
        _, status = os.waitpid(pid, os.WUNTRACED)
        code = None if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)
        halted = halted | {pid} if code is None else halted - {pid}
        print(json.dumps({"pid": pid, "code": code}), flush=True)
    for pid in halted:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
