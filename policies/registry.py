"""Named code that rules may call: measures (numbers), tests (yes or no) and findings (values to publish).

Few on purpose. A rule can only call what is registered here by name, with the arguments declared here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Missing = frozenset[str]
Truth = bool | Missing
Measured = tuple[float, float, Missing]

MEASURES: dict[str, "Named"] = {}
TESTS: dict[str, "Named"] = {}
FINDINGS: dict[str, "Named"] = {}


@dataclass(frozen=True, slots=True)
class Named:
    """One piece of named code: what it works out, the arguments a rule may give it, and its docstring.

    A measure gives the least and the most the number can be, and the facts that would settle it.
    """

    name: str
    work_out: Callable[[dict[str, Any], Mapping[str, Any]], Any]
    arguments: frozenset[str]
    says: str


def _register(into: dict[str, Named], *arguments: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def keep(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__
        into[name] = Named(name, function, frozenset(arguments), (function.__doc__ or "").strip())
        return function

    return keep


def measure(*arguments: str) -> Callable[[Callable[..., Measured]], Callable[..., Measured]]:
    """Register a measure: (view, arguments) → (least, most, missing facts)."""
    return _register(MEASURES, *arguments)


def test(*arguments: str) -> Callable[[Callable[..., Truth]], Callable[..., Truth]]:
    """Register a test: (view, arguments) → True, False or the missing facts."""
    return _register(TESTS, *arguments)


def finding(*arguments: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a finding: (view, arguments) → a JSON-ready value to publish, None if there is none."""
    return _register(FINDINGS, *arguments)
