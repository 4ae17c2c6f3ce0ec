"""The DDIM chain of a model with a discrete noise schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from diffusers import DDIMScheduler
from jaxtyping import Float, Int
from torch import Tensor

from ddpo.diffusion.schedule import Schedule
from ddpo.diffusion.transitions import Gaussian, Latents, Prediction, ddim
from ddpo.errors import UserError


@dataclass(frozen=True)
class DdimSchedule(Schedule):
    """The steps that `DDIMScheduler.step` would follow.

    Attributes:
        alpha: `[T]` fp32, ᾱ at each step.
        alpha_next: `[T]` fp32, ᾱ at the step after; the scheduler's `final_alpha_cumprod` after the
            last.
        prediction: what the network predicts.
    """

    alpha: Float[Tensor, " t"]
    alpha_next: Float[Tensor, " t"]
    prediction: Prediction

    @classmethod
    def from_scheduler(cls, scheduler: DDIMScheduler, num_steps: int, eta: float) -> DdimSchedule:
        """Read `num_steps` steps off a scheduler.

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
                f"num_steps: {num_steps} steps cannot be spaced over the {trained} "
                f"timesteps of this model; take a divisor of {trained}, such as 20, 25 or 50"
            )
        following = timesteps - trained // num_steps
        alphas, final = scheduler.alphas_cumprod, torch.as_tensor(scheduler.final_alpha_cumprod)
        alpha_next = torch.where(following >= 0, alphas[following.clamp(min=0)], final)
        prediction = cast(Prediction, scheduler.config["prediction_type"])
        return cls(timesteps, eta, alphas[timesteps], alpha_next, prediction)

    def transition(
        self,
        latents: Latents,
        output: Latents,
        steps: Int[Tensor, " b"],
        noisy: Float[Tensor, " b"] | float = 1.0,
    ) -> Gaussian:
        """See `Schedule`."""
        return ddim(
            latents,
            output,
            self.alpha[steps],
            self.alpha_next[steps],
            eta=self.eta * noisy,
            prediction=self.prediction,
        )
