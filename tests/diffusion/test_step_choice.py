"""Which steps have noise and which are trained: by hand, in other iterations, after a resume."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ddpo.config.diffusion_policy import WindowConfig
from ddpo.diffusion.step_choice import StepChoice
from ddpo.errors import UserError

NOISY = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0])
"""Four of five steps can have noise: 0, 1, 3 and 4."""


def window(iteration: int, *, seed: int = 0, **options: Any) -> list[int]:
    """The steps of a window."""
    choice = StepChoice(WindowConfig(**options))
    return choice.noisy(NOISY, iteration=iteration, seed=seed).nonzero().flatten().tolist()


def trained(share: float, iteration: int, *, seed: int = 0, steps: int = 9) -> list[int]:
    """The trained steps of a chain of so many and one without noise."""
    noisy = torch.tensor([1.0] * steps + [0.0])
    chosen = StepChoice(trained_share=share).trained(noisy, iteration=iteration, seed=seed)
    return chosen.nonzero().flatten().tolist()


def test_without_a_window_all_steps_that_can_have_noise() -> None:
    assert torch.equal(StepChoice().noisy(NOISY, iteration=3, seed=1), NOISY)


def test_a_chain_without_noise_has_nothing_to_train() -> None:
    with pytest.raises(UserError, match=r"^policy.num_steps: with 2 no step .* take 2 or more"):
        StepChoice().noisy(torch.zeros(2), iteration=1, seed=0)


@pytest.mark.parametrize(("start", "steps"), [(0, [0, 1]), (1, [1, 3]), (2, [3, 4])])
def test_a_fixed_window_counts_among_the_steps_that_can_have_noise(
    start: int, steps: list[int]
) -> None:
    for iteration in (1, 2, 99):
        assert window(iteration, kind="fixed", size=2, start=start) == steps


@pytest.mark.parametrize(
    ("start", "stride", "places"),
    [(0, 1, [0, 0, 1, 1, 2, 2, 0]), (1, 1, [1, 1, 2, 2, 0, 0, 1]), (0, 2, [0, 0, 2, 2, 1, 1, 0])],
)
def test_a_sliding_window_moves_on_and_starts_over(
    start: int, stride: int, places: list[int]
) -> None:
    options = {"kind": "sliding", "size": 2, "start": start, "every": 2, "stride": stride}
    windows = [[0, 1], [1, 3], [3, 4]]
    assert [window(i, **options) for i in range(1, 8)] == [windows[place] for place in places]


def test_a_random_window_reaches_every_place_and_comes_back_after_a_resume() -> None:
    options = {"kind": "random", "size": 2}
    drawn = [window(i, **options) for i in range(1, 40)]
    assert {tuple(steps) for steps in drawn} == {(0, 1), (1, 3), (3, 4)}
    assert [window(i, **options) for i in range(1, 40)] == drawn
    assert [window(i, seed=1, **options) for i in range(1, 40)] != drawn


@pytest.mark.parametrize("kind", ["fixed", "sliding", "random"])
def test_a_window_of_all_steps_fits_and_a_larger_one_does_not(kind: str) -> None:
    assert window(7, kind=kind, size=4) == [0, 1, 3, 4]
    with pytest.raises(UserError, match=r"^policy.window: 5 steps from step 0 on .* the 4 steps"):
        window(7, kind=kind, size=5)


def test_a_window_that_begins_too_late_does_not_fit() -> None:
    with pytest.raises(UserError, match="2 steps from step 3 on do not fit"):
        window(1, kind="fixed", size=2, start=3)


@pytest.mark.parametrize(
    ("share", "count"), [(1.0, 9), (0.6, 5), (0.5, 4), (0.2, 2), (0.05, 1), (1e-9, 1)]
)
def test_a_share_of_the_steps_is_trained_and_at_least_one(share: float, count: int) -> None:
    for iteration in range(1, 9):
        steps = trained(share, iteration)
        assert len(steps) == count
        assert 9 not in steps


def test_other_steps_are_trained_in_other_iterations_and_the_same_after_a_resume() -> None:
    drawn = [trained(0.3, iteration) for iteration in range(1, 30)]
    assert {step for steps in drawn for step in steps} == set(range(9))
    assert len({tuple(steps) for steps in drawn}) > 10
    assert [trained(0.3, iteration) for iteration in range(1, 30)] == drawn
    assert [trained(0.3, iteration, seed=1) for iteration in range(1, 30)] != drawn
