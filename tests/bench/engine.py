"""Speed and utility of the engine, its peers in the same run: `python -m tests.bench.engine [SET …]`, one table.

Each case runs in a process of its own, so that its peak memory is its own; loading and coding are not part of the time,
as in the figures of other tools. gran_h and g_arx are counted from the released texts (`engine_sets.scores`). `--peers`
names a Python that has anjana, anonypy and pyCANON; they get `PATIENCE` seconds each. Progress goes to standard error.
"""

import argparse
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from pseudonymization.anonymize import ladders_of
from pseudonymization.demands import diversity
from pseudonymization.hierarchies.builders import from_file
from pseudonymization.lattice import Lattice
from pseudonymization.local_recoding import Cells, recode_locally
from pseudonymization.models import DistinctL, RecursiveL, TCloseness
from pseudonymization.risk import limits, risk_of
from pseudonymization.safeguards import Safeguards
from pseudonymization.search import optimal
from pseudonymization.tables import class_table, coded_column
from tests.bench.engine_listed import ARX, NOTES
from tests.bench.engine_rivals import RIVALS
from tests.bench.engine_sets import BLANK, SETS, about, content, folder_of, is_wide, load, scores

GLOBAL = ((5, 0.05), (5, 1.0), (11, 0.05), (11, 1.0), (5, 0.0))
MODELS = ("l=3", "(4,3)", "t=0.2", "t=0.2 tree")
PATIENCE = 120
WIDE_SECONDS = 30.0
PEERS = Path(__file__).with_name("engine_peers.py")
TITLE = (
    "set       who      mode         k limit        s    cpu s  nodes  gran_h   g_arx   bound  blanked proven  peak MB"
    "  ARX s  ARX g  faster  pyCANON"
)


def cases_of(name):
    """(mode, k, blank limit) of each case of ours on a set."""
    if is_wide(name):
        return [("global", k, limit) for k in (5, 11) for limit in (0.05, 1.0)]
    found = [("global", k, limit) for k, limit in GLOBAL]
    if name == "adult":
        found += [(mode, 5, 0.05) for mode in MODELS]
    return found + [(cells.value, k, 1.0) for k in (5, 11) for cells in Cells]


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


def model_of(mode, name, ladders):
    """A demand on the sensitive column and its codes."""
    column = about(name)[1]
    codes, domain = coded_column(content(name), column)
    tree = (
        from_file(column, folder_of(name) / "hierarchies" / f"{column}.csv", domain) if mode.endswith("tree") else None
    )
    made = {"l=3": DistinctL(column, 3), "(4,3)": RecursiveL(column, 4.0, 3)}
    model = made.get(mode) or TCloseness(column, 0.2, "hierarchical" if tree else "equal", tree)
    return {"models": [model], "sensitive": {column: (codes, len(domain))}}


def case(name, mode, k, limit, out, pipe):
    """One case of ours, in its own process; its result goes to the file `out` for pyCANON."""
    table, ladders = load(name)
    demanded, extra = Safeguards(k=k, blank_limit=limit), {"nodes": 0, "blanked": 0, "proven": False, "bound": None}
    models = {}
    if mode in MODELS:
        quasi = [column for column in table.names if column != about(name)[1]]
        table = class_table(content(name).select(quasi), quasi)
        ladders, models = (
            ladders_of(table, folder_of(name) / "hierarchies", Safeguards()),
            model_of(mode, name, ladders),
        )
    if mode in {cells.value for cells in Cells}:
        local, took, burnt = timed(lambda: recode_locally(table, ladders, demanded, cells=Cells(mode)))
        shown = {column: np.array(local.texts[column], dtype=object)[local.groups] for column in table.names}
    else:
        budget = WIDE_SECONDS if is_wide(name) else None
        found, took, burnt = timed(lambda: optimal(table, ladders, demanded, budget_seconds=budget, **models))
        shown = recoded(table, ladders, found.levels, found.blanked)
        extra = {"nodes": found.nodes_checked, "blanked": int(found.blanked.sum()), "proven": found.proven_optimal}
        extra["bound"] = 1 - found.bound
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    gran, share = scores(ladders, len(table.subjects), shown)
    pipe.send({"seconds": took, "cpu": burnt, "gran": gran, "share": share, "peak": peak, **extra})
    pipe.send(None if is_wide(name) else measured(name, shown, out))


def recoded(table, ladders, levels, blanked):
    """The released texts per column."""
    shown = {}
    for at, (name, ladder) in enumerate(zip(table.names, table.lifted(ladders), strict=True)):
        labels = np.array([*ladder.labels_of(levels[name]), BLANK], dtype=object)
        shown[name] = labels[np.where(blanked, len(labels) - 1, table.codes[:, at])]
    return shown


def measured(name, shown, out):
    """Our own k, l, t and risks of a result, which is written with its untouched sensitive column for pyCANON."""
    result = pa.table({**shown, "sensitive": content(name)[about(name)[1]]})
    pacsv.write_csv(result, out, pacsv.WriteOptions(delimiter=";"))
    risk, diverse = risk_of(class_table(result, list(shown)).weights), diversity(result, list(shown), "sensitive")
    known = {"k": risk.k, "average": risk.average, "maximum": risk.maximum}
    return known | {"l": diverse["distinct_l"], "t": diverse["t_equal"]}


def rival(name, which, k, limit, pipe):
    """A search of other tools, written plainly, on a wide set."""
    table, ladders = load(name)
    lifted = table.lifted(ladders)
    lattice = Lattice(table, lifted, [1.0] * len(lifted), [range(ladder.height + 1) for ladder in lifted])
    search = RIVALS[which](lattice, limits(Safeguards(k=k, blank_limit=limit), lattice.subjects))
    wall, cpu = time.perf_counter(), time.process_time()
    search.run(wall + WIDE_SECONDS)
    told = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "nodes": lattice.checked}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pipe.send({**told, "gran": 1 - search.best / lattice.subjects, "proven": False, "peak": peak})


