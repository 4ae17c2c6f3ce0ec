"""Two processes under DeepSpeed's ZeRO, started by torchrun."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.journeys.conftest import LORA
from tests.journeys.journey import Journey, differences, metrics
from tests.support.processes import run_command

APART = Path(sys.prefix) / "deepspeed"
"""Where `make test` puts it: all of accelerate's users would import it otherwise."""

pytestmark = pytest.mark.skipif(
    not APART.exists() and find_spec("deepspeed") is None,
    reason="DeepSpeed is not installed; `make test` installs it",
)
NO_AVERAGE = "train.ema_decay=0"


def zero(stage: int, journey: Journey, *, resume: bool = False) -> Journey:
    """The journey, made under this stage."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    torchrun += ["--standalone", "-m", "tests.support.zero_command", str(stage)]
    command = [*torchrun, "train", journey.config, *journey.overrides, *["--resume"] * resume]
    path = f"{APART}:{Path(__file__).parents[2]}"
    with run_command(command, cwd=journey.folder, environment={"PYTHONPATH": path}) as started:
        assert started.wait() == [0], started.output
        assert "= 2 processes x 4 samples" in started.output
    return journey


@pytest.mark.parametrize(
    ("stage", "lora"), [(2, False), (2, True), (3, True)], ids=["2-full", "2-lora", "3-lora"]
)
def test_a_resumed_run_ends_as_if_it_had_not_been_stopped(
    stage: int,
    lora: bool,
    config_file: Path,
    uninterrupted: Callable[[int], Journey],
    tmp_path: Path,
) -> None:
    overrides = (NO_AVERAGE, *[LORA] * lora)
    whole = zero(stage, Journey(tmp_path / "whole", config_file, overrides, processes=2))
    resumed = zero(stage, whole.copy(tmp_path / "resumed", after=2), resume=True)
    assert differences(resumed, whole) == []
    if lora:
        trains_alike(whole, uninterrupted(2))


def trains_alike(one: Journey, other: Journey) -> None:
    """Both were sampled, compared and updated alike; one has no moving average to evaluate."""
    for row, expected in zip(metrics(one.run), metrics(other.run), strict=True):
        for name in row.keys() - {key for key in row if key.startswith("evaluation/")}:
            assert row[name] == pytest.approx(expected[name], rel=1e-3, abs=1e-6), name
