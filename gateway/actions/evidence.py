"""What an auditor looks at: one event with its proof, all there is about one thing, the state of the log."""

from dataclasses import dataclass
from datetime import datetime

from gateway import audit
from gateway.actions.guard import action, allow
from gateway.audit import LoggedEvent
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.domain.event import Event, EventKind
from gateway.errors import Broken, GatewayError

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Proven:
    """An event and its proof, made and checked at this moment; without one, `why` says what is the matter."""

    event: LoggedEvent
    proof: str
    size: int
    why: str


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything about one thing, and everything one account did, newest first; `more` if there is older."""

    thing: str
    about: tuple[LoggedEvent, ...]
    done_by: tuple[LoggedEvent, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Integrity:
    """The state of the log: its newest checkpoint, who cosigned it, how many events wait, the last verification."""

    origin: str
    size: int
    root: str
    published: datetime | None
    signatures: int
    waiting: int
    verified: LoggedEvent | None


@action("audit", "read")
def event_with_proof(gateway: Gateway, actor: Actor, key: str) -> Proven:
    """One event; its proof is made from the tiles and checked against the signed checkpoint now."""
    row = allow(gateway, actor, "audit", "read")
    with gateway.store.reading() as connection:
        found = audit.event_of(connection, key, personal=True)
    _note(gateway, actor, row, {"event": key})
    try:
        receipt = audit.prove(gateway.store.engine, gateway.settings.log_folder, key)
        audit.verify_proof(receipt.proof, gateway.signer.verifier, leaf=receipt.leaf)
    except GatewayError as error:
        return Proven(found, "", 0, error.reason)
    except audit.NoteRefused as refused:
        return Proven(found, "", 0, f"the proof does not hold: {refused}")
    return Proven(found, receipt.proof, receipt.checkpoint.size, "")


@action("audit", "read")
def dossier(gateway: Gateway, actor: Actor, thing: str) -> Dossier:
    """All events about a release, request, study or account, and all that an account of this name did."""
    row = allow(gateway, actor, "audit", "read")
    _note(gateway, actor, row, {"thing": thing[:64]})
    with gateway.store.reading() as connection:
        about = audit.events(connection, about=thing, limit=_SHOWN, personal=True)
        done = audit.events(connection, actor=thing, limit=_SHOWN, personal=True)
    return Dossier(thing, about.events, done.events, bool(about.cursor or done.cursor))


@action("audit", "read")
def integrity(gateway: Gateway, actor: Actor) -> Integrity:
    """The state of the log, without reading it all again."""
    allow(gateway, actor, "audit", "read")
    file = gateway.settings.log_folder / "checkpoint"
    waiting = audit.waiting(gateway.store.engine)
    with gateway.store.reading() as connection:
        last = audit.events(connection, kind=EventKind.AUDIT_VERIFIED, limit=1).events
    verified = last[0] if last else None
    if not file.is_file():
        return Integrity(gateway.settings.origin, 0, "", None, 0, waiting, verified)
    note = file.read_text("utf-8")
    try:
        held = audit.open_checkpoint(note, gateway.signer.verifier)
    except audit.NoteRefused as refused:
        raise Broken(f"the checkpoint is not ours: {refused}") from None
    published = datetime.fromtimestamp(file.stat().st_mtime, gateway.now().tzinfo)
    signatures = sum(line.startswith("— ") for line in note.splitlines())
    return Integrity(held.origin, held.size, held.root.hex(), published, signatures, waiting, verified)


def _note(gateway: Gateway, actor: Actor, row: str, about: dict[str, str]) -> None:
    event = Event(EventKind.AUDIT_READ, actor.id, about=about, facts={"what": next(iter(about)), "allowed_by": row})
    gateway.store.record(event, now=gateway.now())
