"""Options that hold more than one value, as they are written: `COLUMN=LEVEL`, `COLUMN:VALUE=K`, `LOW,HIGH`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from gateway.errors import Invalid

T = TypeVar("T")


def names(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def per_column(given: Sequence[str] | None, option: str, read: Callable[[str], T], example: str) -> dict[str, T]:
    """COLUMN=VALUE, given once for each column.

    Raises:
        Invalid: a text is not written so, or a column is given twice.
    """
    found: dict[str, T] = {}
    for text in given or []:
        name, value = _pair(text, option, example)
        if name in found:
            raise Invalid("a column is given twice", place=option, cure=f"give each once: {example}")
        found[name] = _read(value, option, read, example)
    return found


def levels(given: Sequence[str] | None, option: str) -> dict[str, list[int]]:
    """COLUMN=LEVEL or COLUMN=LEVEL,LEVEL, as often as wanted.

    Raises:
        Invalid: a text is not written so.
    """
    example, found = "SITE=0", dict[str, list[int]]()
    for text in given or []:
        name, value = _pair(text, option, example)
        found.setdefault(name, []).extend(_read(level, option, int, example) for level in value.split(","))
    return found


def thresholds(given: Sequence[str] | None, option: str) -> dict[str, dict[str, int]]:
    """COLUMN:VALUE=K, as often as wanted: per column, value → k.

    Raises:
        Invalid: a text is not written so.
    """
    example, found = "COUNTRY:DE=11", dict[str, dict[str, int]]()
    for text in given or []:
        who, _, k = text.rpartition("=")
        name, sign, value = who.partition(":")
        if not (name and sign):
            raise Invalid("a threshold is written COLUMN:VALUE=K", place=option, cure=f"for instance {example}")
        found.setdefault(name, {})[value] = _read(k, option, int, example)
    return found


def pair(text: str | None, option: str, second: Callable[[str], T], example: str) -> tuple[float, T] | None:
    """A number and another, separated by a comma.

    Raises:
        Invalid: the text is not written so.
    """
    if text is None:
        return None
    one, _, other = text.partition(",")
    return _read(one, option, float, example), _read(other, option, second, example)


def file(text: str) -> Path:
    """A path."""
    return Path(text)


def _pair(text: str, option: str, example: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise Invalid("the option is written COLUMN=VALUE", place=option, cure=f"for instance {example}")
    return name, value


def _read(text: str, option: str, read: Callable[[str], T], example: str) -> T:
    try:
        return read(text.strip())
    except ValueError:
        raise Invalid("a number cannot be read", place=option, cure=f"for instance {example}") from None
