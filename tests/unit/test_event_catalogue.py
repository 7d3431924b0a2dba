"""The catalogue of events: complete, used, and printed into the log's page."""

from pathlib import Path

import pytest

from gateway.domain.event import MEANING, EventKind

ROOT = Path(__file__).resolve().parents[2]
CODE = "".join(path.read_text("utf-8") for path in (ROOT / "gateway").rglob("*.py") if path.name != "event.py")


def test_every_kind_has_a_meaning():
    assert set(MEANING) == set(EventKind)


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_is_written_somewhere(kind):
    assert f"EventKind.{kind.name}" in CODE


def test_the_page_of_the_log_holds_the_catalogue():
    page = (ROOT / "gateway" / "audit" / "README.md").read_text("utf-8")
    rows = [line for line in page.split("## What is logged")[1].splitlines() if line.startswith("| `")]
    assert rows == [f"| `{kind.value}` | {meaning} |" for kind, meaning in MEANING.items()]
