"""The conformance test of options, groups, columns, reasons and samples that are given."""

import math
from dataclasses import replace

import pytest
import torch

import rewards
from rewards import reward
from rewards.testing import Finding, check_reward, examine


class Brightness:
    """Gradients are an option here, and off unless it is given."""

    def __init__(self, differentiable: bool = False) -> None:
        self.differentiable = differentiable

    def __call__(self, images, prompts):
        with torch.set_grad_enabled(self.differentiable):
            return images.mean(dim=(1, 2, 3)) ** 2


def refined(made, definition):
    return replace(definition, differentiable=made.differentiable)


def test_gradients_that_are_an_option_are_switched_on():
    reward("brightness", modality="image", refine=refined)(Brightness)
    assert not rewards.make("brightness").definition.differentiable
    assert Finding("gradient", "ok") in examine("brightness")


def shortest_of_prompt(texts, prompts):
    return [
        float(len(text) == min(len(t) for t, p in zip(texts, prompts, strict=True) if p == prompt))
        for text, prompt in zip(texts, prompts, strict=True)
    ]


def shortest_of_batch(texts, prompts):
    return [float(len(text) == min(map(len, texts))) for text in texts]


def test_a_group_reward_depends_on_its_group_and_on_nothing_else():
    reward("shortest", modality="text", group=True)(shortest_of_prompt)
    check_reward("shortest")
    reward("broken", modality="text", group=True)(shortest_of_batch)
    with pytest.raises(
        AssertionError,
        match=r"^batch-split: row 2 .* got 1 in a batch of rows \[0, 2\] and 0 in .* \[0, 2, 4\]",
    ):
        check_reward("broken")


def first_test(texts, prompts, tests):
    return [float(test.pop()) for test in tests]


def test_columns_may_be_given_and_must_not_be_changed():
    reward("first_test", modality="text", columns=("tests",))(first_test)
    with pytest.raises(AssertionError, match=r"needs the column 'tests'.*give columns=.*--columns"):
        check_reward("first_test")
    with pytest.raises(AssertionError, match=r"^inputs: the column 'tests' .* changed in row 0"):
        check_reward("first_test", columns={"tests": [[1, 2] for _ in range(3)]})


def agrees(texts, prompts, reference):
    return [float(text == wanted) for text, wanted in zip(texts, reference, strict=True)]


def test_a_reference_is_made_up():
    reward("agrees", modality="text", columns=("reference",), range=(0.0, 1.0))(agrees)
    check_reward("agrees")


def test_only_rewards_are_checked():
    with pytest.raises(AssertionError, match="is not a reward: decorate it"):
        check_reward(math.sqrt)
    check_reward(rewards.make("jpeg_compressibility", quality=10))


def knows_circles(images, prompts):
    return [0.5 if "circle" in prompt else math.nan for prompt in prompts]


def test_samples_that_cannot_be_scored_are_replaced_by_some_that_can():
    reward("circles", modality="image")(knows_circles)
    with pytest.raises(AssertionError, match=r"^finite: row 1 .* got nan; if .* give the check"):
        check_reward("circles")
    check_reward("circles", prompts=["a circle", "two circles"])


def test_any_modality_is_examined_with_the_samples_given_or_images():
    seen = []

    def sees(samples, prompts):
        seen.append(type(samples))
        return [0.0] * len(samples)

    reward("sees", modality="any")(sees)
    examine("sees")
    assert set(seen) == {torch.Tensor}
    seen.clear()
    examine("sees", samples=["one", "two"])
    assert set(seen) == {list}
