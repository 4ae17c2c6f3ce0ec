"""Language models of a few thousand weights, in transformers' own format, written to folders."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

LETTERS = string.ascii_lowercase + " .<\n"
SPECIAL = {"<pad>": 0, "</s>": 1, "<unk>": 2}
VOCABULARY = SPECIAL | {letter: 3 + i for i, letter in enumerate(LETTERS)}
CONTEXT = 48
_IDS = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 1}
_ROWS = len(VOCABULARY)


def tokenizer() -> PreTrainedTokenizerFast:
    """A token a letter."""
    letters = Tokenizer(WordLevel(VOCABULARY, unk_token="<unk>"))
    letters.pre_tokenizer = Split(Regex("."), "isolated")  # pyright: ignore[reportAttributeAccessIssue]
    letters.decoder = Fuse()  # pyright: ignore[reportAttributeAccessIssue]
    return PreTrainedTokenizerFast(
        tokenizer_object=letters,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
    )


def _gpt2() -> Any:
    size = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": CONTEXT}
    return GPT2LMHeadModel(GPT2Config(vocab_size=_ROWS, **size, **_IDS))  # dropout as published


def _llama() -> Any:
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=_ROWS, max_position_embeddings=CONTEXT, **size, **heads, **_IDS)
    )


def _t5() -> Any:
    size = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    return T5ForConditionalGeneration(
        T5Config(vocab_size=_ROWS, decoder_start_token_id=0, **size, **_IDS)
    )


def _bart() -> Any:
    layers = {"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 16}
    return BartForConditionalGeneration(
        BartConfig(
            vocab_size=_ROWS,
            d_model=16,
            max_position_embeddings=CONTEXT,
            decoder_start_token_id=1,
            forced_eos_token_id=None,
            **layers,
            **heads,
            **_IDS,
        )
    )


def _gemma2() -> Any:
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "head_dim": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    return Gemma2ForCausalLM(Gemma2Config(vocab_size=_ROWS, **size, **heads, **_IDS))


ARCHITECTURES = {"gpt2": _gpt2, "llama": _llama, "t5": _t5}
"""Those that can be trained."""

OTHERS = {"bart": _bart, "gemma2": _gemma2}
"""Those that do more to their logits than their head."""


def write_language_model(name: str, folder: Path, seed: int = 0) -> Path:
    """Write one with random weights, large enough that its tokens are not all alike."""
    torch.manual_seed(seed)
    model = {**ARCHITECTURES, **OTHERS}[name]()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder
