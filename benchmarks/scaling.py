"""How the time of an iteration grows with samples, steps, pixels and processes.

    python -m benchmarks.scaling --out benchmarks/results/scaling.json

The embedded `shapes` with DDPO, passes of 16 samples throughout, one thread a process. Iterations
of the values of an axis alternate, and each is given relative to the first of its axis: 1 is
linear. Pixels are those of a picture. Several processes share the samples of one; how much faster
as many would be that share nothing, each with a run of its part of the samples, is what the machine
allows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.report import spread, timed, told, write_result
from ddpo.config.reading import load_config
from ddpo.run import prepare_run
from ddpo.stopping import StopRequest
from ddpo.training import iterate

CONFIG = Path("configs/ddpo_shapes_compressibility.yaml")
FIXED = [
    "train.samples_per_iteration=32",
    "policy.num_steps=5",
    "policy.window=null",
    "algorithm.group_size=4",
    "train.sample_batch_size=16",
    "train.micro_batch_size=16",
    "evaluation.samples=0",
    "watch=[]",
]
AXES: dict[str, tuple[str, tuple[int, ...]]] = {
    "samples": ("train.samples_per_iteration", (32, 64, 128)),
    "steps": ("policy.num_steps", (5, 10, 20)),
    "pixels": ("policy.resolution", (64, 96, 128)),
}
SHARED = 128
"""Samples of an iteration where processes share them."""

LAUNCH = (
    *("accelerate", "launch", "--multi_gpu", "--num_machines", "1"),
    *("--mixed_precision", "no", "--dynamo_backend", "no"),
)
"""On a machine without a GPU this starts processes that exchange over gloo."""


def main() -> None:
    """Measure and print; with `--out`, write JSON."""
    options = _options()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    result: dict[str, Any] = {}
    for name in options.axes:
        result[name] = along(name, options)
        print(f"| {name} | {json.dumps(result[name]['values'])} | {words(result[name])} |")
        write_result(options.out, result)
    if options.processes > 1:
        result["processes"] = of_processes(options)
        found = (told(result["processes"][key]) for key in ("speedup", "speedup_apart"))
        print(f"| processes | [1, {options.processes}] | {'; apart '.join(found)} |")
        write_result(options.out, result)


def along(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of an iteration at each value of an axis, and what a unit takes, relative to the
    first.
    """
    key, values = AXES[name]
    seconds: dict[int, list[float]] = {value: [] for value in values}
    with tempfile.TemporaryDirectory() as folder:
        runs = {}
        for value in values:
            overrides = [*FIXED, *options.overrides, f"{key}={value}", f"name={name}-{value}"]
            config = load_config(CONFIG, [*overrides, f"output_dir={folder}"])
            runs[value] = prepare_run(config, resume=False)
        for number in range(options.iterations + 1):
            for value, run in runs.items():
                with StopRequest(run.accelerator) as stop:
                    taken = timed(lambda run=run, stop=stop: iterate(run, stop))
                seconds[value] += [taken] * (number > 0)  # the first warms up
        for run in runs.values():
            run.scorer.close()
    first = values[0]
    units = {value: (value / first) ** (2 if name == "pixels" else 1) for value in values}
    relative = {
        value: [a / units[value] / b for a, b in zip(taken, seconds[first], strict=True)]
        for value, taken in seconds.items()
    }
    return {
        "values": list(values),
        "seconds": seconds,
        "per_unit": {value: spread(ratios) for value, ratios in relative.items()},
    }


def of_processes(options: argparse.Namespace) -> dict[str, Any]:
    """How much faster several processes of one thread each are than one, with the same samples; and
    how much faster they would be if they had nothing to do with each other.
    """
    several = options.processes
    ways = {"one": [(1, 1)], "together": [(several, 1)], "apart": [(1, several)] * several}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(options.launches):
        for way in [*ways] if number % 2 else [*ways][::-1]:
            seconds[way].append(launched(ways[way], options))

    def speedup(way: str) -> dict[str, float]:
        return spread([a / b for a, b in zip(seconds["one"], seconds[way], strict=True)])

    return {
        "processes": several,
        "seconds": seconds,
        "speedup": speedup("together"),
        "speedup_apart": speedup("apart"),
    }


def launched(runs: Sequence[tuple[int, int]], options: argparse.Namespace) -> float:
    """Median seconds of an iteration, after the first, of the slowest of some runs at once, each of
    so many processes and of one part in so many of the samples.
    """
    with tempfile.TemporaryDirectory() as folder:
        overrides = [
            *[*FIXED, *options.overrides],
            f"train.iterations={options.iterations + 1}",
            f"output_dir={folder}",
            "checkpoint.every=1000",
        ]
        program = [f"{Path(sys.executable).parent}/{LAUNCH[0]}", *LAUNCH[1:]]
        started, metrics = [], []
        for number, (count, part) in enumerate(runs):
            own = [f"name=run-{number}", f"train.samples_per_iteration={SHARED // part}"]
            command = (
                [sys.executable, "-m"]
                if count == 1
                else [*program, f"--num_processes={count}", "-m"]
            )
            started.append(
                subprocess.Popen(
                    [*command, "ddpo", "train", str(CONFIG), *overrides, *own],
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            metrics.append(load_config(CONFIG, [*overrides, *own]).run_folder / "metrics.jsonl")
        if any(process.wait() for process in started):
            raise SystemExit(f"a run of {overrides} failed")
        return max(statistics.median(iteration_seconds(file)) for file in metrics)


def iteration_seconds(metrics: Path) -> list[float]:
    """What each iteration took, without the base's evaluation and the first, which warms up."""
    rows = [json.loads(line) for line in metrics.read_text().splitlines()[2:]]
    return [sum(v for key, v in row.items() if key.startswith("time/")) for row in rows]


def words(axis: dict[str, Any]) -> str:
    """What a unit takes at each value."""
    return ", ".join(told(axis["per_unit"][value]) for value in axis["values"])


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--axes", nargs="*", default=[*AXES], choices=[*AXES])
    parser.add_argument("--overrides", nargs="*", default=[], metavar="key=value")
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2, help="1 for none")
    parser.add_argument("--launches", type=int, default=3, help="of each number of processes")
    parser.add_argument("--out", type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
