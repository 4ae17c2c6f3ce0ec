"""AWM and DiffusionNFT from three means per action, against the formulas written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ddpo import objectives
from ddpo.algorithms import Algorithm
from ddpo.config.algorithms import AwmConfig, NftConfig
from ddpo.trajectory import Evaluation

SHAPE = (3, 2, 4, 5, 5)  # samples, levels, latents
LEVELS = torch.tensor([[1.0, 0.3], [0.9, 0.02], [0.5, 0.7]], dtype=torch.float64)
ADVANTAGES = torch.tensor([[1.5], [-5.0], [0.3]], dtype=torch.float64)
MASK = torch.tensor([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)


def f64(value: float) -> Tensor:
    return torch.tensor([[value]], dtype=torch.float64)


def means(values: Tensor) -> Tensor:
    """Mean of squares over latent dimensions."""
    return values.square().flatten(2).mean(2)


def velocities(shift: float = 0.5) -> tuple[Tensor, Tensor, Tensor]:
    """The policy's, that of the one that sampled, and the one to match."""
    generator = torch.Generator().manual_seed(0)
    old, target, noise = torch.randn(3, *SHAPE, generator=generator, dtype=torch.float64)
    return (old + shift * noise).requires_grad_(), old, target


def own_nft(velocity: Tensor, old: Tensor, target: Tensor, mixing: float) -> Tensor:
    return objectives.diffusion_nft(
        velocity - target,
        old - target,
        LEVELS,
        ADVANTAGES,
        MASK,
        mixing=mixing,
        advantage_clip=5.0,
    )


def published_nft(velocity: Tensor, old: Tensor, target: Tensor, mixing: float) -> Tensor:
    """Predictions of x0 by the implicit policies, each squared error over its mean absolute."""
    good = (ADVANTAGES.clamp(-5, 5) / 10 + 0.5).clamp(0, 1)
    sigma = LEVELS[..., None, None, None]
    x0 = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    noisy = (1 - sigma) * x0 + sigma * (target + x0)
    losses = []
    for implicit in (
        mixing * velocity + (1 - mixing) * old,
        (1 + mixing) * old - mixing * velocity,
    ):
        error = noisy - sigma * implicit - x0
        losses.append(means(error) / error.detach().abs().flatten(2).mean(2))
    return 5 / mixing * (good * losses[0] + (1 - good) * losses[1]) * MASK


@pytest.mark.parametrize("mixing", [1.0, 0.1, 2.0])
def test_nft_is_the_formula_written_out_and_so_is_its_gradient(mixing: float) -> None:
    velocity, old, target = velocities()
    own, published = (nft(velocity, old, target, mixing).sum() for nft in (own_nft, published_nft))
    torch.testing.assert_close(own, published, rtol=1e-10, atol=1e-10)
    gradients = [torch.autograd.grad(loss, velocity)[0] for loss in (own, published)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)
    assert gradients[0][1, 1].abs().max() == 0  # masked


@pytest.mark.parametrize(
    ("advantage", "good"), [(0.0, 0.5), (5.0, 1.0), (-5.0, 0.0), (2.5, 0.75), (9.0, 1.0)]
)
def test_nft_by_hand(advantage: float, good: float) -> None:
    # two dimensions: v − u = (-.5, 1), v_old − u = (-1, 0) and β = ½, so that
    # v⁺ − u = (-.75, .5) and v⁻ − u = (-1.25, -.5), σ = .4
    loss = objectives.diffusion_nft(
        torch.tensor([[[-0.5, 1.0]]], dtype=torch.float64),
        torch.tensor([[[-1.0, 0.0]]], dtype=torch.float64),
        f64(0.4),
        f64(advantage),
        f64(1.0),
        mixing=0.5,
        advantage_clip=5.0,
    )
    plus, minus = (0.5625 + 0.25) / (0.75 + 0.5), (1.5625 + 0.25) / (1.25 + 0.5)
    expected = 5 / 0.5 * 0.4 * (good * plus + (1 - good) * minus)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_a_perfect_match_has_no_gradient_that_is_not_finite() -> None:
    velocity = torch.ones(1, 1, 1, 1, 1, requires_grad=True)
    error, one = velocity - 1, torch.ones(1, 1)
    objectives.diffusion_nft(
        error, error.detach(), one, one, one, mixing=1.0, advantage_clip=5.0
    ).sum().backward()
    assert velocity.grad is not None
    assert velocity.grad.isfinite().all()


def test_on_policy_nft_is_awm_that_is_weighted_by_level() -> None:
    """At v = v_old its gradient is A·w·∇‖v − u‖², whatever β, with w = σ/mean|v − u|."""
    velocity, old, target = velocities(shift=0.0)
    error = velocity - target
    size = error.detach().abs().flatten(2).mean(2)
    weighted = ADVANTAGES * LEVELS / size * means(error) * MASK
    (awm,) = torch.autograd.grad(weighted.sum(), velocity, retain_graph=True)
    for mixing in (1.0, 0.1):
        (nft,) = torch.autograd.grad(own_nft(velocity, old, target, mixing).sum(), velocity)
        torch.testing.assert_close(nft, awm, rtol=1e-9, atol=1e-12)


def test_awm_is_the_advantage_times_the_error_where_its_ratio_is_1() -> None:
    velocity, _, target = velocities()
    log_probs = -means(velocity - target)
    algorithm = Algorithm(AwmConfig(), action_dimensions=1)
    evaluation = Evaluation(log_probs, kl=means(velocity))
    losses = algorithm.losses(evaluation, log_probs.detach(), ADVANTAGES, MASK)
    assert algorithm.kl_coef == 0
    (own,) = torch.autograd.grad(losses.loss.sum(), velocity, retain_graph=True)
    written = (ADVANTAGES * (velocity - target).square().flatten(2).mean(2) * MASK).sum()
    (expected,) = torch.autograd.grad(written, velocity)
    torch.testing.assert_close(own, expected, rtol=1e-10, atol=1e-14)


def test_awm_clips_its_ratio_by_hand() -> None:
    algorithm = Algorithm(AwmConfig(clip_range=0.5), action_dimensions=1)
    evaluation = Evaluation(f64(-0.2))  # the squared error was 1.2: the ratio is e
    (loss,) = algorithm.losses(evaluation, f64(-1.2), f64(2.0), f64(1.0)).loss.flatten()
    assert loss.item() == pytest.approx(-2 * 1.5, rel=1e-12)


def test_nft_adds_the_penalty_and_needs_velocities() -> None:
    algorithm = Algorithm(NftConfig(kl_coef=0.5), action_dimensions=1)
    old, one = f64(-1.0), f64(1.0)
    errors = {"velocity_error": one[..., None], "old_velocity_error": one[..., None]}
    evaluation = Evaluation(old, step_scale=one, kl=f64(3.0), **errors)
    (loss,) = algorithm.losses(evaluation, old, f64(0.0), one).loss.flatten()
    assert loss.item() == pytest.approx(5 * 1 + 0.5 * 3, rel=1e-12)
    with pytest.raises(TypeError, match="this policy records none"):
        algorithm.losses(Evaluation(old), old, f64(0.0), one)
