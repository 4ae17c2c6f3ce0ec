"""Every shipped configuration of pictures trains: on its embedded model, or on one of the same
architecture.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from diffusers import DiffusionPipeline

from ddpo import load_config, train
from ddpo.config.diffusion_policy import denoising

ALL = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
CONFIGS = [path for path in ALL if load_config(path).policy.kind == "diffusion"]
SMALL = [
    "train.iterations=1",
    "train.samples_per_iteration=8",
    "train.mixed_precision=no",
    "policy.num_steps=3",
    "evaluation.samples=2",
]
TINY = {
    "sd15": "sd15",
    "sd21": "sd21",
    "sdxl": "sdxl",
    "sd35": "sd3",
    "flux": "flux-dev",
    "shapesflow": "sd3",
}
"""The second word of a file's name, and the tiny pipeline of that architecture; shapes is tiny."""

CLIP = "{clip_alignment: {model: shapes}}"
STAND_INS = {
    "alignment": [f"rewards={CLIP}"],
    "aesthetic": ["rewards={aesthetic: {model: shapes, head: shapes}}", f"watch={CLIP}"],
    "hps": [f"rewards={CLIP}", "watch=[]"],
    "pickscore": [f"rewards={CLIP}", "watch=[]"],
}
"""The third, and what takes the place of weights that cannot be had here."""


def overrides_of(path: Path, models: Callable[[str], Path]) -> list[str]:
    """What makes a configuration small, and its model and rewards ones that can be had."""
    algorithm, family, reward = path.stem.split("_", 2)
    overrides = [*SMALL, *["algorithm.group_size=4"] * (algorithm == "grpo")]
    if denoising(load_config(path)).window is not None:
        overrides.append("policy.window.size=2")
    if family == "shapes":
        return overrides
    model = [f"policy.model={models(TINY[family])}", "policy.resolution=16"]
    return [*overrides, *model, *STAND_INS.get(reward, [])]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_configuration_trains(
    path: Path, models: Callable[[str], Path], tmp_path: Path
) -> None:
    config = load_config(path, [*overrides_of(path, models), f"output_dir={tmp_path}"])
    run = train(config)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows] == [0, 1]
    assert rows[1]["policy/ratio_residual"] <= 1e-5
    assert rows[1]["policy/grad_norm"] > 0
    assert rows[1]["policy/updates_skipped"] == 0
    assert (run / "gallery" / "index.html").is_file()
    if config.lora is None:
        DiffusionPipeline.from_pretrained(run / "final")
    else:
        pipeline: Any = DiffusionPipeline.from_pretrained(config.policy.model)
        pipeline.load_lora_weights(run / "final")


def test_every_header_says_how_to_run_it_and_on_what() -> None:
    assert ALL
    for path in ALL:
        header = path.read_text().split("name:")[0]
        assert f"configs/{path.name}" in header
        assert "Hardware:" in header
