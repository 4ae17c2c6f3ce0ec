"""The learning rate of every update, by hand and against diffusers' schedules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.optimization import get_scheduler

from ddpo.config.schema import TrainConfig
from ddpo.lr_schedules import build_schedule, share_of_peak


def shares(count: int, **settings: Any) -> list[float]:
    config = TrainConfig(**{"iterations": 4, "samples_per_iteration": 8, **settings})
    return [share_of_peak(config, update) for update in range(count)]


def test_warm_up_begins_above_zero_and_ends_at_the_peak() -> None:
    assert shares(4, warmup_updates=2) == pytest.approx([1 / 3, 2 / 3, 1, 1])
    assert shares(1, warmup_updates=0) == [1]


def test_it_falls_to_zero_at_the_end_of_the_run() -> None:
    assert shares(6, lr_schedule="linear") == pytest.approx([1, 0.75, 0.5, 0.25, 0, 0])
    assert shares(5, lr_schedule="cosine", warmup_updates=2) == pytest.approx(
        [1 / 3, 2 / 3, 1, 0.5, 0]
    )


def test_every_update_and_every_use_of_the_samples_counts() -> None:
    twice = shares(9, lr_schedule="linear", updates_per_iteration=2)
    assert twice == shares(9, lr_schedule="linear", sample_uses=2)
    assert twice[4] == 0.5
    assert twice[8] == 0


def test_a_run_that_is_warm_up_alone_is_one() -> None:
    assert shares(5, lr_schedule="cosine", warmup_updates=4) == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1]
    )


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_without_warm_up_it_is_that_of_diffusers(name: str) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = get_scheduler(name, optimizer, num_warmup_steps=0, num_training_steps=4).lr_lambdas[0]
    assert shares(5, lr_schedule=name) == pytest.approx([theirs(update) for update in range(5)])


def test_the_first_update_is_made_at_the_first_share() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.3)
    config = TrainConfig(iterations=4, samples_per_iteration=8, warmup_updates=2)
    schedule = build_schedule(config, optimizer)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1)
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.2)
