"""How many network passes, and how much time, until the reward has risen: this project's shipped
settings against the last public DDPO trainer.

    pip install trl==0.23.1
    python -m benchmarks.time_to_reward compressibility --seeds 0 1 2 3 4 --out FILE
    python -m benchmarks.time_to_reward alignment --seeds 0 1 2 3 4 --out FILE

Both are evaluated alike, and that is not counted: 128 held-out pictures of 20 steps with guidance
3, the same prompts and noise every time. A run ends once their mean reward has risen by two
standard deviations of the base's pictures. The other trainer makes 128 samples an iteration of 20
steps with guidance 3, in batches of 32, at the learning rate given by `--trl`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import rewards
from benchmarks.report import spread, write_result
from benchmarks.trl_trainer import Geometry, TrlTrainer
from ddpo.config.reading import load_config
from ddpo.evaluation import evaluate
from ddpo.prompts import load_prompts
from ddpo.run import Run, prepare_run
from ddpo.stopping import StopRequest
from ddpo.training import iterate
from ddpo.worlds.shapes import pipeline_path
from rewards.files import read_index

CONFIGS = {
    "compressibility": Path("configs/ddpo_shapes_compressibility.yaml"),
    "alignment": Path("configs/ddpo_shapes_alignment.yaml"),
}
TARGET = 2.0
"""Standard deviations of the base's pictures."""

GEOMETRY = Geometry()


@dataclass
class Trainer:
    """What is measured: a step of training, and what it has cost in network passes."""

    iterate: Callable[[], Any]
    passes: Callable[[], int]
    ready: Callable[[], None] = lambda: None


def main() -> None:
    """Measure and print; with `--out`, write JSON."""
    options = _options()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    runs = []
    for seed in options.seeds:
        runs.append({"seed": seed, **measure(options, seed)})
        print(line(runs[-1]), flush=True)
        settings = {"trl_learning_rate": options.trl, "overrides": options.overrides}
        reached = [run for run in runs if run["passes"]]
        total = {
            key: spread([run[key] for run in reached]) for key in ("passes", "seconds") if reached
        }
        write_result(options.out, {"task": options.task, **settings, **total, "runs": runs})


def measure(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """One run until the target, or until `--most` passes."""
    with tempfile.TemporaryDirectory() as folder:
        run = prepared(options, seed, folder)
        base = evaluate(run)
        sd = statistics.pstdev(
            sample["total"] for sample in read_index(run.folder.samples / "000000")
        )
        with StopRequest(run.accelerator) as stop:
            trainer = (
                Trainer(lambda: iterate(run, stop), lambda: run.state.network_passes)
                if options.trl is None
                else their_trainer(run, seed, options.trl)
            )
            curve = [{"passes": 0, "seconds": 0.0, "gain": 0.0, **base}]
            seconds = 0.0
            while curve[-1]["gain"] < TARGET and trainer.passes() < options.most:
                for _ in range(options.every):
                    began = time.perf_counter()
                    trainer.iterate()
                    seconds += time.perf_counter() - began
                trainer.ready()
                found = evaluate(run)
                gain = (found["evaluation/reward"] - base["evaluation/reward"]) / sd
                row = {"passes": trainer.passes(), "seconds": seconds, "gain": gain, **found}
                curve.append(row)
                print(f"  {row}", file=sys.stderr, flush=True)
        run.scorer.close()
    arrived = curve[-1] if curve[-1]["gain"] >= TARGET else {"passes": None, "seconds": None}
    return {
        "base_std": sd,
        "passes": arrived["passes"],
        "seconds": arrived["seconds"],
        "watch": {key: curve[-1][key] for key in base if key != "evaluation/reward"},
        "curve": curve,
    }


def prepared(options: argparse.Namespace, seed: int, folder: str) -> Run:
    """A run that evaluates as both are evaluated."""
    overrides = [
        *options.overrides,
        f"seed={seed}",
        f"output_dir={folder}",
        "evaluation.samples=128",
        "evaluation.num_steps=20",
        "evaluation.guidance_scale=3",
        "train.ema_decay=0",
    ]
    return prepare_run(load_config(CONFIGS[options.task], overrides), resume=False)


def their_trainer(run: Run, seed: int, learning_rate: float) -> Trainer:
    """The other trainer, on the prompts and the reward of a run that evaluates its weights."""
    (name, weight), *_ = run.config.rewards.items()
    chosen = {k: v for k, v in weight.items() if k != "weight"} if isinstance(weight, dict) else {}
    geometry = Geometry(**{**vars(GEOMETRY), "learning_rate": learning_rate})
    # in an order of its own: that trainer takes prompts in turn
    texts = load_prompts(run.config.prompts).texts
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed)).tolist()
    reward = rewards.make(name, **chosen)
    trl = TrlTrainer(pipeline_path(), [texts[i] for i in order], reward, geometry, seed)

    def ready() -> None:
        own = run.policy.trained_state()
        run.policy.load_trained_state({key: trl.network.get_parameter(key) for key in own})

    return Trainer(trl.iterate, lambda: trl.network_passes, ready)


def line(run: dict[str, Any]) -> str:
    """A run in Markdown."""
    watch = ", ".join(f"{key.split('/')[1]} {value:.2f}" for key, value in run["watch"].items())
    if run["passes"] is None:
        return f"| {run['seed']} | not after {run['curve'][-1]['passes']:,} | | {watch} |"
    return f"| {run['seed']} | {run['passes']:,} | {run['seconds']:.0f} | {watch} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=[*CONFIGS])
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of this project's run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--trl", type=float, help="run the other trainer, at this learning rate")
    parser.add_argument("--every", type=int, default=1, help="iterations between evaluations")
    parser.add_argument("--most", type=int, default=200_000, help="passes to give up after")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
