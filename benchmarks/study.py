"""What each way to spend fewer network passes is worth: one thing changed at a time, over seeds.

    python -m benchmarks.study compressibility --seeds 11 12 13 --out FILE

`study.yaml` names the settings, by task and topic, and what each changes of the task's base. Every
run has the same budget of network passes, whatever it does with them, and is evaluated a few times
on the way as in `time_to_reward`: 20 steps with guidance 3, the same prompts and noise, which is
not counted. Runs that FILE holds already are not made again.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.report import kept, write_result
from benchmarks.time_to_reward import base_evaluation, prepared
from ddpo.evaluation import evaluate
from ddpo.metrics import Row
from ddpo.stopping import StopRequest
from ddpo.training import iterate

STUDY = Path(__file__).with_suffix(".yaml")


def main() -> None:
    """Measure and print; with `--out`, write JSON."""
    options = _options()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    same = {name: getattr(options, name) for name in ("task", "budget", "evaluations", "evaluated")}
    runs = kept(options.out, same)
    made = {(run["topic"], run["name"], run["seed"]) for run in runs}
    for topic, name, overrides in settings(options.task, options.topics):
        for seed in options.seeds:
            if (topic, name, seed) not in made:
                found = follow(options, overrides, seed)
                runs.append({"topic": topic, "name": name, "seed": seed, **found})
                write_result(options.out, {**same, "runs": runs})
        mine = [run for run in runs if (run["topic"], run["name"]) == (topic, name)]
        print(line(topic, name, mine), flush=True)


def settings(task: str, topics: list[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Topic, name and overrides of each setting of a task."""
    study = yaml.safe_load(STUDY.read_text())[task]
    base = study.pop("base")
    for topic, named in study.items():
        if not topics or topic in topics:
            for name, changes in named.items():
                yield topic, name, [*base, *changes]


def follow(options: argparse.Namespace, overrides: list[str], seed: int) -> dict[str, Any]:
    """One run of the budget, with its gains on the way."""
    with tempfile.TemporaryDirectory() as folder:
        run = prepared(options.task, overrides, seed, folder, options.evaluated)
        base, sd = base_evaluation(run)
        curve: list[dict[str, Any]] = []
        with StopRequest(run.accelerator) as stop:
            for part in range(1, options.evaluations + 1):
                rows: list[Row] = []
                while run.state.network_passes < options.budget * part / options.evaluations:
                    rows.append(iterate(run, stop))
                found = evaluate(run)
                curve.append(
                    {
                        "passes": run.state.network_passes,
                        "gain": (found["evaluation/reward"] - base["evaluation/reward"]) / sd,
                        **_means(rows, ("reward/mean", "watch/shapes_accuracy")),
                        **found,
                    }
                )
        run.scorer.close()
    return {"overrides": overrides, "base_std": sd, "base": base, "curve": curve}


def _means(rows: list[Row], keys: tuple[str, ...]) -> dict[str, float]:
    """Over the samples trained on since the last evaluation."""
    return {key: statistics.fmean(row[key] or 0.0 for row in rows) for key in keys}


def line(topic: str, name: str, runs: list[dict[str, Any]]) -> str:
    """A setting in Markdown: mean gain at each evaluation, and the seeds' at the last."""
    places = zip(*(run["curve"] for run in runs), strict=True)
    means = [statistics.fmean(row["gain"] for row in place) for place in places]
    last = sorted(run["curve"][-1]["gain"] for run in runs)
    gains, ends = (" ".join(f"{gain:.2f}" for gain in found) for found in (means, last))
    trained, watched, heldout = (
        statistics.fmean(run["curve"][-1][key] for run in runs)
        for key in ("reward/mean", "watch/shapes_accuracy", "evaluation/shapes_accuracy")
    )
    return f"| {topic} | {name} | {gains} | {ends} | {heldout:.2f} | {trained:.4g} {watched:.2f} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=[*yaml.safe_load(STUDY.read_text())])
    parser.add_argument("topics", nargs="*", help="all when omitted")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--budget", type=int, default=6000, help="network passes of a run")
    parser.add_argument("--evaluations", type=int, default=2)
    parser.add_argument("--evaluated", type=int, default=64, help="held-out pictures")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
