"""From a configuration to a policy over the token chain."""

from __future__ import annotations

import copy

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
    asked, algorithm, held = config.policy, config.algorithm, config.evaluation
    assert isinstance(asked, TextPolicyConfig)
    language = load_language_model(asked)
    model = language.model
    if not head_alone_makes_logits(model):
        raise UserError(
            f"policy.model: {asked.model} is a {type(model).__name__}, which changes its logits "
            f"after its head; such models cannot be trained yet"
        )
    critic_model = None
    if algorithm.critic is not None and algorithm.critic.network == "separate":
        critic_model = copy.deepcopy(model).float()
        critic_model.requires_grad_(True)
        _freeze_head(critic_model)
    if config.lora is not None:
        task_type = "SEQ_2_SEQ_LM" if language.is_encoder_decoder else "CAUSAL_LM"
        add_lora(model, config.lora, _lora_targets(language), task_type)
    else:
        model.requires_grad_(True)
    if config.train.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()  # transformers checkpoints in training mode only; nothing is dropped there
    common = {
        "temperature": asked.temperature,
        "min_length": asked.min_length,
        "chunk": asked.chunk,
    }
    reference = None
    if algorithm.kl_coef > 0 and config.lora is None:
        frozen = copy.deepcopy(model).requires_grad_(False)
        reference = TokenNetwork(frozen, language.eos_ids, **common).to(device)
    network = TokenNetwork(
        model,
        language.eos_ids,
        **common,
        critic_model=critic_model,
        has_critic=algorithm.critic is not None,
    ).to(device)
    decoding = Decoding(asked.max_length, asked.min_length, asked.temperature, stop=asked.stop)
    heldout = Decoding(
        asked.max_length,
        asked.min_length,
        held.temperature or asked.temperature,
        held.top_k,
        held.top_p,
        asked.stop,
    )
    return TokenPolicy(
        language,
        network,
        decoding,
        heldout,
        reference=reference,
        uses_lora=config.lora is not None,
        measures_reference=algorithm.kl_coef > 0 and algorithm.kl_in == "reward",
        missing_eos_penalty=asked.missing_eos_penalty,
        autocast=autocast,
    )


def _lora_targets(language: LanguageModel) -> tuple[str, ...]:
    """The attention layers of a model."""
    names = [f".{name}" for name, _ in language.model.named_modules()]

    def matched(targets: tuple[str, ...]) -> int:
        return sum(name.endswith(tuple(f".{target}" for target in targets)) for name in names)

    return max(LORA_TARGETS, key=matched)


def _freeze_head(critic_model: object) -> None:
    """A critic reads what the head would: its own head, unless it is the embedding, has no
    gradient.
    """
    head = critic_model.get_output_embeddings()  # pyright: ignore[reportAttributeAccessIssue]
    embedding = critic_model.get_input_embeddings()  # pyright: ignore[reportAttributeAccessIssue]
    if head.weight is not embedding.weight:
        head.requires_grad_(False)
