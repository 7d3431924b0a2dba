"""What every chapter of the demo works with, and what it leaves for the next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.context import Gateway
from gateway.demo.narrator import Narrator
from gateway.demo.stage import Doors


@dataclass(frozen=True, slots=True)
class Scene:
    """The gateway, who tells, the doors of the people, the folders, the how-manieth playing in this home.

    `found` is what came out so far.
    """

    gateway: Gateway
    narrator: Narrator
    doors: Doors
    home: Path
    trial: Path
    take: int = 1
    found: dict[str, Any] = field(default_factory=lambda: {"verdicts": {}, "waiting": [], "look": {}})

    @property
    def desk(self) -> Path:
        """The researcher's own folder: key, downloads, opened tables."""
        return self.home / "researcher"


def reasons(verdict: Any, most: int = 4) -> str:
    """The rules that speak in a verdict, as a list of ids."""
    parts = ("denials", "licences", "reviews", "conditions")
    ids = list(dict.fromkeys(item["rule"] for part in parts for item in verdict[part]))
    return few(ids, most)


def few(words: Sequence[str], most: int) -> str:
    """The first of some words, and how many more there are."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def first_reason(verdict: Any) -> tuple[str, str, str]:
    """The weightiest reason of a verdict: rule, sentence, cure; empty where nothing speaks against it."""
    for part in ("denials", "licences", "reviews"):
        for reason in verdict[part]:
            return reason["rule"], reason["sentence"], reason["cure"]
    return "", "", ""
