"""Bad input to a run of a language model: one clear line, exit code 2, nothing half-written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.conftest import Refused
from tests.journeys.test_text import CONFIG
from tests.support.language_models import CONTEXT

Models = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where prompts are."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "prompts.txt").write_text("a red circle\na blue square\na cat\n")
    return folder


@pytest.fixture(scope="module")
def config_file(language_models: Models, folder: Path) -> Path:
    """A run of a language model."""
    file = folder / "run.yaml"
    model, prompts = language_models("gpt2"), folder / "prompts.txt"
    file.write_text(CONFIG.format(model=model, prompts=prompts))
    return file


def problem(message: str) -> str:
    """What is said of the one key that is wrong."""
    heading, line = message.splitlines()
    assert heading.endswith(": 1 error in the configuration")
    return line.strip()


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("policy={model: x}", "policy.kind: missing; one of diffusion, text"),
        ("policy.kind=video", "policy.kind: unknown kind 'video'; one of diffusion, text"),
        ("policy.num_steps=3", "policy.num_steps: unknown key; known here: kind, model, max_leng"),
        ("policy.temperature=0", "policy.temperature: '0' is not valid: Input should be greater"),
        ("policy.min_length=9", "policy.min_length: 9 is more than max_length: 8"),
        ("policy.stop=['']", "policy.stop: an empty text would end every completion at once"),
        ("policy.precision={network: bf16}", "policy.precision.network: bf16 is too coarse for up"),
        ("algorithm={kind: nft}", "algorithm.kind: nft is for policy.kind: diffusion; take"),
        ("algorithm={kind: awm}", "algorithm.kind: awm is for policy.kind: diffusion; take"),
        ("algorithm={kind: grpo, guard: true}", "algorithm.guard: True is for policy.kind: diff"),
        ("algorithm.step_weights=std", "algorithm.step_weights: std is for policy.kind: diffus"),
        ("algorithm={kind: ppo, clip_range: 1, clip_nats: 1}", "algorithm.clip_nats: give clip_ra"),
        ("evaluation.eta=0.5", "evaluation.eta: 0.5 is for policy.kind: diffusion; leave the"),
        ("evaluation.num_steps=5", "evaluation.num_steps: 5 is for policy.kind: diffusion; leave"),
        ("evaluation.guidance_scale=2", "evaluation.guidance_scale: 2.0 is for policy.kind: diff"),
        ("evaluation.guidance_interval=[0,1]", "evaluation.guidance_interval: (0.0, 1.0) is for"),
        ("evaluation.top_p=0", "evaluation.top_p: '0' is not valid: Input should be greater"),
    ],
)
def test_a_key_that_does_not_fit_a_language_model(
    override: str, reason: str, refused: Refused
) -> None:
    assert problem(refused(override, lines=2)).startswith(reason)


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("policy.model=/nowhere/model", "policy.model: there is no folder /nowhere/model; texts-"),
        ("policy.model=somebody/some-model", "policy.model: somebody/some-model cannot be loaded"),
        ("policy.attention=nonsense", 'attn_implementation="nonsense"` is not supported'),
        (
            "lora={target_modules: [to_q]}",
            "lora.target_modules: no layer of the model matches to_q",
        ),
        ("rewards={bleu: 1}", "prompts: reward 'bleu' needs the column 'reference', and the prom"),
        ("train.samples_per_iteration=9", "train.samples_per_iteration: 9 samples do not divide"),
    ],
)
def test_one_line_for_what_is_impossible(override: str, reason: str, refused: Refused) -> None:
    assert reason in refused(override)


def test_prompts_that_leave_no_room_for_a_completion(refused: Refused, tmp_path: Path) -> None:
    message = refused(f"policy.max_length={CONTEXT - 12}")
    assert "prompts: the prompt 'a blue square' has 13 tokens; with them and 36 of a " in message
    assert "completion (policy.max_length) the context of" in message
    (tmp_path / "long.txt").write_text("b\n" + "a" * CONTEXT)
    message = refused("evaluation.prompts={file: long.txt}")
    assert "ddpo: evaluation.prompts: the prompt 'aaaaa" in message


@pytest.mark.parametrize("name", ["bart", "gemma2"])
def test_a_model_that_cannot_be_trained_yet(
    name: str, refused: Refused, language_models: Models
) -> None:
    message = refused(f"policy.model={language_models(name)}")
    assert "changes its logits after its head; such models cannot be trained yet" in message


def test_a_model_whose_tokenizer_does_not_fit(
    refused: Refused, language_models: Models, tmp_path: Path
) -> None:
    shutil.copytree(language_models("llama"), tmp_path / "model")
    file = tmp_path / "model" / "tokenizer.json"
    content = json.loads(file.read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary |= {f"word{i}": len(vocabulary) + i for i in range(9)}
    file.write_text(json.dumps(content))
    message = refused("policy.model=model")
    assert "policy.model: tokenizer: the network embeds 33 tokens but the tokenizer of" in message


@pytest.mark.parametrize("section", ["rewards", "watch"])
def test_rewards_of_images_for_texts(section: str, refused: Refused) -> None:
    """Said before any model is looked for."""
    message = refused(
        f"{section}={{small: {{reward: jpeg_compressibility}}}}", "policy.model=/nowhere"
    )
    assert message == (
        f"ddpo: {section}: reward 'small' scores images, and samples of policy.kind: text are "
        "texts; see docs/rewards.md for others\n"
    )
