"""What identifies a person in running text: Microsoft Presidio's pattern and context recognizers, and the study's own.

There is no language model: a blank spaCy pipeline only cuts words, so that context words (`phone`, `ssn`) can lift a
weak pattern. Nothing is fetched. Names are found by the study's dictionary, by titles and relations that announce one
(`names`), and where two words stand as a first and a last name. A name that none of this announces is not found.

Importing this module costs a second and a hundred megabytes: `text` does it late, when a first text is redacted.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import spacy
from presidio_analyzer import (
    AnalyzerEngine,
    EntityRecognizer,
    LocalRecognizer,
    Pattern,
    PatternRecognizer,
    RecognizerRegistry,
    RecognizerResult,
)
from presidio_analyzer import predefined_recognizers as shipped
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from pseudonymization.names import find_names
from pseudonymization.tokens import Found, Tokens
from pseudonymization.worddates import DateWords

_LANGUAGE = "en"
_SURE = 0.4
"""Below this score a pattern counts only with one of its context words near it."""

_KINDS: Mapping[str, str] = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "URL": "url",
    "IP_ADDRESS": "ip",
    "MAC_ADDRESS": "ip",
    "CREDIT_CARD": "account number",
    "IBAN_CODE": "account number",
    "US_BANK_NUMBER": "account number",
    "UK_POSTCODE": "postcode",
}
"""Presidio's entities in the words of the report; every other of its entities is a national number."""

_CAPITAL = r"[A-ZÀ-ÖØ-Þ][\w'’.-]*"
_STREET = (
    r"(?:(?i:street|st|avenue|ave|road|rd|lane|ln|drive|dr|court|ct|boulevard|blvd|place|square|sq|terrace|crescent"
    r"|highway|hwy|parkway|pkwy|trail|circle)s?|(?:Alley|Bend|Bluff|Branch|Bridge|Brook|Burg|Bypass|Camp|Canyon|Cape"
    r"|Causeway|Center|Cliff|Close|Club|Common|Corner|Course|Cove|Creek|Crest|Crossing|Curve|Dale|Dam|Divide|Estate"
    r"|Expressway|Extension|Fall|Ferry|Field|Flat|Ford|Forest|Forge|Fork|Fort|Freeway|Garden|Gateway|Glen|Green|Grove"
    r"|Harbor|Haven|Height|Hill|Hollow|Inlet|Island|Isle|Junction|Key|Knoll|Lake|Land|Landing|Light|Loaf|Lock|Lodge"
    r"|Loop|Mall|Manor|Meadow|Mews|Mill|Mission|Motorway|Mount|Mountain|Neck|Orchard|Oval|Overpass|Park|Pass|Passage"
    r"|Path|Pike|Pine|Plain|Plaza|Point|Port|Prairie|Radial|Ramp|Ranch|Rapid|Rest|Ridge|River|Route|Row|Run|Shoal"
    r"|Shore|Skyway|Spring|Spur|Station|Stravenue|Stream|Summit|Throughway|Trace|Track|Trafficway|Tunnel|Turnpike"
    r"|Underpass|Union|Valley|Via|Viaduct|View|Village|Ville|Vista|Walk|Wall|Way|Well)s?)"
)
"""Words that end a street's name: the common ones in any case, the rest of the postal service's list capitalised."""

