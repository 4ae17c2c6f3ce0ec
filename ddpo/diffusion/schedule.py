"""The steps of a chain: what the network is told at each, and the Gaussian that follows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ddpo.diffusion.transitions import Gaussian, Latents


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
        zeros = torch.zeros(len(self), 1)
        return (self.transition(zeros, zeros, torch.arange(len(self))).std > 0).float()
