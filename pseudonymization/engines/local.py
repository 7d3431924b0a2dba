"""Where fragments are treated: this machine, in this process.

An engine runs one function over independent fragments (a table's row groups, say) and gives the results in order.
The function and its results are plain values, so that another engine may send them to other processes or machines.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Fragment = TypeVar("Fragment")
Result = TypeVar("Result")


class Engine(Protocol):
    """Anything that runs a function over fragments; results come in the order of the fragments."""

    def map(self, function: Callable[[Fragment], Result], fragments: Iterable[Fragment]) -> Iterator[Result]:
        """Each fragment's result, lazily; the first fragment that fails ends the run with its own error."""
        ...


class Local:
    """One fragment after the other, each begun when its result is asked for: memory holds one at a time."""

    def map(self, function: Callable[[Fragment], Result], fragments: Iterable[Fragment]) -> Iterator[Result]:
        """Each fragment's result, lazily."""
        return map(function, fragments)
