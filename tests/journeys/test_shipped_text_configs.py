"""Every shipped configuration of texts trains: on its embedded model, or on one of the same
architecture with random weights, and rows like those of its data set.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from ddpo import load_config, train
from tests.journeys.test_shipped_configs import ALL
from tests.support.language_models import write_language_model

CONFIGS = [path for path in ALL if load_config(path).policy.kind == "text"]
SMALL = [
    "train.iterations=1",
    "train.samples_per_iteration=8",
    "train.mixed_precision=no",
    "evaluation.samples=2",
]
TINY = {"t5": "t5", "gpt2": "gpt2", "qwen": "llama"}
"""The second word of a file's name, and the tiny model like it; those of embedded worlds are."""

ROWS = {
    "abisee/cnn_dailymail": {"article": "a red dog ran.", "highlights": "a dog."},
    "google-research-datasets/mbpp": {"text": "add", "test_list": ["assert f(1) == 1"]},
}
"""A row of each data set."""


def overrides_of(path: Path, folder: Path) -> list[str]:
    """What makes a configuration small, and its model and prompts ones that can be had."""
    config = load_config(path)
    if config.prompts.dataset is None:
        return SMALL
    _, family, _ = path.stem.split("_", 2)
    model = write_language_model(TINY[family], folder / "model")
    rows = folder / "rows.jsonl"
    rows.write_text(json.dumps(ROWS[config.prompts.dataset]))
    replaced = [f"policy.model={model}", "policy.max_length=8", "policy.precision.network=fp32"]
    for section in ("prompts", "evaluation.prompts"):
        none = [f"{section}.{key}=null" for key in ("dataset", "config", "split")]
        replaced += [*none, f"{section}.file={rows}"]
    return [*SMALL, *replaced]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_configuration_of_texts_trains(path: Path, tmp_path: Path) -> None:
    overrides = [*overrides_of(path, tmp_path), f"output_dir={tmp_path / 'runs'}"]
    config = load_config(path, overrides)
    run = train(config)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows] == [0, 1]
    assert rows[1]["policy/ratio_residual"] <= 1e-5
    assert rows[1]["policy/grad_norm"] > 0
    assert rows[1]["policy/kl"] == 0  # before the first update
    assert (run / "gallery" / "index.html").is_file()
    AutoTokenizer.from_pretrained(run / "final")
    if config.lora is None:
        kind = AutoModelForSeq2SeqLM if "t5" in path.stem else AutoModelForCausalLM
        kind = AutoModelForSeq2SeqLM if "seq2seq" in config.policy.model else kind
        kind.from_pretrained(run / "final")
    else:
        assert (run / "final" / "adapter_model.safetensors").is_file()
