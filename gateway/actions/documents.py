"""Documents beside a study's tables: held, never released, named to the steward alone.

Narratives, scans and archives carry original ids and dates (a name of a file may be one): no release reads them.
"""

from collections.abc import Sequence
from pathlib import Path

from gateway.actions.guard import action, allow
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.domain.event import Event, EventKind
from gateway.formats import scan
from gateway.formats.folder import Skipped


@action("dataset", "check")
def held(gateway: Gateway, actor: Actor, dataset: str) -> Sequence[Skipped]:
    """The files beside the tables of a dataset, each with the reason why it is no table. Whoever checks a study may."""
    version = gateway.store.dataset(dataset).version
    row = allow(gateway, actor, "dataset", "check", study=dataset)
    found = scan(Path(version.path)).skipped
    event = Event(
        EventKind.DATASET_READ, actor.id, about={"dataset": dataset}, facts={"what": "held", "allowed_by": row}
    )
    gateway.store.record(event, now=gateway.now())
    return found
