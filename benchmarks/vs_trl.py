"""This trainer against the last public DDPO trainer, on the same pipeline and the same work.

    pip install trl==0.23.1
    python -m benchmarks.vs_trl --out benchmarks/results/vs_trl.json

First it proves that both compute the same update: the log-probs of the same trajectories, and the
gradient of the same loss. Then iterations of both alternate in one process, and ratios are of
the same round. This project runs with both layouts of its convolutions' kernels. Peak memory is of
each in a process of its own. The pipeline is the embedded `shapes`, with one change: its last step
has noise, because that trainer trains it as if it had.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import rewards
from benchmarks.report import spread, timed, told, write_result
from benchmarks.resident import RETURN_MEMORY, resident_most, resident_now
from benchmarks.trl_trainer import Geometry, TrlTrainer
from ddpo.algorithms import Algorithm
from ddpo.config.reading import decode_config
from ddpo.config.schema import Config, PromptsConfig
from ddpo.prompts import load_prompts
from ddpo.randomness import RowGenerator
from ddpo.run import Run, prepare_run
from ddpo.stopping import StopRequest
from ddpo.training import iterate
from ddpo.trajectory import Trajectory
from ddpo.worlds.shapes import pipeline_path

OURS = {"ddpo": False, "ddpo_channels_last": True}
"""This project's runs: whether with `policy.channels_last`."""

TRAINERS = ("trl", *OURS)


def main() -> None:
    """Prove, measure and print; with `--out`, write JSON."""
    options = _options()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        model = pipeline_with_noise_in_its_last_step(Path(folder))
        if options.peak_of:
            geometry = Geometry(**json.loads(options.peak_of[1]))
            print(json.dumps(peak_memory(options.peak_of[0], model, geometry)))
            return
        result: dict[str, Any] = {"same_update": {}, "cases": []}
        for lora in (None, 4):
            same = same_update(model, Geometry(lora=lora, num_steps=options.steps))
            result["same_update"]["all weights" if lora is None else f"LoRA, rank {lora}"] = same
            print(same, flush=True)
        for batch, samples in zip(options.batches, options.samples, strict=True):
            geometry = Geometry(
                samples=samples, batch=batch, num_steps=options.steps, lora=options.lora
            )
            case = asdict(geometry) | speed(model, geometry, options.iterations)
            case["peak_memory"] = {name: in_a_process(name, geometry) for name in TRAINERS}
            result["cases"].append(case)
            print(*lines(case), sep="\n", flush=True)
            write_result(options.out, result)


def pipeline_with_noise_in_its_last_step(folder: Path) -> Path:
    """A copy of the embedded pipeline, whose last step goes to the first noise level, not to 0."""
    model = folder / "pipeline"
    shutil.copytree(pipeline_path(), model)
    file = model / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"set_alpha_to_one": False}))
    return model


def ours(model: Path, geometry: Geometry, *, channels_last: bool = False) -> Config:
    """A run of this project that does what that trainer does. How samples share passes is left to
    it.
    """
    tree = {
        "name": "run",
        "output_dir": str(model.parent / f"runs-{time.time_ns()}"),
        "policy": {
            "kind": "diffusion",
            "model": str(model),
            "num_steps": geometry.num_steps,
            "guidance_scale": geometry.guidance_scale,
            "channels_last": channels_last,
        },
        "prompts": {"set": "shapes"},
        "rewards": {"jpeg_compressibility": 1.0},
        "algorithm": {"kind": "ddpo", "clip_range": 1e-4},
        "train": {
            "iterations": 1000,
            "samples_per_iteration": geometry.samples,
            "updates_per_iteration": geometry.updates,
            "learning_rate": geometry.learning_rate,
        },
        "evaluation": {"samples": 0},
    }
    return decode_config(tree | ({"lora": {"rank": geometry.lora}} if geometry.lora else {}))


def theirs(model: Path, geometry: Geometry) -> TrlTrainer:
    """That trainer, with the same prompts and the same reward."""
    jpeg = rewards.make("jpeg_compressibility")
    prompts = load_prompts(PromptsConfig(set="shapes")).texts
    return TrlTrainer(model, prompts, jpeg, geometry)


