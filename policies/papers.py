"""Papers in hand and measured risks: which instruments are good on the day, and what they and the metrics say."""

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from policies.registry import Measured, Truth, measure, test

# The conventional integer for the threshold of EMA/90915/2016 and Health Canada's PRCI (regulators count 1/11 as 0.09).
_CONVENTION = {0.09: 11}


def held(view: Mapping[str, Any]) -> frozenset[str]:
    """The instruments in hand and not expired on the day of the decision (the last day of validity included)."""
    known: frozenset[str] | None = view.get("held")
    if known is None:
        known = frozenset(paper["type"] for paper in papers(view))
    return known


def papers(view: Mapping[str, Any], named: str = "") -> tuple[Mapping[str, Any], ...]:
    """The instruments in force on the day, all or those of one type."""
    return tuple(
        paper
        for paper in view.get("instruments", ())
        if named in ("", paper["type"]) and ((end := paper_end(view, paper)) is None or end >= view["as_of"])
    )


def paper_end(view: Mapping[str, Any], paper: Mapping[str, Any]) -> date | None:
    """The last day an instrument is good for, if one is stated."""
    stated: date | None = (
        paper.get("expires") or paper.get("valid_to") or view.get("instrument_expiries", {}).get(paper["type"])
    )
    return stated


@test("paper", "all_of", "any_of")
def paper_states(view: dict[str, Any], arguments: Mapping[str, Any]) -> Truth:
    """Whether an instrument in hand carries these facts: all of `all_of`, and at least one of `any_of`."""
    every, some = arguments.get("all_of", ()), arguments.get("any_of", ())
    return any(
        all(name in paper for name in every) and (not some or any(name in paper for name in some))
        for paper in papers(view, arguments["paper"])
    )


def class_size(max_risk: float) -> int:
    """The smallest class size that a maximum risk stands for, as an integer: 0.09 is 11 by convention."""
    return _CONVENTION.get(max_risk) or math.ceil(1 / max_risk - 1e-9)


@measure()
def smallest_class(view: dict[str, Any], _: Mapping[str, Any]) -> Measured:
    """The smallest class of subjects alike: `metrics.k_min`, or what `metrics.max_risk` comes to, the smaller of both.

    A risk is 1 over a class size, so a rounded one (0.0909) is read as the size it was rounded from.
    """
    sizes = [view["metrics.k_min"]] if "metrics.k_min" in view else []
    risk = view.get("metrics.max_risk")
    if risk:
        nearest = round(1 / risk)
        sizes.append(nearest if nearest and abs(1 / nearest - risk) < 0.0001 else math.floor(1 / risk))
    if not sizes:
        return 0, math.inf, frozenset({"metrics.k_min"})
    return min(sizes), min(sizes), frozenset()


def thresholds(paper: Mapping[str, Any]) -> dict[str, Any]:
    """The data demands an instrument carries: k (or a maximum risk as k), average risk, attempt, uniques."""
    asked = {name: paper[name] for name in ("k", "max_risk", "average_risk", "uniques") if name in paper}
    if "average_risk" in paper and "attempt" in paper:
        asked["attempt"] = paper["attempt"]
    if "max_risk" in asked:
        asked["k"] = max(asked.get("k", 1), class_size(asked["max_risk"]))
    return asked


@measure("attempt")
def attempted_risk(view: dict[str, Any], arguments: Mapping[str, Any]) -> Measured:
    """The average risk times the probability of an attempt: `metrics.avg_risk` × `attempt` (PhUSE 2016 DH09)."""
    if "metrics.avg_risk" not in view:
        return 0, 1, frozenset({"metrics.avg_risk"})
    risk = view["metrics.avg_risk"] * arguments["attempt"]
    return risk, risk, frozenset()
