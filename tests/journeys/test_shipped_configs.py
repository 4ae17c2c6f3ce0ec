"""Every shipped configuration trains: on its embedded model, or on one of the same shape."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from diffusers import StableDiffusionPipeline

from ddpo import load_config, train

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
SMALL = [
    "train.iterations=1",
    "train.samples_per_iteration=8",
    "train.mixed_precision=no",
    "policy.num_steps=3",
    "evaluation.samples=2",
]
OFFLINE = {  # the weights of their CLIP cannot be had here
    "ddpo_sd15_alignment": ["rewards={clip_alignment: {model: shapes}}"],
    "ddpo_sd15_aesthetic": [
        "rewards={aesthetic: {model: shapes, head: shapes}}",
        "watch={clip_alignment: {model: shapes}}",
    ],
}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_configuration_trains(path: Path, tiny_model: Path, tmp_path: Path) -> None:
    overrides = [*SMALL, f"output_dir={tmp_path}"]
    if "sd15" in path.stem:
        overrides.append(f"policy.model={tiny_model}")
    overrides += OFFLINE.get(path.stem, [])
    config = load_config(path, overrides)
    run = train(config)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows] == [0, 1]
    assert rows[1]["policy/ratio_residual"] <= 1e-5
    assert rows[1]["policy/grad_norm"] > 0
    assert (run / "gallery" / "index.html").is_file()
    if config.lora is None:
        StableDiffusionPipeline.from_pretrained(run / "final")
    else:
        pipeline = StableDiffusionPipeline.from_pretrained(config.policy.model)
        pipeline.load_lora_weights(run / "final")


def test_every_header_says_how_to_run_it_and_on_what() -> None:
    assert CONFIGS
    for path in CONFIGS:
        header = path.read_text().split("name:")[0]
        assert f"configs/{path.name}" in header
        assert "Hardware:" in header
