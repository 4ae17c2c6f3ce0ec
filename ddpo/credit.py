"""From the rewards of an iteration's samples to the advantage of each of their actions: pure, over
all processes' samples at once, on each process alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from ddpo import objectives
from ddpo.advantages import gae, whiten
from ddpo.trajectory import Trajectory


@dataclass(frozen=True)
class Chains:
    """What credit is made of, beside rewards.

    Attributes:
        mask: `[B, A]`, 1 where an action counts.
        log_probs: `[B, A]` under the policy that sampled.
        ref_log_probs: `[B, A]` under the reference policy, where it was asked.
        values: `[B, A]` of the critic, where there is one.
        penalty: `[B]`, what a sample loses of its reward; None for nothing.
    """

    mask: Float[Tensor, "b a"]
    log_probs: Float[Tensor, "b a"]
    ref_log_probs: Float[Tensor, "b a"] | None = None
    values: Float[Tensor, "b a"] | None = None
    penalty: Float[Tensor, " b"] | None = None

    @staticmethod
    def of(trajectory: Trajectory, everyones: Callable[[Tensor], Tensor]) -> Chains:
        """Those of a trajectory, each gathered by `everyones` from all processes."""
        found = {name: everyones(values).cpu() for name, values in trajectory.measured.items()}
        return Chains(
            everyones(trajectory.mask).cpu(), everyones(trajectory.log_probs).cpu(), **found
        )


@dataclass(frozen=True)
class Credit:
    """What each action is trained on.

    Attributes:
        advantages: `[B, A]`; one column for all actions of a sample is broadcast.
        returns: `[B, A]`, what the critic should have said; None without one.
        statistics: metrics of all of them.
    """

    advantages: objectives.Advantages
    returns: Float[Tensor, "b a"] | None = None
    statistics: dict[str, float | None] = field(default_factory=dict)

    def __getitem__(self, rows: slice | Tensor) -> Credit:
        """Of some samples."""
        returns = None if self.returns is None else self.returns[rows]
        return Credit(self.advantages[rows], returns, self.statistics)

    def on(self, device: torch.device, *, actions: int) -> Credit:
        """The same on a device, with an advantage for each of so many actions."""
        advantages = self.advantages.to(device).expand(-1, actions)
        return Credit(advantages, None if self.returns is None else self.returns.to(device))


def kl_rewards(chains: Chains, kl_coef: float) -> Float[Tensor, "b a"]:
    """−c·(log π − log π_ref) of each action that counts: the KL penalty as a part of the reward
    (Ziegler et al. 2019, section 2.2); k1, in nats per action.
    """
    if chains.ref_log_probs is None:
        return torch.zeros_like(chains.mask)
    return -kl_coef * objectives.kl_k1(chains.log_probs, chains.ref_log_probs) * chains.mask


def on_last_action(rewards: Float[Tensor, " b"], mask: Float[Tensor, "b a"]) -> Tensor:
    """`[B, A]`: each sample's reward at the last of its actions that count, 0 elsewhere."""
    places = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    last = (places * (mask > 0)).argmax(1)
    at = torch.zeros_like(mask).scatter(1, last[:, None], 1.0) * mask
    return rewards[:, None] * at


def critics_credit(
    rewards: Float[Tensor, " b"],
    keep: Float[Tensor, " b"],
    chains: Chains,
    *,
    kl_coef: float,
    gamma: float,
    lam: float,
    whitened: bool,
) -> Credit:
    """Generalised advantages against a critic's values (Schulman et al. 2016; PPO for text,
    Ziegler et al. 2019).

    Args:
        rewards: of the samples; ignored where not kept.
        keep: 1 where a sample counts.
        chains: of the samples, with values.
        kl_coef: of the penalty in the reward.
        gamma: discount of one action.
        lam: λ.
        whitened: give the advantages mean 0 and std 1 over the actions that count.
    """
    assert chains.values is not None
    mask = chains.mask * keep[:, None]
    known = torch.where(keep > 0, rewards, 0.0)
    each = kl_rewards(chains, kl_coef) + on_last_action(known, chains.mask)
    advantages, returns = gae(each * mask, chains.values * mask, mask, gamma=gamma, lam=lam)
    explained = objectives.explained_variance(chains.values, returns, mask)
    statistics = {"policy/explained_variance": float(explained) if explained.isfinite() else None}
    return Credit(whiten(advantages, mask) if whitened else advantages, returns, statistics)


def mean_kl(chains: Chains, keep: Float[Tensor, " b"]) -> float | None:
    """Mean of log π − log π_ref over the actions that count, in nats; None where not measured, and
    where none counts.
    """
    mask = chains.mask * keep[:, None]
    if chains.ref_log_probs is None or not mask.any():
        return None
    return float(
        (objectives.kl_k1(chains.log_probs, chains.ref_log_probs) * mask).sum() / mask.sum()
    )
