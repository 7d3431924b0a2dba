"""The log beyond this gateway: witnesses, being one for partners, dating it, copying it out, serving what is public."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from gateway import audit, logs
from gateway.actions.guard import action, allow
from gateway.audit import Anchor, Answer, VerifierKey, standalone_verifier
from gateway.context import Gateway
from gateway.domain.actor import SYSTEM, Actor
from gateway.domain.event import Event, EventKind
from gateway.errors import GatewayError, Invalid, NotFound, NotPossible
from gateway.release import receipts
from gateway.settings import Settings

RETRY = timedelta(minutes=10)
"""A time-stamping authority that did not answer is asked again after so long."""


def witnessed_logs(settings: Settings) -> dict[str, VerifierKey]:
    """The logs this gateway cosigns, by origin."""
    keys = [VerifierKey.parse(vkey) for vkey in settings.witness_for.split()]
    return {key.name: key for key in keys}


@contextmanager
def witnesses_asked(gateway: Gateway) -> Iterator[threading.Event | None]:
    """A thread that asks the witnesses whenever the flag is set; without witnesses, no thread and no flag.

    A thread of its own: a witness that does not answer must not keep the next checkpoint waiting.
    """
    if not audit.read_witnesses(gateway.settings.witnesses):
        yield None
        return
    wanted, ended = threading.Event(), threading.Event()

    def run() -> None:
        while wanted.wait() and not ended.is_set():
            wanted.clear()
            try:
                receipts.ask(gateway)
            except Exception as error:  # noqa: BLE001 - a background thread has nobody to raise to
                logs.incident("audit", error)

    thread = threading.Thread(target=run, name="audit-witnesses", daemon=True)
    thread.start()
    try:
        yield wanted
    finally:
        ended.set()
        wanted.set()
        thread.join()


def answer_as_witness(gateway: Gateway, body: bytes) -> Answer:
    """Cosign a partner's checkpoint, or say why not (c2sp.org/tlog-witness)."""
    return audit.add_checkpoint(
        gateway.store.engine,
        body,
        logs=witnessed_logs(gateway.settings),
        signer=gateway.witness,
        now=gateway.now(),
    )


def public_file(gateway: Gateway, path: str) -> Path:
    """A file of the log that anyone may read: the checkpoint, a tile, an entry bundle. It holds no personal text.

    Raises:
        NotFound: no such file, or not one of the log.
    """
    folder = gateway.settings.log_folder.resolve()
    public = (path == "checkpoint" or path.startswith("tile/")) and "\x00" not in path
    file = (folder / path).resolve() if public else folder
    if not public or not file.is_relative_to(folder) or not file.is_file():
        raise NotFound("the log has no such file", place="log")
    return file


@action("audit", "anchor")
def anchor(gateway: Gateway, actor: Actor) -> Anchor:
    """Have the newest checkpoint dated by the time-stamping authority.

    Raises:
        Invalid: none is configured. NotPossible: it cannot be reached, or the log is empty.
        Broken: its answer does not hold.
    """
    row = allow(gateway, actor, "audit", "anchor")
    return _anchored(gateway, actor, row)


def _anchored(gateway: Gateway, actor: Actor, row: str) -> Anchor:
    settings = gateway.settings
    if not settings.tsa:
        raise Invalid("no time-stamping authority is configured", place="GATEWAY_TSA", cure="name its URL (RFC 3161)")
    trusted = audit.read_authorities(settings.tsa_certificates)
    gateway.publish()
    try:
        made = audit.anchor(
            settings.log_folder, gateway.signer.verifier, lambda asked: audit.stamp(settings.tsa, asked), trusted
        )
    except OSError as fault:
        raise NotPossible(
            f"the time-stamping authority cannot be reached ({fault})",
            rule="anchor",
            cure="see that GATEWAY_TSA names it and that it runs; the log itself goes on",
        ) from None
    if made is None:
        raise NotPossible("the log is empty", rule="anchor", cure="anchor it once something has happened")
    facts: dict[str, str | int | float | bool | list[str] | None] = {
        "size": made.checkpoint.size,
        "time": made.stamp.time.isoformat(),
        "authority": made.stamp.authority,
        "reply_sha256": sha256(made.reply.read_bytes()).hexdigest(),
        "allowed_by": row,
    }
    gateway.store.record(Event(EventKind.LOG_ANCHORED, actor.id, facts=facts), now=gateway.now())
    return made


@dataclass(slots=True)
class Dating:
    """When the worker next has the log dated. A failure is told and tried again later; it holds nothing up."""

    next: datetime | None = field(default=None)

    def turn(self, gateway: Gateway) -> Anchor | None:
        """Anchor if an authority is configured and the last anchor is older than settings allow."""
        now, settings = gateway.now(), gateway.settings
        if not settings.tsa or (self.next is not None and now < self.next):
            return None
        every = timedelta(hours=settings.anchor_hours)
        last = audit.last_anchored(settings.log_folder, gateway.signer.verifier)
        if last is not None and last[1] <= now < last[1] + every:
            self.next = last[1] + every
            return None
        try:
            made = _anchored(gateway, SYSTEM, "worker")
        except GatewayError as fault:
            self.next = now + min(every, RETRY)
            logs.logger("audit").error("the log could not be dated", reason=str(fault))
            return None
        self.next = now + every
        return made


@action("audit", "export")
def export(gateway: Gateway, actor: Actor, to: Path) -> tuple[int, str]:
    """Copy the log's files out, with its key and the small verifier: all that is needed to check it elsewhere.

    Only what is public: checkpoint, tiles, entries, timestamps. Personal texts stay in the database. The event is
    written first, so the copy holds the record of its own making. Returns size and root (hex).

    Raises:
        Invalid: the folder is not empty, or cannot be written.
    """
    row = allow(gateway, actor, "audit", "export")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise Invalid("the output folder is not empty", place=str(to), cure="name a new folder")
    facts = {"what": "log files", "allowed_by": row}
    gateway.store.record(Event(EventKind.AUDIT_EXPORTED, actor.id, facts=dict(facts)), now=gateway.now())
    checkpoint = gateway.publish()
    if checkpoint is None:
        raise NotPossible("the log is empty", rule="export")
    try:
        audit.copy_out(gateway.settings.log_folder, to / "log")
        (to / "log.vkey").write_text(f"{gateway.signer.verifier}\n", "utf-8")
        shutil.copyfile(Path(standalone_verifier.__file__), to / "verify_log_proof.py")
    except OSError:
        raise Invalid("the copy cannot be written", place=str(to), cure="name a folder you may write") from None
    return checkpoint.size, checkpoint.root.hex()
