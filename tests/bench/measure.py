"""What a command, or a function in a process of its own, costs: CPU, wall time, peak memory."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
_LAUNCH = Path(__file__).with_name("launch.py")
_CALL = """
import importlib, json, sys, time
module, name, arguments = sys.argv[1:]
function = getattr(importlib.import_module(module), name)
begin = time.process_time()
function(*json.loads(arguments))
print(f"cpu_seconds={time.process_time() - begin:.3f}")
"""
_OWN = re.compile(r"cpu_seconds=([0-9.]+)")


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU (user and system, threads and children) and wall in seconds; peak resident memory in bytes.

    `own_cpu` is the CPU of the work alone, without the interpreter's start and imports, where the command tells it
    (`cpu_seconds=…` in its output, as the worker logs for each release); else that of the whole.
    """

    cpu: float
    wall: float
    peak_rss: int
    own_cpu: float


class Failed(RuntimeError):
    """The measured command did not exit with 0, so its cost says nothing."""


def measure(
    what: Callable[..., object] | Sequence[str],
    *arguments: str | float,
    environment: Mapping[str, str] | None = None,
) -> Cost:
    """Run a command, or a module-level function with plain arguments, in a fresh process and return its cost.

    The interpreter's start and imports are part of it. Raises `Failed` when it does not exit with 0.
    """
    command = [str(word) for word in what] if not callable(what) else _calling(what, arguments)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "cost.json")
        launch = [sys.executable, "-I", "-S", str(_LAUNCH), str(report), *command]
        done = subprocess.run(
            launch, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        cost = json.loads(report.read_text()) if report.exists() else {"status": "no"}
    if cost.pop("status") != 0:
        raise Failed(f"`{' '.join(command[:3])} …` failed:\n{done.stdout[-2000:]}")
    own = _OWN.findall(done.stdout)
    return Cost(**cost, own_cpu=float(own[-1]) if own else cost["cpu"])


def _calling(function: Callable[..., object], arguments: Sequence[str | float]) -> list[str]:
    if "<" in function.__qualname__ or "." in function.__qualname__:
        raise ValueError("only a module-level function can be called in a fresh process")
    return [sys.executable, "-c", _CALL, function.__module__, function.__qualname__, json.dumps(arguments)]


def middle(costs: Sequence[Cost]) -> Cost:
    """The median CPU and wall of several runs, and the highest peak."""
    return Cost(
        cpu=median(cost.cpu for cost in costs),
        wall=median(cost.wall for cost in costs),
        peak_rss=max(cost.peak_rss for cost in costs),
        own_cpu=median(cost.own_cpu for cost in costs),
    )
