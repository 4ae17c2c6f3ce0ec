"""The option `differentiable` of rewards of images: whether gradients flow from number to image."""

from dataclasses import replace
from typing import Any

import torch

from rewards.definition import Definition
from rewards.errors import RewardError


def gradients_if(differentiable: bool) -> torch.set_grad_enabled:
    """A context that keeps a graph if `differentiable`, but never under a caller's `no_grad`."""
    return torch.set_grad_enabled(differentiable and torch.is_grad_enabled())


def refuse_offloaded_gradients(reward: str, *, differentiable: bool, offload: bool) -> None:
    """A backward pass needs the model where the forward pass had it.

    Raises:
        RewardError: both options are on.
    """
    if differentiable and offload:
        raise RewardError(
            f"reward '{reward}': differentiable=True needs offload=False, because the gradient "
            "passes through the network after the reward has returned"
        )


def declare_gradients(made: Any, definition: Definition) -> Definition:
    """A `refine` for rewards that let gradients flow only if asked to."""
    return replace(definition, differentiable=made.differentiable)