_ADDRESSES = (
    (
        rf"\b\d{{1,5}}[a-z]? (?:(?:{_CAPITAL}|\d+(?:st|nd|rd|th)) ){{1,4}}{_STREET}\b\.?"
        r"(?:,? (?i:apt|apartment|suite|unit|flat|#)\.? ?#?\w{1,5}\b)?"
    ),
    r"\b[\w-]{2,40}(?i:straße|strasse|str\.|gasse|allee|platz|weg|laan|straat|gatan|vägen) ?\d{1,4}(?: ?[a-z]\b)?",
    (
        r"\b\d{1,4}(?: ?bis| ?ter)?,? (?i:rue|avenue|boulevard|place|chemin|impasse|quai)(?: (?:de|du|des|la|le|les))*"
        rf"(?: (?:l['’]|d['’])?{_CAPITAL}){{1,4}}"
    ),
    (
        r"\b(?i:calle|avenida|plaza|via|viale|piazza|corso|ulica|ul\.)(?: (?:de|del|della|la|las|los))* "
        rf"{_CAPITAL}(?: {_CAPITAL})?,? (?:n[ºo°.]+ ?)?\d{{1,4}}\b"
    ),
    r"\bP\.? ?O\.? ?Box \d+\b",
)
_PHONES = (
    r"(?<![\w.+-])(?:\+?\d{1,3}[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?:,? ?(?:x|ext\.?) ?\d{1,5})?\b",
    r"(?<![\w.])\+\d{1,3}(?=(?:[ ()./-]{0,2}\d){7,12}(?!\d))(?:[ ()./-]{0,2}\d){7,12}",
)
_POSTCODES = (
    rf"\b{_CAPITAL}(?: {_CAPITAL})?, [A-Z]{{2}} \d{{5}}(?:-\d{{4}})?\b",
    r"\b[A-Z]{2} \d{5}-\d{4}\b",
    r"\b[ABCEGHJ-NPRSTVXY]\d[A-Z][ -]?\d[A-Z]\d\b",
    r"〒 ?\d{3}-?\d{4}",
    rf"\b(?:[A-Z]{{1,2}}-)\d{{4,5}}(?: {_CAPITAL})?\b",
)
_RECORD = (
    r"(?:\b(?:MRN|NHS|chart|file|hospital|medical record|record|case|patient|pat|account|insurance|policy|passport"
    r"|licen[cs]e|member|krankenakte|dossier|historia)\b[ .:]*(?:numbers?|nummer|no|nr|num|id|#|nº)?[ .:#]*)"
    r"\b((?=[\w-]*\d{4})[A-Z]{0,4}[- ]?\d[\d-]{3,14})\b"
)
_AGE = r"\b((?:9\d|1[01]\d))(?=[- ]?(?:years?|yrs?|y(?:\.|/)? ?o\b|jahre|ans\b|años|anni|歳))"
_PLACE = (
    rf"\b(?:{_CAPITAL} |of |de |St\. ?){{1,4}}(?:Hospital|Clinic|Infirmary|Hospice|Medical Cent(?:er|re)|Klinikum"
    r"|Krankenhaus|Nursing Home|Health Cent(?:er|re))\b(?: of \b[A-Z]\w+)?"
)
_EMAIL = r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}"
_URL = (
    r"\b(?:https?|ftp)://[^\s<>\"']+|\bwww\d?\.[^\s<>\"']+"
    r"|\b[\w-]{2,40}(?:\.[\w-]{2,40}){0,4}\.(?:com|org|net|edu|gov|io|info|co\.uk|ac\.uk|nhs\.uk)\b(?:/[^\s<>\"']*)?"
)


