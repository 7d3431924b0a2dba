"""What every step of a release works with, and how a finished step is stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.context import Gateway
from gateway.domain.account import Decision
from gateway.domain.actor import SYSTEM
from gateway.domain.dataset import DatasetVersion
from gateway.domain.event import Event, EventKind
from gateway.domain.release import Release, Step
from gateway.domain.request import Request
from gateway.formats import FileSource
from gateway.release.extract import FilteredSource, requested_study, whole_study
from gateway.storage.jobs import Claim, Hold
from pseudonymization.columns import Source, Study
from pseudonymization.pseudonyms import ProjectKey

# Called with a step's name and the share of the whole release that is done.
Progress = Callable[[str, float], None]

SHARES: Mapping[Step, float] = {
    Step.QUEUED: 0.0,
    Step.PREPARED: 0.15,
    Step.TREATED: 0.9,
    Step.JUDGED: 0.92,
    Step.PACKED: 0.96,
    Step.LOGGED: 0.99,
    Step.DELIVERED: 1.0,
}


SHARED_BY_MANY = "public"
"""The mode of a release whose readers nobody knows."""


def scope_key(gateway: Gateway, project: str, mode: str) -> ProjectKey:
    """The pseudonym key of a project's releases of one mode: the same in all of them, another for everything else.

    A public release has a key beside the project's: whoever holds both releases cannot join them by pseudonym or date.
    """
    scope = f"{project}\x1f{mode}" if mode == SHARED_BY_MANY else project
    return ProjectKey.derive(gateway.keys.derive("projects"), scope)


@dataclass(frozen=True, slots=True)
class Work:
    """One release in the hands of one worker."""

    gateway: Gateway
    claim: Claim
    release: Release
    request: Request
    decision: Decision
    version: DatasetVersion
    progress: Progress

    @property
    def whole(self) -> Study:
        """The study as registered."""
        return whole_study(self.version)

    @property
    def asked(self) -> Study:
        """The part of it that is released."""
        return requested_study(self.version, self.request.terms)

    @property
    def source(self) -> Source:
        """The rows of the study, filtered as the request says."""
        files = FileSource(Path(self.version.path), batch_rows=self.gateway.settings.batch_rows)
        return FilteredSource(files, self.request.terms.rows, self.whole)

    @property
    def key(self) -> ProjectKey:
        """The pseudonym key of this release, see `scope_key`."""
        return scope_key(self.gateway, self.request.terms.project, self.request.terms.mode)

    @property
    def about(self) -> dict[str, str]:
        """The ids an event of this release is about."""
        return {"release": self.release.id, "request": self.request.id, "dataset": self.version.dataset}

    def store(self, step: Step, facts: Mapping[str, Any], **values: Any) -> "Work":
        """Save a finished step with its event, if the claim still holds; returns the work one step further.

        Raises:
            NotPossible: another worker has taken over.
        """
        changed = replace(
            self.release, step=step, values={**self.release.values, **values}, progress=SHARES[step], fault=""
        )
        event = Event(EventKind.RELEASE_STEP, SYSTEM.id, about=self.about, facts={"step": step.value, **facts})
        self.gateway.store.save(changed, event=event, now=self.gateway.now(), job=Hold(self.claim))
        self.progress(step.value, SHARES[step])
        return replace(self, release=changed)

    def progressed(self, share: float) -> Release:
        """The release with this share of its rows treated."""
        low, high = SHARES[Step.PREPARED], SHARES[Step.TREATED]
        return replace(self.release, progress=low + (high - low) * min(1.0, share))

    def renew(self, share: float) -> None:
        """Show progress inside the treat step; whoever listens also keeps the lease."""
        self.progress("treat", self.progressed(share).progress)
