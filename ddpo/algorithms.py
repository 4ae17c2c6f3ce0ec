"""A named algorithm: which advantages and which objective, with the little state they keep between
iterations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ddpo import advantages, objectives
from ddpo.config.algorithms import (
    AlgorithmConfig,
    AwmConfig,
    DdpoConfig,
    GroupConfig,
    GrpoConfig,
    NftConfig,
    PpoConfig,
    RwrConfig,
)
from ddpo.credit import Chains, Credit, critics_credit, kl_rewards, mean_kl
from ddpo.trajectory import Evaluation

DEFAULT_CLIP_RANGE = 1e-4
"""Where a log-prob is a mean over dimensions."""

DEFAULT_CLIP_RANGE_OF_TOKENS = 0.2
"""Where it is of one."""


@dataclass(frozen=True)
class ActionLosses:
    """What one network pass adds to the update, each `[b, a]` and 0 where masked.

    Attributes:
        loss: of each action, KL penalty included; carries the graph.
        statistics: sums of interest by metric name, without a graph.
    """

    loss: Float[Tensor, "b a"]
    statistics: dict[str, Float[Tensor, "b a"]]


class Algorithm:
    """DDPO-IS, DDPO-SF, GRPO, reward-weighted regression, AWM or DiffusionNFT over one of four
    baselines, or PPO over a critic's.
    """

    def __init__(self, config: AlgorithmConfig, action_dimensions: int):
        """Resolve the clip range; `action_dimensions` is how many dimensions a log-prob is a mean
        over.
        """
        self.kl_coef = config.kl_coef
        self.clip_range: float | None = None
        self._guard = isinstance(config, GrpoConfig) and config.guard
        if isinstance(config, DdpoConfig | GrpoConfig | PpoConfig):
            nats = config.clip_nats and config.clip_nats / action_dimensions
            of_tokens = action_dimensions == 1
            usual = DEFAULT_CLIP_RANGE_OF_TOKENS if of_tokens else DEFAULT_CLIP_RANGE
            self.clip_range = nats or config.clip_range or usual
        elif isinstance(config, AwmConfig):
            self.clip_range = config.clip_range
        self._config = config
        self._statistics = advantages.PromptStatistics(config.buffer_size, config.min_count)

    @property
    def needs_reference(self) -> bool:
        """Whether actions are to be compared with the reference policy when they are trained."""
        return self._config.kl_coef > 0 and self._config.kl_in == "loss"

    @property
    def stop_kl(self) -> float | None:
        """How far from the policy that sampled an iteration's updates may go on."""
        return self._config.stop_kl

    def credit(
        self,
        prompts: Sequence[str],
        rewards: Float[Tensor, " b"],
        keep: Float[Tensor, " b"],
        chains: Chains | None = None,
    ) -> tuple[Credit, Float[Tensor, " b"]]:
        """What each action of an iteration is trained on, and the mask `[b]` of the samples that
        are worth an update.

        Args:
            prompts: of all processes' samples, in order.
            rewards: of these.
            keep: 1 where a sample could be scored.
            chains: what else credit is made of; None where rewards are all.
        """
        config = self._config
        if chains is None:
            advantages = self.advantages(prompts, rewards, keep)[:, None]
            return Credit(advantages), self.counted(rewards, keep)
        if chains.penalty is not None:
            rewards = rewards - chains.penalty
        if isinstance(config, PpoConfig):
            credit = critics_credit(
                rewards,
                keep,
                chains,
                kl_coef=self.kl_coef,
                gamma=config.gamma,
                lam=config.lam,
                whitened=config.whiten,
            )
            clipped = credit.advantages.clamp(-config.advantage_clip, config.advantage_clip)
            credit, counted = replace(credit, advantages=clipped), keep
        else:
            rewards = rewards + kl_rewards(chains, self.kl_coef).sum(1)
            credit = Credit(self.advantages(prompts, rewards, keep)[:, None])
            counted = self.counted(rewards, keep)
        if (kl := mean_kl(chains, keep)) is not None:
            credit = replace(credit, statistics={**credit.statistics, "policy/kl": kl})
        return credit, counted

    def advantages(
        self, prompts: Sequence[str], rewards: Float[Tensor, " b"], mask: Float[Tensor, " b"]
    ) -> Float[Tensor, " b"]:
        """One number per sample of the whole iteration, all processes' samples in order."""
        config = self._config
        if config.advantages == "batch":
            result = advantages.batch(rewards, mask)
        elif config.advantages == "per_prompt":
            result = self._statistics.advantages(prompts, rewards, mask)
        elif config.advantages == "group":
            result = advantages.group(
                rewards,
                mask,
                group_size=config.group_size,
                global_std=config.advantage_std == "batch",
            )
        else:
            result = advantages.leave_one_out(rewards, mask, group_size=config.group_size)
        result = result.clamp(-config.advantage_clip, config.advantage_clip)
        if isinstance(config, RwrConfig):
            return advantages.exponential_weights(result, mask, temperature=config.temperature)
        return result

    def counted(self, rewards: Float[Tensor, " b"], mask: Float[Tensor, " b"]) -> Tensor:
        """The mask `[b]` of the samples that are worth an update: where they are compared in
        groups, not those of a group without spread.
        """
        if not isinstance(self._config, GroupConfig):
            return mask
        return advantages.with_spread(rewards, mask, group_size=self._config.group_size)

    def losses(
        self,
        evaluation: Evaluation,
        old_log_probs: Float[Tensor, "b a"],
        advantage: objectives.Advantages,
        mask: Float[Tensor, "b a"],
        *,
        old_values: Float[Tensor, "b a"] | None = None,
        returns: Float[Tensor, "b a"] | None = None,
    ) -> ActionLosses:
        """The objective of some actions, and what is worth measuring about them.

        Args:
            evaluation: of these actions, under the policy as it is.
            old_log_probs: under the policy that sampled.
            advantage: of each sample, or of each action.
            mask: 1 where an action counts.
            old_values: of the critic, when sampling, where there is one.
            returns: what it should have said.
        """
        log_probs = evaluation.log_probs
        approx_kl = objectives.kl_k2(log_probs.detach(), old_log_probs) * mask
        statistics = {"policy/approx_kl": approx_kl}
        if self._guard:
            log_probs = _guarded(evaluation, old_log_probs, mask)
            old_log_probs = torch.zeros_like(log_probs)  # its ratio is exp of that alone
        if isinstance(self._config, NftConfig):
            loss = _nft(self._config, evaluation, advantage, mask)
        elif self.clip_range is None:
            loss = objectives.score_function(log_probs, advantage, mask)
        else:
            clip = {"clip_range": self.clip_range}
            loss = objectives.clipped_surrogate(log_probs, old_log_probs, advantage, mask, **clip)
            clipped = objectives.clip_fraction(log_probs.detach(), old_log_probs, mask, **clip)
            statistics["policy/clip_fraction"] = clipped
        if self._config.step_weights == "std":
            loss = loss * _step_scale(evaluation)
        critic = self._config.critic
        if critic is not None and evaluation.values is not None:
            assert old_values is not None
            assert returns is not None
            value_loss = objectives.value_loss(
                evaluation.values, old_values, returns, mask, clip_range=critic.clip_range
            )
            loss = loss + critic.coef * value_loss
            statistics["policy/value_loss"] = value_loss.detach()
        if evaluation.entropy is not None:
            statistics["policy/entropy"] = evaluation.entropy.detach() * mask
            loss = loss - self._config.entropy_coef * evaluation.entropy * mask
        if evaluation.kl is not None:
            loss = loss + self.kl_coef * evaluation.kl * mask
            statistics["policy/kl"] = evaluation.kl.detach() * mask
        return ActionLosses(loss, {**statistics, "loss": loss.detach()})

    def after_iteration(self, kl: float | None, samples: int) -> None:
        """Adapt the KL coefficient, if a target is set, to the iteration's mean KL."""
        config = self._config
        if config.kl_target is not None and kl is not None:
            self.kl_coef = objectives.adapted_kl_coef(
                self.kl_coef,
                kl,
                target=config.kl_target,
                samples=samples,
                horizon=config.kl_horizon,
            )

    def state_dict(self) -> dict[str, Any]:
        """KL coefficient and running statistics as plain JSON types."""
        return {"kl_coef": self.kl_coef, "prompt_statistics": self._statistics.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Replace them by a `state_dict`."""
        self.kl_coef = state["kl_coef"]
        self._statistics.load_state_dict(state["prompt_statistics"])


def _guarded(evaluation: Evaluation, old_log_probs: Tensor, mask: Tensor) -> Tensor:
    """GRPO-Guard's log-ratio `[b, a]`, 0 where masked."""
    shift, scale = evaluation.squared_mean_shift, _step_scale(evaluation)
    if shift is None:
        raise TypeError("algorithm.guard compares means of steps, and this policy records none")
    scale = torch.where(mask > 0, scale, 1.0)
    return mask * objectives.guarded_log_ratio(evaluation.log_probs, old_log_probs, shift, scale)


def _step_scale(evaluation: Evaluation) -> Tensor:
    """The std of each step, of a policy whose actions are steps."""
    if evaluation.step_scale is None:
        raise TypeError("the actions of this policy are no steps with noise of their own")
    return evaluation.step_scale


def _nft(config: NftConfig, evaluation: Evaluation, advantage: Tensor, mask: Tensor) -> Tensor:
    """DiffusionNFT's loss `[b, a]`, 0 where masked."""
    error, old_error = evaluation.velocity_error, evaluation.old_velocity_error
    if error is None or old_error is None or evaluation.step_scale is None:
        raise TypeError("DiffusionNFT compares velocities, and this policy records none")
    return objectives.diffusion_nft(
        error,
        old_error,
        evaluation.step_scale,
        advantage,
        mask,
        mixing=config.mixing,
        advantage_clip=config.advantage_clip,
    )


def on_policy_residual(evaluation: Evaluation, old_log_probs: Tensor, mask: Tensor) -> Tensor:
    """Largest |log-ratio| of the actions that count: 0 in exact arithmetic, before any update."""
    return torch.max((evaluation.log_probs.detach() - old_log_probs).abs() * mask)
