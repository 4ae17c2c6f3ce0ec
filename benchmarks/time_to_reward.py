"""How many network passes, and how much time, until the reward has risen: this project's shipped
settings against the last public DDPO trainer.

    pip install trl==0.23.1
    python -m benchmarks.time_to_reward compressibility --seeds 0 1 2 3 4 --out FILE
    python -m benchmarks.time_to_reward wrong_captions --seeds 0 1 2 3 4 --out FILE

Both are evaluated alike, and that is not counted: held-out pictures of 20 steps with guidance 3,
the same prompts and noise every time. A run ends once their mean reward has risen by two standard
deviations of the base's pictures; where true drawings of the captions hardly earn that much more,
once it is half way to theirs, and when it first was a third of the way is told, too. Runs that FILE
holds already are not made again, so that a long comparison can be made in parts. The other trainer
makes 128 samples an iteration of 20 steps with guidance 3, in batches of 32, at the learning rate
given by `--trl`.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import rewards
from benchmarks.report import kept, spread, write_result
from benchmarks.trl_trainer import Geometry, TrlTrainer
from ddpo.config.reading import load_config
from ddpo.evaluation import evaluate
from ddpo.metrics import Row
from ddpo.prompts import load_prompts
from ddpo.run import Run, prepare_run
from ddpo.stopping import StopRequest
from ddpo.training import iterate
from ddpo.worlds.shapes import pipeline_path
from ddpo.worlds.shapes.evaluate import true_drawings
from ddpo.worlds.shapes.scenes import parse
from rewards.files import read_index


@dataclass(frozen=True)
class Task:
    """What both trainers are to do.

    Attributes:
        config: of this project's run, with the reward of both.
        captions: a file of them, for both; the configuration's when None.
        evaluated: held-out pictures; more where prompts differ and the rise is small.
        way: until which part of the way to true drawings; None until the rise is `RISE`.
    """

    config: Path
    captions: Path | None = None
    evaluated: int = 128
    way: float | None = None


FEW = Path("benchmarks/few_captions.yaml")

TASKS = {
    "compressibility": Task(Path("configs/ddpo_shapes_compressibility.yaml")),
    "alignment": Task(Path("configs/ddpo_shapes_alignment.yaml"), evaluated=256, way=0.5),
    "hard_captions": Task(FEW, Path("benchmarks/hard_captions.txt"), way=0.5),
    "wrong_captions": Task(FEW, Path("benchmarks/wrong_captions.txt")),
}

RISE = 2.0
"""Of the mean reward, in standard deviations of the base's pictures."""

THIRD = 2 / 3
"""Of a target that is half of the way: a third of the way."""

COSTS = ("passes", "seconds", "cpu_seconds")

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
    settings = {"task": options.task, "trl_learning_rate": options.trl}
    settings |= {"overrides": options.overrides}
    runs = kept(options.out, settings)
    for seed in sorted({*options.seeds} - {run["seed"] for run in runs}):
        runs.append({"seed": seed, **measure(options, seed)})
        print(line(runs[-1]), flush=True)
        write_result(options.out, {**settings, **summary(options.task, runs), "runs": runs})


