"""How many programs a second the sandbox runs, at each level that this machine allows.

    python -m benchmarks.sandbox_speed --out benchmarks/results/sandbox_speed.json

Each program defines a function and is asked for three values, as by a short unit test; the levels
take turns, with the lowest and highest of `--repeats` beside the
median. Seconds of processor time for one program, of the launchers and of the programs, stand
beside: a machine that is busy with other things runs fewer a second, but none costs more.
"""

import argparse
import json
import os
import resource
import statistics
import time
from pathlib import Path

from benchmarks.report import write_result
from rewards.code.sandbox import Call, Run, Sandbox
from rewards.code.worker import Level

SOURCE = "def f(xs):\n    return sorted(set(xs))[-1:]\n"
CALLS = [Call("f", (list(range(length)),)) for length in (3, 30, 300)]


def main() -> None:
    """Measure and print; with `--out`, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--programs", type=int, default=300)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rates: dict[Level, list[float]] = {"full": [], "filtered": []}
    costs: dict[Level, list[float]] = {"full": [], "filtered": []}
    for _ in range(options.repeats):
        for level in rates:
            rate, cost = measured(level, options.programs, options.workers)
            rates[level].append(rate)
            costs[level].append(cost)
    report = {
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "workers": options.workers,
        "programs": options.programs,
        "programs a second": {level: spread(values) for level, values in rates.items()},
        "processor ms for one": {level: spread(values) for level, values in costs.items()},
    }
    print(json.dumps(report, indent=1))
    write_result(options.out, report)


def measured(level: Level, count: int, workers: int) -> tuple[float, float]:
    """Programs a second, and milliseconds of processor time for one."""
    before = used()
    box = Sandbox(level, most=level, workers=workers)
    box.run([(SOURCE, CALLS)] * 4 * workers)  # all launchers have started
    start = time.perf_counter()
    runs = box.run([(SOURCE, CALLS)] * count)
    seconds = time.perf_counter() - start
    assert all(isinstance(run, Run) and run.answers[0].detail == ["l", 2] for run in runs)
    box.close()
    return count / seconds, 1000 * (used() - before) / count


def used() -> float:
    """Seconds of processor time of the launchers and programs that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def spread(values: list[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {
        "median": round(statistics.median(values), 1),
        "least": round(min(values), 1),
        "most": round(max(values), 1),
    }


if __name__ == "__main__":
    main()
