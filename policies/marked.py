"""YAML read as a tree that knows its lines, by the YAML 1.2 core schema and dates: `NO` is a country, not a no.

The parser is libyaml where PyYAML was built with it, else PyYAML's own, which gives the same tree more slowly.
"""

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))


class _Slow(Reader, Scanner, Parser, Composer, BaseResolver):  # type: ignore[misc]
    """PyYAML's own parser, without its YAML 1.1 meanings."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)


def _fast() -> type:
    class Fast(yaml.cyaml.CParser, BaseResolver):  # type: ignore[misc]
        """libyaml's parser, without PyYAML's YAML 1.1 meanings."""

        def __init__(self, text: str) -> None:
            yaml.cyaml.CParser.__init__(self, text)
            BaseResolver.__init__(self)

    return Fast


_Tree: Any = _fast() if yaml.__with_libyaml__ else _Slow


def parsed(text: str) -> Any:
    """The tree of the one document in a text; None of an empty one.

    Raises:
        yaml.YAMLError: the text is no YAML, or holds several documents.
    """
    return _Tree(text).get_single_node()


def plain(node: Any) -> Any:
    """The content of a tree: dicts with text keys, lists, and texts, numbers, truths, dates and None.

    Raises:
        yaml.MarkedYAMLError: a key stands twice, or a value has a tag of its own or is no day of the calendar.
    """
    if node is None:
        return None
    if node.tag not in _TAGS:
        raise _fault("tags are not read", node)
    if isinstance(node, yaml.SequenceNode):
        return [plain(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = str(plain(key))
            if name in found:
                raise _fault(f"key `{name}` stands twice", key)
            found[name] = plain(value)
        return found
    return node.value if node.style else _scalar(node)


def _scalar(node: Any) -> Any:
    text: str = node.value
    if text in _NULLS:
        return None
    if text in _TRUTHS:
        return _TRUTHS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise _fault("there is no such day", node) from None
    return text


def _fault(problem: str, node: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def line(node: Any, way: Sequence[str | int]) -> int:
    """The 1-based line of the deepest place on the way that stands in the tree."""
    found = 1
    for step in way:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if str(plain(key)) == step]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            pairs = [(node.value[step], node.value[step])]
        else:
            break
        if not pairs:
            break
        mark, node = pairs[0]
        found = mark.start_mark.line + 1
    return found
