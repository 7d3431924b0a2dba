"""/v1/datasets: the catalogue."""

from typing import Any

from fastapi import APIRouter

from gateway.actions import datasets
from gateway.api import examples
from gateway.api.doors import Caller, Here
from gateway.api.examples import answers
from gateway.api.views import dataset_view

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])


@router.get("", responses=answers({"datasets": [examples.DATASET]}))
def list_datasets(gateway: Here, actor: Caller) -> dict[str, Any]:
    """The studies that stand in the catalogue."""
    return {"datasets": [dataset_view(dataset) for dataset in datasets.listing(gateway, actor)]}


@router.get("/{key}", responses=answers(examples.STUDY))
def show_dataset(gateway: Here, actor: Caller, key: str) -> dict[str, Any]:
    """One study: its tables and columns, the role of each and why. No values."""
    dataset, tables = datasets.show(gateway, actor, key)
    return {**dataset_view(dataset), "tables": tables}
