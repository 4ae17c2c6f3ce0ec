"""Pipelines of a family's architecture with random weights, of a size to choose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline

from tests.support.pipelines import PIPELINES

Sizes = Mapping[str, Mapping[str, Any]]
"""By the name of a part, or of its class, what its configuration has instead."""

AUTOENCODER = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
}
TRUE_SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "sd15": {
        "unet": {
            "sample_size": 64,
            "block_out_channels": (320, 640, 1280, 1280),
            "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
            "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
            "layers_per_block": 2,
            "norm_num_groups": 32,
            "cross_attention_dim": 768,
            "attention_head_dim": 8,
        },
        "vae": {**AUTOENCODER, "sample_size": 512},
        "text_encoder": {
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
        },
    },
    "sdxl": {
        "unet": {
            "sample_size": 128,
            "block_out_channels": (320, 640, 1280),
            "down_block_types": ("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2,
            "up_block_types": ("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",),
            "layers_per_block": 2,
            "norm_num_groups": 32,
            "cross_attention_dim": 2048,
            "attention_head_dim": (5, 10, 20),
            "transformer_layers_per_block": (1, 2, 10),
            "use_linear_projection": True,
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        "vae": {**AUTOENCODER, "sample_size": 1024},
        "text_encoder": {
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "projection_dim": 768,
        },
        "text_encoder_2": {
            "hidden_size": 1280,
            "intermediate_size": 5120,
            "num_hidden_layers": 32,
            "num_attention_heads": 20,
            "projection_dim": 1280,
        },
    },
}
"""As the published models are, but for the vocabulary: tokenizers stay those of the tests."""


def make_pipeline(name: str, folder: Path, sizes: Sizes) -> Path:
    """Save a pipeline of one of the tests' architectures, with some parts in another size."""
    PIPELINES[name](folder / f"tiny-{name}")
    pipeline: Any = DiffusionPipeline.from_pretrained(folder / f"tiny-{name}", dtype=torch.float32)
    for part_name, part in pipeline.components.items():
        more = sizes.get(part_name) or sizes.get(type(part).__name__)
        if more and hasattr(part, "from_config"):
            setattr(pipeline, part_name, type(part).from_config({**part.config, **more}))
        elif more:
            config = type(part.config)(**{**part.config.to_dict(), **more})
            setattr(pipeline, part_name, type(part)(config))
    pipeline.save_pretrained(folder / name)
    return folder / name
