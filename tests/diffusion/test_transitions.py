"""Transitions against check values, torch.distributions, diffusers' own steps, and each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from ddpo.diffusion.transitions import (
    Gaussian,
    Prediction,
    cps,
    dance_sde,
    ddim,
    flow_sde,
)

PREDICTIONS: list[Prediction] = ["epsilon", "v_prediction", "sample"]
FLOWS = [partial(flow_sde, sigma_after_first=0.9), cps]

# Stable Diffusion's ᾱ, by timestep
BETAS = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64).square()
ALPHAS = (1 - BETAS).cumprod(0)

# Flow-GRPO at a = .7: the step scales of diffusers' Euler schedule, shift 3, 10 steps
SDE_STDS = [0.7, 0.742964, 0.536152, 0.445897, 0.391794, 0.352797, 0.319070, 0.282007, 0.225360]
SDE_STD_AT_THE_END = 0.006278
CPS_STDS = [0.855481, 0.8138, 0.764209, 0.704223, 0.63019, 0.53652, 0.414208, 0.247743, 0.007955]


def f64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def scalar(value: float) -> Tensor:
    """A batch of one latent of one dimension."""
    return f64(value)[None]


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def euler_sigmas(steps: int = 10) -> tuple[Tensor, Tensor]:
    """σ and σ' of every step, as diffusers' flow-matching scheduler with shift 3 takes them."""
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(steps)
    sigmas = scheduler.sigmas.double()
    return sigmas[:-1], sigmas[1:]


def diagonal(std: Tensor, like: Tensor) -> Tensor:
    return std.reshape(-1, *[1] * (like.ndim - 1)).expand_as(like)


def ddim_scalar(timestep: int, next_timestep: int) -> Gaussian:
    return ddim(
        scalar(0.5),
        scalar(-0.3),
        ALPHAS[timestep].reshape(1),
        ALPHAS[next_timestep].reshape(1),
        eta=1.0,
        prediction="epsilon",
    )


@pytest.mark.parametrize(
    ("timestep", "next_timestep", "std", "mean", "after", "log_prob"),
    [
        (981, 961, 0.4544632724, 0.6313065837, 0.9494308743, -0.3753003558),
        (1, 0, 0.0206483202, 0.5064280615, 0.5208818856, 2.7161827776),
    ],
)
def test_ddim_has_the_check_values(
    timestep: int, next_timestep: int, std: float, mean: float, after: float, log_prob: float
) -> None:
    gaussian = ddim_scalar(timestep, next_timestep)
    drawn = gaussian.sample(scalar(0.7))
    assert gaussian.std.item() == pytest.approx(std, abs=1e-10)
    assert gaussian.mean.item() == pytest.approx(mean, abs=1e-10)
    assert drawn.item() == pytest.approx(after, abs=1e-10)
    assert gaussian.log_prob(drawn).item() == pytest.approx(log_prob, abs=5e-10)


def test_ddim_to_no_noise_is_the_predicted_clean_latent() -> None:
    alpha = ALPHAS[[981]]
    clean = ddim(scalar(0.5), scalar(-0.3), alpha, f64(1), eta=1.0, prediction="epsilon")
    assert clean.mean.item() == pytest.approx(10.5153552838, abs=1e-9)
    assert clean.std.item() == 0


def test_ddim_is_the_same_for_three_ways_to_say_the_same() -> None:
    alpha, after = f64(0.3, 0.6, 0.9), f64(0.5, 0.7, 0.99)
    x0, noise = normal(3, 2, 4, seed=1), normal(3, 2, 4, seed=2)
    signal, spread = (diagonal(level, x0) for level in (alpha.sqrt(), (1 - alpha).sqrt()))
    latents = signal * x0 + spread * noise
    said: dict[Prediction, Tensor] = {
        "epsilon": noise,
        "sample": x0,
        "v_prediction": signal * noise - spread * x0,
    }
    means = [
        ddim(latents, output, alpha, after, eta=0.6, prediction=prediction).mean
        for prediction, output in said.items()
    ]
    torch.testing.assert_close(means[1], means[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(means[2], means[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_ddim_arrives_at_the_noise_level_whatever_eta_is(eta: float) -> None:
    alpha, after = ALPHAS[[981, 501, 21]], ALPHAS[[961, 481, 1]]
    noise = torch.ones(3, 1, dtype=torch.float64)  # of a clean latent of 0
    gaussian = ddim(
        (1 - alpha).sqrt()[:, None] * noise, noise, alpha, after, eta=eta, prediction="epsilon"
    )
    variance = gaussian.mean[:, 0].square() + gaussian.std.square()
    torch.testing.assert_close(variance, 1 - after, rtol=1e-12, atol=1e-12)


def test_eta_is_the_weight_of_the_std() -> None:
    latents, alpha, after = normal(2, 3), ALPHAS[[981, 1]], ALPHAS[[961, 0]]
    full = ddim(latents, latents, alpha, after, eta=1.0, prediction="epsilon").std
    some = ddim(latents, latents, alpha, after, eta=0.25, prediction="epsilon").std
    torch.testing.assert_close(some, 0.25 * full, rtol=1e-14, atol=0)


def test_flow_sde_has_the_check_values() -> None:
    sigma, after = euler_sigmas()
    zeros = torch.zeros(10, 1, dtype=torch.float64)
    stds = flow_sde(zeros, zeros, sigma, after, sigma_after_first=sigma[1].item(), a=0.7).std
    assert stds[0].item() == pytest.approx(0.7, abs=1e-12)  # exactly a: sigma at 1 is guarded
    assert stds.tolist() == pytest.approx([*SDE_STDS, 0.0], abs=5e-7)
    nearly = after.clamp(min=1e-300)
    stds = flow_sde(zeros, zeros, sigma, nearly, sigma_after_first=sigma[1].item(), a=0.7).std
    assert stds[-1].item() == pytest.approx(SDE_STD_AT_THE_END, abs=5e-7)


def test_the_first_flow_sde_step_has_the_check_values() -> None:
    sigma, after = (level[:1] for level in euler_sigmas())
    first = flow_sde(scalar(0.5), scalar(-0.3), sigma, after, sigma_after_first=after.item(), a=0.7)
    drawn = first.sample(scalar(0.7))
    assert first.mean.item() == pytest.approx(0.3894612, abs=5e-8)
    assert drawn.item() == pytest.approx(0.8794612, abs=5e-8)
    assert first.log_prob(drawn).item() == pytest.approx(-0.8072636, abs=5e-8)


def test_cps_has_the_check_values() -> None:
    sigma, after = euler_sigmas()
    zeros = torch.zeros(10, 1, dtype=torch.float64)
    assert cps(zeros, zeros, sigma, after, a=0.7).std.tolist() == pytest.approx(
        [*CPS_STDS, 0.0], abs=5e-7
    )


@pytest.mark.parametrize("a", [0.0, 0.5, 0.7, 1.0])
def test_cps_arrives_at_the_noise_level_whatever_a_is(a: float) -> None:
    sigma, after = euler_sigmas()
    noise = torch.ones(10, 1, dtype=torch.float64)  # of a clean latent of 0: x = σ, v = 1
    step = cps(sigma[:, None] * noise, noise, sigma, after, a=a)
    variance = step.mean[:, 0].square() + step.std.square()
    torch.testing.assert_close(variance, after.square(), rtol=1e-12, atol=1e-14)


def test_dance_sde_by_hand() -> None:
    # clean .74, score −(.5 − .2·.74)/.64 = −.55, dσ = −.2
    step = dance_sde(scalar(0.5), scalar(-0.3), f64(0.8), f64(0.6), eta=0.3)
    assert step.mean.item() == pytest.approx(0.5 + 0.06 - 0.5 * 0.09 * 0.2 * 0.55, rel=1e-12)
    assert step.std.item() == pytest.approx(0.3 * math.sqrt(0.2), rel=1e-12)


def test_dance_sde_is_flow_sde_with_another_strength() -> None:
    sigma, after, eta = 0.8, 0.6, 0.3
    x, v = normal(1, 2, 3, seed=1), normal(1, 2, 3, seed=2)
    a = eta * math.sqrt((1 - sigma) / sigma)  # then std_t = eta
    one = dance_sde(x, v, f64(sigma), f64(after), eta=eta)
    other = flow_sde(x, v, f64(sigma), f64(after), sigma_after_first=0.9, a=a)
    torch.testing.assert_close(one.mean, other.mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(one.std, other.std, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 4, 10, 28])
@pytest.mark.parametrize(
    "transition",
    [
        partial(flow_sde, sigma_after_first=0.9, a=0.0),
        partial(cps, a=0.0),
        partial(dance_sde, eta=0.0),
    ],
    ids=["flow_sde", "cps", "dance_sde"],
)
def test_flows_without_noise_are_the_steps_of_diffusers(
    transition: Callable[..., Gaussian], steps: int
) -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(steps)
    latents, velocity = normal(2, 4, 3, 3, seed=1).float(), normal(2, 4, 3, 3, seed=2).float()
    for index, timestep in enumerate(scheduler.timesteps):
        sigma, after = (scheduler.sigmas[i].repeat(2) for i in (index, index + 1))
        own = transition(latents, velocity, sigma, after)
        theirs = scheduler.step(velocity, timestep, latents).prev_sample  # pyright: ignore
        torch.testing.assert_close(own.mean, theirs, rtol=1e-5, atol=2e-6)
        torch.testing.assert_close(own.std, torch.zeros(2), rtol=0, atol=0)
        latents, velocity = theirs, velocity.flip(0)


@pytest.mark.parametrize(
    "transition",
    [
        partial(flow_sde, sigma_after_first=0.9, a=0.7),
        partial(cps, a=0.7),
        partial(dance_sde, eta=0.3),
    ],
    ids=["flow_sde", "cps", "dance_sde"],
)
def test_the_last_step_of_a_flow_is_no_action(transition: Callable[..., Gaussian]) -> None:
    x, v = normal(2, 3, seed=1), normal(2, 3, seed=2).requires_grad_()
    last = transition(x, v, f64(0.1, 0.2), f64(0.0, 0.1))
    assert last.std[0].item() == 0
    assert last.std[1].item() > 0
    torch.testing.assert_close(last.mean[0], (x - 0.1 * v)[0], rtol=1e-12, atol=1e-12)
    log_prob = last.log_prob(x)
    log_prob.sum().backward()
    assert log_prob[0].item() == 0
    assert v.grad is not None
    assert v.grad.isfinite().all()


def test_a_log_prob_is_the_mean_over_latent_dimensions() -> None:
    mean, std, latents = normal(3, 2, 4, 4, seed=1), f64(0.2, 1.0, 3.0), normal(3, 2, 4, 4, seed=2)
    expected = Normal(mean, diagonal(std, mean)).log_prob(latents).flatten(1).mean(1)
    own = Gaussian(mean, std).log_prob(latents)
    torch.testing.assert_close(own, expected, rtol=1e-13, atol=1e-13)


def test_log_probs_on_policy_spread_as_they_should() -> None:
    rows, dimensions, std = 256, 4096, 0.3
    gaussian = Gaussian(normal(rows, dimensions, seed=1), torch.full((rows,), std).double())
    log_probs = gaussian.log_prob(gaussian.sample(normal(rows, dimensions, seed=2)))
    spread = math.sqrt(1 / (2 * dimensions))
    expected = -0.5 - math.log(std) - 0.9189385
    assert log_probs.mean().item() == pytest.approx(expected, abs=4 * spread / math.sqrt(rows))
    assert log_probs.std().item() == pytest.approx(spread, rel=0.15)


def test_kl_is_exact_between_gaussians_of_equal_std() -> None:
    mean, other, std = normal(3, 2, 4, seed=1), normal(3, 2, 4, seed=2), f64(0.2, 1.0, 3.0)
    wide = diagonal(std, mean)
    expected = kl_divergence(Normal(mean, wide), Normal(other, wide)).flatten(1).mean(1)
    own = Gaussian(mean, std).kl(Gaussian(other, std))
    torch.testing.assert_close(own, expected, rtol=1e-13, atol=1e-13)


def test_kl_is_of_the_mean_of_squares_and_not_of_the_squared_mean() -> None:
    one, other = Gaussian(f64(1.0, -1.0)[None], f64(2.0)), Gaussian(f64(0.0, 0.0)[None], f64(2.0))
    assert one.kl(other).item() == 1 / (2 * 2**2)  # the mean shift is 0


def test_kl_has_a_gradient() -> None:
    mean, other, std = normal(2, 5, seed=1).requires_grad_(), normal(2, 5, seed=2), f64(0.5, 2.0)
    Gaussian(mean, std).kl(Gaussian(other, std)).sum().backward()
    expected = (mean.detach() - other) / std.square()[:, None] / 5
    torch.testing.assert_close(mean.grad, expected, rtol=1e-13, atol=1e-13)


def test_without_noise_log_prob_and_kl_are_0_and_gradients_finite() -> None:
    mean = normal(2, 5).requires_grad_()
    gaussian = Gaussian(mean, f64(0.0, 0.5))
    log_probs, kl = (
        gaussian.log_prob(normal(2, 5, seed=3)),
        gaussian.kl(Gaussian(mean + 1, f64(0.0, 0.5))),
    )
    assert log_probs[0].item() == 0
    assert kl.tolist() == [0, 2]
    (log_probs.sum() + kl.sum()).backward()
    assert mean.grad is not None
    assert mean.grad.isfinite().all()
    assert mean.grad[0].tolist() == [0] * 5
    assert mean.grad[1].abs().min() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    "transition",
    [
        *(partial(ddim, eta=1.0, prediction=prediction) for prediction in PREDICTIONS),
        partial(flow_sde, sigma_after_first=0.9, a=0.7),
        partial(cps, a=0.7),
        partial(dance_sde, eta=0.3),
    ],
    ids=[*PREDICTIONS, "flow_sde", "cps", "dance_sde"],
)
def test_halves_are_computed_in_fp32(
    transition: Callable[..., Gaussian], dtype: torch.dtype
) -> None:
    latents, output = (normal(2, 3, 4, seed=seed, dtype=dtype) for seed in (1, 2))
    # ᾱ rises along a chain and σ falls
    rising = isinstance(transition, partial) and transition.func is ddim
    levels = (0.3, 0.5) if rising else (0.5, 0.3)
    now, after = (torch.full((2,), level, dtype=dtype) for level in levels)
    half = transition(latents, output, now, after)
    full = transition(latents.float(), output.float(), now.float(), after.float())
    assert half.mean.dtype == half.std.dtype == torch.float32
    assert torch.equal(half.mean, full.mean)
    assert torch.equal(half.std, full.std)
    assert half.log_prob(latents).dtype == torch.float32
    assert torch.equal(half.log_prob(latents), full.log_prob(latents.float()))
    assert half.sample(latents).dtype == torch.float32


def test_each_row_is_at_its_own_step() -> None:
    latents, output = normal(3, 2, 2, seed=1), normal(3, 2, 2, seed=2)
    alpha, after = ALPHAS[[981, 501, 1]], ALPHAS[[961, 481, 0]]
    together = ddim(latents, output, alpha, after, eta=1.0, prediction="epsilon")
    for row in range(3):
        one = slice(row, row + 1)
        alone = ddim(
            latents[one], output[one], alpha[one], after[one], eta=1.0, prediction="epsilon"
        )
        assert torch.equal(alone.mean, together.mean[one])
        assert torch.equal(alone.log_prob(latents[one]), together.log_prob(latents)[one])
