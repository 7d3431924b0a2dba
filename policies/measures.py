"""All named code that rules may call. Importing a module registers what it offers; this gathers them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from policies import papers, windows
from policies.registry import FINDINGS, MEASURES, TESTS, Named

ROOMS: tuple[ModuleType, ...] = (papers, windows)


@dataclass(frozen=True, slots=True)
class NamedCode:
    """The measures, tests and findings by name."""

    measures: Mapping[str, Named]
    tests: Mapping[str, Named]
    findings: Mapping[str, Named]


NAMED_CODE = NamedCode(MEASURES, TESTS, FINDINGS)
