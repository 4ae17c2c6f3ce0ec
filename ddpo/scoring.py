"""From trajectories to rewards: every process scores its own samples, and all of them see all the
numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from jaxtyping import Float
from torch import Tensor

from ddpo.config import Config, RewardFailuresConfig
from ddpo.distributed import gathered
from ddpo.errors import RunError, UserError
from ddpo.prompts import PromptSet
from ddpo.trajectory import Trajectory
from rewards import RewardError
from rewards.combine import Combination, from_spec


@dataclass(frozen=True)
class Scores:
    """Rewards of an iteration's samples, all processes' in order, on the CPU; NaN where a sample
    could not be scored.

    Attributes:
        rewards: `[N]`, what is optimised.
        parts: `[N]` by reward name, unweighted.
        watch: `[N]` by watch reward.
        failures: one line for each sample that the optimised rewards could not score.
    """

    rewards: Float[Tensor, " n"]
    parts: dict[str, Float[Tensor, " n"]]
    watch: dict[str, Float[Tensor, " n"]]
    failures: list[str]


class Scorer:
    """The rewards and watch rewards of a run."""

    def __init__(self, config: Config, accelerator: Accelerator, prompts: PromptSet):
        """Make the rewards.

        Raises:
            UserError: a reward is unknown, or its options are wrong, or the prompts lack a column
                it needs.
        """
        self._accelerator = accelerator
        self._rewards = _combination("rewards", config.rewards)
        self._watch = _combination("watch", config.watch)
        for name in sorted((self._rewards.columns | self._watch.columns) - prompts.columns.keys()):
            raise UserError(
                f"prompts: a reward needs the column {name!r}, which the prompt set lacks"
            )

    @property
    def names(self) -> list[str]:
        """The optimised rewards."""
        return self._rewards.names

    def score(self, trajectory: Trajectory) -> Scores:
        """Score this process's samples, then gather everyone's.

        Raises:
            RunError: on all processes, if a reward broke on any: it gave no numbers that could be
                used at all.
        """
        seen = (trajectory.outputs, trajectory.prompts, trajectory.columns)
        problems: list[str] = []
        scored = watched = None
        try:
            scored, watched = self._rewards(*seen), self._watch(*seen)
        except RewardError as error:
            problems.append(str(error))
        if problems := gather_object(problems):
            raise RunError(problems[0])
        assert scored is not None
        assert watched is not None
        return Scores(
            rewards=self._gathered(scored.total),
            parts={name: self._gathered(part) for name, part in scored.parts.items()},
            watch={name: self._gathered(part) for name, part in watched.parts.items()},
            failures=gather_object([str(failure) for failure in scored.failures]),
        )

    def _gathered(self, values: Tensor) -> Tensor:
        return gathered(self._accelerator, values.to(self._accelerator.device)).cpu()


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


def _combination(section: str, spec: object) -> Combination:
    """The rewards of one section of the configuration."""
    try:
        return from_spec(spec)  # pyright: ignore[reportArgumentType]
    except RewardError as error:
        lines = "; ".join(str(error).splitlines())
        raise UserError(f"{section}: {lines}") from error
