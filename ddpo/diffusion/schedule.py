"""Which timesteps a DDIM chain visits, and how much signal is left at each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from diffusers import DDIMScheduler
from jaxtyping import Float, Int
from torch import Tensor

from ddpo.diffusion.transitions import Gaussian, Latents, Prediction, ddim
from ddpo.errors import UserError


@dataclass(frozen=True)
class DdimSchedule:
    """The T steps of a chain, read off a diffusers scheduler.

    Attributes:
        timesteps: `[T]`, decreasing, as the network is told.
        alpha: `[T]` fp32, ᾱ at each.
        alpha_next: `[T]` fp32, ᾱ at the step after; the scheduler's `final_alpha_cumprod` after the
            last.
        eta: weight of the noise, in [0, 1].
        prediction: what the network predicts.
    """

    timesteps: Int[Tensor, " t"]
    alpha: Float[Tensor, " t"]
    alpha_next: Float[Tensor, " t"]
    eta: float
    prediction: Prediction

    @classmethod
    def from_scheduler(cls, scheduler: DDIMScheduler, num_steps: int, eta: float) -> DdimSchedule:
        """The schedule that `scheduler.step` would follow over `num_steps` steps.

        Raises:
            UserError: the scheduler cannot space that many.
        """
        trained = scheduler.config["num_train_timesteps"]
        if num_steps <= trained:
            scheduler.set_timesteps(num_steps)
        timesteps = scheduler.timesteps.cpu()
        spaced = len(timesteps) == num_steps
        if not spaced or timesteps.min() < 0 or timesteps.max() >= trained:
            raise UserError(
                f"policy.num_steps: {num_steps} steps cannot be spaced over the {trained} "
                f"timesteps of this model; take a divisor of {trained}, such as 20, 25 or 50"
            )
        following = timesteps - trained // num_steps
        alphas, final = scheduler.alphas_cumprod, torch.as_tensor(scheduler.final_alpha_cumprod)
        alpha_next = torch.where(following >= 0, alphas[following.clamp(min=0)], final)
        prediction = cast(Prediction, scheduler.config["prediction_type"])
        return cls(timesteps, alphas[timesteps], alpha_next, eta, prediction)

    def __len__(self) -> int:
        """T, the number of steps."""
        return len(self.timesteps)

    def transition(
        self,
        latents: Latents,
        output: Latents,
        steps: Int[Tensor, " b"],
    ) -> Gaussian:
        """The Gaussian over next latents, each row at its own step index."""
        alpha, alpha_next = (a[steps].to(latents.device) for a in (self.alpha, self.alpha_next))
        return ddim(latents, output, alpha, alpha_next, eta=self.eta, prediction=self.prediction)

    def mask(self) -> Float[Tensor, " t"]:
        """1 where the step has noise: only there is it an action."""
        zeros = torch.zeros(len(self), 1)
        return (self.transition(zeros, zeros, torch.arange(len(self))).std > 0).float()
