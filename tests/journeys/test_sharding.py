"""Two processes that share one network, each with a piece of it (FSDP2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file

from tests.journeys.conftest import LORA
from tests.journeys.gradients import Division, read_gradients, write_gradients
from tests.journeys.journey import Journey, differences, final_weights, metrics
from tests.journeys.moments import at, killed
from tests.journeys.test_families import of_family
from tests.support.processes import fork
from tests.support.sharded import sharded

DIVISIONS = [Division(micro_batch=8, actions=4), Division(micro_batch=3, actions=3)]
BF16_BASE = "policy.precision.network=bf16"


def write_sharded_gradients(*arguments) -> None:
    """`write_gradients` of a network in pieces."""
    sharded()
    write_gradients(*arguments)


@pytest.mark.parametrize("name", ["full", "sdxl", "sd3", "flux-dev"])
def test_the_gradient_is_that_of_one_process(
    name: str, config_file: Path, models: Callable[[str], Path], tmp_path: Path
) -> None:
    family = () if name == "full" else of_family(models, name)
    overrides = [*family, "train.updates_per_iteration=1"]
    read = {}
    for target, count in ((write_gradients, 1), (write_sharded_gradients, 2)):
        out = tmp_path / target.__name__
        arguments = (config_file, overrides, out, DIVISIONS, torch.float64)
        with fork(target, *arguments, cwd=out, count=count) as started:
            assert started.wait() == [0] * count, started.output
        read[count] = [read_gradients(out, rank) for rank in range(count)]
    for division in DIVISIONS:
        whole = read[1][0](f"dropped/{division}")
        for rank in read[2]:
            error = (rank(f"dropped/{division}") - whole).norm() / whole.norm()
            assert error < 1e-9


@pytest.fixture(scope="module")
def finished(config_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Journey]:
    """A finished run in pieces, with these overrides."""
    made: dict[tuple[str, ...], Journey] = {}

    def run(*overrides: str) -> Journey:
        if overrides not in made:
            folder = tmp_path_factory.mktemp("sharded")
            journey = Journey(folder, config_file, overrides, processes=2)
            journey.finish(hooks=[sharded])
            made[overrides] = journey
        return made[overrides]

    return run


def test_a_lora_trains_as_under_plain_data_parallelism(
    finished: Callable[..., Journey], uninterrupted: Callable[[int], Journey]
) -> None:
    rows, plain = (metrics(journey.run) for journey in (finished(LORA), uninterrupted(2)))
    for row, other in zip(rows, plain, strict=True):
        assert row.keys() == other.keys()
        for name, value in row.items():
            assert value == pytest.approx(other[name], rel=1e-3, abs=1e-6), name
    weights, others = final_weights(finished(LORA)), final_weights(uninterrupted(2))
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, others[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("overrides", [(), (LORA, BF16_BASE)], ids=["full", "lora-bf16"])
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(
    overrides: tuple[str, ...], finished: Callable[..., Journey], tmp_path: Path
) -> None:
    whole = finished(*overrides)
    journey = replace(whole, folder=tmp_path)
    with journey.start(hooks=[sharded, at("updating", 9, killed)]) as started:
        assert started.wait_for_first() != 0
    assert journey.rows < whole.rows
    journey.finish(resume=True, hooks=[sharded])
    assert differences(journey, whole) == []


def test_the_final_weights_are_those_of_the_average(finished: Callable[..., Journey]) -> None:
    journey = finished()
    ema = load_file(journey.run / "checkpoints" / journey.checkpoints[-1] / "ema.safetensors")
    weights = final_weights(journey)
    unet = [tensor for name, tensor in weights.items() if name.startswith("unet/")]
    assert sorted(map(_fingerprint, unet)) == sorted(map(_fingerprint, ema.values()))
    pipeline = StableDiffusionPipeline.from_pretrained(journey.run / "final")
    assert type(pipeline.unet).__name__ == "UNet2DConditionModel"


def _fingerprint(tensor: torch.Tensor) -> tuple[int, float]:
    """What tells a tensor from others: size and sum."""
    return tensor.numel(), float(tensor.double().sum())
