"""The data sets of the engine's benchmark, and the score of a result from its texts alone.

`adult` and the two large sets, invented over real hierarchies, come from the material beside the checkout (made once,
kept in a temporary folder). `wide16` and `wide24` are invented here: 30,000 subjects answer 16 or 24 survey items.
"""

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from pseudonymization.anonymize import ladders_of
from pseudonymization.hierarchies import of_labels
from pseudonymization.safeguards import Safeguards
from pseudonymization.tables import class_table, read_table

SHARED = Path(__file__).resolve().parents[3] / "shared"
KEPT = Path(tempfile.gettempdir()) / "engine-bench"
SETS = ("adult", "atus_syn", "ihis_syn", "wide16", "wide24")
BLANK = "*"
_RANGE = re.compile(r"^(-?\d+(?:\.\d+)?)-(-?\d+(?:\.\d+)?)$")


def folder_of(name):
    """Where the set lies, made first if need be; None if the material beside the checkout is absent."""
    place = KEPT / name
    if (place / "meta.json").exists():
        return place
    KEPT.mkdir(exist_ok=True)
    if name == "adult" and (SHARED / "data" / "adult.zip").exists():
        zipfile.ZipFile(SHARED / "data" / "adult.zip").extractall(KEPT)
        return next(KEPT.rglob("adult.csv")).parent
    script = SHARED / "benchmarks" / "make_large.py"
    if name.endswith("_syn") and script.exists():
        subprocess.run([sys.executable, script, name.removesuffix("_syn"), KEPT], check=True, stdout=subprocess.DEVNULL)
        return place
    return None


def is_wide(name):
    return name.startswith("wide")


def about(name):
    """(quasi-identifiers, sensitive column) of a set that lies in a folder."""
    meta = json.loads((folder_of(name) / "meta.json").read_text())
    return meta["qi"], meta["sensitive"]


def content(name):
    """The set's table, every cell as text."""
    return read_table(next(folder_of(name).glob("*.csv")))


def wide(columns, rows=30_000):
    """Survey-like answers from a latent-class model: yes/no items, five-point scales, longer lists."""
    generator = np.random.default_rng(7)
    kind = generator.integers(0, 12, rows)
    answers, ladders = {}, {}
    for at in range(columns):
        size = (5, 12, 2, 24)[at % 4]
        domain = [f"{value:02}" for value in range(1, size + 1)]
        coarser = {2: (), 5: (2,), 12: (3, 6), 24: (2, 4, 12)}[size]
        levels = [domain] + [[f"{low * step + 1}-{(low + 1) * step}" for low in _bands(size, step)] for step in coarser]
        name = f"item{at:02}"
        chances = generator.dirichlet(np.full(size, 0.5), 12).cumsum(axis=1)
        picked = (generator.random(rows)[:, None] > chances[kind]).sum(axis=1).clip(0, size - 1)
        answers[name] = np.array(domain)[picked]
        ladders[name] = of_labels(name, domain, levels, [f"level {level}" for level in range(len(levels))])
    names = list(answers)
    return class_table(pa.table(answers), names), ladders


def _bands(size, step):
    return [value // step for value in range(size)]


def load(name):
    """(class table, ladders) of a set."""
    if is_wide(name):
        return wide(int(name.removeprefix("wide")))
    quasi, _ = about(name)
    table = class_table(content(name).select(quasi), quasi)
    return table, ladders_of(table, folder_of(name) / "hierarchies", Safeguards())


def scores(ladders, subjects, shown):
    """(gran_h, g_arx) of released texts, counted from the texts and the hierarchies alone.

    shown: per column its texts, or (texts, subjects of each); subjects who are missing count as blanked. A text is a
    label, a set `a|b`, a range of numbers `low-high`, or the blank.
    """
    lost, shares = [], []
    for name, ladder in ladders.items():
        texts, counts = shown[name] if isinstance(shown[name], tuple) else np.unique(shown[name], return_counts=True)
        leaves = {BLANK: ladder.size}
        for level in range(ladder.height, -1, -1):
            leaves.update(zip(ladder.labels[level], ladder.leaves[level].tolist(), strict=True))
        covered = [leaves.get(text) or _covers(ladder, text) for text in texts]
        mean = (float(np.dot(covered, counts)) + ladder.size * (subjects - int(np.sum(counts)))) / subjects
        lost.append((mean - 1) / max(1, ladder.size - 1))
        shares.append((mean / ladder.size, 1 / ladder.size))
    floor = np.mean([least for _, least in shares])
    return 1 - float(np.mean(lost)), 1 - (float(np.mean([share for share, _ in shares])) - floor) / (1 - floor)


def _covers(ladder, text):
    """Leaves that a range or a set covers."""
    found = _RANGE.match(text)
    if found is None:
        return text.count("|") + 1
    low, high = float(found[1]), float(found[2])
    numbers = [float(leaf) for leaf in ladder.labels[0] if re.fullmatch(r"-?\d+(\.\d+)?", leaf)]
    return sum(low <= number <= high for number in numbers)
