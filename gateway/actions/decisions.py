"""Decisions: the facts of a request put together, and the rules asked. A policy can also be tried on facts alone."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from gateway.actions import ledger
from gateway.actions.guard import action, allow
from gateway.context import Gateway
from gateway.domain.account import Decision
from gateway.domain.actor import Actor
from gateway.domain.dataset import Dataset
from gateway.domain.event import Event, EventKind
from gateway.domain.request import Request
from gateway.formats import FileSource
from gateway.release.extract import FilteredSource, requested_study, whole_study
from gateway.release.origins import subjects_by_country
from policies import decide as rules_of_transfer

# What the gateway itself establishes: a requester cannot state it otherwise.
OURS = frozenset(
    {"subjects", "categories", "identifiability", "exporter", "recipient", "purpose", "direct_identifiers_present"}
)


def facts_of(gateway: Gateway, dataset: Dataset, request: Request) -> dict[str, Any]:
    """The decision's facts: what the gateway knows itself, then what the requester states beside it.

    What nobody stated stays absent: unknown holds a request, it never permits one.
    """
    terms = request.terms
    study = requested_study(dataset.version, terms)
    whole = whole_study(dataset.version)
    source = FilteredSource(FileSource(Path(dataset.version.path)), terms.rows, whole)
    counted = subjects_by_country(whole, study, source)
    stated = {key: value for key, value in terms.facts.items() if key not in OURS}
    given = dict(stated.pop("transfer", {}))
    transfer = {
        **({"kind": "public_release"} if terms.mode == "public" else {}),
        **given,
        **ledger.counts(gateway, dataset, terms, given),
        "mode": terms.mode,
        "destination": terms.destination,
    }
    return {
        **stated,
        "subjects": [
            {"country": country, "count": count} if country else {"count": count}
            for country, count in sorted(counted.items())
        ],
        "categories": list(dataset.categories),
        "identifiability": "pseudonymised",
        "exporter": dict(terms.exporter),
        "recipient": dict(terms.recipient),
        "transfer": transfer,
        "purpose": terms.purpose,
    }


def decide_request(gateway: Gateway, request: Request) -> Decision:
    """Ask the rules about a request, as of today. The decision keeps what it was made from."""
    dataset = gateway.store.dataset(request.terms.dataset)
    facts = facts_of(gateway, dataset, request)
    now = gateway.now()
    rules = gateway.rules_at(now)
    verdict = rules_of_transfer.decide(facts, rules, now.date())
    return Decision(
        f"d-{secrets.token_hex(6)}",
        request.id,
        now.date().isoformat(),
        facts,
        verdict.to_dict(),
        rules.bundle,
        now,
    )


def event_facts(decision: Decision) -> dict[str, Any]:
    """What the log holds of a decision: verdict, rule ids, digests. No counts, no names."""
    verdict = decision.verdict
    rules = {item["rule"] for part in ("denials", "licences", "reviews", "conditions") for item in verdict[part]}
    return {
        "decision": decision.id,
        "verdict": verdict["decision"],
        "rules": sorted(rules),
        "facts_sha256": digest(decision.facts),
        "bundle": decision.bundle,
        "as_of": decision.as_of,
    }


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 over canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@action("policy", "decide")
def try_facts(gateway: Gateway, actor: Actor, facts: Mapping[str, Any], *, as_of: date | None = None) -> dict[str, Any]:
    """The verdict for facts that belong to no request.

    Raises:
        Invalid: a fact is unknown or of the wrong form.
    """
    row = allow(gateway, actor, "policy", "decide")
    day = as_of or gateway.now().date()
    verdict = rules_of_transfer.decide(facts, gateway.rules, day).to_dict()
    event = Event(
        EventKind.DECISION_MADE,
        actor.id,
        facts={
            "verdict": verdict["decision"],
            "facts_sha256": digest(facts),
            "as_of": day.isoformat(),
            "allowed_by": row,
        },
    )
    gateway.store.record(event, now=gateway.now())
    return verdict
