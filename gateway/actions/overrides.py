"""A steward's override of one line of a dataset: a new version, and an event with the reason."""

from pathlib import Path

from gateway.actions import datasets
from gateway.actions.datasets import Waiting
from gateway.actions.guard import action, allow
from gateway.catalogue import overriding, profile
from gateway.catalogue.profile import ColumnProfile
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.domain.dataset import Dataset
from gateway.domain.event import EventKind
from gateway.errors import Invalid
from gateway.formats import scan
from pseudonymization.columns import ColumnRef, Study
from pseudonymization.subjects import ONE_ROW_EACH

MOST_WORDS = 2_000


@action("dataset", "override")
def override(
    gateway: Gateway, actor: Actor, key: str, variable: str, treatment: str, reason: str, *, accept_risk: bool = False
) -> tuple[Dataset, Waiting]:
    """Treat one variable of a dataset by another rule; the next version follows, earlier ones stay as they are.

    `variable` is TABLE.VARIABLE, or TABLE.QVAL:QNAM; `treatment` a rule of the standard (`gateway datasets rules`).
    The reason is kept as personal text of the event: it may name people, and can be erased.

    Raises:
        Invalid: no such variable or rule, or no reason. NotPossible: what the rule would do is never allowed, or is
            less careful than the proposal and the risk was not accepted.
    """
    row = allow(gateway, actor, "dataset", "override", study=key)
    said = reason.strip()
    if not said or len(said) > MOST_WORDS:
        raise Invalid("an override needs a reason", place="reason", cure=f"one to {MOST_WORDS} characters")
    ref, rule = overriding.reference(variable), overriding.rule_word(treatment)
    before: dict[str, str] = {}

    def change(study: Study) -> Study:
        held = _profile(Path(gateway.store.dataset(key).version.path), ref)
        changed = overriding.overridden(study, ref, rule, held, accept_risk=accept_risk)
        column = study.at(ref)
        before["was"] = f"{column.role}, {column.handling}" if column.handling else str(column.role)
        return changed

    return datasets.settle(
        gateway,
        actor,
        key,
        row,
        EventKind.DATASET_OVERRIDDEN,
        change,
        facts=lambda: {"variable": str(ref), "rule": rule.value, "accepted_risk": accept_risk, **before},
        personal={"reason": said},
    )


def _profile(path: Path, ref: ColumnRef) -> ColumnProfile | None:
    """What the variable holds; None for one that the data does not have."""
    tables = [table for table in scan(path) if table.name == ref.table or table.domain in ONE_ROW_EACH]
    for table in profile.profile_study(tables):
        if table.name == ref.table:
            held = table.qualified if ref.qualifier else table.columns
            return next((column for column in held if column.name == (ref.qualifier or ref.column)), None)
    return None
