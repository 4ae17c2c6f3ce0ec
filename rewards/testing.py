"""The conformance test that the author of a reward runs, in one line of a pytest file.

def test_redness_keeps_the_contract():
    check_reward("redness")
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rewards.errors import RewardError
from rewards.registry import attached, make
from rewards.scoring import Reward

PROMPTS = ("a red circle", "a blue square left of a green star", "", "été 猫 🐈", "a red circle")
TOLERANCE = 1e-5


@dataclass(frozen=True)
class _Case:
    """A reward, a batch to score, and the values that a first call gave."""

    reward: Reward
    samples: Any
    prompts: list[str]
    columns: Mapping[str, Sequence[Any]]
    values: Tensor

    def again(self, rows: Sequence[int]) -> Tensor:
        samples = self.samples
        return _score(
            self.reward,
            samples[list(rows)] if isinstance(samples, Tensor) else [samples[i] for i in rows],
            [self.prompts[i] for i in rows],
            {name: [values[i] for i in rows] for name, values in self.columns.items()},
        )


def check_reward(
    reward: str | Reward | Callable[..., Any],
    *,
    options: Mapping[str, Any] | None = None,
    samples: Any = None,
    prompts: Sequence[str] = PROMPTS,
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Verify that a reward keeps the contract and what it declares about itself.

    Checked: one finite number a sample, in the declared range; inputs left as they were; the same
    numbers in a second call, if declared deterministic; and, unless declared a group reward, the
    same number for a sample whatever else is in its batch, and in whatever order.

    Args:
        reward: a name, what `make` returned, or a decorated function or class.
        options: options to make it with.
        samples: images or texts, as many as prompts; small random ones by default.
        prompts: a prompt for each sample.
        columns: values for the columns that the reward declares.

    Raises:
        AssertionError: the message names the reward and what it broke.
    """
    made = _made(reward, options or {})
    if samples is None:
        samples = _images(len(prompts)) if made.definition.modality == "image" else list(prompts)
    columns = columns or {}
    given = copy.deepcopy((samples, dict(columns)))
    values = _score(made, samples, list(prompts), columns)
    case = _Case(made, samples, list(prompts), columns, values)
    _check_range(case)
    _check_inputs_untouched(case, given)
    if made.definition.deterministic:
        _check_same(
            case, range(len(prompts)), "is declared deterministic, but a second call differs"
        )
    if made.definition.deterministic and not made.definition.group:
        _check_same(case, range(len(prompts))[::-1], "depends on the order of the batch")
        for row in range(len(prompts)):
            _check_same(case, [row], "scores a sample alone otherwise than in a batch")


def _made(reward: str | Reward | Callable[..., Any], options: Mapping[str, Any]) -> Reward:
    if isinstance(reward, Reward):
        return reward
    found = None if isinstance(reward, str) else attached(reward)
    name = found.name if found else reward
    assert isinstance(name, str), f"{reward!r} is not a reward: decorate it with @reward(…)"
    return make(name, **options)


def _images(count: int) -> Tensor:
    """Random, black and white images of 64×64 pixels."""
    images = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    images[:1], images[1:2] = 0.0, 1.0
    return images


def _score(
    reward: Reward, samples: Any, prompts: list[str], columns: Mapping[str, Sequence[Any]]
) -> Tensor:
    try:
        return reward(samples, prompts, **columns).detach()
    except RewardError as error:
        raise AssertionError(f"contract of '{reward.name}': {error}") from error


def _check_range(case: _Case) -> None:
    low, high = case.reward.definition.range or (-math.inf, math.inf)
    outside = [
        value for value in case.values.tolist() if not low - TOLERANCE <= value <= high + TOLERANCE
    ]
    assert not outside, _broken(case, f"returned {outside[0]}, declared from {low} to {high}")


def _check_inputs_untouched(case: _Case, given: tuple[Any, dict[str, Any]]) -> None:
    samples, columns = given
    same = (
        torch.equal(case.samples, samples)
        if isinstance(samples, Tensor)
        else list(case.samples) == list(samples)
    )
    assert same, _broken(case, "changed the samples it was given")
    assert dict(case.columns) == columns, _broken(case, "changed the columns it was given")


def _check_same(case: _Case, rows: Sequence[int], complaint: str) -> None:
    before, after = case.values[list(rows)], case.again(rows)
    different = ~torch.isclose(before, after, rtol=TOLERANCE, atol=TOLERANCE)
    at = int(different.int().argmax())
    detail = f"prompt {case.prompts[rows[at]]!r}: {before[at].item()}, then {after[at].item()}"
    assert not different.any(), _broken(case, f"{complaint}: {detail}")


def _broken(case: _Case, what: str) -> str:
    return f"contract of '{case.reward.name}': it {what}"
