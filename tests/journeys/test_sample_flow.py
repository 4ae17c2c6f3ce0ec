"""`ddpo sample` with a flow-matching model: a run as it was evaluated, and no noise to weigh."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from ddpo import sample
from ddpo.__main__ import main
from tests.journeys.conftest import LORA
from tests.journeys.journey import Journey

PROMPTS = ["a red circle", "a dog"]
CHAIN: dict[str, Any] = {
    "num_inference_steps": 5,
    "guidance_scale": 3.0,
    "height": 16,
    "width": 16,
    "max_sequence_length": 7,
}
"""Of the run: the steps are those of its evaluation."""


@pytest.fixture(scope="module")
def run(
    config_file: Path, models: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run of SD3's architecture that moved far from its base."""
    overrides = (
        f"policy.model={models('sd3')}",
        "policy.resolution=16",
        "policy.max_sequence_length=7",
        "evaluation={samples: 0, num_steps: 5}",
        "train.iterations=1",
        "train.learning_rate=0.02",
        "train.ema_decay=0",
        "train.warmup_updates=0",
        LORA,
    )
    journey = Journey(tmp_path_factory.mktemp("flow"), config_file, overrides)
    journey.finish()
    return journey.run


def pictures(pipeline: Any, **options: Any) -> np.ndarray:
    """What plain diffusers makes, a picture at a time."""
    pipeline.set_progress_bar_config(disable=True)
    made = []
    for number, prompt in enumerate(PROMPTS):
        generator = torch.Generator().manual_seed(7 + number)
        made += pipeline(prompt, generator=generator, **{**CHAIN, **options}).images
    return np.stack([np.asarray(image) for image in made])


def test_a_run_is_sampled_as_it_was_evaluated(run: Path, models: Callable[[str], Path]) -> None:
    own = np.stack([np.asarray(image) for image in sample(run, PROMPTS, seed=7)])
    pipeline: Any = DiffusionPipeline.from_pretrained(models("sd3"))
    base = pictures(pipeline)
    pipeline.load_lora_weights(run / "final")
    assert np.array_equal(own, pictures(pipeline))
    others = [base, pictures(pipeline, num_inference_steps=4)]
    others.append(pictures(pipeline, max_sequence_length=12))
    assert not any(np.array_equal(own, other) for other in others)
    fewer = sample(run, PROMPTS, seed=7, num_steps=4)
    assert np.array_equal(np.stack([np.asarray(image) for image in fewer]), others[1])


def test_there_is_no_noise_to_weigh(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sample", str(run), "--prompts", "a cat", "--out", str(tmp_path / "out")]
    assert main([*command, "--eta", "0.5"]) == 2
    message = capsys.readouterr().err
    assert message == f"ddpo: eta: 0.5, but plain diffusers has no noise for {run}\n"
    assert not (tmp_path / "out").exists()
    assert main([*command, "--eta", "0"]) == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 1
