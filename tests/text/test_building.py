"""What can be loaded and trained, what is refused in a line, and what is saved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
)

from ddpo.errors import UserError
from ddpo.randomness import RowGenerator
from ddpo.text.network import head_alone_makes_logits, headless
from ddpo.text.policy import TokenPolicy
from tests.support.language_models import ARCHITECTURES, OTHERS
from tests.support.text_policies import built, disturb

Models = Callable[[str], Path]

PROMPTS = ["a dog", "the cat sat"]
ROWS = RowGenerator(seed=0, iteration=1, rows=((0, 0), (1, 0)))
ALL = torch.arange(8)


def inner(policy: TokenPolicy) -> Any:
    """The model of transformers."""
    network: Any = policy.network
    return network.model


def logits_of(model: Any) -> Tensor:
    """Of some prompts and completions."""
    ids = torch.arange(3, 15).reshape(2, 6)
    inputs = {"input_ids": ids}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids.flip(1)
    with torch.no_grad():
        return model.eval()(**inputs).logits


def loaded(name: str, folder: Path) -> Any:
    """A model as transformers loads it."""
    kind = AutoModelForSeq2SeqLM if name in ("t5", "bart") else AutoModelForCausalLM
    return kind.from_pretrained(folder)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft 0.21
@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("lora", [True, False], ids=["lora", "full"])
def test_what_is_saved_is_the_policy(
    language_models: Models, name: str, lora: bool, tmp_path: Path
) -> None:
    """Alpha is twice the rank; the critic, a copy of the model with a head, is not in it."""
    critic = {"kind": "ppo", "critic": {"network": "separate"}}
    policy = built(language_models(name), lora=lora, algorithm=critic)
    base = logits_of(loaded(name, language_models(name)))
    assert torch.equal(logits_of(inner(policy)), base)
    disturb(policy)
    final = tmp_path / "final"
    policy.save_pretrained(final, policy.trained_state(), str(language_models(name)))
    if lora:
        model: Any = PeftModel.from_pretrained(loaded(name, language_models(name)), str(final))
        settings = json.loads((final / "adapter_config.json").read_text())
        assert settings["base_model_name_or_path"] == str(language_models(name))
        assert (settings["r"], settings["lora_alpha"]) == (4, 8)
        assert settings["task_type"] == ("SEQ_2_SEQ_LM" if name == "t5" else "CAUSAL_LM")
        saved = final / "adapter_model.safetensors"
        assert saved.stat().st_size < (language_models(name) / "model.safetensors").stat().st_size
    else:
        model = loaded(name, final)
        assert model.state_dict().keys() == inner(policy).state_dict().keys()
    logits = logits_of(model)
    torch.testing.assert_close(logits, logits_of(inner(policy)), atol=1e-5, rtol=0)
    assert (logits - base).abs().max() > 1e-2
    tokenizer = AutoTokenizer.from_pretrained(final)
    assert tokenizer("a dog").input_ids == [3, 29, 6, 17, 9]
    (weights,) = (load_file(file) for file in final.glob("*.safetensors"))
    assert not [name for name in weights if "critic" in name or "value" in name]


@pytest.mark.parametrize("lora", [True, False], ids=["lora", "full"])
def test_a_trained_state_goes_into_another_policy(language_models: Models, lora: bool) -> None:
    policy = built(language_models("gpt2"), lora=lora)
    disturb(policy)
    trajectory = policy.sample(PROMPTS, ROWS)
    other = built(language_models("gpt2"), lora=lora)
    assert not torch.equal(other.evaluate(trajectory, ALL).log_probs, trajectory.log_probs)
    other.load_trained_state({name: t.clone() for name, t in policy.trained_state().items()})
    found = other.evaluate(trajectory, ALL)
    assert found.values is not None
    assert torch.equal(found.log_probs, trajectory.log_probs)
    assert torch.equal(found.values, trajectory.measured["values"])
    with pytest.raises(KeyError, match="trained parameters differ"):
        other.load_trained_state({"nothing": torch.zeros(1)})


@pytest.mark.parametrize("name", OTHERS)
def test_a_model_that_changes_its_logits_after_its_head_is_refused(
    language_models: Models, name: str
) -> None:
    with pytest.raises(UserError, match="changes its logits after its head; such") as refusal:
        built(language_models(name))
    assert str(refusal.value).startswith(f"policy.model: {language_models(name)} is a ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", [*ARCHITECTURES, *OTHERS])
def test_a_look_without_the_head_leaves_the_model_as_it_was(
    language_models: Models, name: str
) -> None:
    model = loaded(name, language_models(name))
    before, head = logits_of(model), model.get_output_embeddings()
    assert head_alone_makes_logits(model) == (name in ARCHITECTURES)
    assert model.get_output_embeddings() is head
    with headless(model):
        assert isinstance(model.get_output_embeddings(), nn.Identity)
    with pytest.raises(ZeroDivisionError), headless(model):
        raise ZeroDivisionError
    assert model.get_output_embeddings() is head
    assert torch.equal(logits_of(model), before)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("network", ["shared", "separate"])
def test_a_critic_begins_at_0_and_every_part_of_it_learns(
    language_models: Models, name: str, network: str
) -> None:
    """Its own network, where it has one, with what the head of tokens would read, and nothing of
    the policy.
    """
    algorithm = {"kind": "ppo", "critic": {"network": network}}
    policy = built(language_models(name), algorithm=algorithm)
    trajectory = policy.sample(PROMPTS, ROWS)
    assert (trajectory.measured["values"] == 0).all()
    disturb(policy)
    values = policy.evaluate(trajectory, ALL).values
    assert values is not None
    assert values[trajectory.mask > 0].unique().numel() > 4
    (values * trajectory.mask).sum().backward()
    trained = {n: p for n, p in policy.network.named_parameters() if p.requires_grad}
    learning = {n for n, p in trained.items() if p.grad is not None and p.grad.abs().sum() > 0}
    critics = {n for n in trained if not n.startswith("model.")}
    head = "model.lm_head.weight"  # of tokens
    assert learning == (critics if network == "separate" else {*trained} - {head})
    log_probs = policy.evaluate(trajectory, ALL).log_probs
    policy.network.zero_grad()
    log_probs.sum().backward()
    touched = {n for n, p in trained.items() if p.grad is not None and p.grad.abs().sum() > 0}
    assert touched == {n for n in trained if n.startswith("model.")}


# The new name is not in the oldest transformers that will do, 5.17.
@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated")
@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("lora", [True, False], ids=["lora", "full"])
def test_checkpointing_changes_neither_samples_nor_gradients(
    language_models: Models, name: str, lora: bool
) -> None:
    """Though transformers does it in training mode only, in which GPT-2 and T5 have dropout."""

    def found(checkpointing: bool) -> list[Tensor]:
        policy = built(
            language_models(name), lora=lora, train={"gradient_checkpointing": checkpointing}
        )
        disturb(policy)
        trajectory = policy.sample(PROMPTS, ROWS)
        log_probs = policy.evaluate(trajectory, ALL).log_probs
        (log_probs * torch.linspace(-1, 1, 8)).sum().backward()
        grads = [p.grad for p in policy.network.parameters() if p.grad is not None]
        assert grads
        return [trajectory.record["completion_ids"], trajectory.log_probs, *grads]

    for one, other in zip(found(True), found(False), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_adapters_sit_in_the_attention_of_each_architecture(language_models: Models) -> None:
    for name, layers in {"gpt2": 4, "llama": 8, "t5": 24}.items():
        policy = built(language_models(name), lora=True, algorithm={"kind": "ddpo"})
        names = {n.partition(".lora_")[0] for n in policy.trained_state()}
        assert len(names) == layers
        assert all("attn" in n or "Attention" in n for n in names)
        assert {p.dtype for p in policy.trained_state().values()} == {torch.float32}


def test_targets_that_match_nothing_are_refused(language_models: Models) -> None:
    with pytest.raises(UserError, match=r"lora.target_modules: no layer of the model matches to_q"):
        built(language_models("gpt2"), lora={"rank": 2, "target_modules": ["to_q"]})


def without_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


def small_tokenizer(folder: Path) -> None:
    """One that knows five letters."""
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    vocabulary = content["model"]["vocab"]
    content["model"]["vocab"] = {token: i for token, i in vocabulary.items() if i < 8}
    file.write_text(json.dumps(content))


def large_tokenizer(folder: Path) -> None:
    """One that knows more than the model."""
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary |= {f"word{i}": len(vocabulary) + i for i in range(9)}
    file.write_text(json.dumps(content))


def endless(folder: Path) -> None:
    """Neither the tokenizer nor the model says how a text ends."""
    for name in ("tokenizer_config.json", "generation_config.json", "config.json"):
        file = folder / name
        content = json.loads(file.read_text())
        for key in ("eos_token", "eos_token_id"):
            content.pop(key, None)
        file.write_text(
            json.dumps(content | ({"eos_token_id": None} if "eos" in str(content) else {}))
        )


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def no_model(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (without_tokenizer, "policy.model: .*"),
        (small_tokenizer, "policy.model: tokenizer: the network embeds 33 tokens but .* has 8: "),
        (large_tokenizer, "policy.model: tokenizer: the network embeds 33 tokens but .* has 42: "),
        (endless, "has no token that ends a text; give its generation_config.json an eos_token_id"),
        (without_weights, "policy.model: .* cannot be loaded: .*model.safetensors"),
        (no_model, "policy.model: .* cannot be loaded: "),
    ],
)
def test_a_damaged_model_is_refused_in_one_line(
    language_models: Models, tmp_path: Path, damage: Callable[[Path], None], problem: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(language_models("gpt2"), folder)
    damage(folder)
    with pytest.raises(UserError, match=problem) as refusal:
        built(folder)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ("/nowhere/model", "there is no folder /nowhere/model; .* need no download"),
        ("somebody/some-model", "policy.model: somebody/some-model cannot be loaded: "),
    ],
)
def test_a_model_that_is_nowhere_is_refused(model: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        built(Path(model))
