"""From a configuration to a policy over the token chain."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch

from ddpo.config.schema import Config
from ddpo.config.text_policy import TextPolicyConfig
from ddpo.errors import UserError
from ddpo.lora import add_lora
from ddpo.text.decoding import Decoding
from ddpo.text.loading import LanguageModel, load_language_model
from ddpo.text.network import TokenNetwork, head_alone_makes_logits
from ddpo.text.policy import TokenPolicy

LORA_TARGETS = (
    ("q_proj", "k_proj", "v_proj", "o_proj"),  # Llama, Qwen, Gemma, Mistral, …
    ("q", "k", "v", "o"),  # T5
    ("attn.c_attn", "attn.c_proj"),  # GPT-2
    ("query_key_value", "dense"),  # GPT-NeoX, Falcon, Bloom
    ("q_proj", "k_proj", "v_proj", "out_proj"),  # BART, OPT
)
"""Names of attention layers; those are adapted that a model has the most of."""


def build_token_policy(
    config: Config, device: torch.device, autocast: torch.dtype | None
) -> TokenPolicy:
    """Load the model that a configuration names, and make ready what is trained.

    Raises:
        UserError: the model cannot be loaded, does more to its logits than its head, or the LoRA
            targets match nothing.
    """
    asked, algorithm = config.policy, config.algorithm
    assert isinstance(asked, TextPolicyConfig)
    language = load_language_model(asked)
    if not head_alone_makes_logits(language.model):
        raise UserError(
            f"policy.model: {asked.model} is a {type(language.model).__name__}, which changes its "
            f"logits after its head; such models cannot be trained yet"
        )
    critic_model = _separate_critic(config, language)
    _make_trainable(config, language)

    def network_of(model: Any, **critic: Any) -> TokenNetwork:
        return TokenNetwork(
            model,
            language.eos_ids,
            temperature=asked.temperature,
            min_length=asked.min_length,
            chunk=asked.chunk,
            **critic,
        ).to(device)

    reference = None
    if algorithm.kl_coef > 0 and config.lora is None:
        reference = network_of(copy.deepcopy(language.model).requires_grad_(False))
    has_critic = algorithm.critic is not None
    return TokenPolicy(
        language,
        network_of(language.model, critic_model=critic_model, has_critic=has_critic),
        *_decodings(config, asked),
        reference=reference,
        uses_lora=config.lora is not None,
        measures_reference=algorithm.kl_coef > 0 and algorithm.kl_in == "reward",
        missing_eos_penalty=asked.missing_eos_penalty,
        autocast=autocast,
    )


def _separate_critic(config: Config, language: LanguageModel) -> Any:
    """A copy of the model for the critic alone, fp32, all of it trained; None where it has none."""
    critic = config.algorithm.critic
    if critic is None or critic.network == "shared":
        return None
    model = copy.deepcopy(language.model).float().requires_grad_(True)
    head = model.get_output_embeddings()
    if head.weight is not model.get_input_embeddings().weight:  # else it reads with it
        head.requires_grad_(False)
    return model


def _make_trainable(config: Config, language: LanguageModel) -> None:
    """Add adapters or thaw all weights."""
    model = language.model
    if config.lora is None:
        model.requires_grad_(True)
    else:
        task_type = "SEQ_2_SEQ_LM" if language.is_encoder_decoder else "CAUSAL_LM"
        add_lora(model, config.lora, _lora_targets(language), task_type)
    if config.train.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()  # transformers checkpoints in training mode only; nothing is dropped there


def _decodings(config: Config, asked: TextPolicyConfig) -> tuple[Decoding, Decoding]:
    """How samples of training are written, and held-out ones."""
    held = config.evaluation
    trained = Decoding(asked.max_length, asked.min_length, asked.temperature, stop=asked.stop)
    temperature = held.temperature or asked.temperature
    heldout = replace(trained, temperature=temperature, top_k=held.top_k, top_p=held.top_p)
    return trained, heldout


def _lora_targets(language: LanguageModel) -> tuple[str, ...]:
    """The attention layers of a model."""
    names = [f".{name}" for name, _ in language.model.named_modules()]

    def matched(targets: tuple[str, ...]) -> int:
        return sum(name.endswith(tuple(f".{target}" for target in targets)) for name in names)

    return max(LORA_TARGETS, key=matched)
