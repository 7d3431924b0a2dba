"""Consent codes (DUO, release 2021-02-23): whether what people agreed to covers the purpose, and what it obliges to.

A dataset's codes are joined by AND; deny comes before abstain before permit. Only the permission table is code:
each modifier is a rule of its own in `jurisdictions/duo.yaml`.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from policies.registry import Missing, Truth, test

PERMISSIONS = {"0000004": "NRES", "0000042": "GRU", "0000006": "HMB", "0000007": "DS", "0000011": "POA"}
MODIFIERS = frozenset(
    [
        "0000012", "0000015", "0000016", "0000018", "0000019", "0000020", "0000021", "0000022", "0000024", "0000025",
        "0000026", "0000027", "0000028", "0000029", "0000043", "0000044", "0000045", "0000046",
    ]
)  # fmt: skip

# What a purpose word asks for. Words that are not here cannot be judged, and a person must.
PURPOSES: Mapping[str, str] = {
    "disease_specific_research": "DS",
    "disease_research": "DS",
    "rare_disease_research": "DS",
    "health_medical_biomedical_research": "HMB",
    "biomedical_research": "HMB",
    "medical_research": "HMB",
    "health_research": "HMB",
    "clinical_research": "HMB",
    "drug_development": "HMB",
    "population_origins_research": "POA",
    "ancestry_research": "POA",
    "methods_development": "MDS",
    "methods_research": "MDS",
    "general_research": "GENERAL",
    "general_research_use": "GENERAL",
    "non_health_research": "GENERAL",
}
_RESEARCH = frozenset(
    {"scientific_research", "secondary_research", "academic_research", "research", "commercial_product_development",
     "commercial_research", "product_development"}
)  # fmt: skip
_NOT_RESEARCH = frozenset(
    {"marketing", "advertising", "sale", "insurance_underwriting", "credit_scoring", "employment_decision",
     "law_enforcement"}
)  # fmt: skip


def number_of(code: str) -> str:
    """The seven digits of a code: `DUO:0000007`, `DUO_0000007`; NPOA's eight-digit slip `DUO_00000044` too."""
    digits = re.sub(r"\D", "", code)
    return digits[-7:] if len(digits) >= 7 else code


def _codes(view: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(number_of(str(each.get("code", ""))), each) for each in view.get("duo", ())]


@test("code")
def duo_has(view: dict[str, Any], arguments: Mapping[str, Any]) -> Truth:
    """Whether the dataset carries a consent code (seven digits)."""
    return any(number == arguments["code"] for number, _ in _codes(view))


@test()
def duo_unknown_code(view: dict[str, Any], _: Mapping[str, Any]) -> Truth:
    """Whether the dataset carries a code that is deprecated or not in the release read here."""
    return any(number not in PERMISSIONS and number not in MODIFIERS for number, _ in _codes(view))


@test("code", "parameter", "fact")
def duo_parameter_has(view: dict[str, Any], arguments: Mapping[str, Any]) -> Truth:
    """Whether a modifier's parameter (regions, institutions, users, projects, topics) names what a fact says."""
    parameter, fact = arguments["parameter"], arguments["fact"]
    for number, each in _codes(view):
        if number != arguments["code"]:
            continue
        allowed = each.get(parameter, each.get(parameter.removesuffix("s")))
        if not allowed:
            return frozenset({f"duo.{parameter}"})
        if fact not in view:
            return frozenset({fact})
        if view[fact] not in ((allowed,) if isinstance(allowed, str) else allowed):
            return False
    return True


@test()
def duo_region(view: dict[str, Any], _: Mapping[str, Any]) -> Truth:
    """Whether the recipient and every place the data go to lie in the regions of the GS modifier."""
    regions = {region for number, each in _codes(view) if number == "0000022" for region in _many(each.get("regions"))}
    if not regions:
        return frozenset({"duo.regions"})
    places = view.get("places")
    return set(places) <= regions if places else frozenset({"recipient.country"})


