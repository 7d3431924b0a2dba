"""Calls into file libraries whose error texts may quote cells: the text is thrown away, only the fact is kept."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import ParamSpec, TypeVar

from gateway.errors import Invalid

P = ParamSpec("P")
T = TypeVar("T")


def attempt(fault: Invalid, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `call` returns; if it raises anything, `fault` instead, with no trace of the library's own words.

    The fault is raised outside the `except` block, so that it has no context either.
    """
    with suppress(Exception):  # file libraries raise without a common root
        return call(*args, **kwargs)
    raise fault


def attempt_each(fault: Invalid, items: Iterator[T]) -> Iterator[T]:
    """The items of a library's iterator, its errors turned into `fault` as in `attempt`."""
    end = object()
    while (item := attempt(fault, next, items, end)) is not end:
        yield item  # type: ignore[misc]
