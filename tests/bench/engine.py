"""Speed and utility of the engine alone: `python -m tests.bench.engine [SET …]`, one table.

Sets: `adult` and the two large ones that are invented over the real hierarchies beside the checkout (made once, kept in
a temporary folder), and `wide`: 30,000 subjects with 16 quasi-identifiers, invented here. Each case runs in a process
of its own, so that its peak memory is its own; loading and coding are not part of the time, as in the figures of other
tools. Granularity is gran_h, share is g_arx (leaves covered / leaves). pyCANON measures the result where it ends
within two minutes; anjana and anonypy run beside where they are installed.
"""

import importlib.util
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from pseudonymization.anonymize import class_table, ladders_of, read_table
from pseudonymization.hierarchies import of_labels
from pseudonymization.local_recoding import Cells, recode_locally
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import optimal

SHARED = Path(__file__).resolve().parents[3] / "shared"
KEPT = Path(tempfile.gettempdir()) / "engine-bench"
SETS = ("adult", "atus_syn", "ihis_syn", "wide")
GLOBAL = ((5, 0.05), (5, 1.0), (11, 0.05), (11, 1.0))
PATIENCE = 120
WIDE_SECONDS = 30.0


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


def wide(rows=30_000, columns=16):
    """Survey-like answers: five values each, two levels above, from a latent-class model."""
    generator = np.random.default_rng(7)
    kind = generator.integers(0, 12, rows)
    domain = ["1", "2", "3", "4", "5"]
    names = [f"item{at}" for at in range(columns)]
    answers = {}
    for name in names:
        chances = generator.dirichlet(np.full(5, 0.5), 12).cumsum(axis=1)
        answers[name] = np.array(domain)[(generator.random(rows)[:, None] > chances[kind]).sum(axis=1).clip(0, 4)]
    levels = [domain, ["1-2", "1-2", "3", "4-5", "4-5"]]
    return class_table(pa.table(answers), names), {
        n: of_labels(n, domain, levels, ["exact", "3 groups"]) for n in names
    }


def load(name):
    """(class table, ladders) of a set."""
    if name == "wide":
        return wide()
    folder = folder_of(name)
    if folder is None:
        return None
    quasi = json.loads((folder / "meta.json").read_text())["qi"]
    table = class_table(read_table(next(folder.glob("*.csv"))).select(quasi), quasi)
    return table, ladders_of(table, folder / "hierarchies", Safeguards())


def scores(table, ladders, shown):
    """gran_h and g_arx of the released texts, counted from the texts and the hierarchies alone."""
    lost, shares = [], []
    for at, name in enumerate(table.names):
        ladder = ladders[name]
        leaves = {"*": ladder.size}
        for level in range(ladder.height, -1, -1):
            leaves.update(zip(ladder.labels[level], ladder.leaves[level].tolist(), strict=True))
        texts, counts = np.unique(np.array(shown[at], dtype=object).astype(str), return_counts=True)
        covered = [leaves.get(text, text.count("|") + 1) for text in texts.tolist()]
        mean = float(np.dot(covered, counts)) / len(table.subjects)
        lost.append((mean - 1) / max(1, ladder.size - 1))
        shares.append((mean / ladder.size, 1 / ladder.size))
    floor = np.mean([least for _, least in shares])
    return 1 - float(np.mean(lost)), 1 - (float(np.mean([share for share, _ in shares])) - floor) / (1 - floor)


