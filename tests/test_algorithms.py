"""A named algorithm: its advantages, the samples that it counts, and GRPO-Guard's ratio by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ddpo.algorithms import Algorithm
from ddpo.config.algorithms import DdpoConfig, DdpoSfConfig, GrpoConfig, RwrConfig
from ddpo.trajectory import Evaluation

PROMPTS = ["a", "a", "b", "b"]
REWARDS = torch.tensor([1.0, 3.0, 100.0, 300.0])
ONES = torch.ones(4)
CLIP = 1e-4
GUARDED = GrpoConfig(guard=True, group_size=2, clip_range=CLIP)

LOG_RATIO = 0.5 * 0.1 + 0.04 / 0.2
EVALUATION = Evaluation(
    log_probs=torch.tensor([[-1.0, 0.0]]),
    squared_mean_shift=torch.tensor([[0.04, 9.0]]),
    step_scale=torch.tensor([[0.1, 0.0]]),
)
"""An action, and a step without noise."""
OLD = torch.tensor([[-1.5, 0.0]])
MASK = torch.tensor([[1.0, 0.0]])


def advantage(value: float) -> Tensor:
    return torch.tensor([[value]])


def test_group_advantages_are_divided_by_the_spread_that_was_asked_for() -> None:
    own = Algorithm(GrpoConfig(group_size=2), 1).advantages(PROMPTS, REWARDS, ONES)
    half = math.sqrt(0.5)
    assert own.tolist() == pytest.approx([-half, half, -half, half], rel=1e-4)
    config = GrpoConfig(group_size=2, advantage_std="batch")
    own = Algorithm(config, 1).advantages(PROMPTS, REWARDS, ONES)
    std = math.sqrt((1 + 1 + 100**2 + 100**2) / 3)
    expected = [-1 / std, 1 / std, -100 / std, 100 / std]
    assert own.tolist() == pytest.approx(expected, rel=1e-4)


def test_advantages_are_clipped() -> None:
    config = GrpoConfig(group_size=2, advantages="leave_one_out", advantage_clip=5.0)
    own = Algorithm(config, 1).advantages(PROMPTS, REWARDS, ONES)
    assert own.tolist() == [-2, 2, -5, 5]


def test_grpo_counts_no_sample_of_a_group_without_spread() -> None:
    rewards, mask = torch.tensor([1.0, 1.0, 0.0, 2.0]), torch.ones(4)
    assert Algorithm(GrpoConfig(group_size=2), 1).counted(rewards, mask).tolist() == [0, 0, 1, 1]
    plain = DdpoConfig(group_size=2, advantages="group")
    assert Algorithm(plain, 1).counted(rewards, mask).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(("sign", "loss"), [(1.0, -(1 + CLIP)), (-1.0, math.exp(LOG_RATIO))])
def test_the_guarded_loss_by_hand(sign: float, loss: float) -> None:
    losses = Algorithm(GUARDED, 1).losses(EVALUATION, OLD, advantage(sign), MASK)
    assert losses.loss.tolist() == [pytest.approx([loss, 0], rel=1e-6)]
    assert losses.statistics["policy/clip_fraction"].tolist() == [[1, 0]]
    # the KL is that of the plain ratio
    approx_kl = losses.statistics["policy/approx_kl"].tolist()
    assert approx_kl == [pytest.approx([0.125, 0], rel=1e-6)]


def test_without_guard_the_ratio_is_the_plain_one() -> None:
    config = GrpoConfig(group_size=2, clip_range=CLIP)
    losses = Algorithm(config, 1).losses(EVALUATION, OLD, advantage(-1.0), MASK)
    assert losses.loss.tolist() == [pytest.approx([math.exp(0.5), 0], rel=1e-6)]


def test_the_guarded_ratio_is_1_on_policy_and_has_a_gradient() -> None:
    log_probs = OLD.clone().requires_grad_()
    shift = torch.zeros_like(OLD)
    evaluation = replace(EVALUATION, log_probs=log_probs, squared_mean_shift=shift)
    losses = Algorithm(GUARDED, 1).losses(evaluation, OLD, advantage(2.0), MASK)
    assert losses.loss.tolist() == [[-2, 0]]
    assert losses.statistics["policy/clip_fraction"].tolist() == [[0, 0]]
    losses.loss.sum().backward()
    assert log_probs.grad is not None
    assert log_probs.grad.tolist() == [pytest.approx([-2 * 0.1, 0], rel=1e-6)]


@pytest.mark.parametrize("kind", [DdpoConfig, DdpoSfConfig, RwrConfig])
def test_steps_weighted_by_their_std(kind: type) -> None:
    evaluation = Evaluation(
        log_probs=torch.zeros(1, 2), step_scale=torch.tensor([[0.25, 0.5]]), kl=torch.ones(1, 2)
    )
    asked = (evaluation, torch.zeros(1, 2), advantage(2.0), torch.ones(1, 2))
    equal = Algorithm(kind(kl_coef=3.0), 1).losses(*asked).loss - 3
    weighted = Algorithm(kind(kl_coef=3.0, step_weights="std"), 1).losses(*asked).loss - 3
    assert weighted.tolist() == [[equal[0, 0] * 0.25, equal[0, 1] * 0.5]]
    if kind is DdpoConfig:
        assert equal.tolist() == [[-2, -2]]


def test_actions_without_a_std_cannot_be_weighted_by_it() -> None:
    algorithm = Algorithm(DdpoConfig(step_weights="std"), 1)
    with pytest.raises(TypeError, match="the actions of this policy are no steps"):
        algorithm.losses(Evaluation(OLD), OLD, advantage(1.0), MASK)


def test_a_policy_that_records_no_means_cannot_be_guarded() -> None:
    evaluation = Evaluation(OLD, step_scale=torch.ones(1, 2))
    with pytest.raises(TypeError, match="compares means of steps, and this policy records none"):
        Algorithm(GUARDED, 1).losses(evaluation, OLD, advantage(1.0), MASK)
