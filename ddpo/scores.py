"""The rewards of an iteration's samples, and what happens to samples that could not be scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ddpo.config.schema import RewardFailuresConfig
from ddpo.errors import RunError


@dataclass(frozen=True)
class Scores:
    """Rewards of an iteration's samples, all processes' in order, on the CPU; NaN where a sample
    could not be scored.

    Attributes:
        rewards: `[N]`, what is optimised.
        parts: `[N]` by reward name, unweighted.
        watch: `[N]` by watch reward.
        failures: one line for each sample that the optimised rewards could not score, which is
            numbered as in the iteration.
        details: by reward or watch reward and row, what that told of the sample; empty while
            training.
        comparable: whether `rewards` of two iterations can be compared.
    """

    rewards: Float[Tensor, " n"]
    parts: dict[str, Float[Tensor, " n"]]
    watch: dict[str, Float[Tensor, " n"]]
    failures: list[str]
    details: Mapping[str, Mapping[int, Any]] = field(default_factory=dict)
    comparable: bool = True


def settle_failures(
    scores: Scores, config: RewardFailuresConfig
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Rewards and a mask of those that count, after the configured treatment of samples that could
    not be scored.

    Raises:
        RunError: a sample failed and the configuration says raise, or more failed than its limit
            allows.
    """
    scored = scores.rewards.isfinite()
    failed = int((~scored).sum())
    if not failed:
        return scores.rewards, scored.float()
    example = scores.failures[0] if scores.failures else "no reason given"
    if config.action == "raise":
        raise RunError(f"{failed} of {len(scored)} samples could not be scored: {example}")
    if failed > config.limit * len(scored) or failed == len(scored):
        raise RunError(
            f"{failed} of {len(scored)} samples could not be scored, more than "
            f"reward_failures.limit: "
            f"{config.limit} allows: {example}"
        )
    if config.action == "drop":
        return scores.rewards, scored.float()
    mean = scores.rewards[scored].mean()
    return torch.where(scored, scores.rewards, mean), torch.ones_like(scores.rewards)
