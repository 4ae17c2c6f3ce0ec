"""All 81 completions of four tokens out of three: what an update's gradient is in expectation is
the gradient of the expected reward, exactly.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from ddpo.algorithms import Algorithm
from ddpo.config.algorithms import DdpoConfig, DdpoSfConfig, PpoConfig
from ddpo.credit import Chains
from ddpo.trajectory import Evaluation

TOKENS, LENGTH = 3, 4
COMPLETIONS = torch.tensor(list(product(range(TOKENS), repeat=LENGTH)))
ENDS = pytest.mark.parametrize("ends", [False, True], ids=["whole", "ending"])
"""Whether token 2 ends a completion: what comes after it then is padding."""

EXACT = 1e-9


class Tree:
    """A policy with free logits at every prefix, and some reward of every completion."""

    def __init__(self, ends: bool):
        """The same numbers every time."""
        generator = torch.Generator().manual_seed(0)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        self.logits = drawn(TOKENS**LENGTH, LENGTH, TOKENS).requires_grad_()
        self.ref_logits = drawn(TOKENS**LENGTH, LENGTH, TOKENS)
        self.of_prefix = drawn(TOKENS**LENGTH, LENGTH)  # any number of each
        alive = (COMPLETIONS == 2).cumsum(1) - (COMPLETIONS == 2).long() == 0
        self.mask = (alive if ends else torch.ones_like(alive)).double()
        rewards = drawn(TOKENS**LENGTH)
        self.rewards = rewards[self._first(LENGTH)]

    def _first(self, length: int) -> Tensor:
        """For each completion, the first one that begins with the same `length` tokens that count:
        where what both share is kept.
        """
        counted = torch.where(self.mask > 0, COMPLETIONS, 0)[:, :length]
        powers = TOKENS ** torch.arange(LENGTH - 1, LENGTH - 1 - length, -1)
        return (counted * powers).sum(1)

    def shared(self, numbers: Tensor) -> Tensor:
        """`[81, 4, …]` with one entry for each prefix."""
        return torch.stack([numbers[self._first(t), t] for t in range(LENGTH)], 1)

    def log_probs(self, logits: Tensor) -> Tensor:
        """Of the tokens of every completion, 0 where masked."""
        every = self.shared(logits).log_softmax(2)
        return every.gather(2, COMPLETIONS[:, :, None]).squeeze(2) * self.mask

    def probabilities(self) -> Tensor:
        """Of every completion. One that ended is there once for each way it could have gone on; of
        these the first counts.
        """
        once = self._first(LENGTH) == torch.arange(len(COMPLETIONS))
        return self.log_probs(self.logits).sum(1).exp() * once

    def gradient(self, expected: Tensor) -> Tensor:
        """With respect to all logits."""
        return torch.autograd.grad(expected, self.logits)[0]


def expected_loss(tree: Tree, config: Any, rewards: Tensor, values: Tensor | None) -> Tensor:
    """Of all completions as often as they come, each with the advantages that it would have."""
    log_probs = tree.log_probs(tree.logits)
    old, probability = log_probs.detach(), tree.probabilities().detach()
    assert float(probability.sum()) == pytest.approx(1, abs=1e-12)
    algorithm = Algorithm(config, 1)
    if values is None:
        advantages = rewards[:, None]
    else:
        ref = tree.log_probs(tree.ref_logits)
        chains = Chains(tree.mask, old, ref, values)
        keep = torch.ones(len(rewards), dtype=torch.float64)
        credit, _ = algorithm.credit([""] * len(rewards), rewards, keep, chains)
        advantages = credit.advantages
    losses = algorithm.losses(Evaluation(log_probs), old, advantages, tree.mask)
    return (losses.loss.sum(1) * probability).sum()


@ENDS
@pytest.mark.parametrize("config", [DdpoConfig(), DdpoConfig(clip_range=1e-4), DdpoSfConfig()])
@pytest.mark.parametrize("baseline", [0.0, 0.7, -5.0])
def test_rewards_over_a_constant_baseline(ends: bool, config: Any, baseline: float) -> None:
    tree = Tree(ends)
    exact = tree.gradient((tree.probabilities() * tree.rewards).sum())
    own = tree.gradient(expected_loss(tree, config, tree.rewards - baseline, None))
    assert exact.norm() > 0.1
    assert (own + exact).abs().max() < EXACT


@ENDS
@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_any_critic_leaves_the_gradient_what_it_is(ends: bool, scale: float) -> None:
    """Its values are of what was written before a token; γ = λ = 1."""
    config = PpoConfig(lam=1.0, whiten=False, kl_coef=0.0, advantage_clip=1e6)
    tree = Tree(ends)
    exact = tree.gradient((tree.probabilities() * tree.rewards).sum())
    values = scale * tree.shared(tree.of_prefix)
    own = tree.gradient(expected_loss(tree, config, tree.rewards, values))
    assert (own + exact).abs().max() < EXACT


@ENDS
def test_values_that_know_the_token_bias_it(ends: bool) -> None:
    """The test above can fail."""
    config = PpoConfig(lam=1.0, whiten=False, kl_coef=0.0, advantage_clip=1e6)
    tree = Tree(ends)
    exact = tree.gradient((tree.probabilities() * tree.rewards).sum())
    own = tree.gradient(expected_loss(tree, config, tree.rewards, tree.of_prefix))
    assert (own + exact).abs().max() > 1e-3


@ENDS
@pytest.mark.parametrize("scale", [0.0, 2.0])
def test_a_kl_penalty_in_the_reward_is_that_of_the_whole_completion(
    ends: bool, scale: float
) -> None:
    """The gradient of E[R] − c·KL(π‖π_ref), over whole completions."""
    config = PpoConfig(lam=1.0, whiten=False, kl_coef=0.3, advantage_clip=1e6)
    tree = Tree(ends)
    probabilities = tree.probabilities()
    far = (tree.log_probs(tree.logits) - tree.log_probs(tree.ref_logits)).sum(1)
    exact = tree.gradient((probabilities * (tree.rewards - 0.3 * far)).sum())
    values = scale * tree.shared(tree.of_prefix)
    own = tree.gradient(expected_loss(tree, config, tree.rewards, values))
    assert (own + exact).abs().max() < EXACT


@ENDS
def test_the_best_critic_leaves_the_first_token_its_share(ends: bool) -> None:
    """With λ = 0 and the true values an action has what it gained: unbiased as well."""
    config = PpoConfig(lam=0.0, whiten=False, kl_coef=0.0, advantage_clip=1e6)
    tree = Tree(ends)
    probabilities = tree.probabilities()
    weights, values = probabilities.detach(), torch.zeros(len(COMPLETIONS), LENGTH).double()
    for t in range(LENGTH):
        first = tree._first(t)
        total = torch.zeros(len(first)).double().index_add(0, first, weights * tree.rewards)
        mass = torch.zeros(len(first)).double().index_add(0, first, weights)
        values[:, t] = (total / mass.clamp(min=1e-300))[first]
    exact = tree.gradient((probabilities * tree.rewards).sum())
    own = tree.gradient(expected_loss(tree, config, tree.rewards, values))
    assert (own + exact).abs().max() < EXACT
