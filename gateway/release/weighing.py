"""What else a request could get: alternatives of risk and utility, for the person who approves it to choose from.

They are worked out on demand, under the safeguards that the rules demand; none is weaker. What was picked is kept with
the approval as levels and demands, and checked again when the release is planned.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.context import Gateway
from gateway.domain.account import Decision
from gateway.domain.dataset import DatasetVersion
from gateway.domain.request import Request
from gateway.formats import FileSource
from gateway.release.extract import FilteredSource, requested_study, whole_study
from gateway.release.work import scope_key
from policies import decide
from pseudonymization import deidentify, frontier, search
from pseudonymization.columns import Study
from pseudonymization.deidentify import Prepared
from pseudonymization.frontier import Alternative
from pseudonymization.safeguards import Safeguards


def alternatives(gateway: Gateway, request: Request, version: DatasetVersion, decision: Decision) -> list[Alternative]:
    """The alternatives of a request, the most useful first, under the rules as of today.

    Raises:
        Unreachable: no plan meets the safeguards, or there are too many recodings to compare.
    """
    whole, asked = whole_study(version), requested_study(version, request.terms)
    files = FileSource(Path(version.path), batch_rows=gateway.settings.batch_rows)
    source = FilteredSource(files, request.terms.rows, whole)
    verdict = decide.decide(decision.facts, gateway.rules, gateway.now().date())
    key = scope_key(gateway, request.terms.project, request.terms.mode)
    demanded, folder = verdict.policy.safeguards, Path(version.path)
    prepared = deidentify.prepare(whole, asked, source, demanded, key, folder=folder)
    return frontier.alternatives(
        prepared.table, prepared.ladders, prepared.plan.safeguards, weights=deidentify.weights(asked)
    )


def picked(request: Request) -> Mapping[str, Any]:
    """What the approvers picked; empty if they left it to the search."""
    return next((approval.picked for approval in reversed(request.approvals) if approval.picked), {})


def demanded(request: Request, safeguards: Safeguards) -> Safeguards:
    """The safeguards, made stricter by what was picked, never weaker."""
    chosen = picked(request)
    if not chosen:
        return safeguards
    return replace(
        safeguards,
        k=max(safeguards.k, int(chosen["k"])),
        blank_limit=min(safeguards.blank_limit, float(chosen["blank_limit"])),
    )


def adopted(request: Request, asked: Study, prepared: Prepared) -> Prepared:
    """The plan with what was picked in place of the cheapest; the same where nothing was.

    Hierarchies stay those of the rules' own safeguards, under which the alternatives were worked out.

    Raises:
        Unreachable, Unresolved: what was picked does not meet its demands any more.
    """
    chosen = picked(request)
    if not chosen:
        return prepared
    table, ladders, stricter = prepared.table, prepared.ladders, demanded(request, prepared.plan.safeguards)
    found = search.optimal(table, ladders, stricter, weights=deidentify.weights(asked), fixed=chosen["levels"])
    why = f"alternative {chosen['number']} ({chosen['why']}), picked at approval"
    return deidentify.adopt(prepared, asked, found, why)
