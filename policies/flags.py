"""Findings that a verdict publishes under `flags`: gathered per partition, then joined so that the strictest shows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from policies.model import Flag
from policies.rules import BoundRegime


def published(regime: BoundRegime, view: dict[str, Any], flags: dict[str, Any]) -> None:
    """Note what a regime publishes of one partition: terms as true, false or None (unknown), findings as they are.

    A finding that cannot be told yet is None; one that has nothing to say is left out.
    """
    for name, kind, work_out in regime.publishes:
        value = work_out(view)
        if kind == "term":
            flags[name] = value if isinstance(value, bool) else None
        elif isinstance(value, frozenset):
            flags[name] = None
        elif value is not None:
            flags[name] = value


def joined_flags(found: Sequence[Mapping[str, Any]], declared: Iterable[Flag]) -> dict[str, Any]:
    """The flags of all partitions as one: true before unknown before false, lists united, numbers by their largest."""
    order = {flag.name: flag for flag in declared}
    joined: dict[str, Any] = {flag.name: flag.default for flag in order.values() if flag.default is not None}
    for name in sorted({name for flags in found for name in flags}):
        values = [flags[name] for flags in found if name in flags]
        if name in order:
            joined[name] = _strictest(order[name], {value for group in values for value in group})
        else:
            joined[name] = _united(values)
    return joined


def _strictest(flag: Flag, values: set[Any]) -> Any:
    if flag.collects:
        return sorted(values)
    for value in flag.order:
        if isinstance(value, str) and "{" in value:
            stem = value.split("{", 1)[0]
            fitting = sorted(str(each) for each in values if str(each).startswith(stem))
            if fitting:
                return fitting[0]
        elif value in values:
            return value
    return flag.default


def _united(values: Sequence[Any]) -> Any:
    if any(value is True for value in values):
        return True
    if any(isinstance(value, tuple | list) for value in values):
        return sorted({item for value in values if value is not None for item in value})
    if any(value is None for value in values):
        return None
    if all(isinstance(value, bool) for value in values):
        return False
    return max(values)
