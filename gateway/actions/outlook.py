"""What a researcher would get for a cart of variables, before asking: the expected verdict, the recoding, the risk.

Nothing is released and nothing is decided: the rules and the search are run as a release would run them, and what
comes back holds shares and protected counts only.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.actions import decisions
from gateway.actions.guard import action, allow, translate
from gateway.actions.terms import read_terms
from gateway.context import Gateway
from gateway.domain.actor import Actor
from gateway.domain.dataset import Dataset
from gateway.domain.event import Event, EventKind
from gateway.domain.request import Request, Status, Terms
from gateway.errors import GatewayError
from gateway.formats import FileSource
from gateway.release.extract import FilteredSource, requested_study, whole_study
from gateway.release.report import smallest_class
from gateway.release.treat import protected
from policies import decide
from policies.verdict import Verdict
from pseudonymization import deidentify
from pseudonymization.pseudonyms import ProjectKey
from pseudonymization.risk import Risk
from pseudonymization.utility import utility_of

_REMEMBERED = 128
# A cart has no recipient key yet; terms are read with this in its place.
_NO_KEY = "age1"


@dataclass(frozen=True, slots=True)
class Variable:
    """What would happen to one column. `precision` is the share of its detail that stays, for quasi-identifiers."""

    table: str
    name: str
    act: str
    detail: str
    why: str
    precision: float | None


@dataclass(frozen=True, slots=True)
class Exposure:
    """Risk as rounded shares, and the share of subjects per bin of class sizes.

    maximum: of the likeliest subject (prosecutor). average: of the average one. marketer: of all matched at once.
    uniques: subjects alone in their class.
    """

    maximum: float
    average: float
    marketer: float
    uniques: float
    histogram: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Recoding:
    """What would be left. Counts below the smallest that is shown, and risks that give them away, are words."""

    subjects: int | str
    k: int | str
    average_risk: float
    blanked: float
    granularity: float
    proven_optimal: bool
    variables: tuple[Variable, ...]
    smallest_allowed: int
    before: Exposure
    after: Exposure


@dataclass(frozen=True, slots=True)
class Outlook:
    """The answer to a cart: the verdict as of today, the recoding, or why there is none and what would help."""

    verdict: Mapping[str, Any]
    recoding: Recoding | None
    obstacle: GatewayError | None


class _Memory:
    """The last answers of the search. They depend on the version, the cut and the safeguards, and on nobody."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Recoding | GatewayError] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Recoding | GatewayError | None:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: str, answer: Recoding | GatewayError) -> None:
        with self._lock:
            self._held[key] = answer
            while len(self._held) > _REMEMBERED:
                self._held.popitem(last=False)


_MEMORY = _Memory()


@action("request", "draft")
def outlook(gateway: Gateway, actor: Actor, content: Mapping[str, Any]) -> Outlook:
    """What these terms would give. `keys` may be absent.

    Raises:
        Invalid: a field is wrong; a table or column does not exist or is unresolved.
    """
    terms = read_terms({"keys": [_NO_KEY], **content})
    row = allow(gateway, actor, "request", "draft", study=terms.dataset)
    dataset = gateway.store.dataset(terms.dataset)
    requested_study(dataset.version, terms)
    now = gateway.now()
    asked = Request("cart", actor.id, terms, Status.DRAFT, now, now)
    return _seen(gateway, actor, asked, {"dataset": terms.dataset}, row)


@action("request", "read")
def of_request(gateway: Gateway, actor: Actor, key: str) -> Outlook:
    """What a request would give if it were released today, for whoever judges it."""
    asked = gateway.store.request(key, seen_by=actor)
    env = {"requester": asked.requester}
    row = allow(gateway, actor, "request", "read", study=asked.terms.dataset, env=env)
    return _seen(gateway, actor, asked, {"request": key, "dataset": asked.terms.dataset}, row)


def _seen(gateway: Gateway, actor: Actor, asked: Request, about: dict[str, str], row: str) -> Outlook:
    """Ask the rules and the search, and log that it was asked."""
    terms, now = asked.terms, gateway.now()
    dataset = gateway.store.dataset(terms.dataset)
    facts = decisions.facts_of(gateway, dataset, asked)
    verdict = decide.decide(facts, gateway.rules, now.date())
    event = Event(
        EventKind.DECISION_MADE,
        actor.id,
        about=about,
        facts={
            "what": "outlook",
            "verdict": str(verdict.decision),
            "facts_sha256": decisions.digest(facts),
            "as_of": now.date().isoformat(),
            "allowed_by": row,
        },
    )
    gateway.store.record(event, now=now)
    found = _recoding(gateway, dataset, terms, verdict)
    if isinstance(found, GatewayError):
        return Outlook(verdict.to_dict(), None, found)
    return Outlook(verdict.to_dict(), found, None)


def _recoding(gateway: Gateway, dataset: Dataset, terms: Terms, verdict: Verdict) -> Recoding | GatewayError:
    """The recoding, from memory if the same was asked lately."""
    cut = {"version": dataset.version.id, "tables": terms.tables, "rows": [asdict(row) for row in terms.rows]}
    key = decisions.digest({**cut, "safeguards": asdict(verdict.policy.safeguards)})
    held = _MEMORY.get(key)
    if held is None:
        try:
            held = _searched(gateway, dataset, terms, verdict)
        except Exception as error:  # noqa: BLE001 - each becomes an obstacle told in our words
            held = translate(error)
        _MEMORY.put(key, held)
    return held


def _searched(gateway: Gateway, dataset: Dataset, terms: Terms, verdict: Verdict) -> Recoding:
    whole, asked = whole_study(dataset.version), requested_study(dataset.version, terms)
    folder = Path(dataset.version.path)
    source = FilteredSource(FileSource(folder), terms.rows, whole)
    # Codes of an outlook are never shown: no project's key is used for it.
    key = ProjectKey.derive(gateway.keys.derive("outlook"), terms.project)
    prepared = deidentify.prepare(whole, asked, source, verdict.policy.safeguards, key, folder=folder)
    plan, risk = prepared.plan, prepared.predicted
    utility = utility_of(prepared.table, prepared.ladders, plan.levels, prepared.blanked_rows)
    return Recoding(
        protected(risk.subjects),
        protected(risk.k),
        round(risk.average, 2),
        round(utility.blanked, 2),
        round(utility.granularity, 2),
        plan.proven_optimal,
        tuple(
            Variable(
                column.table,
                column.column,
                column.act.value,
                column.detail,
                column.why,
                round(utility.columns[column.column], 2) if column.column in utility.columns else None,
            )
            for column in plan.columns
        ),
        smallest_class(plan),
        _exposure(prepared.before),
        _exposure(risk),
    )


def _exposure(risk: Risk) -> Exposure:
    histogram = {name: round(share, 2) for name, share in risk.histogram.items()}
    return Exposure(
        round(risk.maximum, 2), round(risk.average, 2), round(risk.marketer, 2), round(risk.uniques, 2), histogram
    )
