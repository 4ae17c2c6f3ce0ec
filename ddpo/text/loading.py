"""From a model's name to a language model and its tokenizer: embedded, a folder, or a hub id."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
)
from transformers.utils import logging

from ddpo.config.text_policy import TextPolicyConfig
from ddpo.dtypes import DTYPES
from ddpo.errors import UserError
from rewards.pretrained import tokenizer_problem

UNLIMITED = 1 << 20
"""Tokenizers that know of no limit give a number far above this."""


@dataclass(frozen=True)
class LanguageModel:
    """A loaded model.

    Attributes:
        model: causal or sequence-to-sequence, without dropout.
        tokenizer: its own; pads on the left, by a token that the model need not know.
        name: what it was loaded as.
    """

    model: Any
    tokenizer: Any
    name: str

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether an encoder reads the prompt."""
        return bool(self.model.config.is_encoder_decoder)

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Tokens that end a completion; none where neither model nor tokenizer names one."""
        ids = self.model.generation_config.eos_token_id
        ids = self.tokenizer.eos_token_id if ids is None else ids
        if ids is None:
            return ()
        return tuple(ids) if isinstance(ids, list | tuple) else (ids,)

    @property
    def context(self) -> int | None:
        """Tokens that fit the model: of prompt and completion together, or of the prompt alone
        where an encoder reads it; None where there is no limit.
        """
        known = getattr(self.model.config, "max_position_embeddings", None)
        limit = known or self.tokenizer.model_max_length
        return limit if limit < UNLIMITED else None


def load_language_model(asked: TextPolicyConfig) -> LanguageModel:
    """Load the model that `policy` names.

    Raises:
        UserError: nothing can be loaded under this name, the tokenizer does not fit, or nothing
            ends a completion.
    """
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    source = _source(asked.model)
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    options: dict[str, Any] = {"dtype": DTYPES[asked.precision.network]}
    if asked.attention is not None:
        options["attn_implementation"] = asked.attention
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
        encodes = AutoConfig.from_pretrained(source).is_encoder_decoder
        kind = AutoModelForSeq2SeqLM if encodes else AutoModelForCausalLM
        model: Any = kind.from_pretrained(source, **options)
    except (OSError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"policy.model: {asked.model} cannot be loaded: {reason}") from error
    rows = model.get_input_embeddings().weight.shape[0]
    if problem := tokenizer_problem(tokenizer, rows, asked.model):
        raise UserError(f"policy.model: tokenizer: {problem}")
    loaded = LanguageModel(model, tokenizer, asked.model)
    if not loaded.eos_ids:
        raise UserError(
            f"policy.model: {asked.model} has no token that ends a text; give its "
            f"generation_config.json an eos_token_id"
        )
    if tokenizer.pad_token_id is None:  # what is padded is masked, whatever it is
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(loaded.eos_ids[0])
    without_dropout(model)
    return loaded


def without_dropout(model: nn.Module) -> None:
    """Let nothing be dropped, in training mode either: the policy that is trained is the one that
    sampled.
    """
    for module in model.modules():
        for name, value in vars(module).items():
            if name == "p" and isinstance(module, nn.Dropout):
                module.p = 0.0
            elif "dropout" in name and isinstance(value, float):
                setattr(module, name, 0.0)


def _source(model: str) -> str:
    """What transformers loads.

    Raises:
        UserError: it looks like a folder, and there is none.
    """
    from ddpo.worlds.texts import MODELS, model_path

    if model in MODELS:
        return str(model_path(model))
    if Path(model).is_dir():
        return model
    if model.startswith((".", "/", "~")):
        embedded = " and ".join(MODELS)
        raise UserError(f"policy.model: there is no folder {model}; {embedded} need no download")
    return model