def summary(task: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many runs arrived, and after what; one that did not counts as the longest."""
    found: dict[str, Any] = {"reached": sum(run["passes"] is not None for run in runs)}
    for key in COSTS:
        costs = spread([math.inf if run[key] is None else run[key] for run in runs])
        found[key] = {name: None if math.isinf(cost) else cost for name, cost in costs.items()}
    if TASKS[task].way is not None:
        found["third"] = {run["seed"]: passes_until(run, THIRD) for run in runs}
    return found


def measure(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """One run until the target, or until `--most` passes."""
    with tempfile.TemporaryDirectory() as folder:
        # the weights evaluated are the other trainer's: all of them, and no average of this one's
        own = ["train.ema_decay=0", "lora=null"] if options.trl else []
        run = prepared(options.task, [*options.overrides, *own], seed, folder)
        base, sd = base_evaluation(run)
        target, way = RISE, TASKS[options.task].way
        if way is not None:
            drawn = reward_of_drawings(run, seed)
            target = way * (drawn - base["evaluation/reward"]) / sd
        with StopRequest(run.accelerator) as stop:
            trainer = (
                Trainer(lambda: iterate(run, stop), lambda: run.state.network_passes)
                if options.trl is None
                else their_trainer(run, seed, options.trl)
            )
            curve = [{"passes": 0, "seconds": 0.0, "cpu_seconds": 0.0, "gain": 0.0, **base}]
            seconds = cpu_seconds = 0.0
            while curve[-1]["gain"] < target and trainer.passes() < options.most:
                for _ in range(options.every):
                    began, cpu_began = time.perf_counter(), time.process_time()
                    trainer.iterate()
                    seconds += time.perf_counter() - began
                    cpu_seconds += time.process_time() - cpu_began
                trainer.ready()
                found = evaluate(run)
                gain = (found["evaluation/reward"] - base["evaluation/reward"]) / sd
                row = {"passes": trainer.passes(), "seconds": seconds, "gain": gain, **found}
                row["cpu_seconds"] = cpu_seconds
                curve.append(row)
                print(f"  {row}", file=sys.stderr, flush=True)
        run.scorer.close()
    arrived = curve[-1] if curve[-1]["gain"] >= target else dict.fromkeys(COSTS)
    return {
        "base_std": sd,
        "target": target,
        "most": options.most,
        **{key: arrived[key] for key in COSTS},
        "watch": {key: curve[-1][key] for key in base if key != "evaluation/reward"},
        "curve": curve,
    }


def base_evaluation(run: Run) -> tuple[Row, float]:
    """The base's means, and the standard deviation of what its pictures earn."""
    base = evaluate(run)
    return base, statistics.pstdev(sample["total"] for sample in _base_samples(run))


def reward_of_drawings(run: Run, seed: int) -> float:
    """The mean reward of a true drawing of each held-out prompt."""
    prompts = [sample["prompt"] for sample in _base_samples(run)]
    claims = [parse(prompt) for prompt in prompts]
    pictures = true_drawings(claims, np.random.default_rng(seed))
    return float(own_reward(run).score(pictures, prompts).values.mean())


def own_reward(run: Run) -> Any:
    """The first reward of a run's configuration."""
    (name, weight), *_ = run.config.rewards.items()
    chosen = {k: v for k, v in weight.items() if k != "weight"} if isinstance(weight, dict) else {}
    return rewards.make(name, **chosen)


def prepared(
    task: str, overrides: Sequence[str], seed: int, folder: str, evaluated: int | None = None
) -> Run:
    """A run that evaluates as all are evaluated, or fewer pictures."""
    chosen = TASKS[task]
    captions = [f"prompts={{file: {chosen.captions}}}"] if chosen.captions else []
    common = [
        f"seed={seed}",
        f"output_dir={folder}",
        f"evaluation.samples={evaluated or chosen.evaluated}",
        "evaluation.num_steps=20",
        "evaluation.guidance_scale=3",
        "evaluation.guidance_interval=[0, 1]",
    ]
    return prepare_run(load_config(chosen.config, [*captions, *common, *overrides]), resume=False)


def _base_samples(run: Run) -> list[dict[str, Any]]:
    return read_index(run.folder.samples / "000000")[: run.config.evaluation.samples]


def their_trainer(run: Run, seed: int, learning_rate: float) -> Trainer:
    """The other trainer, on the prompts and the reward of a run that evaluates its weights."""
    geometry = Geometry(**{**vars(GEOMETRY), "learning_rate": learning_rate})
    # in an order of its own: that trainer takes prompts in turn
    texts = load_prompts(run.config.prompts).texts
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed)).tolist()
    trl = TrlTrainer(pipeline_path(), [texts[i] for i in order], own_reward(run), geometry, seed)

    def ready() -> None:
        own = run.policy.trained_state()
        run.policy.load_trained_state({key: trl.network.get_parameter(key) for key in own})

    return Trainer(trl.iterate, lambda: trl.network_passes, ready)


def passes_until(run: dict[str, Any], part: float) -> int | None:
    """The network passes after which a run had first gained this part of its target; None if it
    never had.
    """
    there = (row["passes"] for row in run["curve"] if row["gain"] >= part * run["target"])
    return next(there, None)


def line(run: dict[str, Any]) -> str:
    """A run in Markdown."""
    watch = ", ".join(f"{key.split('/')[1]} {value:.2f}" for key, value in run["watch"].items())
    if run["passes"] is None:
        return f"| {run['seed']} | not after {run['curve'][-1]['passes']:,} | | {watch} |"
    return f"| {run['seed']} | {run['passes']:,} | {run['seconds']:.0f} | {watch} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=[*TASKS])
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
