"""Runs of a language model, from the command line to what is left behind."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.journeys.journey import Journey, accelerate_launch, differences, final_weights, metrics
from tests.journeys.moments import at, killed
from tests.support.processes import run_command

CONFIG = """
name: run
seed: 3
policy: {{kind: text, model: {model}, max_length: 8, min_length: 1, missing_eos_penalty: 0.1}}
prompts: {{file: {prompts}}}
rewards: {{"tests.journeys.lettered:lettered": 1.0}}
watch: {{length: {{target: 5, unit: characters}}}}
algorithm: {{kind: ppo, kl_coef: 0.1, kl_target: 0.01, kl_horizon: 50, entropy_coef: 0.01}}
train: {{iterations: 3, samples_per_iteration: 8, updates_per_iteration: 2, sample_uses: 2,
  learning_rate: 3e-3, lr_schedule: cosine, warmup_updates: 3, ema_decay: 0.9,
  sample_batch_size: 4, micro_batch_size: 4, actions_per_pass: 5}}
evaluation: {{every: 2, samples: 6, top_p: 0.9}}
checkpoint: {{every: 1, keep: 9}}
"""
"""Everything that is saved matters here, as for images; and so do critic and reference."""

ALIKE = ("rewards={'tests.journeys.lettered:plainly': 1.0}", "train.iterations=2")
"""What several processes have alike: not their random states."""


@pytest.fixture(scope="module")
def config_file(
    language_models: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("text")
    prompts, config = folder / "prompts.txt", folder / "run.yaml"
    prompts.write_text("a\na blue square\na cat\n")
    config.write_text(CONFIG.format(model=language_models("gpt2"), prompts=prompts))
    return config


@pytest.fixture(scope="module")
def whole(config_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    """A finished run."""
    journey = Journey(tmp_path_factory.mktemp("whole"), config_file)
    journey.finish()
    return journey


def test_its_metrics_are_there(whole: Journey) -> None:
    base, *rows = metrics(whole.run)
    assert [row["iteration"] for row in rows] == [1, 2, 3]
    evaluated = {
        f"evaluation/{greedy}{name}"
        for greedy in ("", "greedy/")
        for name in ("reward", "lettered", "length")
    }
    for row in (base, *rows[1:]):
        assert {key for key in row if key.startswith("evaluation/")} == evaluated
        assert all(isinstance(row[key], float) for key in evaluated)
    for row in rows:
        assert row["policy/ratio_residual"] <= 2e-5
        assert row["policy/grad_norm"] > 0
        assert 0 < row["policy/entropy"] <= 3.5  # ln 33
        assert row["policy/value_loss"] > 0
        assert isinstance(row["policy/explained_variance"], float)
        assert row["policy/clip_fraction"] <= 1
        assert row["samples_failed"] == row["policy/updates_skipped"] == 0
        # written, scored, scored under the reference; then twice in two chunks of actions at most
        assert row["network_passes"] <= row["iteration"] * 8 * (3 + 2 * 2)
    kl = [row["policy/kl"] for row in rows]
    assert kl[0] == 0  # of the policy that sampled
    assert all(kl[1:])
    assert rows[0]["policy/kl_coef"] == pytest.approx(0.1 * (1 - 0.2 * 8 / 50))
    assert rows[0]["policy/explained_variance"] == pytest.approx(0, abs=1e-6)  # values are 0


def test_its_final_model_loads_and_writes(
    whole: Journey, language_models: Callable[[str], Path]
) -> None:
    final = whole.run / "final"
    model: Any = AutoModelForCausalLM.from_pretrained(final)
    tokenizer = AutoTokenizer.from_pretrained(final)
    ids = tokenizer("a cat", return_tensors="pt").input_ids
    base: Any = AutoModelForCausalLM.from_pretrained(language_models("gpt2"))
    with torch.no_grad():
        assert not torch.allclose(model(ids).logits, base(ids).logits, atol=1e-2)
    assert model.state_dict().keys() == base.state_dict().keys()  # no critic
    assert (final / "README.md").exists()


def test_its_gallery_shows_completions_as_texts(whole: Journey) -> None:
    page = (whole.run / "gallery" / "index.html").read_text()
    texts = []
    for folder in sorted((whole.run / "samples").iterdir()):
        samples = json.loads((folder / "index.json").read_text())["samples"]
        assert [sample["prompt"] for sample in samples] == ["a", "a blue square", "a cat"] * 2
        assert all({"lettered"} == sample["rewards"].keys() for sample in samples)
        texts += [sample["text"] for sample in samples]
    assert len(texts) == 6 * 3  # at the base, and after 2 and 3
    assert all(html.escape(text.split("\n")[0]) in page for text in texts)
    hostile = [text for text in texts if "<" in text.split("\n")[0]]
    assert hostile
    assert all(text not in page for text in hostile)


def test_a_killed_run_resumes_to_the_bit(whole: Journey, tmp_path: Path) -> None:
    """Killed in the midst of the updates of its second iteration."""
    journey = replace(whole, folder=tmp_path)
    with journey.start(hooks=[at("updating a language model", 13, killed)]) as started:
        assert started.wait_for_first() == -9, started.output
    assert journey.checkpoints == ["000001"]
    assert not (journey.run / "final").exists()
    journey.finish(resume=True)
    assert differences(journey, whole) == []


@pytest.fixture(scope="module")
def two(config_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    """A finished run of two processes."""
    journey = Journey(tmp_path_factory.mktemp("two"), config_file, ALIKE, processes=2)
    assert "= 2 processes x 4 samples" in journey.finish()
    return journey


def test_two_processes_train_the_same_model(
    config_file: Path, two: Journey, tmp_path: Path
) -> None:
    """In fp32, where sums over processes are rounded elsewhere."""
    one = Journey(tmp_path, config_file, ALIKE)
    one.finish()
    for row, other in zip(metrics(one.run), metrics(two.run), strict=True):
        assert row == pytest.approx(other, rel=1e-3, abs=1e-5)
        for key in (key for key in row if key.startswith(("reward/", "evaluation/"))):
            assert row[key] == pytest.approx(other[key], abs=1e-6), key
    weights, others = final_weights(one), final_weights(two)
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        apart = (tensor - others[name]).abs()
        if name.endswith("c_attn.bias"):  # of keys, which change nothing: Adam follows rounding
            apart = apart.view(3, -1)[[0, 2]]
        assert apart.max() < 1e-4, name


def test_so_do_two_that_accelerate_launched(two: Journey, tmp_path: Path) -> None:
    launched = replace(two, folder=tmp_path)
    path = {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = accelerate_launch(launched, "--multi_gpu")
    with run_command(command, cwd=tmp_path, environment=path) as started:
        assert started.wait() == [0], started.output
        assert "= 2 processes x 4 samples" in started.output
    assert differences(launched, two) == []
