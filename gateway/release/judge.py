"""Step 3, judge: the risk measured on the result, by code of its own, against what the rules demand. Above it, stop."""

from collections.abc import Mapping
from typing import Any

from gateway.domain.release import Step
from gateway.errors import NotPossible
from gateway.release import attacking, measuring, weighing
from gateway.release.treat import protected
from gateway.release.work import Work
from pseudonymization.deidentify import Prepared
from pseudonymization.measure import Measured
from pseudonymization.plan import Plan
from pseudonymization.safeguards import Safeguards

# Thresholds are shares with a few digits; a float that differs from one by less than this is equal to it.
_ALIKE = 1e-9


def judge(work: Work, prepared: Prepared) -> Work:
    """Put the contributions of all tables together, measure, compare; then attack what was found to hold.

    Raises:
        NotPossible: a demand does not hold on the result. Names the demand; the figure itself stays inside.
    """
    plan = Plan.from_dict(work.release.values["plan"])
    measured, gathered = measuring.of_tables(work, plan)
    failed = unmet(measured, weighing.demanded(work.request, plan.safeguards))
    predicted: Mapping[str, Any] = work.release.values["predicted"]
    if measured.subjects != predicted["subjects"]:
        failed.append("every subject of the plan is in the result")
    if failed:
        raise NotPossible(
            f"the result does not hold what the plan promised: {'; '.join(failed)}",
            rule="measured-risk",
            cure="nothing was released; start the release again, and report this if it happens twice",
        )
    found = attacking.attacked(work, prepared, gathered)
    facts = {"k": protected(measured.k), "attacks": len(found["attacks"])}
    return work.store(Step.JUDGED, facts, after=measured.to_dict(), attacks=found)


def unmet(measured: Measured, safeguards: Safeguards) -> list[str]:
    """The demands that a measured result does not meet, in words."""
    checks = (
        (measured.k >= safeguards.k, f"every class has at least {safeguards.k} subjects"),
        (
            measured.average_risk <= safeguards.average_risk + _ALIKE,
            f"the average risk is at most {safeguards.average_risk:g}",
        ),
        (measured.uniques <= safeguards.uniques + _ALIKE, f"at most {safeguards.uniques:.1%} of subjects are alone"),
        (measured.blanked <= safeguards.blank_limit + _ALIKE, f"at most {safeguards.blank_limit:.0%} are blanked"),
    )
    return [words for held, words in checks if not held]
