"""The steps of a chain: what the network is told at each, and the Gaussian that follows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ddpo.diffusion.transitions import Gaussian, Latents

S = TypeVar("S", bound="Schedule")


@dataclass(frozen=True)
class Schedule(ABC):
    """T steps, each with a timestep and a transition.

    Attributes:
        timesteps: `[T]`, decreasing, as the network is told.
        eta: weight of the noise.
    """

    timesteps: Tensor
    eta: float

    def __len__(self) -> int:
        """T, the number of steps."""
        return len(self.timesteps)

    def on(self: S, device: torch.device) -> S:
        """The same steps with their numbers on a device, to be looked up there."""
        tensors = {name: v.to(device) for name, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **tensors)

    @abstractmethod
    def transition(
        self,
        latents: Latents,
        output: Latents,
        steps: Int[Tensor, " b"],
        noisy: Float[Tensor, " b"] | float = 1.0,
    ) -> Gaussian:
        """The Gaussian over next latents.

        Args:
            latents: before the step.
            output: the network's.
            steps: each row's own step index.
            noisy: 1 where the step has its noise, 0 where it is the plain solver's.
        """

    def mask(self) -> Float[Tensor, " t"]:
        """1 where the step can have noise: only there is it an action."""
        steps = torch.arange(len(self), device=self.timesteps.device)
        zeros = torch.zeros(len(self), 1, device=steps.device)
        return (self.transition(zeros, zeros, steps).std > 0).float()
