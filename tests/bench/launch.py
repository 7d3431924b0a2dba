"""Runs one command and writes what it cost; kept small, because a child begins with the memory of its parent.

`python -I -S launch.py REPORT COMMAND...`: REPORT becomes a JSON object of cpu and wall (seconds), peak_rss
(bytes), status (exit code). CPU is user and system time of the command, its threads, and every child it waited
for. The peak is the larger of the kernel's figure for one process and the sampled sum over the process tree.
"""

import json
import os
import sys
import time

_PAUSE = 0.02


def _family(pid):
    """A process and its living descendants."""
    found = [pid]
    for member in found:
        try:
            for task in os.listdir(f"/proc/{member}/task"):  # noqa: PTH208 pathlib would double this program's memory
                with open(f"/proc/{member}/task/{task}/children") as file:  # noqa: PTH123
                    found += [int(child) for child in file.read().split()]
        except OSError:
            continue  # it ended while we looked
    return found


def _resident(pid):
    """Bytes in memory of a process tree; pages shared by two processes count twice."""
    total = 0
    for member in _family(pid):
        try:
            with open(f"/proc/{member}/statm") as file:  # noqa: PTH123
                total += int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue
    return total


def main(report, command):
    begin, peak = time.perf_counter(), 0
    pid = os.posix_spawnp(command[0], command, os.environ)
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            break
        peak = max(peak, _resident(pid))
        time.sleep(_PAUSE)
    unit = 1 if sys.platform == "darwin" else 1024
    cost = {
        "cpu": usage.ru_utime + usage.ru_stime,
        "wall": time.perf_counter() - begin,
        "peak_rss": max(peak, usage.ru_maxrss * unit),
        "status": os.waitstatus_to_exitcode(status),
    }
    with open(report, "w") as file:  # noqa: PTH123
        json.dump(cost, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
