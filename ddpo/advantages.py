"""Baselines and credit: pure functions from rewards to advantages. All arithmetic is floating
point.

Rewards are `[B]`, one per finished chain; `mask [B]` is 1 where a reward counts and 0 where it
could not be scored: what it holds there is ignored, and its advantage is 0. Each function says
which std it divides by.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

Rewards = Shaped[Tensor, " b"]
PerSample = Float[Tensor, " b"]
PerAction = Float[Tensor, "b a"]


def batch(rewards: Rewards, mask: PerSample, *, eps: float = 1e-6) -> PerSample:
    """(r − mean)/(std + eps) over the whole batch, population std."""
    return _standardised(rewards.double(), mask, eps).to(_floating(rewards))


def group(
    rewards: Rewards,
    mask: PerSample,
    *,
    group_size: int,
    global_std: bool = False,
    eps: float = 1e-4,
) -> PerSample:
    """(r − group mean)/(std + eps), sample std, of consecutive groups (GRPO, Shao et al. 2024,
    section 4.1.2).

    With `global_std` the divisor is the sample std of the whole batch of r − group mean, so that
    groups with little spread are not magnified. (Flow-GRPO's own code takes that of the plain
    rewards, which is larger where prompts differ.)

    Raises:
        ValueError: B is not a multiple of `group_size`.
    """
    values, valid = _grouped(rewards, group_size), _grouped(mask, group_size)
    centred = torch.where(valid > 0, values - _mean(values, valid), 0.0)
    everyone = centred.reshape(1, -1) if global_std else centred
    counts = valid.reshape(everyone.shape).sum(1, keepdim=True)
    std = (everyone.square().sum(1, keepdim=True) / (counts - 1).clamp(min=1)).sqrt()
    return (centred / (std + eps)).flatten().to(_floating(rewards))


def with_spread(rewards: Rewards, mask: PerSample, *, group_size: int) -> PerSample:
    """The mask without the groups whose rewards are all the same: they teach nothing (DAPO, Yu et
    al. 2025, section 3.2).

    Raises:
        ValueError: B is not a multiple of `group_size`.
    """
    values, valid = _grouped(rewards, group_size), _grouped(mask, group_size)
    highest = torch.where(valid > 0, values, -torch.inf).amax(1, keepdim=True)
    lowest = torch.where(valid > 0, values, torch.inf).amin(1, keepdim=True)
    return mask * (highest > lowest).expand_as(values).flatten()


def leave_one_out(rewards: Rewards, mask: PerSample, *, group_size: int) -> PerSample:
    """R minus the mean of the *other* samples of its group: unbiased (RLOO, Kool et al. 2019). Not
    standardised.

    Raises:
        ValueError: B is not a multiple of `group_size`.
    """
    values, valid = _grouped(rewards, group_size), _grouped(mask, group_size)
    values = torch.where(valid > 0, values, 0.0)
    others = valid.sum(1, keepdim=True) - valid
    baseline = (values.sum(1, keepdim=True) - values) / others.clamp(min=1)
    return ((values - baseline) * valid * (others > 0)).flatten().to(_floating(rewards))


def exponential_weights(advantages: PerSample, mask: PerSample, *, temperature: float) -> PerSample:
    """exp(A/temperature), scaled to mean 1 over what counts: reward-weighted regression (Peters &
    Schaal 2007, eq. 8).
    """
    logits = torch.where(mask > 0, advantages / temperature, -torch.inf)
    return torch.softmax(logits, 0) * mask.sum()


def gae(
    rewards: PerAction, values: PerAction, mask: PerAction, *, gamma: float, lam: float
) -> tuple[PerAction, PerAction]:
    """Generalised advantage estimation (Schulman et al. 2016, eq. 16); returns (advantages,
    returns).

    A_t = δ_t + γλ·A_{t+1}, δ_t = r_t + γ·V_{t+1} − V_t; masked actions, all at the end, have value
    0.
    """
    values = values * mask
    advantages = torch.zeros_like(values)
    running = torch.zeros_like(values[:, 0])
    after = torch.zeros_like(running)
    for t in reversed(range(values.shape[1])):
        delta = rewards[:, t] + gamma * after - values[:, t]
        running = (delta + gamma * lam * running) * mask[:, t]
        advantages[:, t] = running
        after = values[:, t]
    return advantages, (advantages + values) * mask


def whiten(values: PerAction, mask: PerAction, *, eps: float = 1e-8) -> PerAction:
    """(v − mean)/(sample std + eps) over the actions that count; 0 elsewhere."""
    count = mask.sum().clamp(min=1)
    centred = (values - (values * mask).sum() / count) * mask
    std = (centred.square().sum() / (count - 1).clamp(min=1)).sqrt()
    return centred / (std + eps)


@dataclass
class PromptStatistics:
    """Running reward statistics per prompt, as in DDPO (Black et al. 2024, section 5.2; population
    std + eps).

    A prompt with fewer than `min_count` rewards in its buffer is standardised by the current batch
    instead.

    Attributes:
        buffer_size: rewards remembered per prompt, the newest.
        min_count: rewards a prompt needs before its own statistics are used.
    """

    buffer_size: int = 32
    min_count: int = 16
    eps: float = 1e-6
    _buffers: dict[str, deque[float]] = field(
        default_factory=lambda: defaultdict(deque), init=False, repr=False
    )

    def advantages(self, prompts: Sequence[str], rewards: Rewards, mask: PerSample) -> PerSample:
        """Remember these rewards, then standardise each by its prompt."""
        values = rewards.double()
        for prompt, value, valid in zip(prompts, values.tolist(), mask.tolist(), strict=True):
            if valid:
                buffer = self._buffers[prompt]
                buffer.append(value)
                if len(buffer) > self.buffer_size:
                    buffer.popleft()
        result = _standardised(values, mask, self.eps)
        for row, prompt in enumerate(prompts):
            buffer = self._buffers.get(prompt, deque())
            if mask[row] > 0 and len(buffer) >= self.min_count:
                own = torch.tensor(list(buffer), dtype=values.dtype)
                result[row] = (values[row] - own.mean()) / (own.std(correction=0) + self.eps)
        return result.to(_floating(rewards))

    def state_dict(self) -> dict[str, list[float]]:
        """The buffers as plain lists, oldest first: exact in JSON."""
        return {prompt: list(buffer) for prompt, buffer in self._buffers.items()}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Replace the buffers by those of `state_dict`."""
        self._buffers.clear()
        self._buffers.update({prompt: deque(values) for prompt, values in state.items()})


def _floating(rewards: Tensor) -> torch.dtype:
    """The dtype of advantages: that of the rewards; fp32 for integers, which would truncate."""
    return rewards.dtype if rewards.is_floating_point() else torch.float32


def _grouped(values: Tensor, group_size: int) -> Tensor:
    """`[B]` as `[groups, group_size]`, fp64."""
    if values.shape[0] % group_size:
        raise ValueError(f"{values.shape[0]} samples do not divide into groups of {group_size}")
    return values.double().reshape(-1, group_size)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the last dimension of what counts, kept as a dimension of 1."""
    kept = torch.where(mask > 0, values, 0.0)
    return kept.sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)


def _standardised(values: Tensor, mask: Tensor, eps: float) -> Tensor:
    """(v − mean)/(population std + eps) of what counts; 0 elsewhere."""
    centred = torch.where(mask > 0, values - _mean(values, mask), 0.0)
    return centred / (_mean(centred.square(), mask).sqrt() + eps)
