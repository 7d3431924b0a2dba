"""Other tools on the benchmark's sets, each in a process of the peers' own environment, which has nothing of ours.

`python engine_peers.py anjana FOLDER K LIMIT OUT.csv`, `anonypy FOLDER K OUT.csv`, `pycanon TABLE.csv` (its last column
is the sensitive one). Prints JSON lines: what is known so far, so that a run that is stopped has told what it could.
Only the tool's own work is timed, not loading and writing.
"""

import json
import resource
import sys
import time
from pathlib import Path

import pandas as pd

CATEGORY_SIGN = "|"


def tell(**what):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**what, "peak": peak}), flush=True)


def load(folder):
    meta = json.loads((folder / "meta.json").read_text())
    frame = pd.read_csv(next(folder.glob("*.csv")), sep=";", dtype=str, keep_default_na=False)
    return frame, meta["qi"]


def anjana(folder, k, limit, out):
    from anjana.anonymity import k_anonymity  # noqa: PLC0415 - one tool per process

    frame, quasi = load(folder)
    hierarchies = {
        name: dict(pd.read_csv(folder / "hierarchies" / f"{name}.csv", sep=";", header=None, dtype=str))
        for name in quasi
    }
    began = time.perf_counter()
    found = k_anonymity(frame[quasi], [], quasi, int(k), 100 * float(limit), hierarchies)
    took = time.perf_counter() - began
    found[quasi].to_csv(out, index=False, sep=";")
    tell(seconds=took, rows=len(found))


def anonypy(folder, k, out):
    from anonypy import Preserver  # noqa: PLC0415 - one tool per process

    frame, quasi = load(folder)
    frame = frame[quasi].copy()
    for name in quasi:
        numbers = pd.to_numeric(frame[name], errors="coerce")
        frame[name] = frame[name].str.replace(",", "/").astype("category") if numbers.isna().any() else numbers
    frame["one"] = "1"  # it wants a sensitive column; a constant one keeps it from splitting its output by value
    began = time.perf_counter()
    rows = Preserver(frame, quasi, "one").anonymize_k_anonymity(k=int(k))
    took = time.perf_counter() - began
    found = pd.DataFrame(rows)
    for name in quasi:
        found[name] = found[name].str[0].str.replace(",", CATEGORY_SIGN)
    found[[*quasi, "count"]].to_csv(out, index=False, sep=";")
    tell(seconds=took, rows=int(found["count"].sum()))


def pycanon(path):
    from pycanon import anonymity  # noqa: PLC0415 - one tool per process
    from pycanon.anonymity.utils import aux_anonymity  # noqa: PLC0415 - one tool per process

    frame = pd.read_csv(path, sep=";", dtype=str, keep_default_na=False)
    *quasi, sensitive = frame.columns
    began, known = time.perf_counter(), {}

    def add(**what):
        known.update(what)
        tell(seconds=time.perf_counter() - began, **known)

    add(k=int(anonymity.k_anonymity(frame, quasi)))
    classes = aux_anonymity.get_equiv_class(frame, quasi)
    add(average=len(classes) / len(frame), maximum=1 / min(map(len, classes)))
    add(l=int(anonymity.l_diversity(frame, quasi, [sensitive])))
    add(t=float(anonymity.t_closeness(frame, quasi, [sensitive])))


if __name__ == "__main__":
    tool, place, *others = sys.argv[1:]
    {"anjana": anjana, "anonypy": anonypy, "pycanon": pycanon}[tool](Path(place), *others)
