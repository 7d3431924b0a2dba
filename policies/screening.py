"""Sanctions screening: what a match on a list comes to, by its score and its second factors.

No law sets a score. Where a match starts to need a person, and what it takes to block without one, is the house's
choice, stated in `screening_policy`. A weak alias alone never blocks.
"""

from collections.abc import Mapping
from typing import Any

from policies.registry import Truth, test

REVIEW_AT = 0.85
BLOCK_REQUIRES = ("name_match", "country_match", "dob_match")
_EXACT = frozenset({"exact", "exact_match", "full", "primary", "strong"})


def _share(score: float) -> float:
    return score / 100 if score > 1 else score


def _named(match: Mapping[str, Any], factor: str) -> bool:
    """Whether a factor of a match agrees: `name`, `name_match` and `exact_name` are the same factor."""
    plain = factor.removesuffix("_match").removeprefix("exact_").removesuffix("_exact")
    value = match.get(f"{plain}_match")
    return value in _EXACT if isinstance(value, str) else value is True


def _weak(match: Mapping[str, Any]) -> bool:
    return str(match.get("name_match", "")).startswith("weak")


@test()
def screening_candidate(view: dict[str, Any], _: Mapping[str, Any]) -> Truth:
    """Whether a match reaches the score at which a person must look at it (0.85 unless the policy says otherwise)."""
    match = view.get("recipient.screening")
    if not match:
        return False
    if "score" not in match:
        return frozenset({"recipient.screening.score"})
    return _share(match["score"]) >= _share(view.get("screening_policy.review_at", REVIEW_AT))


@test()
def screening_blocks(view: dict[str, Any], _: Mapping[str, Any]) -> Truth:
    """Whether a match blocks at once: a candidate for which every factor that the policy requires agrees."""
    match = view.get("recipient.screening")
    candidate = screening_candidate(view, {})
    if not match or candidate is False:
        return False
    if _weak(match) and match.get("id_match") is not True:
        return False
    required = view.get("screening_policy.auto_block_requires", BLOCK_REQUIRES)
    agrees = bool(required) and all(_named(match, factor) for factor in required)
    return candidate if agrees else False
