"""What is asked for in the demo: the researcher's request and its cure, and one request for each verdict there is.

All organisations are invented. A verdict that this release of the rules no longer gives is shown as what it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DATASET = "demo"
PROJECT, UNIVERSITY = "hypertension-2026", "Maple Bay University"
"""The researcher's own project. Whoever else asks has a project, and so pseudonyms, of their own."""

PERMIT, CONDITIONS, REVIEW, LICENCE, DENY = (
    "permit",
    "permit_with_conditions",
    "needs_review",
    "needs_licence",
    "deny",
)

_SPONSOR_EU = {"org": "Aldergrove Trials", "country": "DE", "roles": ["gdpr_controller", "trial_sponsor"]}
_SPONSOR_US = {"org": "Aldergrove Trials Inc", "country": "US", "roles": ["us_person", "trial_sponsor"]}
_GROUNDS = {"art6": "f", "art9": "j", "art89_safeguards": True, "ethics_approval": True}
_CLAUSES = ["standard_contractual_clauses", "transfer_impact_assessment", "DUA"]
_CLEAN = {"ownership": [], "covered_person": False, "sanctions_hit": "none"}
_AMERICANS = [{"table": "DM", "column": "COUNTRY", "in": ["USA"]}]


@dataclass(frozen=True, slots=True)
class Question:
    """A request to the rules: its title, the verdict it is there to show, and its document without the key.

    `cure` holds what is changed in the document once the verdict has said what would help.
    """

    title: str
    shows: str
    terms: Mapping[str, Any]
    cure: Mapping[str, Any] = field(default_factory=dict)

    def document(self, key: str, take: int = 1, *, cured: bool = False) -> dict[str, Any]:
        """The request document, sealed to one recipient key.

        `take` counts how often the demo was played in this home: each take is a project of its own, so that nobody
        can join its extracts with those of the last.
        """
        terms = {**self.terms, **(self.cure if cured else {})}
        project = terms["project"] if take == 1 else f"{terms['project']}-{take}"
        return {"dataset": DATASET, "format": "parquet", **terms, "project": project, "keys": [key]}


def _terms(exporter: object, recipient: Mapping[str, Any], destination: str, **more: Any) -> dict[str, Any]:
    return {
        "tables": "all",
        "mode": "controlled",
        "project": PROJECT if recipient["org"] == UNIVERSITY else f"{destination.lower()}-2026",
        "purpose": "scientific_research",
        "exporter": exporter,
        "recipient": {**recipient, "country": destination},
        "destination": destination,
        **more,
    }


_MAPLE_BAY = {"org": UNIVERSITY}

MAIN = Question(
    "All countries of the trial to a Canadian university, little said about the grounds",
    REVIEW,
    _terms(_SPONSOR_EU, _MAPLE_BAY, "CA"),
    cure={
        "recipient": {**_MAPLE_BAY, **_CLEAN, "country": "CA", "subject_to_pipeda": False},
        "facts": {"legal_basis": _GROUNDS, "instruments": _CLAUSES},
    },
)
"""The request the story follows: held for review, then cured into a permit with conditions."""

OWN = Question("The steward asks for the study themself", CONDITIONS, {**MAIN.terms, **MAIN.cure})

UNSETTLED = Question("A column that no steward has settled", "", {**MAIN.terms, "tables": {}})
"""Filled with a column that waits when it is played."""

HOME = Question(
    "American subjects, American sponsor, American university",
    PERMIT,
    _terms(_SPONSOR_US, {"org": "Prairie University", **_CLEAN}, "US", rows=_AMERICANS, facts={"instruments": ["DUA"]}),
)

EMBARGO = Question(
    "American subjects to a clinic in Cuba",
    LICENCE,
    _terms(
        _SPONSOR_US, {"org": "Clinica del Malecon", **_CLEAN}, "CU", rows=_AMERICANS, facts={"instruments": ["DUA"]}
    ),
)

NO_TOOL = Question(
    "All countries to Kenya without a transfer tool",
    DENY,
    _terms(
        _SPONSOR_EU,
        {"org": "Rift Valley Research Institute", **_CLEAN},
        "KE",
        facts={"legal_basis": _GROUNDS, "instruments": ["DUA"]},
    ),
    cure={"facts": {"legal_basis": _GROUNDS, "instruments": _CLAUSES}},
)

ONWARD = Question(
    "An American sponsor passes pooled data on to Kenya",
    REVIEW,
    _terms(
        _SPONSOR_US,
        {"org": "Rift Valley Research Institute", **_CLEAN},
        "KE",
        project="rift-valley-2026",
        tables=["DM", "AE", "VS"],
        facts={"legal_basis": _GROUNDS, "instruments": ["DUA"]},
    ),
)
"""Some countries' part is clean: it is asked for again alone."""

GALLERY: tuple[Question, ...] = (HOME, EMBARGO, NO_TOOL, ONWARD)
