"""Releases: their progress, their files, starting one again, revoking one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.actions.guard import action, allow
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.domain.event import Event, EventKind, Outcome
from gateway.domain.release import Release, ReleaseFile, Step
from gateway.domain.request import Move, Request, Status, move
from gateway.errors import NotFound, NotPossible
from gateway.release import shelf
from gateway.storage.jobs import Enqueue

SEALED = ".age"


@dataclass(frozen=True, slots=True)
class Download:
    """A file that may be served now: the event that says so is already in the log."""

    path: Path
    file: ReleaseFile
    about: dict[str, str]


def _request_of(gateway: Gateway, actor: Actor, release: Release) -> Request:
    return gateway.store.request(release.request, seen_by=actor)


def _about(release: Release) -> dict[str, str]:
    return {"release": release.id, "request": release.request, "dataset": release.dataset}


@action("release", "read")
def status(gateway: Gateway, actor: Actor, key: str) -> Release:
    """How far a release is."""
    release = gateway.store.release(key, seen_by=actor)
    env = {"recipient": _request_of(gateway, actor, release).requester}
    row = allow(gateway, actor, "release", "read", study=release.dataset, env=env)
    event = Event(EventKind.RELEASE_READ, actor.id, about=_about(release), facts={"what": "status", "allowed_by": row})
    gateway.store.record(event, now=gateway.now())
    return release


@action("release", "read")
def files(gateway: Gateway, actor: Actor, key: str) -> Sequence[ReleaseFile]:
    """The files of a delivered release.

    Raises:
        NotPossible: it is not delivered, was revoked, or has ended.
    """
    release = gateway.store.release(key, seen_by=actor)
    env = {"recipient": _request_of(gateway, actor, release).requester}
    row = allow(gateway, actor, "release", "read", study=release.dataset, env=env)
    _available(gateway, release)
    event = Event(EventKind.RELEASE_READ, actor.id, about=_about(release), facts={"what": "files", "allowed_by": row})
    gateway.store.record(event, now=gateway.now())
    return shelf.listing(release)


@action("release", "download")
def download(gateway: Gateway, actor: Actor, key: str, name: str, *, asked: str = "") -> Download:
    """Permission to serve one file, logged before the first byte. Sealed tables need the right to download.

    `asked` is the Range header, for the log.

    Raises:
        NotAllowed, NotPossible, NotFound: as for `files`, or no such file.
    """
    release = gateway.store.release(key, seen_by=actor)
    env = {"recipient": _request_of(gateway, actor, release).requester}
    act = "download" if name.endswith(SEALED) else "read"
    row = allow(gateway, actor, "release", act, study=release.dataset, env=env)
    _available(gateway, release)
    path, file = shelf.find(gateway.settings.releases_folder, release, name)
    about = {**_about(release), "file": name}
    facts: dict[str, Any] = {"sha256": file.sha256, "size": file.size, "range": asked[:100], "allowed_by": row}
    gateway.store.record(Event(EventKind.DOWNLOAD_STARTED, actor.id, about=about, facts=facts), now=gateway.now())
    return Download(path, file, about)


def download_ended(gateway: Gateway, actor: Actor, served: Download, *, first: int, sent: int, whole: bool) -> None:
    """Log which bytes really left: from `first`, `sent` of them, and whether that was all that was asked."""
    event = Event(
        EventKind.DOWNLOAD_ENDED,
        actor.id,
        Outcome.DONE if whole else Outcome.FAILED,
        about=served.about,
        facts={"first": first, "sent": sent},
    )
    gateway.store.record(event, now=gateway.now())


def _available(gateway: Gateway, release: Release) -> None:
    if release.revoked:
        raise NotPossible("this release was revoked", rule="release-revoked", cure="ask the steward why")
    if release.step is not Step.DELIVERED:
        raise NotPossible(
            f"this release is not delivered yet (it is {release.step})",
            rule="release-step",
            cure=release.fault or "wait: its status shows how far it is",
        )
    if release.expires is not None and release.expires <= gateway.now():
        raise NotPossible("this release has ended", rule="release-expired", cure="make a new request")


@action("release", "start")
def start(gateway: Gateway, actor: Actor, key: str) -> Release:
    """Queue a release again that stopped.

    Raises:
        NotPossible: it has not stopped.
    """
    release = gateway.store.release(key, seen_by=actor)
    row = allow(gateway, actor, "release", "start", study=release.dataset)
    request = _request_of(gateway, actor, release)
    if request.status is not Status.APPROVED:
        raise NotPossible(f"the request is {request.status}", rule="request-moves", cure="only an approved one starts")
    event = Event(EventKind.RELEASE_STARTED, actor.id, about=_about(release), facts={"again": True, "allowed_by": row})
    gateway.store.save(
        replace(release, step=Step.QUEUED, fault="", progress=0.0, values={}),
        event=event,
        now=gateway.now(),
        job=Enqueue(release.id),
    )
    return gateway.store.release(key, seen_by=actor)


@action("release", "revoke")
def revoke(gateway: Gateway, actor: Actor, key: str, *, note: str) -> Release:
    """End a delivered release: nothing more is served. Bytes already fetched cannot be called back."""
    release = gateway.store.release(key, seen_by=actor)
    row = allow(gateway, actor, "release", "revoke", study=release.dataset)
    request = _request_of(gateway, actor, release)
    if not note.strip():
        raise NotPossible("a reason is needed", rule="revoke-reason", cure="say why in one sentence")
    now = gateway.now()
    changed = replace(request, status=move(request.status, Move.REVOKE), updated=now, note=note)
    ended = replace(release, revoked=True)
    event = Event(EventKind.RELEASE_REVOKED, actor.id, about=_about(release), facts={"allowed_by": row})
    gateway.store.save(changed, ended, event=event, now=now)
    return ended


@action("release", "expire")
def expire(gateway: Gateway, actor: Actor) -> int:
    """End the releases whose time is over; returns how many. The worker calls it."""
    now, ended = gateway.now(), 0
    for request in gateway.store.requests(seen_by=actor, status=Status.RELEASED):
        release = gateway.store.release(request.release)
        if release.expires is None or release.expires > now:
            continue
        changed = replace(request, status=move(request.status, Move.EXPIRE), updated=now)
        event = Event(EventKind.RELEASE_EXPIRED, actor.id, about=_about(release))
        gateway.store.save(changed, event=event, now=now)
        ended += 1
    return ended


def find_release(gateway: Gateway, request: Request) -> Release:
    """The release of a request.

    Raises:
        NotFound: it has none yet.
    """
    if not request.release:
        raise NotFound("this request has no release yet", place="request", cure="it needs approval first")
    return gateway.store.release(request.release)
