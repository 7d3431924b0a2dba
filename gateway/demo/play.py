"""placeholder"""
from typing import Any
from gateway.settings import Settings
def play(settings: Settings, *, fresh: bool, subjects: int, quiet: bool) -> dict[str, Any]:
    """Play."""
    return {}
