"""Stage one of the recipe: an autoencoder from 64x64 pictures to 4x8x8 latents."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor

from ddpo.worlds.shapes.scenes import claims, render, scene_for
from ddpo.worlds.shapes.stage import Stage, as_tensor

KL_WEIGHT = 1e-6
EDGE_WEIGHT = 1.0


def new_autoencoder() -> AutoencoderKL:
    """An untrained autoencoder that makes each dimension eight times smaller."""
    return AutoencoderKL(
        block_out_channels=(16, 32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=64,
    )


def random_pictures(count: int, seed: int) -> Float[Tensor, "b 3 64 64"]:
    """Training scenes in the autoencoder's range, -1 to 1."""
    rng = np.random.default_rng([seed, 1])
    stream = claims(seed)
    pictures = np.stack([render(scene_for(next(stream), rng)) for _ in range(count)])
    return as_tensor(pictures) * 2 - 1


def reconstruction_loss(
    output: Float[Tensor, "b c h w"], target: Float[Tensor, "b c h w"]
) -> Float[Tensor, ""]:
    """Absolute and squared error, plus the absolute error of neighbouring pixels' differences.

    Edges are a small part of a picture, yet they tell a star from a circle.
    """
    error = output - target
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + error.square().mean() + EDGE_WEIGHT * edges


def train(folder: Path, minutes: float, batch_size: int = 16, peak_rate: float = 2e-3) -> Path:
    """Train for so many minutes, then store the latents' scale in the configuration.

    Args:
        folder: Receives the checkpoints and, at the end, the autoencoder under `vae/`.
        minutes: Wall-clock time, counted over all the starts of this stage.
        batch_size: Fresh scenes a step.
        peak_rate: Learning rate after the warm-up; it falls to 0 along a cosine.

    Returns:
        The folder of the trained autoencoder.
    """
    torch.manual_seed(0)
    model = new_autoencoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak_rate, weight_decay=1e-4)
    stage = Stage(folder, "autoencoder", {"model": model}, optimizer, minutes, peak_rate)
    for step in stage.steps():
        pixels = random_pictures(batch_size, seed=step)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = model.encode(pixels).latent_dist
            output = model.decode(posterior.sample()).sample
        loss = reconstruction_loss(output.float(), pixels)
        loss = loss + KL_WEIGHT * posterior.kl().float().mean()
        stage.update(loss)
    model.eval()
    model.register_to_config(scaling_factor=1 / latent_std(model))
    model.save_pretrained(folder / "vae")
    return folder / "vae"


@torch.no_grad()
def latent_std(model: AutoencoderKL, count: int = 512) -> float:
    """The standard deviation of the latents of random scenes, over all channels."""
    pixels = random_pictures(count, seed=10**6)
    means = [model.encode(part).latent_dist.mean for part in pixels.split(64)]
    return torch.cat(means).std().item()


@torch.no_grad()
def reconstruct(
    model: AutoencoderKL, pixels: Float[Tensor, "b 3 64 64"]
) -> Float[Tensor, "b 3 64 64"]:
    """Encode and decode pictures in the range -1 to 1, without noise."""
    parts = [model.decode(model.encode(part).latent_dist.mean).sample for part in pixels.split(64)]
    return torch.cat(parts).clamp(-1, 1)
