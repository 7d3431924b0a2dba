"""What the description of the API shows: an example of every answer, made by the same views that answer."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.actions.terms import RequestDocument, read_terms
from gateway.api.problems import MEDIA, problem
from gateway.api.views import dataset_view, decision_view, file_view, release_view, request_view
from gateway.domain.account import Decision
from gateway.domain.dataset import Dataset, DatasetVersion
from gateway.domain.release import Release, ReleaseFile, Step
from gateway.domain.request import Approval, Request, Status
from gateway.errors import Broken, GatewayError, Invalid, NotAllowed, NotFound, NotPossible

Answers = dict[int | str, dict[str, Any]]

_DAY = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_VERSION = DatasetVersion(_DIGEST, "demo", "", _DIGEST, "", 0, _DAY)
_REQUEST = Request(
    "q-4be21c70a9d3",
    "r.okafor",
    read_terms(RequestDocument.model_config["json_schema_extra"]["example"]),  # type: ignore[index]
    Status.APPROVED,
    _DAY,
    _DAY + timedelta(hours=2),
    "d-71f0c2ab34ee",
    (Approval("s.moreau", _DAY + timedelta(hours=2), "ethics approval is on file"),),
    "",
    "r-0c5d8ae41f66",
)
_VERDICT = {
    "decision": "permit_with_conditions",
    "as_of": "2026-03-02",
    "denials": [],
    "licences": [],
    "reviews": [],
    "conditions": [
        {
            "id": "screen-recipient",
            "rule": "SANCTIONS-UNSCREENED",
            "article": "house rule 4, after OFAC's framework for compliance",
            "says": "screen the recipient and its owners and record list version and result",
        }
    ],
    "missing": [],
}
_DECISION = decision_view(Decision("d-71f0c2ab34ee", _REQUEST.id, "2026-03-02", {}, _VERDICT, _DIGEST, _DAY))
_RELEASE = Release(
    "r-0c5d8ae41f66", _REQUEST.id, "demo", _DIGEST, Step.DELIVERED, _DAY, _DAY + timedelta(days=90), progress=1.0
)

REQUEST = request_view(_REQUEST)
SUBMITTED = {**REQUEST, "status": "submitted", "verdict": _VERDICT}
ALTERNATIVES = {
    "alternatives": [
        {
            "number": 1,
            "why": "the least loss",
            "k": 1,
            "blank_limit": 0.05,
            "levels": {"AGE": 1, "SEX": 0},
            "columns": {"AGE": 0.91, "SEX": 0.97},
            "granularity": 0.94,
            "blanked": 0.03,
            "maximum_risk": 0.1,
            "average_risk": 0.02,
            "uniques": 0.0,
            "proven": True,
        }
    ]
}
DECISION = {"decision": _DECISION}
DATASET = dataset_view(Dataset("demo", "A trial of a blood pressure medicine", ("health",), 1, _VERSION))
OVERRIDDEN = {
    **DATASET,
    "waiting": [{"variable": "ADSL.AGEGR1", "why": "`AGE` was overridden, and an age group tells of the age"}],
}
STUDY = {
    **DATASET,
    "tables": [
        {
            "name": "DM",
            "label": "Demographics",
            "domain": "DM",
            "columns": [
                {
                    "name": "AGE",
                    "label": "Age",
                    "role": "quasi",
                    "kind": "number",
                    "handling": None,
                    "because": "known to neighbours and in other registers",
                }
            ],
        }
    ],
}
RELEASE = release_view(_RELEASE)
FILES = {"files": [file_view(ReleaseFile("DM.parquet.age", 24_311, _DIGEST))]}
EVENTS = {
    "events": [
        {
            "id": "019cade211c0931ddbeb3387b65089b7",
            "index": 41,
            "time": "2026-03-02T11:30:00+00:00",
            "kind": "request.approved",
            "outcome": "done",
            "actor": "s.moreau",
            "about": {"request": _REQUEST.id, "dataset": "demo"},
            "facts": {"verdict": "permit_with_conditions", "allowed_by": "steward-approves"},
            "personal": {},
        }
    ],
    "cursor": None,
}
SOUND = {"sound": True, "size": 42, "root": _DIGEST, "findings": [], "notes": []}

_PROBLEMS: Mapping[str, GatewayError] = {
    "not signed in": NotAllowed(
        "the token is missing, unknown, ended or revoked",
        rule="sign-in",
        cure="send `Authorization: Bearer …` with a token from `gateway users token`",
    ),
    "the access rules do not allow it": NotAllowed(
        "you may not approve this request: nobody approves their own request", rule="no-own-approval"
    ),
    "no such thing, or not one you may know of": NotFound("no such request", place="request"),
    "not in this state, or a rule about data forbids it": NotPossible(
        "a request that is draft cannot be moved by `approve`", rule="request-moves", cure="possible now: submit"
    ),
    "the input is wrong": Invalid("the dataset has no table `ZZ`", place="tables.ZZ", cure="it has AE, DM"),
    "our fault": Broken("", incident="002546a82b02"),
}


def refusals() -> Answers:
    """The problem documents that any call may answer with, by status."""
    shown = {description: problem(error) for description, error in _PROBLEMS.items()}
    return {
        content["status"]: {"description": description, "content": {MEDIA: {"example": content}}}
        for description, content in shown.items()
    }


def answers(example: Mapping[str, Any], *, status: int = 200) -> Answers:
    """The answer of a call that went well."""
    return {status: {"content": {"application/json": {"example": example}}}}
