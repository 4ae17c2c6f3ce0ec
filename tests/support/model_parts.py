"""Tokenizers, text encoders and autoencoders of the true architecture with random weights and few
channels.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKL
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

WORDS = ["a", "red", "blue", "green", "circle", "square", "on", "gray", "background", "cat", "dog"]
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]


def tiny_tokenizer(folder: Path) -> CLIPTokenizer:
    """A CLIP tokenizer of letters and a few words, in CLIP's own files."""
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            merges.append((parts[0], parts[1]))
            parts = [parts[0] + parts[1], *parts[2:]]
    tokens = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    tokens += [first + second for first, second in merges]
    tokens = [*dict.fromkeys(tokens), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    lines = ["#version: 0.2", *dict.fromkeys(f"{first} {second}" for first, second in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=16)


def tiny_t5_tokenizer() -> T5Tokenizer:
    """A T5 tokenizer of letters and a few words."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    words = [(f"▁{word}", -1.0) for word in WORDS]
    vocabulary = [*special, *((letter, -3.0) for letter in LETTERS), *words]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=16)


def tiny_clip_encoder(
    tokenizer: CLIPTokenizer, *, width: int = 16, projected: bool = False
) -> CLIPTextModel | CLIPTextModelWithProjection:
    """A CLIP text encoder of two layers, with a projection of the pooled embedding if asked."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        projection_dim=width,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return CLIPTextModelWithProjection(config) if projected else CLIPTextModel(config)


def tiny_t5_encoder(tokenizer: T5Tokenizer, *, width: int = 16) -> T5EncoderModel:
    """A T5 encoder of one layer."""
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=width,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )
    return T5EncoderModel(config)


def tiny_autoencoder(*, channels: int = 4, **options: Any) -> AutoencoderKL:
    """An autoencoder that halves a picture's sides."""
    return AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        sample_size=16,
        **options,
    )
