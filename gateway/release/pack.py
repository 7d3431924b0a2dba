"""Steps 4 and 5. Pack: report, manifest, signature. Deliver: the log first, then the extract appears in one rename."""

import json
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from importlib import resources

from gateway import audit
from gateway.crypto import signing
from gateway.domain.actor import SYSTEM
from gateway.domain.event import Event, EventKind
from gateway.domain.release import ReleaseFile, Step
from gateway.domain.request import Move, move
from gateway.errors import Broken
from gateway.release import manifest, obligations, receipts, report, scanning, shelf
from gateway.release.work import SHARES, Work
from gateway.storage.jobs import Finish, Hold, JobState
from pseudonymization.leaks import Scanner


def pack(work: Work, scanner: Scanner) -> Work:
    """Write what lies beside the sealed tables. Done twice, it writes the same bytes: the time is stored first.

    Raises:
        Broken: a sealed table is not where it was left. Leak: a page beside the tables tells what should be gone.
    """
    gateway, folder = work.gateway, shelf.staging(work.gateway.settings.releases_folder, work.claim)
    created = datetime.fromisoformat(work.release.values["treated_at"])
    expires = created + timedelta(days=_days(work))
    tables = gateway.store.release_tables(work.release.id)
    sealed = [
        ReleaseFile(t.value["file"], t.value["sealed"]["size"], t.value["sealed"]["sha256"]) for t in tables.values()
    ]
    if not all(shelf.whole(folder, file) for file in sealed):
        raise Broken("a sealed table is gone from the staging folder")
    page = report.render(work, tables, created, expires)
    beside = [
        shelf.write(folder, shelf.REPORT, page),
        shelf.write(folder, shelf.LOG_KEY, f"{gateway.signer.verifier}\n".encode()),
        shelf.write(folder, shelf.CHECKER, _checker()),
    ]
    if witnesses := receipts.witness_keys(gateway):
        beside.append(shelf.write(folder, shelf.WITNESSES, witnesses.encode()))
    signing_key = gateway.keys.manifest.public_key()
    used = Event(
        EventKind.KEY_USED,
        SYSTEM.id,
        about=work.about,
        facts={"key": signing.fingerprint(signing_key), "for": "manifest"},
    )
    gateway.store.record(used, now=gateway.now())
    content = manifest.build(work, tables, beside, created, expires)
    scanning.documents(scanner, json.loads(content), page, [file.name for file in sealed], (created, expires))
    public = signing.public_text(signing_key)
    files = [
        *sealed,
        *beside,
        shelf.write(folder, shelf.MANIFEST, content),
        shelf.write(folder, shelf.SIGNATURE, signing.sign(content, gateway.keys.manifest).encode()),
        shelf.write(folder, shelf.PUBLIC_KEY, public.encode()),
    ]
    digest = next(file.sha256 for file in files if file.name == shelf.MANIFEST)
    changed = replace(work, release=replace(work.release, expires=expires))
    return changed.store(
        Step.PACKED, {"manifest_sha256": digest}, files=[asdict(f) for f in files], manifest_sha256=digest
    )


def _days(work: Work) -> int:
    demanded = work.release.values["policy"].get("expiry_days", {}).get("value")
    own = work.gateway.settings.extract_days
    return min(own, int(demanded)) if demanded is not None else own


def _checker() -> bytes:
    """The small verifier that an auditor can read in one sitting, as it stands in the audit room."""
    return resources.files(audit).joinpath("standalone_verifier.py").read_bytes()


def log(work: Work) -> Work:
    """Write the completion into the log before anything can be fetched; the event's id is stored with it."""
    recipient = work.request.terms.recipient
    event = Event(
        EventKind.RELEASE_COMPLETED,
        SYSTEM.id,
        about=work.about,
        facts={
            "manifest_sha256": work.release.values["manifest_sha256"],
            "version": work.version.id,
            "bundle": work.decision.bundle,
            "mode": work.request.terms.mode,
            "destination": work.request.terms.destination,
        },
        personal={"recipient": str(recipient["org"]), "keys": " ".join(work.request.terms.keys)},
    )
    changed = replace(work.release, step=Step.LOGGED, progress=SHARES[Step.LOGGED])
    work.gateway.store.save(changed, event=event, now=work.gateway.now(), job=Hold(work.claim))
    work.progress(Step.LOGGED.value, SHARES[Step.LOGGED])
    return replace(work, release=changed)


def deliver(work: Work) -> Work:
    """With the proof of inclusion in hand, let the extract appear, and say that it did.

    Raises:
        Broken: the log cannot be published. NotPossible: too few witnesses have cosigned. Nothing becomes downloadable.
    """
    gateway = work.gateway
    folder = gateway.settings.releases_folder
    facts: dict[str, str | int | float | bool | list[str] | None] = {"step": Step.DELIVERED.value}
    if not shelf.extract(folder, work.release.id).exists():
        gateway.publish()
        made = receipts.make(gateway, _completion(work))
        receipt = shelf.write(shelf.staging(folder, work.claim), shelf.PROOF, made.text.encode())
        if made.cosigned or made.missing:
            facts |= {"cosigned_by": list(made.cosigned), "not_cosigned_by": list(made.missing)}
        shelf.deliver(folder, work.claim)
    else:
        path = shelf.extract(folder, work.release.id) / shelf.PROOF
        receipt = shelf.describe(path)
    now = gateway.now()
    files = [*work.release.values["files"], asdict(receipt)]
    release = replace(work.release, step=Step.DELIVERED, progress=1.0, values={**work.release.values, "files": files})
    request = replace(work.request, status=move(work.request.status, Move.COMPLETE), updated=now)
    event = Event(EventKind.RELEASE_STEP, SYSTEM.id, about=work.about, facts=facts)
    duties = obligations.of_release(work, now)
    gateway.store.save(release, request, *duties, event=event, now=now, job=Finish(work.claim, JobState.DONE))
    shelf.discard(folder, work.claim)
    gateway.publish()
    work.progress(Step.DELIVERED.value, 1.0)
    return replace(work, release=release, request=request)


def _completion(work: Work) -> str:
    """The id of this release's completion event."""
    with work.gateway.store.reading() as connection:
        page = audit.events(connection, kind=EventKind.RELEASE_COMPLETED, about=work.release.id, limit=1)
    if not page.events:
        raise Broken("the completion of the release is not in the log")
    return page.events[0].event_id
