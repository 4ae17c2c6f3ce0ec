"""Memory that runs out at any moment, on any process: the run is the one with smaller passes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ddpo.fitting import is_out_of_memory
from tests.journeys.conftest import LORA
from tests.journeys.journey import Journey, differences, final_weights
from tests.journeys.moments import Hook, out_of_memory

SMALLER = {
    1: ("train.micro_batch_size=1", "train.actions_per_pass=1"),
    2: ("train.micro_batch_size=1",),
}
"""What a training pass comes to after as many failures as `FAILURES`, by number of processes."""

FAILURES = {1: 3, 2: 1}

Runs = Callable[[int], Journey]


@pytest.fixture(scope="module")
def with_smaller_passes(config_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """An undisturbed run whose passes are half as large."""
    finished: dict[int, Journey] = {}

    def run(processes: int) -> Journey:
        if processes not in finished:
            overrides = (*(LORA,) * (processes > 1), *SMALLER[processes])
            folder = tmp_path_factory.mktemp("smaller")
            finished[processes] = Journey(folder, config_file, overrides, processes)
            finished[processes].finish()
        return finished[processes]

    return run


def disturbed(like: Journey, folder: Path, *hooks: Hook) -> tuple[Journey, str]:
    """The same run with the passes of the file, and what it printed."""
    journey = replace(like, folder=folder, overrides=like.overrides[: like.processes - 1])
    return journey, journey.finish(hooks=hooks)


@pytest.mark.parametrize(("stage", "processes"), [("updating", 1), ("backward", 2)])
def test_in_the_first_update_it_changes_nothing_to_the_bit(
    stage: str, processes: int, with_smaller_passes: Runs, tmp_path: Path
) -> None:
    chance = random.Random(f"{stage} {processes}")
    hooks = [
        out_of_memory(stage, chance.randint(1, 2), chance.randrange(processes))
        for _ in range(FAILURES[processes])
    ]
    like = with_smaller_passes(processes)
    journey, output = disturbed(like, tmp_path, *hooks)
    assert differences(journey, like) == []
    assert output.count("out of memory: ") == 1
    assert ", ".join(size.replace("=", ": ") for size in SMALLER[processes]) in output


def test_later_it_changes_no_more_than_rounding(with_smaller_passes: Runs, tmp_path: Path) -> None:
    like = with_smaller_passes(2)
    chance = random.Random(0)
    hooks = [
        out_of_memory("sampling", chance.randint(2, 4), chance.randrange(2)),
        out_of_memory("backward", chance.randint(5, 8), chance.randrange(2)),
    ]
    journey, output = disturbed(like, tmp_path / "disturbed", *hooks)
    assert "with train.sample_batch_size: 2\n" in output
    assert "with train.micro_batch_size: 1\n" in output
    weights, others = final_weights(journey), final_weights(like)
    assert differences(journey, like) != []
    assert max(float((weights[k] - w).abs().max()) for k, w in others.items()) < 1e-5

    resumed = journey.copy(tmp_path / "resumed", after=2)
    resumed.finish(resume=True)
    assert differences(resumed, journey) == []


def test_the_smallest_pass_that_does_not_fit_is_an_error(
    with_smaller_passes: Runs, tmp_path: Path
) -> None:
    like = with_smaller_passes(1)
    journey = replace(like, folder=tmp_path)
    second_update_of_the_second_iteration = 32 + 16 + 5
    hook = out_of_memory("updating", second_update_of_the_second_iteration)
    with journey.start(hooks=[hook]) as started:
        assert started.wait() == [1]
        assert "out of memory with the smallest possible pass; train.grad" in started.output
        assert "iteration 2 was half done" in started.output
        assert "Traceback" not in started.output
    assert journey.checkpoints == ["000001"]
    journey.finish(resume=True)
    assert differences(journey, like) == []


def test_no_room_on_the_cpu_is_out_of_memory_too() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
