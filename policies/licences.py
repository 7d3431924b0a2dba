"""Licences: every term must hold, else the licence is as if it were not there."""

from collections.abc import Mapping
from typing import Any

from policies.registry import Missing, Truth, finding, test
from policies.vocabulary import CATEGORIES
from policies.windows import people


def _asked_of(licence: Mapping[str, Any], view: Mapping[str, Any]) -> float | None:
    """How many people of the licence's unit this request would draw down; None if a count is not stated.

    A unit such as `us_persons_genomic` counts the people of that origin in that category.
    """
    unit = str(licence["cap"].get("unit", ""))
    category = next((name for name in sorted(CATEGORIES, key=len, reverse=True) if unit.endswith(name)), None)
    wanted = frozenset({category}) if category else CATEGORIES
    parts = view["all"]
    origin = unit[:2].upper() if unit[2:3] == "_" else None
    totals: dict[tuple[Any, ...], float] = {}
    for part in parts:
        belongs = origin is None or origin in (part.get("subject.country"), part.get("subject.citizenship"))
        if not belongs or ("categories" in part and wanted.isdisjoint(part["categories"])):
            continue
        if "subject.count" not in part:
            return None
        group = (part.get("subject.country"), part.get("subject.citizenship"), part.get("subject.region"))
        totals[group] = max(totals.get(group, 0), part["subject.count"])
    if not totals and origin is not None:  # the licence is for people this request has none of
        return people(parts, origin, wanted)[0]
    return sum(totals.values())


def faults_of(licence: Mapping[str, Any], view: Mapping[str, Any], types: frozenset[str] | None) -> tuple[str, ...]:
    """The terms of a licence that this request does not meet; empty if it covers the request."""
    day = view["as_of"]
    cap = licence.get("cap")
    checks = {
        "type": types is None or licence.get("type") in types,
        "status": licence.get("status", "active") == "active",
        "valid_from": "valid_from" not in licence or licence["valid_from"] <= day,
        "valid_to": "valid_to" in licence and day <= licence["valid_to"],
        "consignees": view.get("recipient.org") in licence.get("consignees", ()),
        "destinations": bool(view.get("places")) and set(view["places"]) <= set(licence.get("destinations", ())),
        "end_use": "end_use" in licence and licence["end_use"] == view.get("purpose"),
        "classification": "classification" not in licence
        or "export_classification" not in view
        or licence["classification"] == view["export_classification"],
        "cap": cap is None or _within(cap, licence, view),
    }
    return tuple(name for name, holds in checks.items() if not holds)


def _within(cap: Mapping[str, Any], licence: Mapping[str, Any], view: Mapping[str, Any]) -> bool:
    asked = _asked_of(licence, view)
    return "limit" in cap and "used" in cap and asked is not None and asked <= cap["limit"] - cap["used"]


@test("types")
def licence_covers(view: dict[str, Any], arguments: Mapping[str, Any]) -> Truth:
    """Whether a licence of one of `types` covers the request in every term: day, parties, places, end use, cap.

    A licence of which any term fails counts as absent. If no licences are stated there is none: a licence only
    ever helps, and it is for whoever holds one to bring it.
    """
    types = frozenset(arguments["types"])
    return any(not faults_of(licence, view, types) for licence in view.get("licences", ()))


@finding()
def licence_valid(view: dict[str, Any], _: Mapping[str, Any]) -> bool | Missing | None:
    """Whether any stated licence covers the request; nothing if none is stated."""
    if not view.get("licences"):
        return None
    return any(not faults_of(licence, view, None) for licence in view["licences"])


@finding()
def licence_headroom(view: dict[str, Any], _: Mapping[str, Any]) -> int | None:
    """What is left under the cap of the stated licence (of the one that covers, else of the first with a cap)."""
    capped = [licence for licence in view.get("licences", ()) if {"limit", "used"} <= set(licence.get("cap", ()))]
    if not capped:
        return None
    best = next((licence for licence in capped if not faults_of(licence, view, None)), capped[0])
    left: int = best["cap"]["limit"] - best["cap"]["used"]
    return left