class Blank(NlpEngine):
    """Words and where they start; no lemmas, no entities, no model."""

    def __init__(self) -> None:
        self._nlp = spacy.blank(_LANGUAGE)

    def load(self) -> None:
        """Nothing is loaded."""

    def is_loaded(self) -> bool:
        """Always: there is nothing to load."""
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """The words of a text; a word is its own lemma."""
        words = self._nlp.make_doc(text)
        starts, lemmas = [word.idx for word in words], [word.lower_ for word in words]
        return NlpArtifacts([], words, starts, lemmas, self, language)

    def process_batch(
        self,
        texts: Iterable[str],
        language: str,
        batch_size: int = 1,  # noqa: ARG002 - fixed by Presidio
        n_process: int = 1,  # noqa: ARG002 - fixed by Presidio
        **_: object,
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        """The same for many texts."""
        for text in texts:
            yield text, self.process_text(text, language)

    def is_stopword(self, word: str, language: str) -> bool:  # noqa: ARG002 - fixed by Presidio
        """Whether the word says nothing by itself."""
        return bool(self._nlp.vocab[word].is_stop)

    def is_punct(self, word: str, language: str) -> bool:  # noqa: ARG002 - fixed by Presidio
        """Whether it is a punctuation mark."""
        return bool(self._nlp.vocab[word].is_punct)

    def get_supported_entities(self) -> list[str]:
        """None: entities come from recognizers."""
        return []

    def get_supported_languages(self) -> list[str]:
        """One language of context words; patterns and dictionaries know several."""
        return [_LANGUAGE]


class Study(LocalRecognizer):
    """What the study itself knows (a deny-list of whole tokens), dates in words, and names that something announces."""

    def __init__(self, known: Tokens) -> None:
        self._known = known
        super().__init__(supported_entities=["STUDY"], name="study", supported_language=_LANGUAGE)

    def load(self) -> None:
        """Nothing is loaded."""

    def analyze(
        self,
        text: str,
        entities: Sequence[str],  # noqa: ARG002 - fixed by Presidio
        nlp_artifacts: NlpArtifacts | None = None,  # noqa: ARG002 - fixed by Presidio
    ) -> list[RecognizerResult]:
        """Every find, with its kind as the entity."""
        finds = [(found.entry, found.start, found.end) for found in self._known.find(text)]
        finds += [("date", start, end) for start, end, _ in DateWords.find(text)]
        finds += [("person", start, end) for start, end in find_names(text)]
        return [_result(kind, start, end) for kind, start, end in finds]


class Captured(PatternRecognizer):
    """A pattern whose first group, where it has one, is what identifies; the words around it stay."""

    compiled: tuple[re.Pattern[str], ...] = ()

    def analyze(
        self,
        text: str,
        entities: Sequence[str],  # noqa: ARG002 - fixed by Presidio
        nlp_artifacts: NlpArtifacts | None = None,  # noqa: ARG002 - fixed by Presidio
        regex_flags: int | None = None,  # noqa: ARG002 - fixed by Presidio
    ) -> list[RecognizerResult]:
        """Every find of every pattern."""
        return [
            _result(self.supported_entities[0], *match.span(match.re.groups and 1))
            for regex in self.compiled
            for match in regex.finditer(text)
        ]


def _result(kind: str, start: int, end: int) -> RecognizerResult:
    return RecognizerResult(entity_type=kind, start=start, end=end, score=EntityRecognizer.MAX_SCORE)


def _captured(kind: str, *regexes: str, cased: bool = False) -> Captured:
    patterns = [Pattern(f"{kind} {at}", regex, EntityRecognizer.MAX_SCORE) for at, regex in enumerate(regexes)]
    recognizer = Captured(kind, name=kind, patterns=patterns)
    recognizer.compiled = tuple(re.compile(regex, 0 if cased else re.IGNORECASE) for regex in regexes)
    return recognizer


def _recognizers(known: Tokens) -> list[EntityRecognizer]:
    """Presidio's own where they need no model and no network, and ours for what it has none for."""
    return [
        Study(known),
        _captured("email", _EMAIL),
        _captured("url", _URL),
        _captured("address", *_ADDRESSES, cased=True),
        _captured("phone", *_PHONES),
        _captured("postcode", *_POSTCODES, cased=True),
        _captured("record number", _RECORD),
        _captured("age", _AGE),
        _captured("organisation", _PLACE, cased=True),
        shipped.PhoneRecognizer(supported_regions=("US", "GB", "DE", "FR", "JP", "IN"), leniency=1),
        shipped.IpRecognizer(),
        shipped.MacAddressRecognizer(),
        shipped.CreditCardRecognizer(),
        shipped.IbanRecognizer(),
        shipped.UsBankRecognizer(),
        shipped.UsSsnRecognizer(),
        shipped.UsItinRecognizer(),
        shipped.UsMbiRecognizer(),
        shipped.UsPassportRecognizer(),
        shipped.UsLicenseRecognizer(),
        shipped.NhsRecognizer(),
        shipped.UkNinoRecognizer(),
        shipped.UkPostcodeRecognizer(),
        *(
            recognizer(supported_language=_LANGUAGE)
            for recognizer in (
                shipped.EsNifRecognizer, shipped.ItFiscalCodeRecognizer, shipped.PlPeselRecognizer,
                shipped.FiPersonalIdentityCodeRecognizer, shipped.AuMedicareRecognizer, shipped.InAadhaarRecognizer,
            )
        ),
    ]  # fmt: skip


class Finder:
    """Finds what identifies in a text."""

    def __init__(self, known: Tokens) -> None:
        """`known`: the study's own values, each entered with its kind."""
        registry = RecognizerRegistry(recognizers=_recognizers(known), supported_languages=[_LANGUAGE])
        self._engine = AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=[_LANGUAGE])
        entities = self._engine.get_supported_entities(language=_LANGUAGE)
        self._all = sorted(entities)
        self._wordy = sorted(set(entities) & {"STUDY", "address", "organisation", "email", "url"})

    def find(self, text: str) -> list[Found]:
        """Stretches of what identifies, each with its kind; they may overlap."""
        entities = self._all if any(sign.isdigit() for sign in text) else self._wordy
        found = self._engine.analyze(text, language=_LANGUAGE, entities=entities)
        return [
            Found(result.start, result.end, _kind(result.entity_type))
            for result in found
            if result.score >= _SURE or result.entity_type == "UK_POSTCODE"
        ]


def _kind(entity: str) -> str:
    """The kind of a find: Presidio writes its entities in capitals, ours are kinds already."""
    return _KINDS.get(entity, "national number") if entity.isupper() else entity
