"""The reward `shapes_accuracy`."""

import numpy as np
import pytest
import torch
from torch import Tensor

import rewards
from ddpo.worlds.shapes.evaluate import random_scenes
from ddpo.worlds.shapes.rewards import ShapesAccuracy
from ddpo.worlds.shapes.scenes import caption, render
from ddpo.worlds.shapes.stage import as_tensor
from rewards.testing import check_reward


@pytest.fixture(scope="module")
def captioned() -> tuple[Tensor, list[str]]:
    scenes = random_scenes(4, seed=8)
    return as_tensor(np.stack([render(s) for s in scenes])), [caption(s) for s in scenes]


def test_right_pictures_get_one_and_others_zero(captioned: tuple[Tensor, list[str]]):
    images, prompts = captioned
    assert ShapesAccuracy()(images, prompts).numbers.tolist() == [1.0] * 4
    blank = torch.zeros_like(images)
    assert ShapesAccuracy()(blank, prompts).numbers.tolist() == [0.0] * 4


def test_partial_gives_the_fraction_of_statements_that_hold():
    # A black picture satisfies one of four statements: the background.
    prompt = "a red circle on a black background"
    judged = ShapesAccuracy(partial=True)(torch.zeros(1, 3, 64, 64), [prompt])
    assert judged.numbers.item() == 0.25


def test_a_prompt_outside_the_grammar_is_nan_and_spoils_no_other(
    captioned: tuple[Tensor, list[str]],
):
    images, prompts = captioned
    judged = ShapesAccuracy()(images, [prompts[0], "a photo of a cat", *prompts[2:]])
    scores = judged.numbers
    assert list(judged.reasons) == [1]
    assert "the caption 'a photo of a cat' is not understood; one reads like" in judged.reasons[1]
    assert scores.isnan().tolist() == [False, True, False, False]
    assert scores[[0, 2, 3]].tolist() == [1.0] * 3


def test_the_registry_knows_it(captioned: tuple[Tensor, list[str]]):
    judge = rewards.make("shapes_accuracy")
    assert torch.as_tensor(judge(*captioned)).tolist() == [1.0] * 4


@pytest.mark.parametrize("size", [(1, 1), (64, 32), (512, 512)])
def test_a_picture_of_another_size_cannot_be_judged(size: tuple[int, int]):
    judged = rewards.make("shapes_accuracy").score(torch.zeros(1, 3, *size), ["a red circle"])
    (failure,) = judged.failures
    assert failure.reason == f"the picture is {size[1]}x{size[0]} pixels, not 64x64"


def test_it_keeps_the_contract(captioned: tuple[Tensor, list[str]]):
    images, prompts = captioned
    check_reward("shapes_accuracy", samples=images, prompts=prompts)
