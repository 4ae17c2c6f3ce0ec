"""Latents of captioned scenes: what a text-to-image model of this world is trained on."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from jaxtyping import Int
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPTokenizer

from ddpo.worlds.shapes.scenes import claims, render, scene_for
from ddpo.worlds.shapes.stage import as_tensor, save_whole
from ddpo.worlds.shapes.train_autoencoder import encode


def token_ids(tokenizer: CLIPTokenizer, captions: list[str]) -> Int[Tensor, "b tokens"]:
    """Captions as the pipeline tokenises them: padded to the full context."""
    return tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids


def latent_pool(
    vae: AutoencoderKL, tokenizer: CLIPTokenizer, count: int, path: Path, seed: int = 1
) -> dict[str, Tensor]:
    """Scaled latents and token ids of random training scenes, kept in a file."""
    if not path.exists():
        rng = np.random.default_rng([seed, 2])
        stream = claims(seed)
        latents, captions = [], []
        for _ in range(count // 64):
            part = [next(stream) for _ in range(64)]
            pictures = np.stack([render(scene_for(claim, rng)) for claim in part])
            latents.append(encode(vae, as_tensor(pictures) * 2 - 1))
            captions += [claim.caption() for claim in part]
        scaled = torch.cat(latents) * vae.config["scaling_factor"]
        save_whole({"latents": scaled, "tokens": token_ids(tokenizer, captions)}, path)
    return load_file(path)
