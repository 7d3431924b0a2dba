"""Who really stands behind a party: ownership added up over owners, by country or by a flag each law names."""

import math
from collections.abc import Mapping
from typing import Any

from policies.registry import Measured, finding, measure

FLAGS = ("sdn", "entity_list", "covered_person", "control")


def _counts(owner: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool | None:
    """Whether an owner's share counts; None if its country would have to be known to tell."""
    if any(owner.get(flag) is True for flag in arguments.get("flags", ())):
        return True
    if not set(arguments.get("sanctioned_by", ())).isdisjoint(owner.get("sanctioned_by", ())):
        return True
    if "members" not in arguments:
        return False
    return owner["country"] in arguments["members"] if "country" in owner else None


@measure("list", "flags", "sanctioned_by")
def owned_pct(view: dict[str, Any], arguments: Mapping[str, Any]) -> Measured:
    """The share of the recipient, in percent and added up, held by owners of a country list or with a flag.

    28 CFR 202.211, OFAC and BIS add shares up. A stated list of owners is taken to be complete; an owner without a
    country or a share leaves the sum open between what is sure and what could be.
    """
    if "recipient.ownership" not in view:
        return 0, 100, frozenset({"recipient.ownership"})
    least = most = 0.0
    missing: set[str] = set()
    for owner in view["recipient.ownership"]:
        counts = _counts(owner, arguments)
        if counts is False:
            continue
        if counts is None:
            missing.add("recipient.ownership.country")
        if "pct" not in owner:
            missing.add("recipient.ownership.pct")
        most += owner.get("pct", 100)
        least += owner.get("pct", 0) if counts else 0
    # Shares are written as decimals: 33.4 + 16.6 is 50, whatever binary arithmetic makes of it.
    return round(least, 6), round(min(most, max(100, least)), 6), frozenset(missing)


@finding("list")
def aggregate_ownership_pct(view: dict[str, Any], arguments: Mapping[str, Any]) -> float | None:
    """The largest share that owners of a country of concern, or listed owners of one kind, hold together."""
    if "recipient.ownership" not in view:
        return None
    by_country = owned_pct(view, {"members": arguments["members"], "flags": ("covered_person",)})[0]
    largest = max(by_country, *(owned_pct(view, {"flags": (flag,)})[0] for flag in ("sdn", "entity_list")))
    return math.trunc(largest) if largest == math.trunc(largest) else largest
