"""The conformance test: what it catches, and that every built-in reward passes."""

import math

import pytest
import torch

import rewards
from rewards import registry, reward
from rewards.testing import check_reward


@pytest.mark.parametrize("name", sorted(registry.BUILT_IN))
def test_every_built_in_reward_keeps_the_contract(name, tiny_clip):
    options = {"clip_alignment": {"model": str(tiny_clip)}}
    check_reward(name, options=options.get(name))


def mean(images):
    return images.mean(dim=(1, 2, 3))


def mutate(images, prompts):
    images.mul_(0.5)
    return mean(images)


BROKEN = {
    "wrong length": (lambda images, prompts: mean(images)[1:], r"shape \[4\] for 5 samples"),
    "raises": (lambda images, prompts: 1 / 0, "prompt 'a red circle': ZeroDivisionError"),
    "not finite": (lambda images, prompts: mean(images) / 0, "returned"),
    "out of range": (lambda images, prompts: mean(images) + 0.5, r"declared from 0\.0 to 1\.0"),
    "changes its input": (mutate, "changed the samples"),
    "random": (lambda images, prompts: torch.rand(len(prompts)), "declared deterministic"),
    "order": (lambda images, prompts: torch.linspace(0, 1, len(prompts)), "order of the batch"),
    "batch": (lambda images, prompts: mean(images) / (mean(images).max() + 0.1), "sample alone"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_each_broken_reward_is_caught(fault):
    function, complaint = BROKEN[fault]
    reward("broken", modality="image", range=(0.0, 1.0))(function)
    with pytest.raises(AssertionError, match=rf"contract of 'broken': .*{complaint}"):
        check_reward(function)


def test_what_is_declared_is_not_a_fault():
    noise = reward("noise", modality="image", deterministic=False)(
        lambda images, prompts: torch.rand(len(prompts))
    )
    check_reward(noise)
    ranks = reward("ranks", modality="text", group=True)(
        lambda texts, prompts: torch.tensor([float(len(t)) for t in texts]).argsort()
    )
    check_reward(ranks)


def test_columns_may_be_given_and_must_not_be_changed():
    def first(texts, prompts, tests):
        return [float(test.pop()) for test in tests]

    reward("first_test", modality="text", columns=("tests",))(first)
    with pytest.raises(AssertionError, match="needs the column 'tests'"):
        check_reward("first_test")
    with pytest.raises(AssertionError, match="changed the columns"):
        check_reward("first_test", columns={"tests": [[1, 2] for _ in range(5)]})


def test_only_rewards_are_checked():
    with pytest.raises(AssertionError, match="is not a reward: decorate it"):
        check_reward(math.sqrt)
    check_reward(rewards.make("jpeg_compressibility", quality=10))
