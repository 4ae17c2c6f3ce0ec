"""Rewards that compare the samples of a prompt, where a prompt may be spread over processes: every
process scores all samples of the prompts that it has one of.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from ddpo.outputs import outputs_of
from ddpo.trajectory import Trajectory
from rewards.combine import Combination
from rewards.scoring import Failure

Parts = dict[str, np.ndarray]
"""Numbers of some samples by reward name."""
Failures = tuple[Failure, ...]
Seen = tuple[Any, list[str], dict[str, list[Any]]]
"""What a reward is called with: samples, prompts, columns."""


def gather_seen(accelerator: Accelerator, trajectory: Trajectory, count: int | None) -> Seen:
    """All processes' samples, or the first `count` of them."""
    samples = outputs_of(trajectory.outputs).everyones(accelerator).seen
    prompts: Any = gather_object(list(trajectory.prompts))
    columns: dict[str, Any] = {
        name: gather_object(list(values)) for name, values in trajectory.columns.items()
    }
    cut = slice(count)
    return samples[cut], prompts[cut], {name: v[cut] for name, v in columns.items()}


@torch.no_grad()
def score_groups(
    combination: Combination, trajectory: Trajectory, everyone: Seen, first: int
) -> tuple[Parts, Failures]:
    """This process's numbers of the rewards that compare the samples of a prompt, and its failures,
    numbered as in the iteration. Details are left out.

    Args:
        combination: of which only those rewards are called.
        trajectory: this process's samples.
        everyone: all processes' samples; what is missing there has no number.
        first: number in the iteration of this process's first sample.
    """
    samples, prompts, columns = everyone
    rows = [row for row, prompt in enumerate(prompts) if prompt in set(trajectory.prompts)]
    scored = combination.score(
        outputs_of(samples).rows(rows).seen,
        [prompts[row] for row in rows],
        {name: [given[row] for row in rows] for name, given in columns.items()},
        group=True,
    )
    found = {row: at for at, row in enumerate(rows)}
    wanted = [found.get(first + number) for number in range(len(trajectory.prompts))]
    mine = {
        name: np.array([np.nan if at is None else numbers[at] for at in wanted], np.float32)
        for name, numbers in scored.parts.items()
    }
    failed = (failure for failure in scored.failures if failure.row in wanted)
    return mine, tuple(replace(failure, row=rows[failure.row]) for failure in failed)