def timed(work):
    """(result, wall seconds, CPU seconds); short work is repeated when warm and its median taken."""
    runs = []
    for _ in range(6):
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        runs.append((time.perf_counter() - wall, time.process_time() - cpu))
        if runs[0][0] > 2:
            return result, *runs[0]
    return result, *(sorted(column)[len(runs) // 2 - 1] for column in zip(*runs[1:], strict=True))


def case(name, how, k, limit, pipe):
    """One case, in its own process."""
    table, ladders = load(name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    demanded = Safeguards(k=k, blank_limit=limit)
    if how == "global":
        budget = WIDE_SECONDS if name == "wide" else None
        found, took, burnt = timed(lambda: optimal(table, ladders, demanded, budget_seconds=budget))
        shown = []
        for at, ladder in enumerate(table.lifted(ladders)):
            labels = np.array([*ladder.labels_of(found.levels[table.names[at]]), "*"], dtype=object)
            shown.append(labels[np.where(found.blanked, len(labels) - 1, table.codes[:, at])])
        extra = {"nodes": found.nodes_checked, "blanked": int(found.blanked.sum()), "proven": found.proven_optimal}
        extra["bound"] = 1 - found.bound
    else:
        local, took, burnt = timed(lambda: recode_locally(table, ladders, demanded, cells=Cells(how)))
        shown = [np.array(local.texts[name], dtype=object)[local.groups] for name in table.names]
        extra = {"nodes": 0, "blanked": 0, "proven": False, "bound": float("nan")}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    gran, share = scores(table, ladders, shown)
    pipe.send({"seconds": took, "cpu": burnt, "gran": gran, "share": share, "peak": peak, "loaded": before, **extra})


def peers(name, pipe):
    """pyCANON's k of the raw set, as a measure of how long measuring alone takes elsewhere."""
    from pycanon import anonymity  # noqa: PLC0415 - heavy, and only in this process

    folder = folder_of(name)
    quasi = json.loads((folder / "meta.json").read_text())["qi"]
    frame = read_table(next(folder.glob("*.csv"))).select(quasi).to_pandas()
    began = time.perf_counter()
    anonymity.k_anonymity(frame, quasi)
    pipe.send(time.perf_counter() - began)


def apart(target, *arguments, patience=None):
    """Run in a process of its own; None if it does not end in time or fails."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    worker = multiprocessing.get_context("spawn").Process(target=target, args=(*arguments, there))
    worker.start()
    there.close()
    try:
        return here.recv() if here.poll(patience) else None
    except EOFError:
        return None
    finally:
        worker.kill()
        worker.join()


def main(chosen):
    """Print one table."""
    head = f"{'set':9} {'mode':7} {'k':>3} {'limit':>5} {'s':>8} {'cpu s':>8} {'nodes':>6} {'gran_h':>7} {'g_arx':>7} "
    print(head + f"{'bound':>7} {'blanked':>8} {'proven':>6} {'peak MB':>8}")
    for name in chosen:
        if name != "wide" and folder_of(name) is None:
            print(f"{name:9} not beside the checkout, skipped")
            continue
        cases = [("global", k, limit) for k, limit in GLOBAL if name != "wide" or limit == 1.0]
        cases += [(cells.value, k, 1.0) for k in (5, 11) for cells in Cells] if name != "wide" else []
        for how, k, limit in cases:
            r = apart(case, name, how, k, limit)
            if r is None:
                print(f"{name:9} {how:7} {k:3} {limit:5.0%} failed")
                continue
            line = f"{name:9} {how:7} {k:3} {limit:5.0%} {r['seconds']:8.3f} {r['cpu']:8.3f} {r['nodes']:6} "
            line += f"{r['gran']:7.4f} {r['share']:7.4f} {r['bound']:7.4f} "
            line += f"{r['blanked']:8} {r['proven']!s:>6} {r['peak']:8.0f}"
            print(line, flush=True)
        if name != "wide":
            took = apart(peers, name, patience=PATIENCE)
            print(f"{name:9} pyCANON k of the raw set: {'gave up' if took is None else f'{took:.2f} s'}")
    for tool in ("anjana", "anonypy"):
        if importlib.util.find_spec(tool) is None:
            print(f"{tool} is not installed; figures of other tools were measured apart")


if __name__ == "__main__":
    main(sys.argv[1:] or SETS)
