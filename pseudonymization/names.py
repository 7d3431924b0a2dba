"""Names of persons in running text that something announces: a title, a relation, a role, or a known first name.

No model reads the text. A first name is known if it is in Faker's lists of common names; a text all in capitals is
held to a stricter rule, since there a capital says nothing. Diseases and devices named after people stay.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib import resources

from faker.providers.person import de_DE, en_GB, en_IN, en_US, es_ES, fr_FR, it_IT, nl_NL, pl_PL, pt_BR, sv_SE

_LISTS = (en_US, en_GB, en_IN, de_DE, fr_FR, es_ES, it_IT, nl_NL, pl_PL, pt_BR, sv_SE)

_UPPER = "A-ZÀ-ÖØ-ÞĀ-ŽА-Я"
_LOWER = "a-zß-öø-ÿā-žа-я"
_WORD = rf"[{_UPPER}](?:['’][{_UPPER}])?[{_LOWER}]+(?:[-'’][{_UPPER}]?[{_LOWER}]+)*"
_SHOUTED = rf"[{_UPPER}][{_UPPER}'’-]+"
_INITIAL = rf"[{_UPPER}]\."
_LINK = r"(?:van der|van den|van|von|de la|de|del|della|di|da|dos|le|la|al|bin|ter|ten)"
_NAME = rf"(?:{_INITIAL} ?){{0,2}}{_WORD}(?: {_INITIAL})?(?: {_LINK})?(?: {_WORD}){{0,2}}"

_TITLE = (
    r"(?:dr|prof|professor|doctor|mr|mrs|ms|miss|nurse|sister|herr|frau|fräulein|monsieur|madame|mme|mlle|señora?|sra"
    r"|sr|dott|dott\.ssa|dottor|dottoressa|signora?|sig|pan|pani|dhr|mevr)"
)
_ANNOUNCED = (
    r"(?:daughter|son|wife|husband|spouse|partner|mother|father|sister|brother|aunt|uncle|niece|nephew|grandson"
    r"|granddaughter|caregiver|carer|neighbou?r|friend|investigator|physician|doctor|nurse|pharmacist|monitor"
    r"|coordinator|therapist|surgeon|cardiologist|neurologist|psychiatrist|gp|named|called|contact|signed by|seen by"
    r"|reported by|according to|informed by|witnessed by|examined by|treated by|told by|spoke (?:to|with)|name is"
    r"|tochter|sohn|ehefrau|ehemann|mutter|vater|schwester|bruder|hausarzt|hausärztin|fille|fils|épouse|mari|mère|père|médecin"
    r"|hija|hijo|esposa|esposo|madre|padre|hermana|hermano|médico|figlia|figlio|moglie|marito|sorella|fratello)"
)
_TITLED = re.compile(rf"\b(?i:{_TITLE})\b\.? (?:(?i:{_TITLE})\b\.? )?({_NAME})")
_TITLED_LOW = re.compile(rf"\b(?:dr|prof|mr|mrs)\b\.? ([{_LOWER}]{{3,}})\b")
_TITLED_SHOUTED = re.compile(
    rf"\b(?:DR|PROF|MR|MRS|MS|MISS|NURSE|HERR|FRAU|MME|SRA?)\b\.? ((?:{_INITIAL} ?)?{_SHOUTED})"
)
_RELATED = re.compile(rf"\b(?i:{_ANNOUNCED})\b(?:,|:| is| was)? \(?({_NAME})")
_LAST_FIRST = re.compile(rf"\b({_WORD}), ({_WORD}|{_INITIAL})")
_SHORT_FIRST = re.compile(rf"(?<![\w.])({_INITIAL} ?(?:{_INITIAL} ?)?{_WORD})")
_PAIR = re.compile(rf"(?=\b({_WORD})((?: {_INITIAL})?(?: {_LINK})?) ({_WORD}))")
_SHOUTED_PAIR = re.compile(rf"(?=\b({_SHOUTED})(?: [{_UPPER}]\.?)? ({_SHOUTED})\b)")
_INITIALS = re.compile(
    rf"\b(?i:initials|pat(?:ient)?|subject|pt)\.?:? ((?:[{_UPPER}]\.){{2,3}}|(?<=nitials )[{_UPPER}]{{2,3}})(?!\w)"
)
_JAPANESE = re.compile(r"([\u4e00-\u9fff]{1,4}|[\u30a0-\u30ff]{2,8})(?:様|さん|先生|氏|医師|看護師)")
_NO_NAME_JA = ("患者", "医", "看護", "主治医", "皆", "お", "妻", "夫", "母", "父", "担当", "研修", "娘", "息子")

_AFTER_EPONYM = re.compile(
    r"['’]?s?[- ]+(?:(?i:disease|syndrome|lymphoma|sarcoma|tumou?r|dementia|palsy|test|score|scale|sign|reflex|catheter"
    r"|fracture|thyroiditis|cells?|anaemia|anemia|disorder|procedure|bypass|index|criteria|esophagus|oesophagus|tube"
    r"|contracture|phenomenon|chorea|stage|grade|rating|inventory|protocol|method|formula|solution))\b"
)  # fmt: skip
_EVERYDAY = resources.files("pseudonymization").joinpath("everyday_words.txt").read_text("utf-8")
_WORDS, _EITHER = (
    frozenset(word for line in part.splitlines()[1:] for word in line.split()) for part in _EVERYDAY.split("\n# ")
)


def find_names(text: str) -> Iterator[tuple[int, int]]:
    """Where a person's name stands: start and end. Finds may overlap."""
    yield from _announced(text)
    if not text.isupper():
        yield from _written(text)
    yield from _shouted(text)
    for match in _JAPANESE.finditer(text):
        if not match[1].endswith(_NO_NAME_JA) and not match[1].startswith("患者"):
            yield match.span(1)


