"""Advantages against values by hand and a plain loop; what is masked counts for nothing."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from ddpo import advantages
from ddpo.advantages import PromptStatistics

Baseline = Callable[[Tensor, Tensor], Tensor]

BASELINES: dict[str, Baseline] = {
    "batch": advantages.batch,
    "group": partial(advantages.group, group_size=6),
    "group, global std": partial(advantages.group, group_size=6, global_std=True),
    "leave one out": partial(advantages.leave_one_out, group_size=6),
    "warming up": lambda r, m: PromptStatistics().advantages(["p"] * len(r), r, m),
    "per prompt": lambda r, m: PromptStatistics(min_count=1).advantages(["p"] * len(r), r, m),
}
baselines = pytest.mark.parametrize("baseline", BASELINES.values(), ids=BASELINES)


def f64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def ones(count: int) -> Tensor:
    return torch.ones(count, dtype=torch.float64)


def test_a_batch_is_whitened_by_its_population_std() -> None:
    own = advantages.batch(f64(1, 2, 3), ones(3))
    assert own.tolist() == pytest.approx([-1.224745, 0, 1.224745], abs=2e-6)


def test_actions_are_whitened_by_their_sample_std() -> None:
    own = advantages.whiten(f64(1, 2, 3)[None], ones(3)[None])
    assert own.tolist() == [pytest.approx([-1, 0, 1], abs=2e-8)]


def test_a_group_has_the_check_values() -> None:
    own = advantages.group(f64(1, 0, 0, 1), ones(4), group_size=4)
    assert own.tolist() == pytest.approx([0.865875, -0.865875, -0.865875, 0.865875], abs=1e-6)


def test_groups_are_consecutive_and_apart() -> None:
    rewards = f64(1, 3, 100, 300)
    own = advantages.group(rewards, ones(4), group_size=2, eps=0.0)
    half = math.sqrt(0.5)
    assert own.tolist() == pytest.approx([-half, half, -half, half], rel=1e-12)


def test_a_global_std_does_not_magnify_a_group_of_little_spread() -> None:
    rewards = f64(1, 3, 100, 300)
    own = advantages.group(rewards, ones(4), group_size=2, global_std=True, eps=0.0)
    std = statistics.stdev([-1.0, 1.0, -100.0, 100.0])
    assert own.tolist() == pytest.approx([-1 / std, 1 / std, -100 / std, 100 / std], rel=1e-12)


def test_leave_one_out_has_the_check_values() -> None:
    own = advantages.leave_one_out(f64(1, 0, 0, 1), ones(4), group_size=4)
    assert own.tolist() == pytest.approx([2 / 3, -2 / 3, -2 / 3, 2 / 3], rel=1e-12)


@pytest.mark.parametrize("function", [advantages.group, advantages.leave_one_out])
def test_groups_must_divide_the_batch(function: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match="6 samples do not divide into groups of 4"):
        function(f64(1, 2, 3, 4, 5, 6), ones(6), group_size=4)


def test_running_statistics_warm_up_on_the_batch() -> None:
    own = PromptStatistics().advantages(list("abacba"), f64(1, 2, 3, 4, 5, 6), ones(6))
    half = [1.46384925, 0.87830955, 0.29276985]
    assert own.tolist() == pytest.approx([*(-a for a in half), *reversed(half)], abs=5e-9)


def test_running_statistics_have_the_check_values() -> None:
    running = PromptStatistics(min_count=2)
    own = running.advantages(list("abacba"), f64(1, 2, 3, 4, 5, 6), ones(6))
    expected = [-1.1355494, -0.99999933, -0.16222134, 0.29276985, 0.99999933, 1.29777074]
    assert own.tolist() == pytest.approx(expected, abs=5e-9)


def test_running_statistics_remember_earlier_iterations() -> None:
    running = PromptStatistics(min_count=3)
    running.advantages(["a", "a"], f64(1, 3), ones(2))
    own = running.advantages(["a", "b"], f64(8, 0), ones(2))
    std = statistics.pstdev([1, 3, 8])
    assert own.tolist() == pytest.approx([4 / (std + 1e-6), -4 / (4 + 1e-6)], rel=1e-12)


def test_running_statistics_forget_the_oldest() -> None:
    running = PromptStatistics(buffer_size=3, min_count=1)
    running.advantages(["a"] * 4, f64(1, 2, 3, 4), ones(4))
    assert running.state_dict() == {"a": [2, 3, 4]}
    own = running.advantages(["a"], f64(8), ones(1))
    assert own.item() == pytest.approx(3 / (statistics.pstdev([3, 4, 8]) + 1e-6), rel=1e-12)


def test_running_statistics_go_through_json_unchanged() -> None:
    rewards = torch.rand(12, generator=torch.Generator().manual_seed(0))
    prompts = ["a cat", "ein Hündchen", "猫"] * 4
    one = PromptStatistics(buffer_size=3, min_count=2)
    one.advantages(prompts, rewards, torch.ones(12))
    other = PromptStatistics(buffer_size=3, min_count=2)
    other.advantages(["forgotten"], torch.ones(1), torch.ones(1))
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert other.state_dict() == one.state_dict()
    following = (prompts, rewards.flip(0), torch.ones(12))
    assert torch.equal(other.advantages(*following), one.advantages(*following))
    assert other.state_dict() == one.state_dict()


def test_running_statistics_are_not_shared_with_their_state() -> None:
    running = PromptStatistics()
    running.advantages(["a"], f64(1), ones(1))
    state = running.state_dict()
    running.advantages(["a"], f64(2), ones(1))
    assert state == {"a": [1]}


def test_a_masked_reward_is_not_remembered() -> None:
    running = PromptStatistics(min_count=1)
    running.advantages(["a", "a", "b"], f64(1, math.nan, math.nan), f64(1, 0, 0))
    assert running.state_dict() == {"a": [1]}


@baselines
def test_integer_rewards_give_the_same(baseline: Baseline) -> None:
    whole = torch.tensor([1, 2, 4, 8, 9, 3, 3, 5, -7, 1, 0, 0])
    own = baseline(whole, torch.ones(12))
    assert own.dtype == torch.float32
    assert torch.equal(own, baseline(whole.float(), torch.ones(12)))
    assert (own != own.round()).any()


@baselines
def test_what_could_not_be_scored_is_ignored_and_gets_0(baseline: Baseline) -> None:
    mask = f64(1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1)
    rewards = f64(1, math.nan, 3, 4, 9, 7, math.inf, 5, 8, 2, 6, 10)
    own = baseline(rewards, mask)
    assert own.isfinite().all()
    assert own[mask == 0].tolist() == [0, 0]
    assert (own[mask > 0] != 0).all()
    assert torch.equal(own, baseline(torch.where(mask > 0, rewards, -1e9), mask))


@pytest.mark.parametrize(
    "baseline",
    [
        advantages.batch,
        partial(advantages.group, group_size=3),
        partial(advantages.leave_one_out, group_size=3),
    ],
)
def test_what_counts_gets_what_it_would_get_alone(baseline: Baseline) -> None:
    full = partial(baseline, group_size=4) if isinstance(baseline, partial) else baseline
    own = full(f64(1, math.nan, 3, 5), f64(1, 0, 1, 1))
    alone = baseline(f64(1, 3, 5), ones(3))
    torch.testing.assert_close(own[[0, 2, 3]], alone, rtol=1e-12, atol=1e-12)


@baselines
@pytest.mark.parametrize("reward", [0.0, 0.1, 15.3, -100.7])
def test_without_spread_there_is_no_advantage(baseline: Baseline, reward: float) -> None:
    own = baseline(torch.full((12,), reward), torch.ones(12))  # fp32, as rewards are
    assert own.abs().max().item() <= 1e-6 * abs(reward)


def test_one_sample_alone_in_its_group_has_no_advantage() -> None:
    rewards, mask = f64(3, 9, 9, 9), f64(1, 0, 0, 0)
    for function in (advantages.group, advantages.leave_one_out):
        assert function(rewards, mask, group_size=4).tolist() == [0, 0, 0, 0]


def test_exponential_weights_have_mean_1() -> None:
    own = advantages.exponential_weights(f64(-1, 0, 0.5, 2), ones(4), temperature=0.7)
    raw = [math.exp(a / 0.7) for a in (-1, 0, 0.5, 2)]
    assert own.tolist() == pytest.approx([w / statistics.mean(raw) for w in raw], rel=1e-12)
    assert own.mean().item() == pytest.approx(1, rel=1e-12)


def test_exponential_weights_ignore_what_is_masked() -> None:
    own = advantages.exponential_weights(f64(1, math.nan, 2), f64(1, 0, 1), temperature=1.0)
    mean = (1 + math.e) / 2
    assert own.tolist() == pytest.approx([1 / mean, 0, math.e / mean], rel=1e-12)


def test_exponential_weights_do_not_overflow() -> None:
    own = advantages.exponential_weights(f64(500, 500, 0), ones(3), temperature=0.1)
    assert own.tolist() == pytest.approx([1.5, 1.5, 0], abs=1e-12)


def test_gae_has_the_check_values() -> None:
    own, returns = advantages.gae(
        f64(0, 0, 1)[None], f64(0.5, 0.5, 0.5)[None], ones(3)[None], gamma=1.0, lam=0.95
    )
    assert own.tolist() == [pytest.approx([0.45125, 0.475, 0.5], rel=1e-12)]
    assert returns.tolist() == [pytest.approx([0.95125, 0.975, 1.0], rel=1e-12)]


def plain_gae(rewards: list[float], values: list[float], gamma: float, lam: float) -> list[float]:
    """Σ over l of (γλ)^l · δ of t + l, term by term."""
    following = [*values, 0.0][1:]
    deltas = [r + gamma * n - v for r, n, v in zip(rewards, following, values, strict=True)]
    return [
        sum((gamma * lam) ** (t - start) * deltas[t] for t in range(start, len(deltas)))
        for start in range(len(deltas))
    ]


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (0.99, 0.0), (0.9, 1.0)])
def test_gae_is_its_sum_over_chains_of_any_length(gamma: float, lam: float) -> None:
    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(2, 4, 6, generator=generator, dtype=torch.float64)
    lengths = [6, 1, 4, 0]
    mask = torch.stack([f64(*[1] * n, *[0] * (6 - n)) for n in lengths])
    own, returns = advantages.gae(rewards, values, mask, gamma=gamma, lam=lam)
    for row, length in enumerate(lengths):
        parts = rewards[row, :length].tolist(), values[row, :length].tolist()
        expected = [*plain_gae(*parts, gamma, lam), *[0] * (6 - length)]
        assert own[row].tolist() == pytest.approx(expected, rel=1e-12, abs=1e-12)
    torch.testing.assert_close(returns, (own + values) * mask, rtol=1e-12, atol=1e-12)


def test_whitening_ignores_what_is_masked() -> None:
    values, mask = f64(1, 2, 1e6, 3, -1e6)[None], f64(1, 1, 0, 1, 0)[None]
    assert advantages.whiten(values, mask).tolist() == [pytest.approx([-1, 0, 0, 1, 0], abs=2e-8)]


@pytest.mark.parametrize(
    ("rewards", "mask", "kept"),
    [
        ([1, 1, 1, 2, 3, 3], [1] * 6, [0, 0, 1, 1, 0, 0]),
        ([1, math.nan, 1, 2, math.inf, -3], [1, 0, 1, 1, 0, 1], [0, 0, 1, 1, 0, 0]),
        ([0.1, 0.1, 0.1, 0.1000001, 5, 6], [1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 0, 0]),
    ],
)
def test_groups_whose_rewards_are_the_same_do_not_count(
    rewards: list[float], mask: list[float], kept: list[float]
) -> None:
    assert advantages.with_spread(f64(*rewards), f64(*mask), group_size=2).tolist() == kept


def test_a_group_counts_without_those_of_it_that_could_not_be_scored() -> None:
    own = advantages.with_spread(f64(1, math.nan, 2, 7, 7, 9), f64(1, 0, 1, 1, 1, 0), group_size=3)
    assert own.tolist() == [1, 0, 1, 0, 0, 0]
