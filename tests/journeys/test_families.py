"""Runs of every family, from the command line to what is left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.journeys.conftest import LORA
from tests.journeys.gradients import Division, read_gradients, write_gradients
from tests.journeys.journey import Journey, differences
from tests.support.pipelines import PIPELINES
from tests.support.processes import fork

Models = Callable[[str], Path]

WHOLE = Division(micro_batch=8, actions=4)
GRPO = (
    "algorithm={kind: grpo, group_size: 4, advantage_std: batch, guard: true}",
    "policy.window={kind: random, size: 2}",
    "policy.trained_share=0.5",
    "evaluation.num_steps=5",
    "evaluation.eta=0",
)


def of_family(models: Models, name: str) -> tuple[str, ...]:
    """Overrides that make a journey one of this family, and shorter."""
    scale = "null" if name == "flux-schnell" else "3.0"
    model = f"policy.model={models(name)}"
    return (model, "policy.resolution=16", f"policy.guidance_scale={scale}", LORA)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_run_from_the_command_line(
    name: str, config_file: Path, models: Models, tmp_path: Path
) -> None:
    overrides = (
        *of_family(models, name),
        "train.iterations=2",
        "rewards={jpeg_compressibility: 1}",
    )
    journey = Journey(tmp_path, config_file, overrides)
    journey.finish()
    rows = [json.loads(line) for line in (journey.run / "metrics.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows] == [0, 1, 2]
    # a few units in the last place of the log-probs: 1.2e-6 was seen where there is no AVX-512
    assert all(row["policy/ratio_residual"] <= 2e-6 for row in rows[1:])
    assert all(row["policy/grad_norm"] > 0 for row in rows[1:])
    assert (journey.run / "final" / "pytorch_lora_weights.safetensors").exists()
    assert (journey.run / "gallery" / "index.html").exists()


@pytest.mark.parametrize("name", PIPELINES)
def test_the_gradient_does_not_depend_on_processes(
    name: str, config_file: Path, models: Models, tmp_path: Path
) -> None:
    overrides = [*of_family(models, name), "train.updates_per_iteration=1"]
    gradients = {}
    for processes in (1, 2):
        out = tmp_path / str(processes)
        out.mkdir()
        arguments = (config_file, overrides, out, [WHOLE], torch.float64)
        with fork(write_gradients, *arguments, cwd=out, count=processes) as started:
            assert started.wait() == [0] * processes, started.output
        gradients[processes] = [read_gradients(out, r)(f"all/{WHOLE}") for r in range(processes)]
    (whole,) = gradients[1]
    assert whole.norm() > 0
    for shared in gradients[2]:
        assert (shared - whole).norm() / whole.norm() < 1e-9


def test_grpo_on_a_window_resumes_exactly(
    config_file: Path, models: Models, tmp_path: Path
) -> None:
    overrides = (*of_family(models, "sd3"), *GRPO)
    whole = Journey(tmp_path / "whole", config_file, overrides)
    whole.folder.mkdir()
    whole.finish()
    resumed = whole.copy(tmp_path / "resumed", after=1)
    resumed.finish(resume=True)
    assert differences(resumed, whole) == []
    rows = [json.loads(line) for line in (whole.run / "metrics.jsonl").read_text().splitlines()]
    assert all(row["samples_without_spread"] == 0 for row in rows[1:])
    # 8 samples: 4 steps of sampling in two branches, and one of the window's two steps in an update
    assert rows[1]["network_passes"] == 2 * (8 * 4 + 8)
