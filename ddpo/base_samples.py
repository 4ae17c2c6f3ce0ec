"""Samples of a model as it is before training, for those who measure rewards on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ddpo.batching import plan_batches
from ddpo.collection import collect, iteration_rows
from ddpo.config.reading import load_config
from ddpo.config.schema import Config
from ddpo.errors import UserError
from ddpo.policies import build_policy
from ddpo.prompts import load_prompts
from ddpo.randomness import RowGenerator
from ddpo.reward_columns import refuse_lacking
from ddpo.trajectory import Trajectory
from rewards import RewardError
from rewards.specification import parse


def base_samples(
    path: Path, count: int, overrides: Sequence[str] = ()
) -> tuple[Any, list[str], dict[str, list[Any]]]:
    """The first `count` samples that training with this configuration would begin with.

    Args:
        path: of the configuration.
        count: how many.
        overrides: `section.key=value`, on top of the configuration.

    Returns:
        Samples (images `[B, 3, H, W]` in [0, 1]), prompts, and columns, on the CPU.

    Raises:
        RewardError: the configuration is wrong, in the words of the `UserError` behind it.
    """
    try:
        return _samples(load_config(path, overrides), count)
    except UserError as error:
        raise RewardError(str(error)) from error


def _samples(config: Config, count: int) -> tuple[Any, list[str], dict[str, list[Any]]]:
    plan = plan_batches(config, processes=1)
    prompts = load_prompts(config.prompts)
    measured = (*parse(config.rewards), *parse(config.watch))
    refuse_lacking([(e.role.label, e.definition) for e in measured], prompts, "prompts")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    policy = build_policy(config, device, config.train.mixed_precision or "no")
    parts = []
    for iteration in range(1, 2 + (count - 1) // plan.samples):
        rows = iteration_rows(config, plan, prompts, iteration)
        generator = RowGenerator(config.seed, iteration, tuple(rows))
        left = count - sum(map(len, parts))
        parts.append(
            collect(
                policy.sample,
                prompts,
                generator[slice(left)],
                fitted=lambda sampled: sampled(plan.sample_batch),
            ).to("cpu")
        )
    trajectory = Trajectory.concatenate(parts)
    return trajectory.outputs, trajectory.prompts, trajectory.columns
