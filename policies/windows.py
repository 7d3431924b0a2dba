"""Counting people over time: each law with its own counter, window and unit, never merged.

A count is an interval: what is stated, and what it could be where an origin, a count or the ledger is unknown.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from policies.facts import NOT_HUMAN
from policies.registry import Measured, Missing, Truth, measure, test
from policies.vocabulary import CATEGORIES

Parts = Iterable[Mapping[str, Any]]
_ORDINARY = frozenset({"identifiers"})
_SENSITIVE = CATEGORIES - _ORDINARY - NOT_HUMAN


def _year_before(day: date) -> date:
    """The same day a year earlier (28 February for a leap day)."""
    return day.replace(year=day.year - 1, day=28) if (day.month, day.day) == (2, 29) else day.replace(year=day.year - 1)


def _of_origin(part: Mapping[str, Any], origin: str) -> bool | None:
    """Whether a partition's subjects belong to a country by residence or citizenship; None if nobody stated it."""
    if part.get("subject.country") == origin or part.get("subject.citizenship") == origin:
        return True
    return None if "subject.country" not in part else False


def people(parts: Parts, origin: str, categories: frozenset[str]) -> Measured:
    """How many distinct people of an origin this request holds in any of these categories."""
    least: float = 0
    most: float = 0
    missing: set[str] = set()
    for part in parts:
        if "categories" in part and categories.isdisjoint(part["categories"]):
            continue
        belongs = _of_origin(part, origin)
        if belongs is False:
            continue
        count = part.get("subject.count")
        if count is None:
            missing.add("subjects.count")
        if belongs is None:
            missing.add("subjects.country")
        if "categories" not in part:
            missing.add("categories")
        certain = belongs is True and "categories" in part and count is not None
        least += count if certain and count is not None else 0
        most += math.inf if count is None else count
    return least, most, frozenset(missing)


def earlier(view: Mapping[str, Any], category: str) -> Measured:
    """How many people of a category went to the same recipient in the twelve months before, by the ledger.

    Earlier transfers with a date before the window do not count. Undated counts do; where some dates lie inside
    the window and it is not said how many went on which, all do.
    """
    if "transfer.prior_12m" not in view and "transfer.prior_dates" not in view:
        return 0, math.inf, frozenset({"transfer.prior_12m"})
    stated = view.get("transfer.prior_12m", {}).get(category, 0)
    moments = view.get("transfer.prior_dates")
    if moments is None:
        return stated, stated, frozenset()
    since = _year_before(view["as_of"])
    inside = [moment for moment in moments if since <= moment["date"] <= view["as_of"]]
    itemised = all("count" in moment or isinstance(moment.get("counts"), Mapping) for moment in moments)
    if moments and itemised:
        total = sum(
            moment.get("counts", {}).get(category, 0)
            + (moment.get("count", 0) if moment.get("category", category) == category else 0)
            for moment in inside
        )
        return total, total, frozenset()
    if moments and not inside:
        return 0, 0, frozenset()
    return stated, stated, frozenset()


@measure("origin", "category")
def persons_12m(view: dict[str, Any], arguments: Mapping[str, Any]) -> Measured:
    """Distinct people of `origin` in `category`: in this request and, by the ledger, in the twelve months before.

    Zero where the request itself holds none of that category. De-identified people count (28 CFR 202.206).
    """
    category = arguments["category"]
    key = f"persons_12m {arguments['origin']} {category}"
    if key not in view:
        least, most, missing = people(view["all"], arguments["origin"], frozenset({category}))
        if most > 0:
            before = earlier(view, category)
            least, most, missing = least + before[0], most + before[1], missing | before[2]
        view[key] = (least, most, missing)
    known: Measured = view[key]
    return known


@measure("origin", "categories")
def persons_of_origin(view: dict[str, Any], arguments: Mapping[str, Any]) -> Measured:
    """Distinct people of `origin` in this request in any of `categories`: the most in any one category of a group."""
    origin, categories = arguments["origin"], frozenset(arguments["categories"])
    least, most, missing = people(view["all"], origin, categories)
    least, most = _one_group(view["all"], origin, categories, least, most)
    return least, most, missing


@test("origin", "thresholds", "beside")
def combined_data_bulk(view: dict[str, Any], arguments: Mapping[str, Any]) -> Truth:
    """Whether, of several categories sent together, any one passes the lowest threshold of those present.

    `beside` names categories whose threshold is so high that it is never the lowest.
    28 CFR 202.205: data combined of several categories is bulk at the lowest number that applies to any of them.
    """
    thresholds: Mapping[str, int] = arguments["thresholds"]
    origin, beside = arguments["origin"], frozenset(arguments.get("beside", ()))
    present = {
        category
        for part in view["all"]
        if _of_origin(part, origin) is not False
        for category in part.get("categories", ())
        if category in thresholds or category in beside
    }
    if len(present) < 2:
        return False
    lowest = min(thresholds[category] for category in present - beside)
    missing: Missing = frozenset()
    for category in present:
        least, most, unknown = persons_12m(view, {"origin": origin, "category": category})
        if least > lowest:
            return True
        if most > lowest:
            missing |= unknown
    return missing or False


@measure("kind")
def persons_since_january(view: dict[str, Any], arguments: Mapping[str, Any]) -> Measured:
    """Distinct people in mainland China whose data this exporter sends abroad this year, this request included.

    `kind`: `sensitive` (health, genomic, biometric and the like) or `ordinary`. CAC Order 16 (22 March 2024) Art. 7-8.
    """
    kind = arguments["kind"]
    least, most, missing = people(view["all"], "CN", _SENSITIVE if kind == "sensitive" else _ORDINARY)
    # The same people stand in several categories of one origin: the largest part is sure, the sum is possible.
    if kind == "sensitive":
        least, most = _one_group(view["all"], "CN", _SENSITIVE, least, most)
    if most == 0:
        return 0, 0, frozenset()
    before = view.get("transfer.since_jan1")
    if before is None:
        return least, math.inf, missing | {"transfer.since_jan1"}
    return least + before.get(kind, 0), most + before.get(kind, 0), missing


def _one_group(parts: Parts, origin: str, categories: frozenset[str], least: float, most: float) -> tuple[float, float]:
    """People counted once where one origin and region is split into several categories."""
    largest: dict[tuple[Any, ...], float] = {}
    for part in parts:
        if _of_origin(part, origin) is not False and not categories.isdisjoint(part.get("categories", categories)):
            if _of_origin(part, origin) is None or "subject.count" not in part or "categories" not in part:
                return least, most
            group = (part.get("subject.country"), part.get("subject.region"), part.get("subject.citizenship"))
            largest[group] = max(largest.get(group, 0), part["subject.count"])
    total = sum(largest.values())
    return total, total
