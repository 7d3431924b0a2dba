"""The words facts are written in: every field a decision may use, and what its values can be.

Facts and the conditions of rules are checked against the same table, so that a misspelt word fails in either. A
field that is absent is unknown. A list or a free mapping that is present is taken to be complete.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

import pycountry

from policies.faults import FactFault

type_name = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}

CATEGORIES = frozenset(
    {
        "health", "genomic", "epigenomic", "proteomic", "transcriptomic", "biometric",
        "geolocation", "financial", "identifiers", "biospecimen", "technical_data",
    }
)  # fmt: skip
IDENTIFIABILITY = frozenset(
    {
        "identified", "pseudonymised", "limited_data_set", "safe_harbor", "expert_determination",
        "anonymised", "aggregate", "public", "not_applicable",
    }
)  # fmt: skip
KINDS = frozenset(
    {
        "data_licence", "vendor_agreement", "employment", "unpaid_collaboration",
        "regulatory_submission", "trial_conduct", "controlled_repository_access", "public_release",
        "direct_collection", "sample_shipment", "internal",
    }
)  # fmt: skip


@cache
def countries() -> frozenset[str]:
    """All ISO 3166-1 alpha-2 codes."""
    return frozenset(country.alpha_2 for country in pycountry.countries)


def named_countries() -> list[tuple[str, str]]:
    """Code and English name of every country, by name."""
    named = [(one.alpha_2, getattr(one, "common_name", one.name)) for one in pycountry.countries]
    return sorted(named, key=lambda pair: pair[1])


@dataclass(frozen=True, slots=True)
class Kind:
    """What one field can hold: `read` returns the value in its settled form or raises FactFault."""

    read: Callable[[object, str], Any]
    shape: str
    choices: frozenset[str] = frozenset()
    fields: Mapping[str, "Kind"] = field(default_factory=dict)


def _plain(kind: type, least: float | None = None) -> Kind:
    def read(value: object, place: str) -> Any:
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            fits = True
        if not fits:
            raise FactFault(f"must be {type_name[kind]}", place=place)
        if least is not None and isinstance(value, int | float) and not value >= least:
            raise FactFault(f"must be at least {least:g}", place=place)
        return value

    return Kind(read, type_name[kind])


def _read_day(value: object, place: str) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise FactFault("must be a date, as 2026-01-31", place=place) from None


def _read_country(value: object, place: str) -> str:
    if value not in countries():
        raise FactFault("is no ISO 3166-1 alpha-2 country code", place=place, cure="write GB, not UK; GR, not EL")
    return str(value)


def _choice(choices: frozenset[str]) -> Kind:
    def read(value: object, place: str) -> str:
        if value not in choices:
            raise FactFault("is not a known value", place=place, cure=f"use one of {', '.join(sorted(choices))}")
        return str(value)

    return Kind(read, "one of " + ", ".join(sorted(choices)), choices)


def _list(one: Kind) -> Kind:
    def read(value: object, place: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise FactFault("must be a list", place=place)
        return tuple(one.read(item, f"{place}[{index}]") for index, item in enumerate(value))

    return Kind(read, f"list: {one.shape}", one.choices, one.fields)


def _record(*, open_ended: bool = False, **fields: Kind) -> Kind:
    def read(value: object, place: str) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise FactFault("must be a mapping of fields", place=place)
        settled = {}
        for name, item in value.items():
            if name in fields:
                settled[name] = fields[name].read(item, f"{place}.{name}")
            elif open_ended:
                settled[str(name)] = item
            else:
                raise FactFault(
                    f"unknown field `{name}`", place=f"{place}.{name}", cure=f"known: {', '.join(sorted(fields))}"
                )
        return settled

    return Kind(read, "fields", fields=fields)


def _counts(keys: frozenset[str]) -> Kind:
    def read(value: object, place: str) -> Mapping[str, int]:
        if not isinstance(value, Mapping):
            raise FactFault("must be a mapping of names to counts", place=place)
        for name in value:
            if keys and name not in keys:
                raise FactFault(f"unknown name `{name}`", place=f"{place}.{name}", cure=", ".join(sorted(keys)))
        return {str(name): COUNT.read(number, f"{place}.{name}") for name, number in value.items()}

    return Kind(read, "counts by name", keys)


def _read_eccn(value: object, place: str) -> str:
    """An export classification. YAML reads an unquoted 1E001 as the number ten; no classification is a number."""
    return "1E001" if value == 10 and isinstance(value, float) else str(WORD.read(value, place))


def _read_anything(value: object, _place: str) -> Any:
    return value


def _read_instrument(value: object, place: str) -> Mapping[str, Any]:
    """An instrument: a name, or a mapping whose `type` is the name and which carries facts of its own."""
    if isinstance(value, str) and value:
        return {"type": value}
    if isinstance(value, Mapping) and isinstance(value.get("type"), str):
        dated = {name: _read_day(value[name], f"{place}.{name}") for name in ("expires", "valid_to") if name in value}
        return {**value, **dated}
    raise FactFault("must be the name of an instrument, or a mapping with `type`", place=place)


def _read_days(value: object, place: str) -> Mapping[str, date]:
    if not isinstance(value, Mapping):
        raise FactFault("must be a mapping of names to dates", place=place)
    return {str(name): _read_day(day, f"{place}.{name}") for name, day in value.items()}


def _read_moment(value: object, place: str) -> Mapping[str, Any]:
    """An earlier transfer: a date, or a mapping with `date` and what was sent."""
    if isinstance(value, Mapping):
        if "date" not in value:
            raise FactFault("must have a `date`", place=place)
        return {**value, "date": _read_day(value["date"], f"{place}.date")}
    return {"date": _read_day(value, place)}


FLAG, COUNT, NUMBER, WORD = _plain(bool), _plain(int, 0), _plain(float, 0), _plain(str)
DAY, COUNTRY, ANY = Kind(_read_day, "a date"), Kind(_read_country, "a country"), Kind(_read_anything, "any value")
WORDS, CATEGORY = _list(WORD), _list(_choice(CATEGORIES))
OPEN = _record(open_ended=True)
ECCN = Kind(_read_eccn, WORD.shape)

SUBJECT = _record(country=COUNTRY, count=COUNT, citizenship=COUNTRY, region=WORD)
PARTITION = _record(
    country=COUNTRY, categories=CATEGORY, count=COUNT, identifiability=_choice(IDENTIFIABILITY),
    exporter_country=COUNTRY, assay=WORD, citizenship=COUNTRY, region=WORD,
)  # fmt: skip
OWNER = _record(
    owner=WORD, country=COUNTRY, pct=NUMBER, sdn=FLAG, entity_list=FLAG, licence_requirement=ANY, control=FLAG,
    covered_person=FLAG, sanctioned_by=WORDS,
)  # fmt: skip
LICENCE = _record(
    id=WORD, type=WORD, classification=ECCN, consignees=WORDS, destinations=_list(COUNTRY), end_use=WORD,
    cap=_record(limit=COUNT, unit=WORD, used=COUNT), valid_from=DAY, valid_to=DAY, status=WORD, end_users=WORDS,
    authority=WORD, conditions=_list(ANY),
)  # fmt: skip
DUO = _record(open_ended=True, code=WORD, disease=ANY, regions=_list(COUNTRY), until=DAY)
TABLE = _record(row=_list(ANY), total=ANY)

VOCABULARY: Mapping[str, Kind] = {
    "subjects": _list(SUBJECT),
    "partitions": _list(PARTITION),
    "categories": CATEGORY,
    "category_counts": _counts(CATEGORIES),
    "identifiability": _choice(IDENTIFIABILITY),
    "safe_harbor_check": _record(
        names=ANY, zip=_choice(frozenset({"zip3", "zip5", "none"})), zip3_values=WORDS,
        dates=_choice(frozenset({"year_only", "full", "none"})),
        ages_over_89=_choice(frozenset({"aggregated", "exact"})), other_identifiers=ANY, actual_knowledge=FLAG,
    ),
    "fields_retained": WORDS,
    "direct_identifiers_present": WORDS,
    "field_values": OPEN,
    "metrics": _record(k_min=COUNT, max_risk=NUMBER, avg_risk=NUMBER, min_cell=COUNT, uniques=NUMBER, attempt=NUMBER),
    "counts": _list(ANY),
    "level": WORD,
    "table": TABLE,
    "source": WORD,
    "exporter": _record(org=WORD, country=COUNTRY, roles=WORDS, region=WORD, ciio=FLAG, zone=WORD),
    "recipient": _record(
        org=WORD, country=COUNTRY, roles=WORDS, covered_person=FLAG, ownership=_list(OWNER), sanctions_hit=WORD,
        screening=_record(list=WORD, score=NUMBER, name_match=ANY, country_match=FLAG, dob_match=FLAG, id_match=FLAG),
        dpf_active=FLAG, subject_to_pipeda=FLAG, for_profit=FLAG, public_body=FLAG, hgr_foreign_party=FLAG,
        individual=_record(
            name=WORD, citizenship=COUNTRY, nationality=COUNTRY, residence=COUNTRY, location=COUNTRY, dob=DAY,
            doj_designated=FLAG, employer_covered=FLAG,
        ),
        region=WORD, entity_list=FLAG, subject_to_appi=FLAG, approved_users=WORDS,
    ),
    "transfer": _record(
        kind=_choice(KINDS), consideration=FLAG, destination=COUNTRY, access_location=COUNTRY, mode=WORD,
        prior_12m=_counts(CATEGORIES), prior_dates=_list(Kind(_read_moment, "a date")),
        since_jan1=_counts(frozenset({"sensitive", "ordinary"})), requested_end=DAY,
        necessary_for_authorisation=FLAG, ordinarily_incident_to_trial=FLAG, collected_on=DAY,
        primary_database_location=COUNTRY, entrustment=FLAG, joint_use=FLAG,
    ),
    "purpose": WORD,
    "purpose_disease": ANY,
    "duo": _list(DUO),
    "instruments": _list(Kind(_read_instrument, "an instrument")),
    "instrument_expiries": Kind(_read_days, "dates by name"),
    "licences": _list(LICENCE),
    "contract_terms": OPEN,
    "evidence": OPEN,
    "legal_basis": OPEN,
    "upstream": OPEN,
    "federally_funded": FLAG,
    "fda_regulated_trial": FLAG,
    "fda_basis": WORD,
    "nih_supported": FLAG,
    "nih_exception": ANY,
    "source_repository": _record(name=WORD, nih_controlled_access=FLAG),
    "export_classification": ECCN,
    "related_eccn": ECCN,
    "ear_subject": FLAG,
    "fundamental_research": FLAG,
    "appi_class": WORD,
    "consent": ANY,
    "contains_genetic": FLAG,
    "systems_level_analysis": FLAG,
    "biospecimens": ANY,
    "publicly_available": _record(open_access=FLAG, lawful=FLAG),
    "screening_policy": _record(review_at=NUMBER, auto_block_requires=WORDS),
    "invasion_of_privacy": WORD,
    "key_held_by": WORD,
    "localisation_exception": ANY,
}  # fmt: skip

# What the gateway works out for each partition before any rule looks at it.
DERIVED: Mapping[str, Kind] = {
    "subject.country": COUNTRY,
    "subject.citizenship": COUNTRY,
    "subject.region": WORD,
    "subject.count": COUNT,
    "partition.assay": WORD,
    "mode": _choice(frozenset({"controlled", "public"})),
    "places": _list(COUNTRY),
    "third_places": _list(COUNTRY),
    "personal": FLAG,
    "human": FLAG,
}

# Mappings whose names are open; one that is given is complete, so a name not in it counts as not offered.
OFFERED = frozenset({"contract_terms", "evidence", "legal_basis", "upstream"})


def kind_of(path: str) -> Kind | None:
    """The kind of a field by its dotted path (`recipient.country`), None if there is no such field."""
    if path in DERIVED:
        return DERIVED[path]
    head, *rest = path.split(".")
    kind = VOCABULARY.get(head)
    if head in OFFERED and len(rest) == 1:
        return ANY
    for name in rest:
        kind = kind.fields.get(name) if kind else None
    return kind


def read(document: object) -> Mapping[str, Any]:
    """The facts in their settled form: dates as dates, instruments as mappings, lists as tuples.

    Raises:
        FactFault: a field or a value is not in the vocabulary; `place` is its path.
    """
    if not isinstance(document, Mapping):
        raise FactFault("facts must be a mapping of fields", place="facts")
    settled = {}
    for name, value in document.items():
        if name not in VOCABULARY:
            raise FactFault(f"unknown field `{name}`", place=str(name), cure=f"known: {', '.join(sorted(VOCABULARY))}")
        if value is not None:  # an empty field in YAML says nothing: it is unknown
            settled[name] = VOCABULARY[name].read(value, name)
    return settled
