"""The conditions of a verdict as obligations: one for each that the facts did not already show to be met."""

import hashlib
import re
from datetime import datetime, timedelta

from gateway.domain.release import Obligation
from gateway.release.work import Work

_SPAN = re.compile(r"(\d+) (business day|day|week|month|year)s?")
_DAYS = {"business day": 1.4, "day": 1, "week": 7, "month": 30, "year": 365}


def of_release(work: Work, now: datetime) -> list[Obligation]:
    """What must be done for this release, with due days counted from its delivery."""
    found = []
    for condition in work.release.values["verdict"]["conditions"]:
        if condition["evidenced"]:
            continue
        key = hashlib.sha256(f"{work.release.id}/{condition['rule']}/{condition['id']}".encode()).hexdigest()[:12]
        says = condition["says"] or condition["sentence"]
        due = due_day(condition["due"], now)
        found.append(Obligation(f"o-{key}", work.release.id, work.version.dataset, condition["rule"], says, due))
    return found


def due_day(span: str, now: datetime) -> datetime | None:
    """The day a span such as `14 days` ends, the sooner where it is not exact; None without one."""
    match = _SPAN.search(span)
    return now + timedelta(days=int(int(match[1]) * _DAYS[match[2]])) if match else None
