"""All named code that rules may call. Importing a module registers what it offers; this gathers them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from policies import (
    claims,
    consent,
    licences,
    papers,
    parties,
    screening,
    small_numbers,
    upstream,
    windows,
)
from policies.registry import FINDINGS, MEASURES, TESTS, Named

ROOMS: tuple[ModuleType, ...] = (
    claims,
    consent,
    licences,
    papers,
    parties,
    screening,
    small_numbers,
    upstream,
    windows,
)


@dataclass(frozen=True, slots=True)
class NamedCode:
    """The measures, tests and findings by name."""

    measures: Mapping[str, Named]
    tests: Mapping[str, Named]
    findings: Mapping[str, Named]


NAMED_CODE = NamedCode(MEASURES, TESTS, FINDINGS)
