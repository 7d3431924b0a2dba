"""Figures of ARX that stand beside ours as "listed", with what they are of.

Measured apart from these runs, in November 2026, on 2 x86-64 cores: ARX 3.9.2, Java 17, loss metric, its anonymize()
alone in a warmed JVM (loading and output left out); medians of 1-6 runs, adult on a quiet machine, the large sets on a
busy one (±50 %). g_arx is the granularity ARX prints. ARX itself does not run here.
"""

ARX = {
    ("adult", "global", 5, 0.05): (0.75, 0.6984, 420),
    ("adult", "global", 5, 1.0): (2.6, 0.7514, 589),
    ("adult", "global", 11, 0.05): (0.70, 0.6287, 388),
    ("adult", "global", 11, 1.0): (3.1, 0.7059, 670),
    ("adult", "l=3", 5, 0.05): (0.37, None, None),
    ("adult", "(4,3)", 5, 0.05): (0.42, None, None),
    ("adult", "t=0.2", 5, 0.05): (0.83, None, None),
    ("adult", "t=0.2 tree", 5, 0.05): (0.93, None, None),
    ("adult", "labels", 5, 1.0): (2.8, 0.932, None),
    ("adult", "labels", 11, 1.0): (6.0, 0.902, None),
    ("adult", "sets", 5, 1.0): (2.8, 0.932, None),
    ("adult", "sets", 11, 1.0): (6.0, 0.902, None),
    ("atus_syn", "global", 5, 0.05): (187, 0.6850, 1866),
    ("atus_syn", "global", 5, 1.0): (770, 0.6850, 2714),
    ("ihis_syn", "global", 5, 0.05): (390, 0.7423, 3674),
}
"""(set, mode, k, blank limit) → seconds, g_arx, peak MB; None where nothing is listed."""

NOTES = (
    "ARX figures are listed ones (tests/bench/engine_listed.py), of other runs on such a machine; 'faster' is their",
    "seconds over our CPU seconds, which other load on the machine does not change.",
    "Without any blanking ARX took 2.0 s on another set of 1.2 million rows x 9 (g 0.5068, monotonic entropy).",
    "On survey data that is not here, ARX's best heuristics reached in 30 s: 16 items 0.461, 24 items 0.322 (g_arx).",
    "top-down and genetic are our own plain versions after the descriptions (tests/bench/engine_rivals.py).",
    "anjana, anonypy and pyCANON have 120 s each; 'gave up' is longer. pyCANON: which of k, l, t, average and maximum",
    "risk it finished, and whether each is what we measured on the same result.",
)
