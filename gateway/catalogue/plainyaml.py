"""YAML that people send, looked at as a stream before anything is built of it: plain maps, lists and words only.

What YAML can do beyond that (aliases that swell, tags that name types, several documents) is refused, so what follows
works on a tree as large as the text. Nothing is evaluated.
"""

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, DocumentStartEvent, NodeEvent

from gateway.catalogue import bounded
from gateway.errors import Invalid

_OPENS = frozenset({"MappingStartEvent", "SequenceStartEvent"})
_CLOSES = frozenset({"MappingEndEvent", "SequenceEndEvent"})


def check(text: str, *, place: str, most: int) -> None:
    """Look through a YAML text of at most `most` characters.

    Raises:
        Invalid: it is too large, nested too deep, no YAML (naming the line), or more than plain.
    """
    bounded.text(text, place=place, most=most)
    if not all(character.isprintable() or character in "\n\t" for character in text):
        raise Invalid("the text holds a character that cannot be printed", place=place, cure="take it out")
    try:
        _walk(text, place)
    except MarkedYAMLError as wrong:
        line = wrong.problem_mark.line + 1 if wrong.problem_mark else 1
        raise Invalid(f"line {line}: is no YAML: {wrong.problem}", place=place, cure="correct the line") from None
    except (YAMLError, ValueError):
        raise Invalid("the text is no YAML", place=place, cure="write names followed by a colon") from None


def _walk(text: str, place: str) -> None:
    depth = documents = 0
    for event in YAML(typ="rt").parse(text):
        line = event.start_mark.line + 1
        name = type(event).__name__
        depth += (name in _OPENS) - (name in _CLOSES)
        documents += isinstance(event, DocumentStartEvent)
        if depth > bounded.DEEPEST:
            raise Invalid(f"line {line}: nested too deep", place=place, cure=f"at most {bounded.DEEPEST} levels")
        if documents > 1:
            raise Invalid(f"line {line}: a second document begins", place=place, cure="keep one")
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor is not None):
            raise Invalid(f"line {line}: names another place of the text", place=place, cure="write it out in full")
        if getattr(event, "tag", None) not in (None, "") or getattr(event, "ctag", None) is not None:
            raise Invalid(f"line {line}: names a type", place=place, cure="take away what begins with !")
