"""Where data came from before: the supplier's provisos, and whether the exporter is in the subjects' own country."""

from collections.abc import Mapping
from typing import Any

from policies.registry import Truth, test

READ = frozenset(
    [
        "no_onward_transfer", "no_re_export", "no_reexport", "no_third_parties", "no_commercial_use",
        "non_commercial", "non_commercial_only", "research_only",
    ]
)  # fmt: skip


def _provisos(view: Mapping[str, Any]) -> frozenset[str]:
    stated = view.get("upstream", {}).get("provisos", ())
    return frozenset([stated] if isinstance(stated, str) else [str(each) for each in stated])


@test("any_of")
def upstream_proviso(view: dict[str, Any], arguments: Mapping[str, Any]) -> Truth:
    """Whether the supplier made one of these provisos."""
    return not _provisos(view).isdisjoint(arguments["any_of"])


@test()
def upstream_unread(view: dict[str, Any], _: Mapping[str, Any]) -> Truth:
    """Whether the supplier made a proviso that no rule reads."""
    return not _provisos(view) <= READ


@test()
def origin_is_exporter(view: dict[str, Any], _: Mapping[str, Any]) -> Truth:
    """Whether the subjects are of the exporter's own country."""
    missing = frozenset(path for path in ("subject.country", "exporter.country") if path not in view)
    return missing or view["subject.country"] == view["exporter.country"]
