"""Bounds on documents that people send: how large, how deep, how much a short text may swell to.

YAML lets a few lines stand for billions of values (aliases of aliases) and lets a value hold itself. Nothing here
reads a document; it only says, cheaply and before anything walks through it, that one is too much.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.errors import Invalid

MOST_CHARACTERS = 5_000_000
DEEPEST = 50
MOST_VALUES = 100_000
_OPENING, _CLOSING = frozenset("[{"), frozenset("]}")


def text(content: str, *, place: str, most: int = MOST_CHARACTERS) -> None:
    """Look at a YAML text before it is parsed. Brackets in quoted texts count too: nobody writes fifty in a row.

    Raises:
        Invalid: it is longer than `most` characters, or opens more brackets than any document needs.
    """
    if len(content) > most:
        raise Invalid("the file is too large", place=place, cure=f"at most {most:,} characters")
    depth = 0
    for character in content:
        if character in _OPENING:
            depth += 1
            if depth > DEEPEST:
                raise _too_deep(place)
        elif character in _CLOSING:
            depth = max(0, depth - 1)


def values(content: Any, *, place: str) -> None:
    """Look at a parsed document, counting what an alias stands for each time it is used.

    Raises:
        Invalid: it has too many values, is nested too deep (or holds itself), or holds text that is no Unicode.
    """
    waiting: list[tuple[Any, int]] = [(content, 0)]
    seen = 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if depth > DEEPEST:
            raise _too_deep(place)
        if seen + len(waiting) > MOST_VALUES:
            raise Invalid("the document holds too many values", place=place, cure=f"at most {MOST_VALUES:,}")
        if isinstance(value, str) and not _is_text(value):
            raise Invalid("a text is not Unicode, or holds a NUL character", place=place, cure="write plain text")
        waiting.extend((inner, depth + 1) for inner in _inside(value))


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, list | tuple | set):
        yield from value


def _is_text(value: str) -> bool:
    """Whether UTF-8 can write it and any database can hold it."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\x00" not in value


def _too_deep(place: str) -> Invalid:
    return Invalid("the document is nested too deep, or holds itself", place=place, cure=f"at most {DEEPEST} levels")
