"""Passes that fit the memory: one that runs out of it on any process is made smaller on all of
them, and done again.

How a batch is divided changes neither samples nor gradients beyond rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from ddpo.batching import BatchPlan, heldout_batch
from ddpo.distributed import largest
from ddpo.errors import RunError
from ddpo.run import Run
from ddpo.sharding import passes_are_local
from ddpo.trajectory import Trajectory

T = TypeVar("T")
KEYS = {
    "sample_batch": "train.sample_batch_size",
    "micro_batch": "train.micro_batch_size",
    "actions_per_pass": "train.actions_per_pass",
}
"""The configuration's names of the sizes that are found."""

REMEDIES = (
    "train.gradient_checkpointing: true, train.trajectories_on: cpu, train.optimizer: adamw_8bit, "
    "lora"
)
"""Whatever the policy is."""


def fitted(
    run: Run, work: Callable[[BatchPlan], T], smaller: Callable[[BatchPlan], BatchPlan | None]
) -> T:
    """The result of `work(plan)`, with the run's plan made smaller until no process runs out of
    memory; the run keeps what was found. A collective.

    Args:
        run: the run.
        work: exchanges nothing with other processes, and starts afresh at every call.
        smaller: the plan to try next; None where there is none.

    Raises:
        RunError: the smallest plan does not fit either.
    """
    planned, passes = run.plan, run.policy.network_passes
    while (result := attempted(run.accelerator, lambda: work(run.plan))) is None:
        plan = smaller(run.plan)
        if plan is None:
            raise RunError(
                f"out of memory with the smallest possible pass; {REMEDIES}, "
                f"{run.config.policy.memory_savers} each need less"
            )
        run.state.found_sizes |= _changed(run.plan, plan)
        run.policy.network_passes = passes
    if found := _changed(planned, run.plan):
        sizes = ", ".join(f"{KEYS[name]}: {size}" for name, size in found.items())
        run.say(f"out of memory: done again, and from now on, with {sizes}")
    return result


def fit_sampling(
    run: Run, work: Callable[[int], Trajectory], *, heldout: bool = False
) -> Trajectory:
    """What `work` samples with the largest batch that fits."""

    def sample(plan: BatchPlan) -> Trajectory:
        return work(heldout_batch(run.config, plan) if heldout else plan.sample_batch)

    return fitted(run, sample, BatchPlan.smaller_sampling)


def attempted(accelerator: Accelerator, work: Callable[[], T]) -> T | None:
    """The result of `work`, or None on every process if any ran out of memory. A collective.

    Where the network is spread over processes a pass itself is one, and none can leave it alone:
    then nothing is caught.
    """
    if not passes_are_local(accelerator):
        return work()
    result, ran_out = None, False
    try:
        result = work()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        ran_out = True
    if ran_out:  # outside the handler, whose traceback held the tensors of the pass
        clear_device_cache(garbage_collection=True)
    flag = torch.tensor(float(ran_out), device=accelerator.device)
    return None if largest(accelerator, flag) else result


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an accelerator, or the CPU's allocator, had no room."""
    return isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error)


def _changed(before: BatchPlan, after: BatchPlan) -> dict[str, int]:
    """The sizes in which two plans differ, as they are in the second."""
    others = asdict(before)
    return {name: size for name, size in asdict(after).items() if size != others[name]}