def _announced(text: str) -> Iterator[tuple[int, int]]:
    for pattern in (_TITLED, _TITLED_LOW, _TITLED_SHOUTED, _RELATED):
        for match in pattern.finditer(text):
            start, end = match.span(1)
            first = match[1].split()[0]
            if _is_word(first) or _is_eponym(text, end):
                continue
            yield start, start + len(_before_words(match[1]))
    for match in _INITIALS.finditer(text):
        yield match.span(1 if match[1] else 2)


def _written(text: str) -> Iterator[tuple[int, int]]:
    for match in _PAIR.finditer(text):
        first, last = match[1], match[3]
        if _is_word(last) or _is_eponym(text, match.end(3)):
            continue
        if _is_either(first) and _is_either(last):
            continue
        if _known(first, _first_names()) or (_known(last, _last_names()) and not _is_word(first) and match[2]):
            yield match.start(1), match.end(3)
    for match in _LAST_FIRST.finditer(text):
        if _known(match[2], _first_names()) and not _is_word(match[1]) and not _known(match[1], _first_names()):
            yield match.span()
    for match in _SHORT_FIRST.finditer(text):
        if not _is_word(match[1].split(".")[-1].strip()) and not _is_eponym(text, match.end()):
            yield match.span()


def _shouted(text: str) -> Iterator[tuple[int, int]]:
    for match in _SHOUTED_PAIR.finditer(text):
        words = match[1], match[2]
        both = _known(words[0], _first_names()) and _known(words[1], _last_names())
        if both and not all(map(_is_either, words)) and not _is_eponym(text, match.end(2)):
            yield match.start(1), match.end(2)


def _before_words(name: str) -> str:
    """A name without the everyday words at its end: a sentence may go on with a capital."""
    words = name.split(" ")
    while len(words) > 1 and _is_word(words[-1]):
        words.pop()
    return " ".join(words)


def _is_word(text: str) -> bool:
    return text.rstrip(".").casefold() in _WORDS


def _is_either(text: str) -> bool:
    """Whether a word is a name and an everyday word: two of these beside each other are taken for words."""
    return text.casefold() in _EITHER


def _is_eponym(text: str, end: int) -> bool:
    """Whether what follows says that the name is a disease's, a scale's or a device's."""
    return _AFTER_EPONYM.match(text, end) is not None


def _known(word: str, names: frozenset[str]) -> bool:
    folded = plain(word)
    return folded in names and not _is_word(word)


def plain(word: str) -> str:
    """A name case folded, without accents."""
    split = unicodedata.normalize("NFKD", word.casefold())
    return "".join(sign for sign in split if not unicodedata.combining(sign))


@cache
def _first_names() -> frozenset[str]:
    return frozenset(plain(name) for names in _LISTS for name in names.Provider.first_names if len(name) > 2)


@cache
def _last_names() -> frozenset[str]:
    return frozenset(plain(name) for names in _LISTS for name in names.Provider.last_names if len(name) > 2)
