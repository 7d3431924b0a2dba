"""The report a person reads: what was done to each column and why, and the risk before and after, with pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from gateway.domain.release import ReleaseTable
from gateway.release import drawing, words
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
_SHARE = "share"
# What each demand is called on the page, and how its value is written.
_DEMANDS: Mapping[str, tuple[str, str]] = {
    "k": ("Smallest class", ""),
    "average_risk": ("Average risk, at most", ""),
    "attempt": ("Probability of an attempt", ""),
    "uniques": ("Subjects alone in their class, at most", _SHARE),
    "blank_limit": ("Subjects with blanked cells, at most", _SHARE),
    "age_top": ("Ages above this leave as one class", ""),
    "dates": ("Dates", ""),
    "text": ("Free text", ""),
    "geography": ("Places, no finer than", ""),
    "removed": ("Removed", ""),
    "approvers": ("Approvers, at least", ""),
    "expiry_days": ("Days a grant runs, at most", ""),
    "records_years": ("Years records are kept", ""),
}
_AS_IT_IS = frozenset({"keep"})


@dataclass(frozen=True, slots=True)
class Bin:
    """Classes of one size: the share of subjects in them before and after, and the widths of the two bars (0 to 100).

    `line` says that the smallest size the rules allow begins here; `below` that nobody may stand here.
    """

    label: str
    before: float
    after: float
    before_width: float
    after_width: float
    line: bool
    below: bool


def bins(before: Mapping[str, float], after: Mapping[str, float], smallest: int) -> list[Bin]:
    """Both histograms of class sizes, smallest first, up to the last size that occurs; shares of subjects.

    `smallest` is the smallest class allowed (1: no line is drawn). A bin that the line would cut stays above it
    only from that size on, and its label says so.
    """
    names = list(after)
    lows = [int(name.lstrip(">=").split("-")[0]) for name in names]
    highs = [low - 1 for low in lows[1:]] + [max(smallest, lows[-1])] if lows else []
    tallest = max([*before.values(), *after.values(), 0.01])
    occurs = [at for at, name in enumerate(names) if before.get(name, 0.0) or after[name]]
    line = next((at for at, high in enumerate(highs) if high >= smallest), 0) if smallest > 1 else None
    last = max([*occurs, line or 0, 0])
    found = []
    for at, name in enumerate(names[: last + 1]):
        label = name.replace("-", "–").replace(">=", "from ")
        if at == line and smallest > lows[at]:
            label += f" (from {smallest})"
        shares = (before.get(name, 0.0), after[name])
        widths = (100 * shares[0] / tallest, 100 * shares[1] / tallest)
        found.append(Bin(label, *shares, *widths, line=at == line, below=line is not None and at < line))
    return found


def smallest_class(plan: Plan) -> int:
    """The smallest class that the safeguards allow: k, or two where nobody may be alone."""
    return max(plan.safeguards.k, 2 if plan.safeguards.uniques == 0 else 1)


def share(value: float) -> str:
    """A share as a whole percentage; one that is small but not nothing says so."""
    return "<1 %" if 0 < value < 0.005 else f"{value * 100:.0f} %"


def render(work: Work, tables: Mapping[str, ReleaseTable], created: datetime, expires: datetime) -> bytes:
    """The report as one HTML page without any outside reference. Shares, never small counts; no cell value."""
    values = work.release.values
    plan = Plan.from_dict(values["plan"])
    smallest = smallest_class(plan)
    page = _PAGES.get_template("report.html")
    flips = [
        {"table": table.name, "column": column, **counts}
        for table in tables.values()
        for column, counts in table.value["date_flips"].items()
    ]
    day_checks = [
        {"table": table.name, "column": column, **counts}
        for table in tables.values()
        for column, counts in table.value.get("study_days", {}).items()
        if counts["differing"] != 0
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
        attacks=values.get("attacks", {}),
        composition=values.get("composition", {}),
        bins=bins(values["before"]["histogram"], values["after"]["histogram"], smallest),
        smallest=smallest,
        share=share,
        first_upper=lambda text: text[:1].upper() + text[1:],
        flips=flips,
        pictures=drawing.drawn(tables),
        day_checks=day_checks,
        words=words.shown(values, tables, work.whole.options),
    ).encode()


def _policy(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each demand in force in plain words, with the rules that made it as strict as it is; the known ones first."""
    order = {name: at for at, name in enumerate(_DEMANDS)}
    found = []
    for name, entry in sorted(policy.items(), key=lambda item: order.get(item[0], len(order))):
        title, form = _DEMANDS.get(name, (name.replace("_", " ").capitalize(), ""))
        value = entry["value"]
        if form == _SHARE:
            told = f"{value * 100:g} %"
        elif isinstance(value, list | tuple):
            told = ", ".join(map(str, value))
        else:
            told = str(value).replace("_", " ")
        found.append({"title": title, "value": told, "rules": entry["rules"]})
    return found


def _by_table(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tables with their columns; the one in which most columns were changed stands open."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for column in found:
        grouped.setdefault(column["table"], []).append(column)
    kept = {name: sum(row["treatment"] in _AS_IT_IS for row in rows) for name, rows in grouped.items()}
    changed = {name: len(rows) - kept[name] for name, rows in grouped.items()}
    first = max(changed, key=lambda name: changed[name], default="")
    return [
        {"name": name, "rows": rows, "kept": kept[name], "changed": changed[name], "open": name == first}
        for name, rows in grouped.items()
    ]
