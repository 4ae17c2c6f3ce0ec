"""The chain of a flow-matching model: noise levels from 1 to 0, and one of three SDEs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from diffusers import FlowMatchEulerDiscreteScheduler
from jaxtyping import Float, Int
from torch import Tensor

from ddpo.diffusion.schedule import Schedule
from ddpo.diffusion.transitions import Gaussian, Latents, cps, dance_sde, flow_sde
from ddpo.errors import UserError

FlowSampler = Literal["flow_sde", "cps", "dance_sde"]
FLOW_SAMPLERS: tuple[FlowSampler, ...] = get_args(FlowSampler)


@dataclass(frozen=True)
class FlowSchedule(Schedule):
    """The steps that `FlowMatchEulerDiscreteScheduler.step` would follow; with noise off it is that
    step.

    Attributes:
        sigma: `[T]` fp32, noise level at each step.
        sigma_next: `[T]` fp32, at the step after; 0 after the last.
        sampler: which SDE.
    """

    sigma: Float[Tensor, " t"]
    sigma_next: Float[Tensor, " t"]
    sampler: FlowSampler

    @classmethod
    def from_scheduler(
        cls,
        scheduler: FlowMatchEulerDiscreteScheduler,
        num_steps: int,
        eta: float,
        sampler: FlowSampler,
        *,
        tokens: int,
        sigmas: Sequence[float] | None = None,
    ) -> FlowSchedule:
        """Read `num_steps` steps off a scheduler.

        Args:
            scheduler: static shift, or one that depends on the resolution.
            num_steps: 1 to the scheduler's `num_train_timesteps`.
            eta: weight of the noise.
            sampler: which SDE.
            tokens: how many the transformer sees of an image, for a shift that depends on it.
            sigmas: noise levels before the shift, where the pipeline does not leave them to the
                scheduler.

        Raises:
            UserError: more steps than the scheduler tells apart.
        """
        trained = scheduler.config["num_train_timesteps"]
        if num_steps > trained:
            raise UserError(
                f"num_steps: {num_steps} is more than the {trained} timesteps of this model"
            )
        dynamic = scheduler.config["use_dynamic_shifting"]
        mu = resolution_shift(scheduler, tokens) if dynamic else None
        levels = None if sigmas is None else list(sigmas)
        scheduler.set_timesteps(num_steps, sigmas=levels, mu=mu)
        timesteps, noise = (cast(Tensor, t).cpu() for t in (scheduler.timesteps, scheduler.sigmas))
        return cls(timesteps, eta, noise[:-1], noise[1:], sampler)

    def transition(
        self,
        latents: Latents,
        output: Latents,
        steps: Int[Tensor, " b"],
        noisy: Float[Tensor, " b"] | float = 1.0,
    ) -> Gaussian:
        """See `Schedule`."""
        levels = (self.sigma[steps], self.sigma_next[steps])
        weight = self.eta * noisy
        if self.sampler == "cps":
            return cps(latents, output, *levels, a=weight)
        if self.sampler == "dance_sde":
            return dance_sde(latents, output, *levels, eta=weight)
        return flow_sde(latents, output, *levels, sigma_after_first=self.sigma_next[0], a=weight)


def resolution_shift(scheduler: FlowMatchEulerDiscreteScheduler, tokens: int) -> float:
    """Mu of Esser et al. 2024, as FLUX and SD3.5 interpolate it between two image sizes."""
    base, largest = (scheduler.config[f"{name}_image_seq_len"] for name in ("base", "max"))
    low, high = scheduler.config["base_shift"], scheduler.config["max_shift"]
    return low + (high - low) * (tokens - base) / (largest - base)
