"""How long one decision takes with all regimes loaded: median and p99, over the facts of a common request."""

import statistics
import time
from datetime import date

from policies import loader
from policies.decide import decide

AIM_MILLISECONDS = 2.0
ROUNDS = 500
FACTS = {
    "subjects": [{"country": "US", "count": 306}, {"country": "DE", "count": 120}],
    "categories": ["health"],
    "identifiability": "pseudonymised",
    "exporter": {"org": "Aldergrove Trials", "country": "DE", "roles": ["gdpr_controller", "trial_sponsor"]},
    "recipient": {"org": "Maple Bay University", "country": "CA", "ownership": [], "sanctions_hit": "none"},
    "transfer": {"mode": "controlled", "destination": "CA", "prior_12m": {"health": 0}},
    "purpose": "scientific_research",
    "instruments": ["standard_contractual_clauses", "transfer_impact_assessment", "DUA"],
}


def main() -> None:
    """Load, warm up, time each call, print one line."""
    rules = loader.load()
    day = date(2026, 11, 22)
    decide(FACTS, rules, day)
    spent = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        decide(FACTS, rules, day)
        spent.append(1000 * (time.perf_counter() - began))
    spent.sort()
    median, tail = statistics.median(spent), spent[int(0.99 * ROUNDS)]
    print(f"decide, {ROUNDS} rounds: median {median:.2f} ms (aim {AIM_MILLISECONDS} ms), p99 {tail:.2f} ms")


if __name__ == "__main__":
    main()
