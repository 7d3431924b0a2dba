"""What must hold when data leaves: the thresholds and treatments a joined policy demands of the engine."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class DateRule(StrEnum):
    """What happens to calendar dates.

    `shift` adds a secret number of days for each subject. `anchor` moves each subject's first date to one day that all
    share (PHUSE De-Identification Standard for SDTM 3.2, rule Offset). `month` and `year` truncate. `study_day` counts
    days from the subject's baseline and tells neither a true calendar date nor an anchor.

    The order of strictness is a lattice: `keep` is weakest, `drop` strictest. `shift` < `anchor` < `study_day`: an
    anchored date is a relative day in the shape of a date, and whoever holds shifted dates can work it out, so it
    tells nothing that they do not. `month` < `year` < `study_day`; truncation cannot be compared with the other two.
    """

    KEEP = "keep"
    SHIFT = "shift"
    ANCHOR = "anchor"
    MONTH = "month"
    YEAR = "year"
    STUDY_DAY = "study_day"
    DROP = "drop"


_DATES_ABOVE: Mapping[DateRule, frozenset[DateRule]] = {
    DateRule.KEEP: frozenset(DateRule),
    DateRule.SHIFT: frozenset({DateRule.SHIFT, DateRule.ANCHOR, DateRule.STUDY_DAY, DateRule.DROP}),
    DateRule.ANCHOR: frozenset({DateRule.ANCHOR, DateRule.STUDY_DAY, DateRule.DROP}),
    DateRule.MONTH: frozenset({DateRule.MONTH, DateRule.YEAR, DateRule.STUDY_DAY, DateRule.DROP}),
    DateRule.YEAR: frozenset({DateRule.YEAR, DateRule.STUDY_DAY, DateRule.DROP}),
    DateRule.STUDY_DAY: frozenset({DateRule.STUDY_DAY, DateRule.DROP}),
    DateRule.DROP: frozenset({DateRule.DROP}),
}
"""Which date rules are at least as strict as each."""


def join_dates(one: DateRule, other: DateRule) -> DateRule:
    """The loosest date rule that is at least as strict as both."""
    both = _DATES_ABOVE[one] & _DATES_ABOVE[other]
    return max(both, key=lambda rule: len(_DATES_ABOVE[rule]))


class TimeOfDay(StrEnum):
    """What is left of the time of day behind a date, from loosest to strictest; `hour` cuts minutes and seconds."""

    KEEP = "keep"
    HOUR = "hour"
    DROP = "drop"


class TextRule(StrEnum):
    """The most that may be left of free text, from loosest to strictest."""

    KEEP = "keep"
    REDACT = "redact"
    DROP = "drop"


class GeographyRule(StrEnum):
    """The finest place that may leave, from finest to coarsest."""

    SITE = "site"
    COUNTRY = "country"
    REGION = "region"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Safeguards:
    """Thresholds and treatments that a release must meet. The default demands nothing.

    k: smallest class of subjects alike in all quasi-identifiers; a maximum risk is the same demand, as an integer
      (0.09 is k = 11 by the convention of EMA/90915/2016 and Health Canada PRCI), never compared as a float.
    average_risk: upper bound of attempt × mean(1 / class size); 1.0 demands nothing.
    attempt: probability that an attack is tried (Kniola, PhUSE 2016 DH09): 1 for public release.
    uniques: upper bound of the share of subjects who are alone in their class; 1.0 demands nothing.
    blank_limit: largest share of subjects whose quasi-identifier cells may be blanked.
    age_top: ages above it leave as one class (89: HIPAA 45 CFR 164.514(b)(2)(i)(C)); None keeps all.
    """

    k: int = 1
    average_risk: float = 1.0
    attempt: float = 1.0
    uniques: float = 1.0
    blank_limit: float = 1.0
    dates: DateRule = DateRule.KEEP
    text: TextRule = TextRule.KEEP
    geography: GeographyRule = GeographyRule.SITE
    age_top: int | None = None
    time_of_day: TimeOfDay = TimeOfDay.KEEP

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError("k is at least 1")
        for name in ("average_risk", "attempt", "uniques", "blank_limit"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} lies between 0 and 1")
