"""Objectives against values by hand, and against expectations summed over every action."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ddpo import objectives
from ddpo.algorithms import Algorithm
from ddpo.config.algorithms import DdpoConfig
from ddpo.diffusion.transitions import Gaussian

ONE = torch.ones(1, 1, dtype=torch.float64)
POLICY = torch.tensor([0.3, -1.0, 0.8, 0.1], dtype=torch.float64)  # logits over four actions
OTHER = torch.tensor([0.5, 0.2, -0.4, 0.0], dtype=torch.float64)
ADVANTAGES = torch.tensor([1.0, -0.5, 2.0, -1.5], dtype=torch.float64)


def f64(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


def surrogate(ratio: float, advantage: float, **options: float) -> float:
    loss = objectives.clipped_surrogate(
        f64(math.log(ratio)), f64(0.0), f64(advantage), ONE, **options
    )
    return loss.item()


@pytest.mark.parametrize(
    ("clip_range", "ratio", "advantage", "loss"),
    [
        (1e-4, 1.001, 1.0, -1.0001),
        (1e-4, 1.001, -1.0, 1.001),
        (1e-4, 0.999, -1.0, 0.9999),
        (1e-4, 0.999, 1.0, -0.999),
        (0.2, 1.5, 1.0, -1.2),
        (0.2, 1.5, -1.0, 1.5),
        (0.2, 0.5, -1.0, 0.8),
        (0.2, 1.0, 3.0, -3.0),
    ],
)
def test_clipped_surrogate_has_the_check_values(
    clip_range: float, ratio: float, advantage: float, loss: float
) -> None:
    assert surrogate(ratio, advantage, clip_range=clip_range) == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss"),
    [(5.0, -1.0, 3.0), (2.0, -1.0, 2.0), (5.0, 1.0, -1.2), (5.0, -2.0, 6.0)],
)
def test_dual_clip_bounds_the_loss_of_a_negative_advantage(
    ratio: float, advantage: float, loss: float
) -> None:
    own = surrogate(ratio, advantage, clip_range=0.2, dual_clip=3.0)
    assert own == pytest.approx(loss, rel=1e-12)


def test_advantages_are_clipped_before_the_surrogate() -> None:
    algorithm = Algorithm(DdpoConfig(advantages="leave_one_out", group_size=2), 16)
    advantages = algorithm.advantages(["p", "p"], torch.tensor([7.0, 0.0]), torch.ones(2))
    assert advantages.tolist() == [5, -5]
    assert surrogate(1.0, advantages[0].item(), clip_range=1e-4) == -5


@pytest.mark.parametrize(
    ("dimensions", "nats"), [(16_384, 1.6384), (65_536, 6.5536), (262_144, 26.2144)]
)
def test_a_clip_in_nats_is_divided_by_the_latent_dimensions(dimensions: int, nats: float) -> None:
    algorithm = Algorithm(DdpoConfig(clip_nats=nats), dimensions)
    assert algorithm.clip_range == pytest.approx(1e-4, rel=1e-12)


@pytest.mark.parametrize(
    ("ratio", "advantage", "gradient"),
    [(1.5, 1.0, 0.0), (1.5, -1.0, 1.5), (0.5, 1.0, -0.5), (0.5, -1.0, 0.0), (1.1, 1.0, -1.1)],
)
def test_only_what_is_clipped_has_no_gradient(
    ratio: float, advantage: float, gradient: float
) -> None:
    log_probs = f64(math.log(ratio)).requires_grad_()
    loss = objectives.clipped_surrogate(log_probs, f64(0.0), f64(advantage), ONE, clip_range=0.2)
    loss.sum().backward()
    assert log_probs.grad is not None
    assert log_probs.grad.item() == pytest.approx(gradient, rel=1e-12)


def test_on_policy_the_surrogate_has_the_gradient_of_the_score_function() -> None:
    advantages, mask = f64(1.0, -2.0, 0.5), f64(1.0, 1.0, 0.0)
    one, other = (f64(-0.3, -1.2, -2.0).requires_grad_() for _ in range(2))
    objectives.score_function(one, advantages, mask).sum().backward()
    objectives.clipped_surrogate(
        other, other.detach(), advantages, mask, clip_range=1e-4
    ).sum().backward()
    assert one.grad is not None
    assert one.grad.tolist() == [[-1, 2, 0]]
    assert torch.equal(one.grad, other.grad)


def test_score_function_by_hand() -> None:
    loss = objectives.score_function(f64(-0.5, -2.0), f64(2.0, -1.0), f64(1.0, 1.0))
    assert loss.tolist() == [[1, -2]]


def gradient_of_expectation(loss_of: Callable[[Tensor], Tensor], weights: Tensor) -> Tensor:
    """Σ over actions of weight × ∇loss, in logits."""
    logits = POLICY.clone().requires_grad_()
    (weights * loss_of(logits.log_softmax(0)[None])).sum().backward()
    assert logits.grad is not None
    return logits.grad


def gradient_of_expected_advantage() -> Tensor:
    logits = POLICY.clone().requires_grad_()
    (logits.softmax(0) * ADVANTAGES).sum().backward()
    assert logits.grad is not None
    return logits.grad


def test_score_function_is_unbiased() -> None:
    own = gradient_of_expectation(
        lambda log_probs: objectives.score_function(
            log_probs, ADVANTAGES[None], torch.ones_like(log_probs)
        ),
        POLICY.softmax(0),
    )
    torch.testing.assert_close(own, -gradient_of_expected_advantage(), rtol=1e-12, atol=1e-14)


def test_the_surrogate_is_unbiased_off_policy_where_nothing_is_clipped() -> None:
    own = gradient_of_expectation(
        lambda log_probs: objectives.clipped_surrogate(
            log_probs,
            OTHER.log_softmax(0)[None],
            ADVANTAGES[None],
            torch.ones_like(log_probs),
            clip_range=1e6,
        ),
        OTHER.softmax(0),
    )
    torch.testing.assert_close(own, -gradient_of_expected_advantage(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("difference", "clamped"), [(1000.0, 20.0), (-1000.0, -20.0), (3.0, 3.0)])
def test_log_ratios_are_clamped_to_20(difference: float, clamped: float) -> None:
    ratio = objectives.ratio(f64(difference), f64(0.0))
    assert ratio.item() == pytest.approx(math.exp(clamped), rel=1e-12)


def test_a_clip_fraction_counts_ratios_outside_on_both_sides() -> None:
    log_probs = f64(1.3, 0.7, 1.1, 1.0, 1.3).log()
    fraction = objectives.clip_fraction(
        log_probs, torch.zeros_like(log_probs), f64(1, 1, 1, 1, 0), clip_range=0.2
    )
    assert fraction.tolist() == [[1, 1, 0, 0, 0]]


@pytest.mark.parametrize("masked", [5.0, -1e9])
def test_masked_actions_have_no_loss_and_no_gradient(masked: float) -> None:
    mask = f64(1.0, 0.0)
    log_probs = f64(-1.0, masked).requires_grad_()
    old, advantages = f64(-1.1, 0.0), f64(2.0, 3.0)
    losses = [
        objectives.score_function(log_probs, advantages, mask),
        objectives.clipped_surrogate(
            log_probs, old, advantages, mask, clip_range=0.2, dual_clip=3.0
        ),
        objectives.value_loss(log_probs, old, advantages, mask, clip_range=0.2),
    ]
    for loss in losses:
        assert loss[0, 0].item() != 0
        assert loss[0, 1].item() == 0
    sum(loss.sum() for loss in losses).backward()  # pyright: ignore
    assert log_probs.grad is not None
    assert log_probs.grad[0, 0].item() != 0
    assert log_probs.grad[0, 1].item() == 0


@pytest.mark.parametrize(
    ("value", "old_value", "target", "loss"),
    [
        (1.0, 1.0, 3.0, 2.0),  # nothing moved: ½·2²
        (2.0, 1.0, 3.0, 0.5 * 1.8**2),  # clipped to 1.2: the larger error counts
        (0.0, 1.0, 3.0, 4.5),  # moved away: the value itself counts
        (1.1, 1.0, 3.0, 0.5 * 1.9**2),  # inside the range
    ],
)
def test_value_loss_by_hand(value: float, old_value: float, target: float, loss: float) -> None:
    own = objectives.value_loss(f64(value), f64(old_value), f64(target), ONE, clip_range=0.2)
    assert own.item() == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize(
    ("estimator", "value"),
    [
        (objectives.kl_k1, 0.5),
        (objectives.kl_k2, 0.125),
        (objectives.kl_k3, 0.10653065971263342),
    ],
)
def test_kl_estimators_have_the_check_values(
    estimator: Callable[[Tensor, Tensor], Tensor], value: float
) -> None:
    assert estimator(f64(-1.0), f64(-1.5)).item() == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("estimator", [objectives.kl_k1, objectives.kl_k3])
def test_k1_and_k3_are_unbiased(estimator: Callable[[Tensor, Tensor], Tensor]) -> None:
    log_probs, ref_log_probs = POLICY.log_softmax(0), OTHER.log_softmax(0)
    exact = (log_probs.exp() * (log_probs - ref_log_probs)).sum()
    mean = (log_probs.exp() * estimator(log_probs[None], ref_log_probs[None])).sum()
    torch.testing.assert_close(mean, exact, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("estimator", "gradient"),
    [
        (objectives.kl_k1, 1.0),
        (objectives.kl_k2, 0.5),
        (objectives.kl_k3, 1 - math.exp(-0.5)),
    ],
)
def test_kl_estimators_have_a_gradient(
    estimator: Callable[[Tensor, Tensor], Tensor], gradient: float
) -> None:
    log_probs = f64(-1.0).requires_grad_()
    estimator(log_probs, f64(-1.5)).sum().backward()
    assert log_probs.grad is not None
    assert log_probs.grad.item() == pytest.approx(gradient, rel=1e-12)


def test_the_guarded_ratio_is_1_when_nothing_changed() -> None:
    log_ratio = objectives.guarded_log_ratio(f64(-1.5), f64(-1.5), f64(0.0), f64(0.1))
    assert log_ratio.item() == 0


def test_the_guarded_log_ratio_by_hand() -> None:
    own = objectives.guarded_log_ratio(f64(-1.0), f64(-1.5), f64(0.04), f64(0.1))
    assert own.item() == pytest.approx(0.5 * 0.1 + 0.04 / 0.2, rel=1e-12)


def test_the_guarded_log_ratio_is_the_noise_along_the_shift() -> None:
    # its expectation is 0 and its scale the same at every step: mean(z · (μ − μ_old))
    generator = torch.Generator().manual_seed(0)
    old_mean, shift, z = torch.randn(3, 2, 50, generator=generator, dtype=torch.float64)
    std = torch.tensor([0.02, 3.0], dtype=torch.float64)
    old = Gaussian(old_mean, std)
    new, latents = Gaussian(old_mean + shift, std), old.sample(z)
    own = objectives.guarded_log_ratio(
        new.log_prob(latents)[:, None],
        old.log_prob(latents)[:, None],
        shift.square().mean(1)[:, None],
        std[:, None],
    )
    torch.testing.assert_close(own, (z * shift).mean(1)[:, None], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("kl", "expected"),
    [
        (9.0, 0.201024),  # half too much, which counts as a fifth
        (6.0, 0.2),
        (6.6, 0.2 * (1 + 0.1 * 256 / 10_000)),
        (0.0, 0.2 * (1 - 0.2 * 256 / 10_000)),
    ],
)
def test_the_kl_coefficient_adapts_to_the_check_values(kl: float, expected: float) -> None:
    own = objectives.adapted_kl_coef(0.2, kl, target=6.0, samples=256, horizon=10_000.0)
    assert own == pytest.approx(expected, rel=1e-12)
