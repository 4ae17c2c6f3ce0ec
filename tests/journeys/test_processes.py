"""One update, however it is divided: among network passes, actions, and processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.journeys.conftest import LORA
from tests.journeys.gradients import Division, read_gradients, write_gradients
from tests.journeys.journey import Journey, accelerate_launch, differences
from tests.support.processes import fork, run_command

WHOLE = Division(micro_batch=8, actions=4)
DIVISIONS = [
    WHOLE,
    Division(micro_batch=1, actions=4),
    Division(micro_batch=4, actions=4),
    Division(micro_batch=3, actions=4),
    Division(micro_batch=8, actions=1),
    Division(micro_batch=8, actions=2),
    Division(micro_batch=3, actions=3),
]
SHARED = [WHOLE, Division(micro_batch=1, actions=4), Division(micro_batch=3, actions=3)]
"""What two processes do; with eight in a micro-batch each has its four samples in one."""

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}
KINDS = pytest.mark.parametrize(
    ("dtype", "lora"),
    [(torch.float32, False), (torch.float64, True)],
    ids=["fp32-full", "fp64-lora"],
)
COUNTINGS = pytest.mark.parametrize("counting", ["all", "dropped"])

Read = Callable[[str], Tensor]
Gradients = Callable[..., list[Read]]


@pytest.fixture(scope="module")
def gradients(config_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Gradients:
    """What `write_gradients` writes, by rank; made once for the same arguments."""
    made: dict[tuple, list[Read]] = {}

    def make(processes: int, dtype: torch.dtype, lora: bool, broken: str = "") -> list[Read]:
        key = (processes, dtype, lora, broken)
        if key not in made:
            out = tmp_path_factory.mktemp("gradients")
            overrides = ["train.updates_per_iteration=1", *[LORA] * lora]
            divisions = DIVISIONS if processes == 1 and not broken else SHARED
            arguments = (config_file, overrides, out, divisions, dtype, broken)
            with fork(write_gradients, *arguments, cwd=out, count=processes) as started:
                assert started.wait() == [0] * processes, started.output
            made[key] = [read_gradients(out, rank) for rank in range(processes)]
        return made[key]

    return make


def error(one: Tensor, other: Tensor) -> float:
    """‖one − other‖ / ‖other‖."""
    assert other.norm() > 0
    return float((one - other).norm() / other.norm())


@KINDS
@COUNTINGS
def test_the_gradient_does_not_depend_on_passes(
    dtype: torch.dtype, lora: bool, counting: str, gradients: Gradients
) -> None:
    (read,) = gradients(1, dtype, lora)
    whole = read(f"{counting}/{WHOLE}")
    for division in DIVISIONS[1:]:
        assert error(read(f"{counting}/{division}"), whole) < TOLERANCE[dtype], division


@KINDS
@COUNTINGS
def test_the_gradient_does_not_depend_on_processes(
    dtype: torch.dtype, lora: bool, counting: str, gradients: Gradients
) -> None:
    whole = gradients(1, dtype, lora)[0](f"{counting}/{WHOLE}")
    for read in gradients(2, dtype, lora):
        for division in SHARED:
            assert error(read(f"{counting}/{division}"), whole) < TOLERANCE[dtype], division


@KINDS
def test_samples_depend_neither_on_batches_nor_on_processes(
    dtype: torch.dtype, lora: bool, gradients: Gradients
) -> None:
    (alone,) = gradients(1, dtype, lora)
    first, second = gradients(2, dtype, lora)
    for kind in ("latents", "log_probs", "images"):
        exact = 1e-5 if dtype == torch.float32 or kind == "images" else 1e-12
        whole = alone(f"{kind}/8")
        for size in (8, 3, 1):
            together = torch.cat([first(f"{kind}/{size}"), second(f"{kind}/{size}")])
            assert error(alone(f"{kind}/{size}"), whole) < exact
            assert error(together, whole) < exact


def test_a_dropped_sample_changes_the_gradient(gradients: Gradients) -> None:
    (read,) = gradients(1, torch.float32, False)
    assert error(read(f"dropped/{WHOLE}"), read(f"all/{WHOLE}")) > 0.05


@pytest.mark.parametrize("broken", ["counts are local", "nothing is averaged"])
def test_a_broken_average_over_processes_is_seen(broken: str, gradients: Gradients) -> None:
    whole = gradients(1, torch.float32, False)[0](f"dropped/{WHOLE}")
    for read in gradients(2, torch.float32, False, broken):
        assert error(read(f"dropped/{WHOLE}"), whole) > 0.05


def test_a_broken_average_over_passes_is_seen(gradients: Gradients) -> None:
    (read,) = gradients(1, torch.float32, False, "a mean of means")
    for division in SHARED[1:]:
        assert error(read(f"dropped/{division}"), read(f"dropped/{WHOLE}")) > 0.05, division


def test_accelerate_launch_trains_the_same_model(
    uninterrupted: Callable[[int], Journey], tmp_path: Path
) -> None:
    journey = replace(uninterrupted(2), folder=tmp_path)
    with run_command(accelerate_launch(journey, "--multi_gpu"), cwd=tmp_path) as started:
        assert started.wait() == [0], started.output
        assert "= 2 processes x 4 samples" in started.output
        assert started.output.count("finished: ") == 1
    assert differences(journey, uninterrupted(2)) == []


def test_a_launch_of_fewer_processes_than_asked_for_is_refused(
    config_file: Path, tmp_path: Path
) -> None:
    journey = Journey(tmp_path, config_file, processes=2)
    with run_command(accelerate_launch(journey, "--cpu"), cwd=tmp_path) as started:
        assert started.wait() != [0]
        assert "2 processes were asked for and 1 are running" in started.output
        assert "--multi_gpu --num_processes 2" in started.output
        assert "non-zero exit status 2" in started.output  # accelerate's own is always 1
    assert not journey.run.exists()
