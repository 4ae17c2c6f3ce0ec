"""Whole flow-matching chains against diffusers' scheduler, and their published noise levels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from ddpo.diffusion.flow_schedule import FLOW_SAMPLERS, FlowSampler, FlowSchedule, resolution_shift
from ddpo.diffusion.transitions import Gaussian
from ddpo.errors import UserError
from tests.diffusion.test_transitions import CPS_STDS, SDE_STDS

SHIFTS: dict[str, dict[str, Any]] = {
    "sd3": {"shift": 3.0},
    "schnell": {"shift": 1.0},
    "dev": {"shift": 3.0, "use_dynamic_shifting": True},
    "linear": {"use_dynamic_shifting": True, "time_shift_type": "linear"},
}


def schedule_of(
    shift: str, steps: int, eta: float = 0.7, sampler: FlowSampler = "flow_sde"
) -> tuple[FlowSchedule, FlowMatchEulerDiscreteScheduler]:
    scheduler = FlowMatchEulerDiscreteScheduler(**SHIFTS[shift])
    return FlowSchedule.from_scheduler(scheduler, steps, eta, sampler, tokens=1024), scheduler


@pytest.mark.parametrize("sampler", FLOW_SAMPLERS)
@pytest.mark.parametrize("steps", [1, 4, 10, 28, 50])
@pytest.mark.parametrize("shift", SHIFTS)
def test_without_noise_each_step_is_the_scheduler_s(
    shift: str, steps: int, sampler: FlowSampler
) -> None:
    schedule, scheduler = schedule_of(shift, steps, eta=0.0, sampler=sampler)
    generator = torch.Generator().manual_seed(0)
    own = theirs = torch.randn(2, 4, 3, 3, generator=generator)
    for step, timestep in enumerate(scheduler.timesteps):
        velocity = torch.randn(2, 4, 3, 3, generator=generator)
        gaussian = schedule.transition(own, velocity, torch.full((2,), step))
        assert gaussian.std.tolist() == [0, 0]
        own = gaussian.mean
        theirs = scheduler.step(velocity, timestep, theirs, return_dict=False)[0]
        torch.testing.assert_close(own, theirs, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize(("sampler", "stds"), [("flow_sde", SDE_STDS), ("cps", CPS_STDS)])
def test_published_noise_levels(sampler: FlowSampler, stds: list[float]) -> None:
    schedule, _ = schedule_of("sd3", 10, sampler=sampler)
    zeros = torch.zeros(10, 1)
    measured = schedule.transition(zeros, zeros, torch.arange(10)).std.tolist()
    assert measured[:9] == pytest.approx(stds, abs=1e-6)
    assert measured[9] == 0
    assert schedule.mask().tolist() == [1] * 9 + [0]


def test_rows_have_their_own_noise() -> None:
    schedule, _ = schedule_of("sd3", 10)
    latents, velocity = torch.randn(3, 4), torch.randn(3, 4)
    steps = torch.tensor([1, 1, 4])
    mixed = schedule.transition(latents, velocity, steps, torch.tensor([1.0, 0.0, 1.0]))
    noisy = schedule.transition(latents, velocity, steps)
    plain, _ = schedule_of("sd3", 10, eta=0.0)
    assert mixed.std.tolist() == [noisy.std[0].item(), 0, noisy.std[2].item()]
    assert torch.equal(mixed.mean[1], plain.transition(latents, velocity, steps).mean[1])
    assert torch.equal(mixed.mean[::2], noisy.mean[::2])


@pytest.mark.parametrize("sampler", FLOW_SAMPLERS)
def test_the_score_function_has_the_slope_of_the_expected_reward(sampler: FlowSampler) -> None:
    """Of E[x²] after a chain with v = θx, whose variance is known: every step is linear in x."""
    schedule, _ = schedule_of("schnell", 5, sampler=sampler)
    noisy = torch.tensor([1.0, 1, 1, 0, 0])  # as in a window of three steps
    theta = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)

    def step(latents: Tensor, at: int) -> Gaussian:
        slope = theta if noisy[at] else theta.detach()
        steps = torch.full((len(latents),), at)
        return schedule.transition(latents, slope * latents, steps, noisy[steps])

    variance = torch.ones((), dtype=torch.float64)
    for at in range(5):
        gaussian = step(torch.ones(1, 1, dtype=torch.float64), at)
        variance = gaussian.mean[0, 0].square() * variance + gaussian.std[0].square()
    (expected,) = torch.autograd.grad(variance, theta)

    generator = torch.Generator().manual_seed(0)
    latents, log_probs = torch.randn(200_000, 1, generator=generator, dtype=torch.float64), 0
    for at in range(5):
        gaussian = step(latents, at)
        noise = torch.randn(latents.shape, generator=generator, dtype=torch.float64)
        latents = gaussian.sample(noise).detach()
        log_probs = log_probs + gaussian.log_prob(latents)
    reward = latents.square().flatten()
    assert isinstance(log_probs, Tensor)
    (measured,) = torch.autograd.grad(((reward - reward.mean()) * log_probs).mean(), theta)
    assert float(measured) == pytest.approx(float(expected), rel=0.05)
    assert abs(float(expected)) > 0.1


@pytest.mark.parametrize(("tokens", "mu"), [(256, 0.5), (4096, 1.15), (1024, 0.63), (2176, 0.825)])
def test_the_shift_grows_with_the_picture(tokens: int, mu: float) -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    assert resolution_shift(scheduler, tokens) == pytest.approx(mu, abs=1e-9)


def test_more_steps_than_timesteps_are_refused() -> None:
    with pytest.raises(UserError, match="1001 is more than the 1000 timesteps"):
        schedule_of("sd3", 1001)
