"""/v1/datasets: the catalogue."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from gateway.actions import datasets, overrides
from gateway.api import examples
from gateway.api.doors import Caller, Here
from gateway.api.examples import answers
from gateway.api.views import dataset_view

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])


class Override(BaseModel):
    """One variable, the rule to treat it by, and why."""

    variable: Annotated[str, Field(max_length=200, examples=["AE.AETERM"])]
    treat: Annotated[str, Field(max_length=40, examples=["review_and_redact"])]
    reason: Annotated[str, Field(max_length=2000, examples=["the verbatim terms were coded by hand"])]
    accept_risk: Annotated[bool, Field(examples=[False])] = False


@router.get("", responses=answers({"datasets": [examples.DATASET]}))
def list_datasets(gateway: Here, actor: Caller) -> dict[str, Any]:
    """The studies that stand in the catalogue."""
    return {"datasets": [dataset_view(dataset) for dataset in datasets.listing(gateway, actor)]}


@router.get("/{key}", responses=answers(examples.STUDY))
def show_dataset(gateway: Here, actor: Caller, key: str) -> dict[str, Any]:
    """One study: its tables and columns, the role of each and why. No values."""
    dataset, tables = datasets.show(gateway, actor, key)
    return {**dataset_view(dataset), "tables": tables}


@router.post("/{key}/overrides", status_code=201, responses=answers(examples.OVERRIDDEN, status=201))
def override_line(gateway: Here, actor: Caller, key: str, wanted: Override) -> dict[str, Any]:
    """Treat one variable by another rule; a new version of the dataset follows. The reason is logged."""
    dataset, waiting = overrides.override(
        gateway, actor, key, wanted.variable, wanted.treat, wanted.reason, accept_risk=wanted.accept_risk
    )
    return {**dataset_view(dataset), "waiting": [{"variable": str(ref), "why": why} for ref, why in waiting]}