def apart(target, *arguments, answers=1):
    """What a function sends from a process of its own; None for what it does not get to."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    worker = multiprocessing.get_context("spawn").Process(target=target, args=(*arguments, there))
    worker.start()
    there.close()
    found = []
    try:
        found.extend(here.recv() for _ in range(answers))
    except EOFError:
        print(f"failed: {arguments}", file=sys.stderr)
    worker.join()
    return [*found, *[None] * (answers - len(found))]


def asked(python, *arguments):
    """The last line that a peer printed in time."""
    command = [str(python), str(PEERS), *map(str, arguments)]
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False).stdout
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode()
    lines = [line for line in text.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else None


def peer(python, tool, name, k, limit, work):
    """anjana or anonypy on a set, scored like ours."""
    out = work / f"{tool}.csv"
    chosen = (k, limit) if tool == "anjana" else (k,)
    told = asked(python, tool, folder_of(name), *chosen, out)
    if told is None:
        return None
    table, ladders = load(name)
    options = pacsv.ConvertOptions(column_types={column: pa.string() for column in table.names})
    rows = pacsv.read_csv(out, parse_options=pacsv.ParseOptions(delimiter=";"), convert_options=options)
    counts = rows["count"].to_numpy() if "count" in rows.column_names else np.ones(len(rows))
    shown = {column: (rows[column].to_pylist(), counts) for column in table.names}
    gran, share = scores(ladders, len(table.subjects), shown)
    blanked = len(table.subjects) - int(counts.sum())
    return {**told, "gran": gran, "share": share, "blanked": blanked, "proven": False}


def agreement(python, out, ours):
    """What pyCANON finished on a result, and whether it is what we measured."""
    told = asked(python, "pycanon", out)
    if told is None:
        return "gave up"
    keys = [key for key in ("k", "average", "maximum", "l", "t") if key in told]
    wrong = [key for key in keys if abs(told[key] - ours[key]) > 1e-9]
    said = f"disagrees on {', '.join(wrong)}" if wrong else f"agrees on {', '.join(keys)}"
    return f"{said} ({told['seconds']:.1f} s)"


def line(name, who, mode, k, limit, r, canon=""):
    """One line of the table."""
    head = f"{name:9} {who:8} {mode:10} {k:3} {limit:5.0%} "
    if r is None:
        return head + f"gave up after {PATIENCE} s" if who != "ours" else head + "failed"
    seconds, score, _ = ARX.get((name, mode, k, limit), (None, None, None))
    cells = [
        (r["seconds"], "8.3f"), (r.get("cpu"), "8.3f"), (r.get("nodes"), "6"), (r["gran"], "7.4f"),
        (r.get("share"), "7.4f"), (r.get("bound"), "7.4f"), (r.get("blanked"), "8"),
        ("yes" if r["proven"] else "", ">6"), (r["peak"], "8.0f"), (seconds, "6"), (score, "6.4f"),
        (seconds / r["cpu"] if seconds and who == "ours" else None, "6.1f"),
    ]  # fmt: skip
    told = [
        format(value, form) if value is not None else " " * int(form.lstrip(">").split(".")[0]) for value, form in cells
    ]
    return head + " ".join(told) + f"{'x' if told[-1].strip() else ' '}  {canon}"


def run(name, python, work):
    """All cases of a set: [(who, mode, k, limit, figures, what pyCANON is to measure)]."""
    rows = []

    def add(who, mode, k, limit, figures, check=None):
        rows.append((who, mode, k, limit, figures, check))
        print(line(name, who, mode, k, limit, figures), file=sys.stderr, flush=True)

    for at, (mode, k, limit) in enumerate(cases_of(name)):
        out = work / f"{name}-{at}.csv"
        figures, ours = apart(case, name, mode, k, limit, str(out), answers=2)
        add("ours", mode, k, limit, figures, (out, ours) if ours else None)
        if is_wide(name) and (k, limit) == (5, 1.0):
            for which in RIVALS:
                add(which, mode, k, limit, apart(rival, name, which, k, limit)[0])
    if python is not None and not is_wide(name):
        add("anjana", "global", 5, 0.05, peer(python, "anjana", name, 5, 0.05, work))
        for k in (5, 11):
            add("anonypy", "local", k, 1.0, peer(python, "anonypy", name, k, 1.0, work))
    return rows


def main(arguments):
    """Print one table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engine", description=__doc__)
    parser.add_argument("sets", nargs="*", default=SETS, metavar="SET", help=", ".join(SETS))
    parser.add_argument("--peers", type=Path, help="a Python that has anjana, anonypy and pyCANON")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="engine-bench-") as folder, ThreadPoolExecutor(2) as pool:
        found = {}
        for name in options.sets:
            if not is_wide(name) and folder_of(name) is None:
                print(f"{name} is not beside the checkout, skipped", file=sys.stderr)
                continue
            found[name] = run(name, options.peers, Path(folder))
        print("pyCANON measures the results", file=sys.stderr, flush=True)
        checks = {
            (name, at): pool.submit(agreement, options.peers, *row[-1])
            for name, rows in found.items()
            for at, row in enumerate(rows)
            if row[-1] and options.peers
        }
        print(TITLE)
        for name, rows in found.items():
            for at, row in enumerate(rows):
                check = checks.get((name, at))
                print(line(name, *row[:-1], check.result() if check else ""), flush=True)
    print("\n".join(NOTES))


if __name__ == "__main__":
    main(sys.argv[1:])
