"""The batch arithmetic by hand, and as laws over many geometries."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from ddpo.batching import BatchPlan, heldout_batch, plan_batches
from ddpo.config.reading import decode_config
from ddpo.config.schema import Config
from ddpo.errors import UserError


def config(group_size: int = 1, **train: Any) -> Config:
    return decode_config(
        {
            "name": "a-run",
            "policy": {"kind": "diffusion", "model": "shapes"},
            "prompts": {"set": "shapes"},
            "rewards": {"jpeg_compressibility": 1},
            "algorithm": {"kind": "ddpo", "group_size": group_size},
            "train": {"iterations": 1, **train},
        }
    )


def test_a_geometry_by_hand() -> None:
    plan = plan_batches(
        config(8, samples_per_iteration=256, updates_per_iteration=4, micro_batch_size=12), 2
    )
    assert plan == BatchPlan(
        samples=256,
        group_size=8,
        updates=4,
        processes=2,
        sample_batch=32,
        micro_batch=12,
        actions_per_pass=1,
    )
    assert plan.prompts == 32
    assert plan.samples_per_process == 128
    assert plan.samples_per_update == 32
    assert plan.accumulation == 3  # 12 + 12 + 8
    assert [plan.rows_of(process) for process in range(2)] == [slice(0, 128), slice(128, 256)]


@pytest.mark.parametrize(
    ("train", "sample_batch", "micro_batch"),
    [
        ({"samples_per_iteration": 256}, 32, 24),
        ({"samples_per_iteration": 128}, 32, 22),  # 5 x 22 + 18
        ({"samples_per_iteration": 256, "actions_per_pass": 5}, 32, 4),
        ({"samples_per_iteration": 256, "actions_per_pass": 50}, 32, 1),
        ({"samples_per_iteration": 256, "updates_per_iteration": 16}, 32, 16),
        ({"samples_per_iteration": 26, "sample_batch_size": 10}, 10, 13),
        ({"samples_per_iteration": 24, "micro_batch_size": 100}, 24, 24),
    ],
)
def test_a_pass_is_no_larger_than_what_there_is(
    train: dict[str, int], sample_batch: int, micro_batch: int
) -> None:
    plan = plan_batches(config(**train), 1)
    assert (plan.sample_batch, plan.micro_batch) == (sample_batch, micro_batch)


@pytest.mark.parametrize(
    ("guidance_scale", "train", "samples", "actions"),
    [
        (3.0, {"samples_per_iteration": 72}, 24, 1),  # two rows each: 48 rows
        (1.0, {"samples_per_iteration": 64}, 32, 1),
        (1.0, {"samples_per_iteration": 96}, 48, 1),
        (1.0, {"samples_per_iteration": 8}, 8, 6),
        (3.0, {"samples_per_iteration": 3}, 3, 8),
        (1.0, {"samples_per_iteration": 2}, 2, 10),  # as many as the chain has
        (1.0, {"samples_per_iteration": 8, "micro_batch_size": 2}, 2, 1),  # as was asked for
        (1.0, {"samples_per_iteration": 8, "actions_per_pass": 2}, 8, 2),
    ],
)
def test_a_training_pass_has_48_rows_at_most_if_nobody_says_otherwise(
    guidance_scale: float, train: dict[str, int], samples: int, actions: int
) -> None:
    asked = config(**train)
    policy = replace(asked.policy, guidance_scale=guidance_scale, num_steps=10)
    plan = plan_batches(replace(asked, policy=policy), 1)
    assert (plan.micro_batch, plan.actions_per_pass) == (samples, actions)


@pytest.mark.parametrize(
    ("trained", "heldout", "asked", "batch", "of_heldout"),
    [
        (3.0, None, None, 32, 32),  # 64 rows
        (1.0, None, None, 64, 64),
        (1.0, 3.0, None, 64, 32),  # as many rows
        (3.0, 1.0, None, 32, 32),  # no more samples
        (1.0, 3.0, 7, 7, 3),
        (1.0, 3.0, 1, 1, 1),
        (3.0, 3.0, 7, 7, 7),
    ],
)
def test_a_sampling_pass_has_64_rows_if_nobody_says_otherwise(
    trained: float, heldout: float | None, asked: int | None, batch: int, of_heldout: int
) -> None:
    plain = config(samples_per_iteration=256, sample_batch_size=asked)
    policy = replace(plain.policy, guidance_scale=trained)
    evaluation = replace(plain.evaluation, guidance_scale=heldout)
    chosen = replace(plain, policy=policy, evaluation=evaluation)
    plan = plan_batches(chosen, 1)
    assert (plan.sample_batch, heldout_batch(chosen, plan)) == (batch, of_heldout)


GEOMETRIES = list(itertools.product([1, 7, 24, 60, 64], [1, 3, 8], [1, 2, 5], [1, 2, 3]))


def test_every_geometry_is_exact_or_refused() -> None:
    exact = 0
    for samples, group_size, updates, processes in GEOMETRIES:
        asked = config(group_size, samples_per_iteration=samples, updates_per_iteration=updates)
        try:
            plan = plan_batches(asked, processes)
        except UserError:
            assert samples % group_size or samples % (processes * updates)
            continue
        exact += 1
        assert plan.prompts * group_size == samples
        assert plan.samples_per_update * updates * processes == samples
        assert (plan.accumulation - 1) * plan.micro_batch < plan.samples_per_update
        assert plan.accumulation * plan.micro_batch >= plan.samples_per_update
        rows = [row for p in range(processes) for row in range(samples)[plan.rows_of(p)]]
        assert rows == list(range(samples))
    assert 0 < exact < len(GEOMETRIES)


@pytest.mark.parametrize(
    ("samples", "group_size", "updates", "processes", "nearest"),
    [
        (100, 8, 1, 1, [96, 104]),
        (256, 1, 3, 1, [255, 258]),
        (250, 1, 4, 3, [240, 252]),
        (100, 6, 4, 1, [96, 108]),
        (3, 8, 1, 1, [8]),  # 0 is not possible
    ],
)
def test_a_refusal_names_the_nearest_possible_numbers(
    samples: int, group_size: int, updates: int, processes: int, nearest: list[int]
) -> None:
    asked = config(group_size, samples_per_iteration=samples, updates_per_iteration=updates)
    with pytest.raises(UserError) as caught:
        plan_batches(asked, processes)
    message = str(caught.value)
    assert message.startswith(f"train.samples_per_iteration: {samples} samples do not divide")
    assert f"groups of {group_size} (algorithm.group_size)" in message
    assert f"{processes} processes x {updates} updates" in message
    found = [int(word) for word in re.findall(r"\d+", message.partition("possible: ")[2])]
    assert found == nearest
    for possible in found:
        train = replace(asked.train, samples_per_iteration=possible)
        assert plan_batches(replace(asked, train=train), processes).samples == possible


def test_the_arithmetic_is_described() -> None:
    train = {"samples_per_iteration": 256, "updates_per_iteration": 4, "actions_per_pass": 5}
    assert plan_batches(config(8, **train), 2).describe().splitlines() == [
        "256 samples an iteration = 32 prompts x 8 samples = 2 processes x 128 samples",
        "4 sampling passes of at most 32 samples",
        "4 updates an iteration, each on 64 samples = 2 processes x 32 samples",
        "8 micro-batches of at most 4 samples an update, 5 actions of a sample a network pass",
    ]


def test_passes_are_halved_down_to_one_sample_and_one_action() -> None:
    train = {"samples_per_iteration": 24, "micro_batch_size": 6, "actions_per_pass": 5}
    plan = plan_batches(config(**train, sample_batch_size=5), 1)
    assert _halved(plan, BatchPlan.smaller_training) == [
        {"micro_batch": 3},
        {"micro_batch": 1},
        {"micro_batch": 1, "actions_per_pass": 2},
        {"micro_batch": 1, "actions_per_pass": 1},
    ]
    assert _halved(plan, BatchPlan.smaller_sampling) == [{"sample_batch": 2}, {"sample_batch": 1}]


def test_sizes_that_were_found_never_make_a_pass_larger() -> None:
    plan = plan_batches(config(samples_per_iteration=24, micro_batch_size=6), 1)
    assert plan.at_most(micro_batch=3, sample_batch=99) == replace(plan, micro_batch=3)


def test_a_pass_has_no_more_actions_than_the_chain() -> None:
    assert plan_batches(config(samples_per_iteration=24, actions_per_pass=99), 1) == plan_batches(
        config(samples_per_iteration=24, actions_per_pass=50, micro_batch_size=1), 1
    )


def _halved(plan: BatchPlan, smaller: Callable[[BatchPlan], BatchPlan | None]) -> list[dict]:
    """How each smaller plan differs from the first."""
    found, current = [], smaller(plan)
    while current is not None:
        sizes = asdict(current).items()
        found.append({name: size for name, size in sizes if size != getattr(plan, name)})
        current = smaller(current)
    return found
