"""Credit for each action, by hand: where a reward and a penalty land, and what is left out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ddpo import objectives
from ddpo.algorithms import Algorithm
from ddpo.config.algorithms import CriticConfig, DdpoConfig, DdpoSfConfig, GrpoConfig, PpoConfig
from ddpo.credit import Chains, Credit, critics_credit, kl_rewards, mean_kl, on_last_action
from ddpo.trajectory import Evaluation

PROMPTS = ["a", "a", "b", "b"]
NAN = math.nan
GAE: dict[str, Any] = {"kl_coef": 0.0, "gamma": 1.0, "lam": 0.95, "whitened": False}


def near(rows: Any) -> Any:
    """These numbers, to fp32."""
    return [pytest.approx(row, abs=1e-6) for row in rows]


def chains(lengths: list[int], width: int, seed: int = 0, **parts: Tensor) -> Chains:
    """Chains of these lengths, whose numbers beyond their end are wild, as padding may be."""
    mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).float()
    generator = torch.Generator().manual_seed(seed)

    def numbers() -> Tensor:
        values = torch.randn(len(lengths), 9, generator=generator)[:, :width]
        return torch.where(mask > 0, values, 1e3)

    known = {name: numbers() for name in ("log_probs", "ref_log_probs", "values")}
    return Chains(mask, **(known | parts))


def test_a_reward_has_the_check_values() -> None:
    """GAE and returns of the reference, of a chain with two columns of padding."""
    values = torch.tensor([[0.5, 0.5, 0.5, 7.0, 7.0]])
    found = critics_credit(torch.ones(1), torch.ones(1), chains([3], 5, values=values), **GAE)
    assert found.advantages.tolist() == near([[0.45125, 0.475, 0.5, 0, 0]])
    assert found.returns is not None
    assert found.returns.tolist() == near([[0.95125, 0.975, 1, 0, 0]])


def test_rewards_are_for_the_last_action_that_counts() -> None:
    mask = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    found = on_last_action(torch.tensor([2.0, 3.0, 4.0, 5.0]), mask)
    assert found.tolist() == [[0, 0, 2], [3, 0, 0], [0, 4, 0], [0, 0, 0]]


def test_the_kl_penalty_is_a_reward_of_each_action() -> None:
    log_probs = torch.tensor([[-1.0, -2.0, 9.0]])
    ref = torch.tensor([[-1.5, -1.0, 0.0]])
    mask = torch.tensor([[1.0, 1.0, 0.0]])
    some = Chains(mask, log_probs, ref, values=torch.zeros(1, 3))
    assert kl_rewards(some, 0.1).tolist() == near([[-0.05, 0.1, 0]])
    options: Any = GAE | {"kl_coef": 0.1, "lam": 1.0}
    found = critics_credit(torch.tensor([2.0]), torch.ones(1), some, **options)
    assert found.advantages.tolist() == near([[2 + 0.1 - 0.05, 2 + 0.1, 0]])
    assert mean_kl(some, torch.ones(1)) == pytest.approx((0.5 - 1) / 2)
    unmeasured = replace(some, ref_log_probs=None)
    assert kl_rewards(unmeasured, 0.1).tolist() == [[0, 0, 0]]
    assert mean_kl(unmeasured, torch.ones(1)) is None


@pytest.mark.parametrize("whitened", [True, False])
def test_columns_of_padding_change_nothing(whitened: bool) -> None:
    rewards, keep = torch.tensor([1.0, -2.0, 0.5]), torch.ones(3)
    options = GAE | {"kl_coef": 0.3, "whitened": whitened}
    tight = critics_credit(rewards, keep, chains([4, 1, 3], 4), **options)
    wide = critics_credit(rewards, keep, chains([4, 1, 3], 9), **options)
    assert torch.equal(wide.advantages[:, 4:], torch.zeros(3, 5))
    torch.testing.assert_close(wide.advantages[:, :4], tight.advantages, atol=1e-6, rtol=0)
    assert wide.returns is not None
    assert tight.returns is not None
    torch.testing.assert_close(wide.returns[:, :4], tight.returns, atol=1e-6, rtol=0)
    explained = "policy/explained_variance"
    assert wide.statistics[explained] == pytest.approx(tight.statistics[explained], abs=1e-5)


def test_whitening_is_over_the_actions_that_count() -> None:
    """Not over padding, nor over samples that were dropped."""
    rewards = torch.tensor([1.0, NAN, 0.5, -3.0])
    keep = torch.tensor([1.0, 0.0, 1.0, 1.0])
    some = chains([4, 2, 3, 1], 6)
    whitened: Any = GAE | {"whitened": True}
    plain = critics_credit(rewards, keep, some, **GAE).advantages
    white = critics_credit(rewards, keep, some, **whitened).advantages
    counted = (some.mask * keep[:, None]) > 0
    values = plain[counted]
    expected = (values - values.mean()) / values.std()
    torch.testing.assert_close(white[counted], expected, atol=1e-5, rtol=0)
    assert (white[~counted] == 0).all()


@pytest.mark.parametrize("whitened", [True, False])
def test_a_dropped_sample_contributes_nothing(whitened: bool) -> None:
    options = GAE | {"kl_coef": 0.3, "whitened": whitened}
    keep = torch.tensor([1.0, 0.0, 1.0])
    some = chains([4, 3, 2], 4)
    found = critics_credit(torch.tensor([1.0, NAN, -1.0]), keep, some, **options)
    assert found.returns is not None
    assert found.advantages[1].tolist() == found.returns[1].tolist() == [0, 0, 0, 0]
    rows = torch.tensor([0, 2])
    ref = some.ref_log_probs
    assert ref is not None
    assert some.values is not None
    fewer = Chains(some.mask[rows], some.log_probs[rows], ref[rows], some.values[rows])
    alone = critics_credit(torch.tensor([1.0, -1.0]), torch.ones(2), fewer, **options)
    torch.testing.assert_close(found.advantages[rows], alone.advantages, atol=1e-6, rtol=0)
    assert alone.returns is not None
    torch.testing.assert_close(found.returns[rows], alone.returns, atol=1e-6, rtol=0)
    assert found.statistics == pytest.approx(alone.statistics, abs=1e-5)
    assert mean_kl(some, keep) == pytest.approx(mean_kl(fewer, torch.ones(2)), abs=1e-6)


@pytest.mark.parametrize("config", [PpoConfig(), DdpoConfig(kl_coef=0.1, kl_in="reward")])
def test_where_every_sample_was_dropped_nothing_is_made_up(config: Any) -> None:
    """As where a limit of 1 lets an iteration go by: numbers, all 0, and no figure of them."""
    some = chains([3, 2, 1, 3], 4)
    credit, counted = Algorithm(config, 1).credit(
        PROMPTS, torch.full((4,), NAN), torch.zeros(4), some
    )
    assert counted.tolist() == [0, 0, 0, 0]
    assert (credit.advantages == 0).all()
    assert set(credit.statistics.values()) <= {None}


@pytest.mark.parametrize(
    ("values", "explained"),
    [
        ([[1.0, 2.0, 3.0, 99.0]], 1.0),
        ([[2.0, 2.0, 2.0, 99.0]], 0.0),
        ([[6.0, 7.0, 8.0, 99.0]], 1.0),  # off by a constant
        ([[3.0, 2.0, 1.0, 99.0]], -3.0),
        ([[1.5, 2.0, 2.5, 99.0]], 0.75),
    ],
)
def test_explained_variance_by_hand(values: list[list[float]], explained: float) -> None:
    returns, mask = torch.tensor([[1.0, 2.0, 3.0, -5.0]]), torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    found = objectives.explained_variance(torch.tensor(values), returns, mask)
    assert float(found) == pytest.approx(explained, abs=1e-6)


def test_of_returns_that_are_all_the_same_no_variance_is_explained() -> None:
    ones = torch.ones(1, 3)
    assert objectives.explained_variance(ones, ones, ones).isnan()
    same = chains([2, 2], 2, values=torch.zeros(2, 2))
    options: Any = GAE | {"lam": 1.0}
    found = critics_credit(torch.ones(2), torch.ones(2), same, **options)
    assert found.statistics == {"policy/explained_variance": None}


def test_ppo_clips_advantages_after_whitening() -> None:
    config = PpoConfig(kl_coef=0.0, advantage_clip=0.5)
    some = chains([3, 3, 1, 2], 3)
    credit, counted = Algorithm(config, 1).credit(PROMPTS, torch.arange(4.0), torch.ones(4), some)
    assert counted.tolist() == [1, 1, 1, 1]
    options: Any = GAE | {"whitened": True}
    white = critics_credit(torch.arange(4.0), torch.ones(4), some, **options).advantages
    assert white.abs().max() > 0.5
    assert torch.equal(credit.advantages, white.clamp(-0.5, 0.5))


def test_without_a_critic_the_kl_penalty_of_a_sample_is_that_of_all_its_actions() -> None:
    some = chains([3, 2, 1, 3], 4)
    assert some.ref_log_probs is not None
    penalty = (0.5 * (some.log_probs - some.ref_log_probs) * some.mask).sum(1)
    rewards = torch.tensor([1.0, 3.0, 0.0, 5.0])
    for kind in (DdpoConfig, GrpoConfig):
        config: Any = kind(
            kl_coef=0.5, kl_in="reward", advantages="leave_one_out", group_size=2, advantage_clip=99
        )
        credit, _ = Algorithm(config, 1).credit(PROMPTS, rewards, torch.ones(4), some)
        left = rewards - penalty
        expected = (left - left[[1, 0, 3, 2]])[:, None]
        torch.testing.assert_close(credit.advantages, expected, atol=1e-5, rtol=0)
        assert credit.statistics == {"policy/kl": mean_kl(some, torch.ones(4))}


def test_equal_rewards_have_spread_where_their_penalties_differ() -> None:
    config = GrpoConfig(kl_coef=0.5, kl_in="reward", group_size=2)
    rewards = torch.ones(4)
    some = chains([3, 2, 1, 3], 4)
    assert Algorithm(config, 1).credit(PROMPTS, rewards, torch.ones(4), some)[1].sum() == 4
    assert Algorithm(config, 1).credit(PROMPTS, rewards, torch.ones(4))[1].sum() == 0


def test_a_penalty_is_taken_off_the_reward() -> None:
    penalty = torch.tensor([0.0, 2.0, 0.0, 0.0])
    rewards = torch.tensor([1.0, 3.0, 0.0, 5.0])
    group: Any = {"advantages": "leave_one_out", "group_size": 2, "advantage_clip": 99}
    some = replace(chains([1, 1, 1, 1], 1), ref_log_probs=None, values=None, penalty=penalty)
    credit, _ = Algorithm(GrpoConfig(**group), 1).credit(PROMPTS, rewards, torch.ones(4), some)
    assert credit.advantages.tolist() == [[0], [0], [-5], [5]]
    valued = replace(some, values=torch.zeros(4, 1))
    ppo = PpoConfig(whiten=False, kl_coef=0.0)
    credit, _ = Algorithm(ppo, 1).credit(PROMPTS, rewards, torch.ones(4), valued)
    assert credit.advantages.tolist() == [[1], [1], [0], [5]]


OLD = torch.tensor([[-1.0, -2.0, 0.0]])
MASK = torch.tensor([[1.0, 1.0, 0.0]])


def test_the_critics_loss_is_added_by_its_weight() -> None:
    """½·max((v−R)², (clip(v, v_old ± c)−R)²): at 1.0 from 0.5, clipped to 0.7; and at 2.0."""
    config = PpoConfig(critic=CriticConfig(coef=0.1, clip_range=0.2))
    evaluation = Evaluation(OLD, values=torch.tensor([[1.0, 2.0, 50.0]]))
    found = Algorithm(config, 1).losses(
        evaluation,
        OLD,
        torch.zeros(1, 3),
        MASK,
        old_values=torch.tensor([[0.5, 2.0, 0.0]]),
        returns=torch.tensor([[1.0, 5.0, 0.0]]),
    )
    expected = [0.5 * 0.3**2, 0.5 * 3.0**2, 0]
    assert found.statistics["policy/value_loss"].tolist() == near([expected])
    assert found.loss.tolist() == near([[0.1 * v for v in expected]])


def test_entropy_is_a_bonus() -> None:
    entropy = torch.tensor([[0.5, 1.0, 9.0]], requires_grad=True)
    evaluation = Evaluation(OLD, entropy=entropy)
    asked = (evaluation, OLD, torch.zeros(1, 3), MASK)
    found = Algorithm(DdpoSfConfig(entropy_coef=0.2), 1).losses(*asked)
    assert found.loss.tolist() == near([[-0.1, -0.2, 0]])
    assert found.statistics["policy/entropy"].tolist() == near([[0.5, 1, 0]])
    found.loss.sum().backward()
    assert entropy.grad is not None
    assert entropy.grad.tolist() == near([[-0.2, -0.2, 0]])
    assert Algorithm(DdpoSfConfig(), 1).losses(*asked).loss.tolist() == [[0, 0, 0]]


def test_clip_ranges_of_tokens_are_wider() -> None:
    for config, dimensions, expected in (
        (PpoConfig(), 1, 0.2),
        (DdpoConfig(), 1, 0.2),
        (GrpoConfig(), 1, 0.2),
        (DdpoConfig(), 64, 1e-4),
        (PpoConfig(clip_range=0.1), 1, 0.1),
        (PpoConfig(clip_nats=0.3), 1, 0.3),
    ):
        assert Algorithm(config, dimensions).clip_range == expected


def test_the_kl_coefficient_of_ppo_adapts_and_is_used_in_the_next_rewards() -> None:
    """The reference's check value: .2, KL 9 of 6, 256 of 10,000 samples."""
    config = PpoConfig(kl_coef=0.2, kl_target=6.0, whiten=False, lam=1.0, advantage_clip=99)
    algorithm = Algorithm(config, 1)
    ones = torch.ones(1, 1)
    some = Chains(ones, ones, ones - 9, values=torch.zeros(1, 1))
    before, _ = algorithm.credit(["a"], torch.zeros(1), torch.ones(1), some)
    assert before.statistics["policy/kl"] == 9
    algorithm.after_iteration(before.statistics["policy/kl"], samples=256)
    after, _ = algorithm.credit(["a"], torch.zeros(1), torch.ones(1), some)
    assert before.advantages.tolist() == near([[-1.8]])
    assert after.advantages.tolist() == near([[-9 * 0.201024]])
    again = Algorithm(config, 1)
    again.load_state_dict(algorithm.state_dict())
    assert again.kl_coef == pytest.approx(0.201024, abs=1e-9)


def test_credit_of_some_samples_and_on_all_their_actions() -> None:
    credit = Credit(torch.arange(4.0)[:, None], torch.arange(8.0).reshape(4, 2), {"x": 1.0})
    some = credit[1:3].on(torch.device("cpu"), actions=2)
    assert some.advantages.tolist() == [[1, 1], [2, 2]]
    assert some.returns is not None
    assert some.returns.tolist() == [[2, 3], [4, 5]]
    assert credit[torch.tensor([3])].statistics == {"x": 1.0}
