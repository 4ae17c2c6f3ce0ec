"""Runs of a network whose kernels lie otherwise in memory: the same numbers, saved the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline

from tests.journeys.gradients import Division, read_gradients, write_gradients
from tests.journeys.journey import Journey, differences, final_weights, metrics
from tests.journeys.moments import at, killed
from tests.support.processes import fork

CHANNELS_LAST = "policy.channels_last=true"


@pytest.fixture(scope="module")
def laid(config_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    """A finished run, all weights."""
    journey = Journey(tmp_path_factory.mktemp("laid"), config_file, (CHANNELS_LAST,))
    journey.finish()
    return journey


def test_it_trains_as_the_other_layout(
    laid: Journey, uninterrupted: Callable[[int], Journey]
) -> None:
    for row, other in zip(metrics(laid.run), metrics(uninterrupted(1).run), strict=True):
        assert row.keys() == other.keys()
        for name, value in row.items():
            assert value == pytest.approx(other[name], rel=1e-3, abs=1e-5), name
    weights, others = final_weights(laid), final_weights(uninterrupted(1))
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, others[name], rtol=1e-3, atol=1e-4)
    assert StableDiffusionPipeline.from_pretrained(laid.run / "final").unet is not None


def test_a_run_that_was_killed_ends_as_if_it_had_not_been(laid: Journey, tmp_path: Path) -> None:
    journey = replace(laid, folder=tmp_path)
    with journey.start(hooks=[at("updating", 9, killed)]) as started:
        assert started.wait_for_first() == -9, started.output
    journey.finish(resume=True)
    assert differences(journey, laid) == []


def test_the_gradient_does_not_depend_on_processes_or_layout(
    config_file: Path, tmp_path: Path
) -> None:
    division = Division(micro_batch=3, actions=3)
    gradients = []
    for processes, overrides in ((1, []), (1, [CHANNELS_LAST]), (2, [CHANNELS_LAST])):
        out = tmp_path / str(len(gradients))
        out.mkdir()
        overrides = ["train.updates_per_iteration=1", *overrides]
        arguments = (config_file, overrides, out, [division], torch.float64)
        with fork(write_gradients, *arguments, cwd=out, count=processes) as started:
            assert started.wait() == [0] * processes, started.output
        gradients.append(read_gradients(out)(f"all/{division}"))
    whole, *others = gradients
    for other in others:
        assert (other - whole).norm() / whole.norm() < 1e-9
