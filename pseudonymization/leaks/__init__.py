"""Searches the finished result for what should be gone, by content, wherever it stands.

`scanner`: original ids, names and dates in cells, labels and documents. `narratives`: phrases of dropped free text.
`numbers`: columns of numbers that hold a subject's own date or id. `moves`: date shifts that one known date, or a
second release, would undo. A hit names a kind and a place, never a value.
"""

from pseudonymization.leaks.narratives import Narratives
from pseudonymization.leaks.scanner import Hit, Scanner

__all__ = ["Hit", "Narratives", "Scanner"]