@test()
def duo_within_time(view: dict[str, Any], _: Mapping[str, Any]) -> Truth:
    """Whether the end asked for lies within the months of the TS modifier, counted from the decision."""
    months = [each.get("months") for number, each in _codes(view) if number == "0000025"]
    if not all(isinstance(number, int) for number in months):
        return frozenset({"duo.months"})
    day, end = view["as_of"], view["transfer.requested_end"]
    asked = (end.year - day.year) * 12 + end.month - day.month + (1 if end.day > day.day else 0)
    return all(asked <= number for number in months)


@test("list", "code")
def duo_permits(view: dict[str, Any], arguments: Mapping[str, Any]) -> Truth:
    """Whether the permission code given as `code` covers the purpose, by the permission × purpose table.

    NRES and GRU cover any research (GRU not ancestry under NPOA nor methods under NMDS); HMB covers health and any
    disease, not ancestry or general purposes; DS D covers a disease X only if X is D or descends from D, so lung
    cancer under a cancer consent, never cancer under a lung cancer consent; POA covers ancestry and, without NMDS,
    methods. A purpose that the table cannot place is for a person.
    """
    codes = _codes(view)
    asked = _purpose(view)
    if isinstance(asked, frozenset):
        return asked
    name = PERMISSIONS[arguments["code"]]
    groups = [each for number, each in codes if number == arguments["code"]]
    numbers = {number for number, _ in codes}
    if name == "DS" and asked in ("DS", "MDS"):
        return _disease(view, groups, arguments["members"])
    if asked == "MDS":
        return name == "NRES" or "0000015" not in numbers
    if name == "NRES":
        return True
    if asked == "NONE":
        return False
    if name == "GRU":
        return frozenset({"purpose"}) if asked == "OTHER" else not (asked == "POA" and "0000044" in numbers)
    return _unsure(asked) or asked in {"HMB": ("HMB", "DS"), "DS": (), "POA": ("POA",)}[name]


def _purpose(view: Mapping[str, Any]) -> str | Missing:
    if "purpose" not in view:
        return frozenset({"purpose"})
    word = view["purpose"]
    if PURPOSES.get(word) == "MDS":
        return "MDS"
    if "purpose_disease" in view:
        return "DS"
    if word in _NOT_RESEARCH:
        return "NONE"
    if word in _RESEARCH:
        return "RESEARCH"
    return PURPOSES.get(word, "OTHER")


def _unsure(asked: str) -> Missing:
    """What would settle a purpose that says only `research`, or that no table knows; empty if it is placed."""
    return frozenset({"purpose_disease"}) if asked in ("RESEARCH", "OTHER") else frozenset()


def _many(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(each) for each in value)


def _disease(view: Mapping[str, Any], groups: Iterable[Mapping[str, Any]], is_a: frozenset[str]) -> Truth:
    """Whether every disease of the purpose is one of the consented ones or descends from it."""
    wanted = _many(view.get("purpose_disease"))
    if not wanted:
        return frozenset({"purpose_disease"})
    parents = _parents(is_a)
    for group in groups:
        consented = set(_many(group.get("disease")))
        if not consented:
            return frozenset({"duo.disease"})
        for disease in wanted:
            if disease in consented or consented & _ancestors(disease, parents):
                continue
            known = disease in parents and all(each in parents for each in consented)
            return False if known else frozenset({"purpose_disease"})
    return True


@lru_cache(maxsize=8)
def _parents(is_a: frozenset[str]) -> Mapping[str, frozenset[str]]:
    """Each disease with its direct parents, from lines such as `MONDO:0008903 is_a MONDO:0004992`."""
    found: dict[str, set[str]] = {}
    for line in is_a:
        child, _, parent = line.partition(" is_a ")
        found.setdefault(child, set()).add(parent)
        found.setdefault(parent, set())
    return {disease: frozenset(above) for disease, above in found.items()}


def _ancestors(disease: str, parents: Mapping[str, frozenset[str]]) -> frozenset[str]:
    found: set[str] = set()
    waiting = [disease]
    while waiting:
        for parent in parents.get(waiting.pop(), ()):
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return frozenset(found)
