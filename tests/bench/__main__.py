"""`make bench`: releasing ten million laboratory rows, as a ratio to the floor measured in the same run."""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pyrage

from tests.bench.measure import Cost, measure, middle
from tests.bench.release_floor import release_floor
from tests.bench.release_product import prepare_product
from tests.bench.study import make_study

CPU_AIM, PEAK_AIM = 1.5, 1 << 30
"""At most this many times the CPU time of the floor, and less than this many bytes of memory."""

_MEBI = 1 << 20


def main(arguments: Sequence[str]) -> int:
    """Generate the study, time floor and product in turns, print the table (or JSON), return the exit code."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="release-bench-") as scratch:
        work = Path(scratch)
        study = options.study or work / "study"
        making = None
        if not (study / "lb.parquet").exists():
            making = measure(make_study, str(study), options.rows, options.subjects)
        result = _time_release(study, work, options.runs) | _about(study, making)
    print(json.dumps(result, indent=2) if options.json else show(result))
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="laboratory rows to generate")
    parser.add_argument("--subjects", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3, help="runs of each side; medians are shown")
    parser.add_argument("--study", type=Path, help="a folder with dm.parquet and lb.parquet, made there if empty")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    return parser.parse_args(arguments)


def _time_release(study: Path, work: Path, runs: int) -> dict[str, Any]:
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    floors: list[Cost] = []
    products: list[Cost] = []
    sealed = {"floor": work / "floor.age"}
    for number in range(runs):
        floors.append(measure(release_floor, str(study / "lb.parquet"), str(sealed["floor"]), recipient))
        home = work / f"home{number}"
        home.mkdir()
        run = prepare_product(study, home, recipient)
        products.append(measure(run.command, environment=run.environment))
        sealed["product"] = run.sealed
    sides = {"floor": middle(floors), "product": middle(products)}
    return {
        "runs": runs,
        "sides": {name: asdict(cost) | {"sealed_bytes": sealed[name].stat().st_size} for name, cost in sides.items()},
        "cpu_ratio": sides["product"].cpu / sides["floor"].cpu,
        "own_cpu_ratio": sides["product"].own_cpu / sides["floor"].own_cpu,
        "aims": {"cpu_ratio": CPU_AIM, "peak_rss": PEAK_AIM},
    }


def _about(study: Path, making: Cost | None) -> dict[str, Any]:
    return {
        "rows": _rows(study / "lb.parquet"),
        "subjects": _rows(study / "dm.parquet"),
        "source_bytes": (study / "lb.parquet").stat().st_size,
        "generated": asdict(making) if making else None,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }


def _rows(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def show(result: dict[str, Any]) -> str:
    """One readable table; a line for each side, then what was aimed at."""
    size = result["source_bytes"] / _MEBI
    lines = [
        f"release of LB: {result['rows']:,} rows, {result['subjects']:,} subjects, {size:.1f} MiB Parquet",
        f"{result['machine']}; median of {result['runs']} runs, peak is the highest",
        "",
        _line("", "CPU s", "own CPU s", "wall s", "rows/s", "rows/CPU s", "peak MiB", "sealed MiB"),
    ]
    shown = result["sides"] | ({"(generate)": result["generated"]} if result["generated"] else {})
    for name, cost in shown.items():
        times = [f"{cost[what]:.2f}" for what in ("cpu", "own_cpu", "wall")]
        rates = [f"{result['rows'] / cost[what]:,.0f}" for what in ("wall", "cpu")]
        sealed = f"{cost['sealed_bytes'] / _MEBI:.1f}" if "sealed_bytes" in cost else ""
        lines.append(_line(name, *times, *rates, f"{cost['peak_rss'] / _MEBI:.0f}", sealed))
    return "\n".join([*lines, "", *_verdicts(result)])


def _line(name: str, *cells: str) -> str:
    return f"{name:<10}" + "".join(f"{cell:>12}" for cell in cells)


def _verdicts(result: dict[str, Any]) -> list[str]:
    peak = result["sides"]["product"]["peak_rss"]
    return [
        *(
            f"CPU {what:<45}{ratio:.2f} x the floor, aim {CPU_AIM}: {'met' if ratio <= CPU_AIM else 'MISSED'}"
            for what, ratio in (
                ("of the whole process, start to end:", result["cpu_ratio"]),
                ("of the release alone, claimed to delivered:", result["own_cpu_ratio"]),
            )
        ),
        f"peak {peak / _MEBI:.0f} MiB, aim below {PEAK_AIM // _MEBI}: {'met' if peak < PEAK_AIM else 'MISSED'}",
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
