"""Whole DDIM chains against diffusers' scheduler, and which of their steps are actions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from ddpo.diffusion.ddim_schedule import DdimSchedule
from ddpo.errors import UserError

STABLE_DIFFUSION: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
ZERO_SNR: dict[str, Any] = {"timestep_spacing": "trailing", "rescale_betas_zero_snr": True}
SPACINGS: dict[str, dict[str, Any]] = {
    "leading": {"steps_offset": 0},
    "leading, offset 1": {},
    "leading, to one": {"set_alpha_to_one": True},
    "trailing": {"timestep_spacing": "trailing"},
    "trailing, to one": {"timestep_spacing": "trailing", "set_alpha_to_one": True},
    "linspace": {"timestep_spacing": "linspace", "steps_offset": 0},
    "zero terminal SNR": ZERO_SNR,
}
CHAINS = [
    (spacing, prediction)
    for spacing in SPACINGS
    for prediction in ("epsilon", "v_prediction", "sample")
    if not (spacing == "zero terminal SNR" and prediction == "epsilon")  # no signal to divide by
]


def scheduler_of(
    spacing: str, prediction: str = "epsilon", *, double: bool = True
) -> DDIMScheduler:
    options = {**STABLE_DIFFUSION, **SPACINGS[spacing], "prediction_type": prediction}
    scheduler = DDIMScheduler(**options)
    if double:
        scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
        scheduler.final_alpha_cumprod = scheduler.final_alpha_cumprod.double()
    return scheduler


def their_step(
    scheduler: DDIMScheduler,
    output: Tensor,
    timestep: Tensor,
    latents: Tensor,
    eta: float,
    z: Tensor,
) -> Tensor:
    noise = z if eta else None
    stepped: Any = scheduler.step(output, int(timestep), latents, eta=eta, variance_noise=noise)
    return stepped.prev_sample


def noise(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(("spacing", "prediction"), CHAINS)
@pytest.mark.parametrize("num_steps", [7, 20])
def test_every_step_is_that_of_diffusers(
    spacing: str, prediction: str, eta: float, num_steps: int
) -> None:
    scheduler = scheduler_of(spacing, prediction)
    schedule = DdimSchedule.from_scheduler(scheduler, num_steps, eta)
    assert len(schedule) == num_steps
    assert schedule.timesteps.tolist() == scheduler.timesteps.tolist()
    latents, output, z = (noise(num_steps, 2, 3, 3, seed=seed) for seed in (1, 2, 3))
    gaussian = schedule.transition(latents, output, torch.arange(num_steps))
    own = gaussian.sample(z)
    for step, timestep in enumerate(scheduler.timesteps):
        theirs = their_step(scheduler, output[step], timestep, latents[step], eta, z[step])
        torch.testing.assert_close(own[step], theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("spacing", "prediction", "eta"),
    [
        ("leading, offset 1", "epsilon", 0.0),
        ("leading, offset 1", "epsilon", 1.0),
        ("zero terminal SNR", "v_prediction", 0.0),  # diffusers' own is NaN at eta 1, in fp32
    ],
)
def test_a_chain_in_fp32_stays_with_that_of_diffusers(
    spacing: str, prediction: str, eta: float
) -> None:
    scheduler = scheduler_of(spacing, prediction, double=False)
    schedule = DdimSchedule.from_scheduler(scheduler, 50, eta)
    own = theirs = noise(1, 4, 4, 4, seed=0).float()
    for step, timestep in enumerate(scheduler.timesteps):
        output, z = (noise(1, 4, 4, 4, seed=seed).float() for seed in (1000 + step, 2000 + step))
        own = schedule.transition(own, output, torch.tensor([step])).sample(z)
        theirs = their_step(scheduler, output, timestep, theirs, eta, z)
    assert own.dtype == torch.float32
    torch.testing.assert_close(own, theirs, rtol=1e-4, atol=1e-4)


def test_stable_diffusion_has_the_check_values() -> None:
    schedule = DdimSchedule.from_scheduler(scheduler_of("leading, offset 1", double=False), 50, 1.0)
    assert schedule.timesteps[[0, 1, -1]].tolist() == [981, 961, 1]
    expected = [0.0057755001, 0.0072817271, 0.9982960278]
    assert schedule.alpha[[0, 1, -1]].tolist() == pytest.approx(expected, rel=1e-5)
    assert torch.equal(schedule.alpha_next[:-1], schedule.alpha[1:])
    zeros = torch.zeros(50, 1)
    stds = schedule.transition(zeros, zeros, torch.arange(50)).std
    assert stds[0].item() == pytest.approx(0.4544632724, rel=1e-5)
    assert stds[-1].item() == pytest.approx(0.0206483202, rel=1e-3)  # 1 − ᾱ in fp32


@pytest.mark.parametrize(
    ("spacing", "eta", "actions"),
    [
        ("leading, offset 1", 1.0, [1, 1, 1, 1, 1]),
        ("leading, to one", 1.0, [1, 1, 1, 1, 0]),
        ("trailing, to one", 1.0, [1, 1, 1, 1, 0]),
        ("zero terminal SNR", 1.0, [1, 1, 1, 1, 1]),
        ("leading, offset 1", 0.0, [0, 0, 0, 0, 0]),
    ],
)
def test_a_step_without_noise_is_no_action(spacing: str, eta: float, actions: list[int]) -> None:
    schedule = DdimSchedule.from_scheduler(scheduler_of(spacing, double=False), 5, eta)
    assert schedule.mask().tolist() == actions


def test_a_chain_that_starts_from_pure_noise_is_finite() -> None:
    scheduler = scheduler_of("zero terminal SNR", "v_prediction", double=False)
    schedule = DdimSchedule.from_scheduler(scheduler, 10, 1.0)
    assert schedule.alpha[0].item() == 0
    latents = noise(10, 6, seed=1).float().requires_grad_()
    gaussian = schedule.transition(latents, latents, torch.arange(10))
    log_probs = gaussian.log_prob(gaussian.sample(noise(10, 6, seed=2)))
    log_probs.sum().backward()
    assert log_probs.isfinite().all()
    assert latents.grad is not None
    assert latents.grad.isfinite().all()


@pytest.mark.parametrize("num_steps", [61, 1001])  # diffusers spaces 61 as 62, down to −1
def test_steps_that_the_scheduler_cannot_space_are_refused(num_steps: int) -> None:
    with pytest.raises(UserError, match=rf"^num_steps: {num_steps}"):
        DdimSchedule.from_scheduler(scheduler_of("trailing"), num_steps, 1.0)
