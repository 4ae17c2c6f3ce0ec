"""From a run's end to what other people load."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from ddpo import load_config, sample
from ddpo.__main__ import main
from tests.export.test_card import code_in
from tests.journeys.conftest import LORA
from tests.journeys.journey import Journey


def test_a_run_leaves_a_card_and_a_lora_that_knows_its_alpha_and_base(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey = Journey(tmp_path, config_file, (LORA, "train.iterations=1"))
    journey.finish()
    config, final = load_config(journey.run / "config.yaml"), journey.run / "final"
    with safe_open(final / "pytorch_lora_weights.safetensors", framework="pt") as file:
        metadata = file.metadata()
    adapter = json.loads(metadata["lora_adapter_metadata"])
    assert (adapter["unet.r"], adapter["unet.lora_alpha"]) == (2, 4.0)
    assert metadata["base_model"] == config.policy.model
    card = (final / "README.md").read_text()
    assert "card/before-1.png" in card
    assert main(["export", str(journey.run), "--format", "kohya"]) == 0
    assert (journey.run / "export" / "run-kohya.safetensors").exists()
    monkeypatch.chdir(final)
    exec(compile(code_in(card), "README.md", "exec"), {})
    (expected,) = sample(journey.run, ["a red circle"], seed=0)
    assert np.array_equal(np.asarray(Image.open("picture.png")), np.asarray(expected))
