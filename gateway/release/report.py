"""The report a person reads: what was done to each column and why, and the risk before and after, with pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from gateway.domain.release import ReleaseTable
from gateway.release.manifest import columns
from gateway.release.work import Work
from pseudonymization.plan import Plan

_PAGES = Environment(
    loader=PackageLoader("gateway.release", "pages"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_WIDTH, _HEIGHT, _BASE, _GAP = 640, 200, 160, 10


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the histogram: where it stands (SVG units), and what it says."""

    x: float
    width: float
    before: float
    after: float
    label: str
    before_share: float
    after_share: float


def bars(before: Mapping[str, float], after: Mapping[str, float]) -> list[Bar]:
    """The two histograms of class sizes side by side; heights are shares of subjects."""
    names = list(after)
    step = (_WIDTH - _GAP) / max(1, len(names))
    tallest = max([*before.values(), *after.values(), 0.01])
    return [
        Bar(
            _GAP + at * step,
            step - _GAP,
            _BASE * before.get(name, 0.0) / tallest,
            _BASE * after[name] / tallest,
            name,
            before.get(name, 0.0),
            after[name],
        )
        for at, name in enumerate(names)
    ]


def threshold_x(k: int, found: list[Bar]) -> float | None:
    """Where the line of the smallest class allowed stands; None where no class size is demanded."""
    if k <= 1:
        return None
    for bar in found:
        low = int(bar.label.lstrip(">=").split("-")[0])
        high = bar.label.split("-")[-1]
        if k <= low:
            return bar.x - _GAP / 2
        if high.isdigit() and k <= int(high):
            return bar.x + bar.width * (k - low) / (int(high) - low + 1)
    return _WIDTH - _GAP / 2


def render(work: Work, tables: Mapping[str, ReleaseTable], created: datetime, expires: datetime) -> bytes:
    """The report as one HTML page without any outside reference. Shares, never small counts; no cell value."""
    values = work.release.values
    plan = Plan.from_dict(values["plan"])
    found = bars(values["before"]["histogram"], values["after"]["histogram"])
    page = _PAGES.get_template("report.html")
    flips = [
        {"table": table.name, "column": column, **counts}
        for table in tables.values()
        for column, counts in table.value["date_flips"].items()
    ]
    return page.render(
        release=work.release.id,
        terms=work.request.terms,
        version=work.version,
        created=created.strftime("%Y-%m-%d %H:%M UTC"),
        expires=expires.strftime("%Y-%m-%d"),
        plan=plan,
        policy=_policy(values["policy"]),
        conditions=values["verdict"]["conditions"],
        columns=_by_table(columns(plan, values["policy"])),
        tables=[tables[name].value for name in sorted(tables)],
        before=values["before"],
        after=values["after"],
        utility=values["utility"],
        bars=found,
        threshold=threshold_x(plan.safeguards.k, found),
        flips=flips,
        width=_WIDTH,
        height=_HEIGHT,
        base=_BASE,
    ).encode()


def _policy(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each demand in force, with the rules that made it as strict as it is."""
    return [{"field": name, "value": entry["value"], "rules": entry["rules"]} for name, entry in policy.items()]


def _by_table(found: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for column in found:
        grouped.setdefault(column["table"], []).append(column)
    return grouped
