"""What was sent before, for the rules that count: each law with its own counter, window and unit, never merged.

28 CFR 202.205 counts United States persons over the preceding twelve months between the same two parties, whether
de-identified or not (202.206). CAC Order 16 counts people in China since the first of January for one exporter. Both
are counted in distinct subjects: subjects of one study count once, however often it was sent. Counts of a study are
those of its subject table, an upper bound.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from gateway.context import Gateway
from gateway.domain.dataset import Dataset
from gateway.domain.request import Terms

TWELVE_MONTHS = timedelta(days=366)
_AMERICAN, _CHINESE = "US", "CN"
_SENSITIVE = frozenset({"health", "genomic", "biometric", "epigenomic", "proteomic", "transcriptomic", "financial"})


def counts(gateway: Gateway, dataset: Dataset, terms: Terms, stated: Mapping[str, Any]) -> dict[str, Any]:
    """`prior_12m` and `since_jan1` of the transfer: what this gateway sent, added to what the requester states.

    The study asked for now is left out: its subjects are counted by the request itself.
    """
    now = gateway.now()
    year = datetime(now.year, 1, 1, tzinfo=now.tzinfo)
    sent = gateway.store.ledger(str(terms.exporter["org"]), min(year, now - TWELVE_MONTHS))
    american: dict[tuple[str, str], int] = {}
    chinese: dict[tuple[str, str], int] = {}
    for when, study, decision in sent:
        if study == dataset.id:
            continue
        facts = decision.facts
        if when >= now - TWELVE_MONTHS and facts["recipient"]["org"] == terms.recipient["org"]:
            for category in facts["categories"]:
                _most(american, (study, category), _of(facts, _AMERICAN))
        if when >= year:
            kind = "sensitive" if _SENSITIVE & set(facts["categories"]) else "ordinary"
            _most(chinese, (study, kind), _of(facts, _CHINESE))
    return {
        "prior_12m": _added(american, dict.fromkeys(dataset.categories, 0), stated.get("prior_12m", {})),
        "since_jan1": _added(chinese, {"sensitive": 0, "ordinary": 0}, stated.get("since_jan1", {})),
    }


def _of(facts: Mapping[str, Any], country: str) -> int:
    return sum(int(part["count"]) for part in facts["subjects"] if part.get("country", country) == country)


def _most(held: dict[tuple[str, str], int], key: tuple[str, str], count: int) -> None:
    held[key] = max(held.get(key, 0), count)


def _added(held: Mapping[tuple[str, str], int], base: Mapping[str, int], stated: Mapping[str, int]) -> dict[str, int]:
    """Sums over studies by category, with what was stated beside."""
    total = dict(base)
    for (_, category), count in held.items():
        total[category] = total.get(category, 0) + count
    for category, count in stated.items():
        total[category] = total.get(category, 0) + int(count)
    return total
