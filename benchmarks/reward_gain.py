"""What a configuration gains, over several seeds: reward and watch rewards on held-out prompts,
before and after.

    python -m benchmarks.reward_gain configs/ddpo_shapes_compressibility.yaml --seeds 0 1 2

Each seed is a run of its own. The figures are the run's own evaluations of the base and of the last
iteration: the same prompts and noise. A gain is also given in standard deviations of the base
model's per-sample reward.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.report import write_result
from ddpo.config.reading import load_config
from ddpo.metrics import read_metrics

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run all seeds, write `results/<label>.json`, and print a Markdown table."""
    options = _options()
    runs = [measure(options, seed) for seed in options.seeds]
    result = {
        "threads": options.threads,
        "config": str(options.config),
        "overrides": options.overrides,
        "evaluation_samples": options.samples,
        "runs": runs,
    }
    write_result(RESULTS / f"{options.label}.json", result)
    print(table(options.label, runs))


def measure(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train with one seed, in a process of its own, and read its evaluations."""
    name = f"{options.label}-{seed}"
    overrides = [
        *options.overrides,
        f"seed={seed}",
        f"name={name}",
        f"output_dir={options.runs}",
        f"evaluation.samples={options.samples}",
        "evaluation.every=1000000",
        "checkpoint.every=1000000",
    ]
    shutil.rmtree(options.runs / name, ignore_errors=True)
    command = [sys.executable, "-m", "ddpo", "train", str(options.config), *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    subprocess.run(command, check=True, env=environment)
    config = load_config(options.config, overrides)
    rows = read_metrics(config.run_folder / "metrics.jsonl")
    index = json.loads((config.run_folder / "samples" / "000000" / "index.json").read_text())
    keys = [key for key in rows[0] if key.startswith("evaluation/")]
    stages = ("time/sample", "time/reward", "time/update")
    return {
        "seed": seed,
        "base_std": {key: spread(index["samples"], key) for key in keys},
        "before": {key: rows[0][key] for key in keys},
        "after": {key: rows[-1][key] for key in keys},
        "training_seconds": sum(row[stage] or 0 for row in rows[1:] for stage in stages),
        "samples_seen": rows[-1]["samples_seen"],
        "network_passes": rows[-1]["network_passes"],
        "largest_residual": max(row["policy/ratio_residual"] or 0 for row in rows[1:]),
    }


def spread(samples: list[dict[str, Any]], key: str) -> float:
    """Standard deviation of one quantity over the base model's samples."""
    name = key.removeprefix("evaluation/")
    values = [
        sample["total"] if name == "reward" else (sample["rewards"] | sample["watch"])[name]
        for sample in samples
    ]
    return statistics.pstdev(value for value in values if value is not None)


def table(label: str, runs: list[dict[str, Any]]) -> str:
    """Mean and range over seeds, one line a quantity."""
    lines = [
        f"| {label} | before | after | gain (range over {len(runs)} seeds) | in base sd |",
        "|---|---|---|---|---|",
    ]
    for key in runs[0]["before"]:
        before, after = ([run[stage][key] for run in runs] for stage in ("before", "after"))
        gains = [b - a for a, b in zip(before, after, strict=True)]
        in_sd = [gain / run["base_std"][key] for gain, run in zip(gains, runs, strict=True)]
        lines.append(
            f"| {key} | {_mean(before)} | {_mean(after)} | {_mean(gains)} ({_range(gains)})"
            f" | {_mean(in_sd)} ({_range(in_sd)}) |"
        )
    seconds = [run["training_seconds"] for run in runs]
    lines.append(f"| training seconds | | | {_mean(seconds)} ({_range(seconds)}) | |")
    return "\n".join(lines)


def _mean(values: list[float]) -> str:
    return f"{statistics.mean(values):.3g}"


def _range(values: list[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--samples", type=int, default=128, help="held-out samples of an evaluation"
    )
    parser.add_argument(
        "--label", default=None, help="name of the result; the configuration's when omitted"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs") / "benchmarks")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each run")
    options = parser.parse_args()
    options.label = options.label or options.config.stem
    return options


if __name__ == "__main__":
    main()