def same_update(model: Path, geometry: Geometry, samples: int = 8) -> dict[str, float]:
    """How far the two are from computing the same update.

    Returns:
        The cosine of the gradients, the ratio of their norms, and the largest difference of
        log-probs.

    Raises:
        RuntimeError: they do not.
    """
    trl = theirs(model, replace(geometry, samples=samples, batch=samples))
    run = prepare_run(ours(model, replace(geometry, samples=samples)), resume=False)
    policy: Any = run.policy
    if geometry.lora is not None:  # the same adapters, moved as by an update
        torch.manual_seed(0)
        with torch.no_grad():
            for name, parameter in policy.network.named_parameters():
                if parameter.requires_grad:
                    parameter.add_(0.02 * torch.randn_like(parameter))
                    trl.network.get_parameter(name).copy_(parameter)
    prompts = [run.prompts.texts[index] for index in range(samples)]
    rows = tuple((index, 0) for index in range(samples))
    trajectory = policy.sample(prompts, RowGenerator(seed=0, iteration=1, rows=rows))
    advantages = torch.linspace(-1.5, 1.5, samples)
    log_probs, gradients = trl.gradients(trajectory, advantages)
    own = own_gradients(run, trajectory, advantages)
    run.scorer.close()
    difference = float((log_probs - trajectory.log_probs).abs().max())
    both = [torch.cat([found[name].flatten() for name in own]) for found in (own, gradients)]
    cosine = float(nn.functional.cosine_similarity(*both, dim=0))
    if cosine < 0.999 or difference > 1e-6:
        raise RuntimeError(f"not the same update: cosine {cosine}, log-probs {difference}")
    ratio = float(both[0].norm() / both[1].norm())
    return {"cosine": cosine, "norm_ratio": ratio, "log_prob_difference": difference}


def own_gradients(run: Run, trajectory: Trajectory, advantages: Tensor) -> dict[str, Tensor]:
    """The gradient of this project's update, as the loop computes it."""
    algorithm = Algorithm(run.config.algorithm, run.policy.action_dimensions)
    mask = trajectory.mask
    run.policy.network.zero_grad()
    for action in range(mask.shape[1]):
        columns = torch.tensor([action])
        evaluation = run.policy.evaluate(trajectory, columns)
        old = trajectory.log_probs[:, columns]
        losses = algorithm.losses(evaluation, old, advantages[:, None], mask[:, columns])
        (losses.loss.sum() / mask.sum()).backward()
    parameters = run.policy.network.named_parameters()
    return {name: p.grad for name, p in parameters if p.grad is not None}


def speed(model: Path, geometry: Geometry, iterations: int) -> dict[str, Any]:
    """Seconds of alternating iterations and their ratios, and network passes of one."""
    trl = theirs(model, geometry)
    runs = {
        name: prepare_run(ours(model, geometry, channels_last=last), resume=False)
        for name, last in OURS.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in TRAINERS}
    with StopRequest(runs["ddpo"].accelerator) as stop:
        work = {name: partial(iterate, run, stop) for name, run in runs.items()}
        work["trl"] = trl.iterate
        for number in range(iterations + 1):
            order = TRAINERS if number % 2 else TRAINERS[::-1]
            for name in order:
                taken = timed(work[name])
                seconds[name] += [taken] * (number > 0)  # the first warms up
    for run in runs.values():
        run.scorer.close()
    passes = {name: run.policy.network_passes for name, run in runs.items()}
    passes["trl"] = trl.network_passes
    return {
        "seconds": seconds,
        "speedup": {
            name: spread([a / b for a, b in zip(seconds["trl"], seconds[name], strict=True)])
            for name in OURS
        },
        "network_passes": {name: count // (iterations + 1) for name, count in passes.items()},
    }


def in_a_process(trainer: str, geometry: Geometry) -> int:
    """Peak memory of one trainer, in bytes."""
    case = json.dumps(asdict(geometry))
    command = [sys.executable, "-m", "benchmarks.vs_trl", "--peak-of", trainer, case]
    environment = {**os.environ, **RETURN_MEMORY}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


def peak_memory(trainer: str, model: Path, geometry: Geometry) -> int:
    """What two iterations take over what the process took before, after a small one that imported
    and warmed up everything.
    """
    small = replace(geometry, samples=2, batch=2, num_steps=2)
    before = 0
    for chosen in (small, geometry):
        before = resident_now()
        if trainer == "trl":
            trl = theirs(model, chosen)
            trl.iterate()
            trl.iterate()
            del trl
            continue
        run = prepare_run(ours(model, chosen, channels_last=OURS[trainer]), resume=False)
        with StopRequest(run.accelerator) as stop:
            iterate(run, stop)
            iterate(run, stop)
        run.scorer.close()
        del run
    return resident_most() - before


def lines(case: dict[str, Any]) -> list[str]:
    """A case in Markdown, a line for each of this project's runs."""
    sizes, passes, seconds = case["peak_memory"], case["network_passes"], case["seconds"]
    return [
        f"| {case['batch']} | {case['samples']} | {'yes' if last else 'no'} "
        f"| {told(spread(seconds['trl']), 1)} | {told(spread(seconds[name]), 1)} "
        f"| {told(case['speedup'][name])} | {passes['trl']:,} | {passes[name]:,} "
        f"| {sizes['trl'] / 1e6:.0f} | {sizes[name] / 1e6:.0f} "
        f"| {sizes[name] / sizes['trl']:.2f} |"
        for name, last in OURS.items()
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 2])
    parser.add_argument("--samples", type=int, nargs="+", default=[128, 32], help="of each batch")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--lora", type=int, help="rank; all weights when omitted")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peak-of", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
