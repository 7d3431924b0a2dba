"""What the product is timed on: the worker's run of one queued release, from claim to delivered."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway import settings
from gateway.actions import accounts, datasets, requests
from gateway.context import open_gateway
from gateway.release import shelf

_DATASET, _RESEARCHER, _STEWARD = "large", "researcher", "steward"


@dataclass(frozen=True, slots=True)
class Run:
    """A prepared release: the command that is timed, its whole environment, and the sealed LB it leaves behind."""

    command: Sequence[str]
    sealed: Path
    environment: dict[str, str] = field(default_factory=dict)


def prepare_product(study: Path, work: Path, recipient: str) -> Run:
    """Register `study` (dm.parquet, lb.parquet) in a home in `work`, accept its columns, and queue its release.

    None of this is timed; the command that follows is: a worker that claims the release, plans, treats, seals,
    measures, signs, logs and delivers both tables, then stops. A fresh `work` is handed in for every run.
    """
    gateway = open_gateway(settings.load(home=work))
    steward = accounts.found(gateway, steward=_STEWARD, name="Steward of the benchmark")
    operator = gateway.store.actor(accounts.OPERATOR)
    accounts.add(gateway, operator, key=_RESEARCHER, name="Researcher", organisation="Maple Bay University")
    accounts.grant(gateway, operator, key=_RESEARCHER, role="researcher")
    datasets.add(gateway, steward, study, key=_DATASET, accept=True)
    researcher = gateway.store.actor(_RESEARCHER)
    request = requests.draft(gateway, researcher, _document(recipient))
    requests.submit(gateway, researcher, request.id)
    request = requests.approve(gateway, steward, request.id, note="a study made of random numbers")
    extract = shelf.extract(gateway.settings.releases_folder, request.release)
    gateway.store.engine.dispose()
    return Run(
        [str(Path(sys.executable).with_name("gateway")), "worker", "--once"],
        extract / "LB.parquet.age",
        {**os.environ, "GATEWAY_HOME": str(work)},
    )


def _document(recipient: str) -> dict[str, Any]:
    """A controlled release of everything, as a partner would ask for it."""
    return {
        "dataset": _DATASET,
        "tables": "all",
        "mode": "controlled",
        "project": "bench-2026",
        "purpose": "scientific_research",
        "exporter": {"org": "Aldergrove Trials", "country": "US", "roles": ["trial_sponsor"]},
        "recipient": {"org": "Maple Bay University", "country": "CA"},
        "destination": "CA",
        "keys": [recipient],
        "format": "parquet",
    }
