"""Running a release from wherever it stands to delivered. To resume is to read the last stored step and go on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gateway import logs
from gateway.context import Gateway
from gateway.domain.actor import SYSTEM, Actor
from gateway.domain.event import Event, EventKind, Outcome
from gateway.domain.release import Step
from gateway.domain.request import Move, Status, move
from gateway.errors import GatewayError, NotPossible
from gateway.formats import FileSource
from gateway.release import judge, pack, prepare, scanning, shelf, treat
from gateway.release.sound import Childless, as_in_source
from gateway.release.work import Progress, Work
from gateway.storage.jobs import Claim, Finish, Hold, JobState
from pseudonymization.deidentify import Prepared
from pseudonymization.faults import Unreadable, Unresolved
from pseudonymization.leaks import Scanner
from pseudonymization.options import Unfit

MOST_ATTEMPTS = 5
_EVERYTHING = Actor("system", "the gateway itself", roles={"*": frozenset({"operator"})})

Translate = Callable[[Exception], GatewayError]


def run(gateway: Gateway, claim: Claim, *, progress: Progress, translate: Translate) -> None:
    """Carry one claimed release to its end. A fault stops it, with the reason stored; a killed process does not.

    `translate` puts a foreign fault into the words of the outside.

    Raises:
        NotPossible: another worker has taken over; nothing was saved since.
    """
    work = _open(gateway, claim, progress)
    try:
        if claim.attempts > MOST_ATTEMPTS:
            raise NotPossible(
                "the release was begun several times and never ended",
                rule="release-attempts",
                cure="look for what kills the worker (memory, disk), then start it again",
            )
        with _lease_kept(gateway, claim):
            _go_on(_begun(work))
    except Exception as error:  # noqa: BLE001 - every fault stops the release and is told in our words
        stop(gateway, claim, translate(error))


def _open(gateway: Gateway, claim: Claim, progress: Progress) -> Work:
    release = gateway.store.release(claim.id)
    request = gateway.store.request(release.request, seen_by=_EVERYTHING)
    return Work(
        gateway,
        claim,
        release,
        request,
        gateway.store.decision(request.decision),
        gateway.store.version(release.version),
        progress,
    )


def _begun(work: Work) -> Work:
    """Move the request to `releasing` on the first claim, and take over what earlier claims staged."""
    gateway, claim = work.gateway, work.claim
    gateway.store.renew(claim, now=gateway.now(), lease_seconds=gateway.settings.lease_seconds)
    shelf.take_over(gateway.settings.releases_folder, claim)
    if work.request.status is Status.RELEASING:
        return work
    request = replace(work.request, status=move(work.request.status, Move.START), updated=gateway.now())
    event = Event(EventKind.RELEASE_STARTED, SYSTEM.id, about=work.about, facts={"version": work.version.id})
    gateway.store.save(request, event=event, now=gateway.now(), job=Hold(claim))
    return replace(work, request=replace(request, revision=request.revision + 1))


def _go_on(work: Work) -> None:
    """The steps in order; a fault in rows is told by the numbers that they have in the source.

    Raises:
        Unreadable, Unresolved, Unreachable, Leak, GatewayError: as the steps do.
    """
    try:
        _steps(work)
    except (Unreadable, Unresolved) as fault:
        drops = Unfit.DROP in {work.whole.options.orphans, work.whole.options.duplicates, work.whole.options.parents}
        if not drops or work.request.terms.rows or isinstance(fault, Childless):
            raise
        files = FileSource(Path(work.version.path), batch_rows=work.gateway.settings.batch_rows)
        places = tuple(as_in_source(place, work.whole, files) for place in fault.places)
        raise type(fault)(fault.reason, places=places, cure=fault.cure) from fault


def _steps(work: Work) -> None:
    """The steps in order, from the first that is not stored."""
    prepared: Prepared | None = None
    scanner: Scanner | None = None
    if work.release.step in {Step.QUEUED, Step.PREPARED}:
        facts = {"key": work.gateway.keys.derive("fingerprint/projects")[:16].hex(), "for": "pseudonyms and dates"}
        used = Event(EventKind.KEY_USED, SYSTEM.id, about=work.about, facts=dict(facts))
        work.gateway.store.record(used, now=work.gateway.now())
    if work.release.step is Step.QUEUED:
        shelf.empty(work.gateway.settings.releases_folder, work.claim)
        work, prepared = prepare.prepare(work)
    if work.release.step is Step.PREPARED:
        prepared = prepared or prepare.again(work)
        scanner = scanning.scanner(work, prepared)
        work = treat.treat_tables(work, prepared, scanner)
    if work.release.step is Step.TREATED:
        prepared = prepared or prepare.again(work)
        work = judge.judge(work, prepared)
    if work.release.step is Step.JUDGED:
        work = pack.pack(work, scanner or scanning.scanner(work, prepared or prepare.again(work)))
    if work.release.step is Step.PACKED:
        work = pack.log(work)
    if work.release.step is Step.LOGGED:
        pack.deliver(work)


def stop(gateway: Gateway, claim: Claim, error: GatewayError) -> None:
    """Store why a release stopped; its request goes back to approved, so that a steward can mend and start it.

    Raises:
        NotPossible: another worker has taken over; whatever went wrong here is of no account.
    """
    release = gateway.store.release(claim.id)
    request = gateway.store.request(release.request, seen_by=_EVERYTHING)
    fault = error.reason + (f"; {error.cure}" if error.cure else "")
    facts = {"fault": type(error).__name__, "rule": getattr(error, "rule", ""), "step": release.step.value}
    event = Event(
        EventKind.RELEASE_FAILED,
        SYSTEM.id,
        Outcome.FAILED,
        about={"release": release.id, "request": request.id, "dataset": release.dataset},
        facts=facts,
    )
    things = [replace(release, fault=fault)]
    if request.status is Status.RELEASING:
        back = replace(request, status=move(request.status, Move.STOP), updated=gateway.now())
        gateway.store.save(*things, back, event=event, now=gateway.now(), job=Finish(claim, JobState.STOPPED))
    else:
        gateway.store.save(*things, event=event, now=gateway.now(), job=Finish(claim, JobState.STOPPED))
    shelf.discard(gateway.settings.releases_folder, claim)
    logs.logger("release").warning("release stopped", release=release.id, fault=type(error).__name__)


@contextmanager
def _lease_kept(gateway: Gateway, claim: Claim) -> Iterator[None]:
    """Renew the lease from a thread while the steps run. If it is lost, the next save finds out."""
    ended = threading.Event()
    seconds = gateway.settings.lease_seconds

    def renew() -> None:
        while not ended.wait(seconds / 3):
            try:
                gateway.store.renew(claim, now=gateway.now(), lease_seconds=seconds)
            except NotPossible:
                return

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
