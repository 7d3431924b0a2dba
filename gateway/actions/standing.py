"""What a gateway stands on: its rules, its access rules, its keys. When one is another than before, the log says so.

They are files, which change while nothing runs; so each process looks when it starts, before it serves anyone.
"""

import hashlib
from collections.abc import Mapping
from importlib import resources

import policies
from gateway import audit
from gateway.context import Gateway
from gateway.crypto import signing
from gateway.domain.actor import SYSTEM
from gateway.domain.event import Event, EventKind

_ACCESS = ("model.conf", "policy.csv")


def note_changes(gateway: Gateway) -> None:
    """Log that rules or keys are others than the log last said, if so. The first process of a gateway logs both."""
    keys = gateway.keys
    _note(gateway, EventKind.POLICY_CHANGED, {"bundle": gateway.rules.bundle, "access_sha256": _access_digest()})
    _note(
        gateway,
        EventKind.KEY_CHANGED,
        {
            "manifest": signing.fingerprint(keys.manifest.public_key()),
            "log": signing.fingerprint(keys.log.public_key()),
            "witness": signing.fingerprint(keys.witness.public_key()),
            "root": keys.derive("fingerprint/root")[:16].hex(),
        },
    )


def _access_digest() -> str:
    """SHA-256 over the access model and its rows."""
    folder = resources.files(policies).joinpath("access")
    return hashlib.sha256(b"\0".join(folder.joinpath(name).read_bytes() for name in _ACCESS)).hexdigest()


def _note(gateway: Gateway, kind: EventKind, stands: Mapping[str, str]) -> None:
    with gateway.store.reading() as connection:
        page = audit.events(connection, kind=kind, limit=1)
    before = page.events[0].facts if page.events else {}
    if all(before.get(name) == value for name, value in stands.items()):
        return
    changed = sorted(name for name, value in stands.items() if before.get(name) != value)
    event = Event(kind, SYSTEM.id, facts={**stands, "changed": changed, "first": not page.events})
    gateway.store.record(event, now=gateway.now())
