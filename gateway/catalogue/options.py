"""The `options:` section of a column file: what the steward chose for the study where the rules leave a choice."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import StrEnum
from typing import Any

from gateway.errors import Invalid
from pseudonymization.options import DEFAULT, Options

_PAIRS = {"encodings": "write [TS=windows-1252]", "cleared": "write [TABLE.COLUMN=the reason]"}
"""Options whose every entry is a place and what is said of it."""

Fault = Callable[[str, str, str], Invalid]
"""(field, reason, cure) → the fault at that field's line."""


def content(options: Options) -> dict[str, Any]:
    """What the options say beyond the default, as plain words, truths, numbers and lists of words."""
    said = {field.name: getattr(options, field.name) for field in fields(Options)}
    return {name: _plain(value) for name, value in said.items() if value != getattr(DEFAULT, name)}


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def read(section: Mapping[Any, Any], fault: Fault) -> Options:
    """The options of a section; every field is of the kind that its default is.

    Raises:
        Invalid: an unknown field, or a value of the wrong kind.
    """
    known = {field.name: getattr(DEFAULT, field.name) for field in fields(Options)}
    chosen: dict[str, Any] = {}
    for name, value in section.items():
        if name not in known:
            raise fault(name, f"unknown option `{name}`", f"use: {', '.join(known)}")
        chosen[name] = _value(name, value, known[name], fault)
    return Options(**chosen)


def _value(name: str, value: Any, default: Any, fault: Fault) -> Any:
    if isinstance(default, StrEnum):
        words = type(default)
        if value not in list(words):
            raise fault(name, f"`{name}` is none of the words it can be", f"use: {', '.join(words)}")
        return words(value)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise fault(name, f"`{name}` is neither true nor false", "write true or false")
        return value
    if isinstance(default, int):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise fault(name, f"`{name}` is not a whole number", "write 0 or more")
        return value
    if isinstance(default, tuple):
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise fault(name, f"`{name}` is not a list of words", "write [one, two]")
        if name in _PAIRS and not all(
            word.partition("=")[0].strip() and word.partition("=")[2].strip() for word in value
        ):
            raise fault(name, f"an entry of `{name}` lacks a place or what is said of it", _PAIRS[name])
        return tuple(value)
    if not isinstance(value, str):
        raise fault(name, f"`{name}` is not a text", "put it in quotes")
    return str(value)
