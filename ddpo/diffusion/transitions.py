"""One denoising step as a Gaussian policy: pure functions from (latents, model output, step) to
mean and std.

Symbols inside formulas: ᾱ is `alpha`, the cumulative product of the noise schedule at this
timestep, and ᾱ' the same at the next one; σ and σ' are flow-matching noise levels, from 1 (noise)
to 0 (data); x0 is the predicted clean latent. Everything is computed in fp32 (fp64 if given),
whatever dtype the network ran in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Prediction = Literal["epsilon", "v_prediction", "sample"]
Latents = Float[Tensor, "b *latent"]
PerRow = Float[Tensor, " b"]

LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class Gaussian:
    """A diagonal Gaussian over next latents: `mean [B, *latent]`, `std [B]`. A std of 0 is no
    action.
    """

    mean: Tensor
    std: Tensor

    def sample(self, noise: Latents) -> Latents:
        """`mean + std · noise`, for standard normal noise."""
        return self.mean + _per_row(self.std, self.mean) * noise.to(self.mean)

    def log_prob(self, latents: Latents) -> PerRow:
        """Log-density in nats, **mean** over latent dimensions; 0 where std is 0.

        The mean, not the sum: published clip ranges assume it.
        """
        std = torch.where(self.std > 0, self.std, 1.0)
        error = (latents.to(self.mean) - self.mean) / _per_row(std, self.mean)
        log_density = -0.5 * error.square().flatten(1).mean(1) - std.log() - LOG_SQRT_2PI
        return torch.where(self.std > 0, log_density, 0.0)

    def kl(self, other: Gaussian) -> PerRow:
        """Exact KL(self‖other) for equal std, `(μ − μ')² / 2σ²`: nats, mean over latent
        dimensions.
        """
        std = torch.where(self.std > 0, self.std, 1.0)
        error = (self.mean - other.mean) / _per_row(std, self.mean)
        return torch.where(self.std > 0, 0.5 * error.square().flatten(1).mean(1), 0.0)


def ddim(
    latents: Latents,
    model_output: Latents,
    alpha: PerRow,
    alpha_next: PerRow,
    *,
    eta: float | PerRow,
    prediction: Prediction,
) -> Gaussian:
    """DDIM with noise of weight `eta` in [0, 1] (Song et al. 2021, eq. 12 and 16).

    μ = √ᾱ'·x0 + √(1−ᾱ'−std²)·ε, std = eta·√((1−ᾱ')/(1−ᾱ) · (1−ᾱ/ᾱ')).
    """
    x, output, alpha, alpha_next = _at_least_fp32(latents, model_output, alpha, alpha_next)
    signal, noise = (_per_row(s, x) for s in (alpha.sqrt(), (1 - alpha).sqrt()))
    if prediction == "epsilon":
        x0, epsilon = (x - noise * output) / signal, output
    elif prediction == "v_prediction":
        x0, epsilon = signal * x - noise * output, signal * output + noise * x
    else:
        x0, epsilon = output, (x - signal * output) / noise
    variance = (1 - alpha_next) / (1 - alpha) * (1 - alpha / alpha_next)
    std = eta * variance.clamp(min=0).sqrt()
    direction = (1 - alpha_next - std.square()).clamp(min=0).sqrt()
    mean = _per_row(alpha_next.sqrt(), x) * x0 + _per_row(direction, x) * epsilon
    return Gaussian(mean, std)


def flow_sde(
    latents: Latents,
    velocity: Latents,
    sigma: PerRow,
    sigma_next: PerRow,
    *,
    sigma_after_first: float | Float[Tensor, ""],
    a: float | PerRow,
) -> Gaussian:
    """Flow-matching SDE of Flow-GRPO (Liu et al. 2025, eq. 9): v = ε − x0, dt = σ' − σ < 0.

    std_t = a·√(σ/(1−σ*)), where σ* is σ, or `sigma_after_first` at σ = 1; μ = x·(1 + std_t²/2σ·dt)
    + v·(1 + std_t²(1−σ)/2σ)·dt; the step's std is std_t·√−dt, and 0 at σ' = 0.
    """
    x, v, sigma, sigma_next = _at_least_fp32(latents, velocity, sigma, sigma_next)
    dt = sigma_next - sigma
    guarded = torch.where(sigma >= 1, sigma_after_first, sigma)
    diffusion = torch.where(sigma_next > 0, a * (sigma / (1 - guarded)).sqrt(), 0.0)
    drift = diffusion.square() / (2 * sigma)
    mean = x * _per_row(1 + drift * dt, x) + v * _per_row((1 + drift * (1 - sigma)) * dt, x)
    return Gaussian(mean, diffusion * (-dt).sqrt())


def cps(
    latents: Latents, velocity: Latents, sigma: PerRow, sigma_next: PerRow, *, a: float | PerRow
) -> Gaussian:
    """Coefficients-preserving sampling (Wang & Yu 2025): the noise level of x' is σ' exactly.

    std = σ'·sin(aπ/2); μ = x̂0·(1−σ') + x̂1·√(σ'² − std²), x̂0 = x − σv, x̂1 = x + (1−σ)v.
    """
    x, v, sigma, sigma_next = _at_least_fp32(latents, velocity, sigma, sigma_next)
    std = sigma_next * torch.sin(_weight(a, sigma) * math.pi / 2)
    clean = x - _per_row(sigma, x) * v
    noise = x + _per_row(1 - sigma, x) * v
    kept = (sigma_next.square() - std.square()).clamp(min=0).sqrt()
    return Gaussian(clean * _per_row(1 - sigma_next, x) + noise * _per_row(kept, x), std)


def dance_sde(
    latents: Latents, velocity: Latents, sigma: PerRow, sigma_next: PerRow, *, eta: float | PerRow
) -> Gaussian:
    """The SDE of DanceGRPO (Xue et al. 2025): score s = −(x − (1−σ)x̂0)/σ², dσ = σ' − σ.

    μ = x + v·dσ − ½eta²·s·dσ, std = eta·√(σ−σ'), and 0 at σ' = 0.
    """
    x, v, sigma, sigma_next = _at_least_fp32(latents, velocity, sigma, sigma_next)
    dt = sigma_next - sigma
    strength = torch.where(sigma_next > 0, _weight(eta, sigma), 0.0)
    clean = x - _per_row(sigma, x) * v
    score = -(x - _per_row(1 - sigma, x) * clean) / _per_row(sigma.square(), x)
    mean = x + _per_row(dt, x) * v - 0.5 * _per_row(strength.square() * dt, x) * score
    return Gaussian(mean, strength * (-dt).sqrt())


def _per_row(values: Tensor, like: Tensor) -> Tensor:
    """`[B]` reshaped to broadcast over `[B, *latent]`."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def _weight(value: float | Tensor, like: Tensor) -> Tensor:
    """A noise weight, one for all rows or one for each, in the precision of `like`."""
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)


def _at_least_fp32(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All in the widest dtype among them, and fp32 at least."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return tuple(tensor.to(dtype) for tensor in tensors)
