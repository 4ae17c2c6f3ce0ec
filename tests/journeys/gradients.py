"""The gradient of one update, as a process of a run computes it, written to a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import ddpo.run
import ddpo.update
from ddpo.algorithms import Algorithm
from ddpo.collection import collect, iteration_rows
from ddpo.config.reading import load_config
from ddpo.credit import Chains, Credit
from ddpo.distributed import gathered
from ddpo.parallelism import TorchParallelism
from ddpo.randomness import RowGenerator
from ddpo.run import Run, prepare_run
from ddpo.sharding import whole
from ddpo.trajectory import Trajectory
from ddpo.update import Measured, accumulate_gradients

ADVANTAGES = torch.tensor([0.9, -1.4, 0.3, 2.1, -0.6, -1.8, 0.2, 1.1])
"""Of the eight samples of the iteration."""

DROPPED = [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]
"""Samples that count where some could not be scored: 2 of the first four, 3 of the others."""


@dataclass(frozen=True)
class Division:
    """How an update is divided on a process: samples and actions of a network pass."""

    micro_batch: int
    actions: int

    def __str__(self) -> str:
        return f"{self.micro_batch} samples, {self.actions} actions"


def write_gradients(
    config: Path,
    overrides: Sequence[str],
    out: Path,
    divisions: Sequence[Division],
    dtype: torch.dtype = torch.float32,
    broken: str = "",
) -> None:
    """Write `<rank>.safetensors`: samples made in batches of some sizes, and gradients by division.

    Args:
        config: of the run.
        overrides: on top of it.
        out: an existing folder.
        divisions: of the update.
        dtype: of the network.
        broken: a key of `BREAKAGES`.
    """
    build_policy = ddpo.run.build_policy

    def disturbed(*arguments: Any) -> Any:
        """The policy in this precision, away from its reference: the KL penalty has a slope."""
        policy: Any = build_policy(*arguments)
        for network in filter(None, (policy.network, policy.reference_network)):
            nn.Module.to(network, dtype)
        generator = torch.Generator().manual_seed(0)
        for parameter in filter(torch.is_floating_point, policy.trained_state().values()):
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator).to(dtype)
        return policy

    ddpo.run.build_policy = disturbed
    run = prepare_run(load_config(config, overrides), resume=False)
    BREAKAGES[broken](run)
    rank, written = run.accelerator.process_index, {}
    trajectories = {size: _samples(run, size) for size in (8, 3, 1)}
    for size, trajectory in trajectories.items():
        found = trajectory.record | trajectory.measured | {"log_probs": trajectory.log_probs}
        if isinstance(trajectory.outputs, Tensor):
            found["images"] = trajectory.outputs
        written |= {f"{name}/{size}": tensor for name, tensor in found.items()}
    for division in divisions:
        for name, keep in (("all", torch.ones(8)), ("dropped", torch.tensor(DROPPED))):
            for parameter, gradient in _gradients(run, trajectories[8], keep, division).items():
                written[f"{name}/{division}/{parameter}"] = gradient
    save_file(
        {name: tensor.contiguous() for name, tensor in written.items()}, out / f"{rank}.safetensors"
    )


def read_gradients(out: Path, rank: int = 0) -> Callable[[str], Tensor]:
    """All that a rank wrote under a prefix, as one vector."""
    tensors = load_file(out / f"{rank}.safetensors")

    def under(prefix: str) -> Tensor:
        found = [v for k, v in sorted(tensors.items()) if k == prefix or k.startswith(f"{prefix}/")]
        return torch.cat([tensor.double().flatten() for tensor in found])

    return under


def _samples(run: Run, batch: int) -> Trajectory:
    """This process's samples of the first iteration."""
    rows = iteration_rows(run.config, run.plan, run.prompts, 1)
    mine = tuple(rows[run.plan.rows_of(run.accelerator.process_index)])
    generator = RowGenerator(run.config.seed, 1, mine)
    return collect(run.policy.sample, run.prompts, generator, fitted=lambda sampled: sampled(batch))


def _gradients(
    run: Run, trajectory: Trajectory, keep: Tensor, division: Division
) -> Mapping[str, Tensor]:
    """The gradient of one update on these samples."""
    run.planned = replace(
        run.planned, micro_batch=division.micro_batch, actions_per_pass=division.actions
    )
    mine = run.plan.rows_of(run.accelerator.process_index)
    zero = torch.zeros(())
    measured = Measured({}, zero, zero, zero)
    run.state.optimizer.zero_grad(set_to_none=True)
    credit = _credit(run, trajectory, keep)[mine]
    accumulate_gradients(run, trajectory, credit, keep[mine], measured, first=False)
    network = extract_model_from_parallel(run.policy.network)
    named = network.named_parameters()
    return {name: whole(p.grad).clone() for name, p in named if p.grad is not None}


def _credit(run: Run, trajectory: Trajectory, keep: Tensor) -> Credit:
    """These advantages, or what a critic makes of them as rewards."""
    if not trajectory.measured:
        return Credit(ADVANTAGES[:, None])
    chains = Chains.of(trajectory, partial(gathered, run.accelerator))
    return run.state.algorithm.credit([""] * len(keep), ADVANTAGES, keep, chains)[0]


def _count_locally(run: Run) -> None:
    """Each process divides by its own count."""
    ddpo.update.summed = lambda accelerator, values: values


def _each_its_own(run: Run) -> None:
    """Nothing averages over processes."""
    TorchParallelism.average_gradients = lambda self, parameters: None


def _mean_of_means(run: Run) -> None:
    """Each network pass is divided by its own count, and counts as much as any other."""
    losses = Algorithm.losses

    def averaged(
        self: Algorithm,
        evaluation: Any,
        old: Tensor,
        advantage: Tensor,
        mask: Tensor,
        **critic: Any,
    ):
        result = losses(self, evaluation, old, advantage, mask, **critic)
        return replace(result, loss=result.loss / mask.sum().clamp(min=1) * 4)

    Algorithm.losses = averaged  # pyright: ignore[reportAttributeAccessIssue]


BREAKAGES: dict[str, Callable[[Run], None]] = {
    "": lambda run: None,
    "counts are local": _count_locally,
    "nothing is averaged": _each_its_own,
    "a mean of means": _mean_of_means,
}
"""Ways to get the average wrong."""
