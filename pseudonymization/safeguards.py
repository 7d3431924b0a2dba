"""What must hold when data leaves: the thresholds and treatments a joined policy demands of the engine."""

from dataclasses import dataclass
from enum import StrEnum


class DateRule(StrEnum):
    """What happens to calendar dates.

    The order of strictness is a lattice: `keep` is weakest, `drop` strictest; `shift` (a secret number of days for
    each subject) and `month`/`year` (truncation) cannot be compared, and both are weaker than `study_day` (days
    from the subject's baseline), which tells neither a true calendar date nor an anchor.
    """

    KEEP = "keep"
    SHIFT = "shift"
    MONTH = "month"
    YEAR = "year"
    STUDY_DAY = "study_day"
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
    time_of_day: bool = True

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError("k is at least 1")
        for name in ("average_risk", "attempt", "uniques", "blank_limit"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} lies between 0 and 1")
