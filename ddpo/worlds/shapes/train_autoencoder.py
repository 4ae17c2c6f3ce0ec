"""Stage one of the recipe: an autoencoder from 64x64 pictures to 4x8x8 latents."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor

from ddpo.worlds.shapes.scenes import Scene, claims, render, scene_for
from ddpo.worlds.shapes.stage import Stage, as_tensor
from ddpo.worlds.shapes.words import IMAGE_SIZE

CROP_SIZE = 32
CROP_PART = 0.75  # of the training, before it turns to whole pictures
CROP_WANDER = 10.0  # pixels between the middle of a crop and its thing, at most
FOREGROUND_WEIGHT = 4.0
KL_WEIGHT = 1e-6


def new_autoencoder() -> AutoencoderKL:
    """An untrained autoencoder that makes each dimension eight times smaller.

    It starts with a small posterior variance: with the usual one, noise drowns the latents until
    the encoder has learned to shout.
    """
    make: Any = AutoencoderKL  # its annotations take tuples of one element
    model = make(
        block_out_channels=(16, 32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=IMAGE_SIZE,
        mid_block_add_attention=False,  # so that training on crops carries over to whole pictures
    )
    with torch.no_grad():
        model.quant_conv.weight[4:] = 0.0
        model.quant_conv.bias[4:] = -6.0
    return model


def random_pictures(
    count: int, seed: int, size: int = IMAGE_SIZE
) -> Float[Tensor, "b 3 size size"]:
    """Training scenes in the range -1 to 1, whole or cropped around one of their things."""
    rng = np.random.default_rng([seed, 1])
    stream = claims(seed)
    pictures = []
    for _ in range(count):
        scene = scene_for(next(stream), rng)
        left, top = _crop_corner(scene, size, rng)
        pictures.append(render(scene)[top : top + size, left : left + size])
    return as_tensor(np.stack(pictures)) * 2 - 1


def _crop_corner(scene: Scene, size: int, rng: np.random.Generator) -> tuple[int, int]:
    thing = scene.things[rng.integers(len(scene.things))]
    wander = rng.uniform(-CROP_WANDER, CROP_WANDER, 2)
    corner = np.round(np.array([thing.x, thing.y]) - size / 2 + wander)
    left, top = np.clip(corner, 0, IMAGE_SIZE - size).astype(int).tolist()
    return left, top


def reconstruction_loss(
    output: Float[Tensor, "b 3 h w"], target: Float[Tensor, "b 3 h w"]
) -> Float[Tensor, ""]:
    """Squared, absolute and edge error, the first two with more weight on the things.

    Most of a picture is background, and it is the edges that tell a star from a circle.
    """
    error = output - target
    background = target.flatten(2).median(dim=2).values[:, :, None, None]
    foreground = (target - background).abs().amax(dim=1, keepdim=True) > 0.05
    weight = 1 + (FOREGROUND_WEIGHT - 1) * foreground
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    pixels = (weight * (error.square() + 0.5 * error.abs())).mean()
    return pixels + 0.5 * edges


def train(
    folder: Path, minutes: float, batch_size: int = 32, peak_rate: float = 3e-3
) -> AutoencoderKL:
    """Train for so many minutes, first on crops, which cost a quarter, then on whole pictures.

    Args:
        folder: Receives the checkpoints.
        minutes: Wall-clock time, counted over all the starts of this stage.
        batch_size: Fresh crops a step; a quarter as many whole pictures.
        peak_rate: Learning rate after the warm-up; it falls to 0 along a cosine.

    Returns:
        The autoencoder, its `scaling_factor` one over the latents' standard deviation.
    """
    torch.manual_seed(0)
    model: Any = new_autoencoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak_rate, betas=(0.9, 0.99))
    stage = Stage(folder, "autoencoder", {"model": model}, optimizer, minutes, peak_rate)
    for step in stage.steps():
        if stage.seconds < CROP_PART * stage.budget:
            pixels = random_pictures(batch_size, step, CROP_SIZE)
        else:
            pixels = random_pictures(batch_size // 4, step)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = model.encode(pixels).latent_dist
            output = model.decode(posterior.sample()).sample
        loss = reconstruction_loss(output.float(), pixels)
        stage.update(loss + KL_WEIGHT * posterior.kl().float().mean())
    model.eval()
    model.register_to_config(scaling_factor=1 / latent_std(model))
    return model


def latent_std(model: AutoencoderKL, count: int = 512) -> float:
    """The standard deviation of the latents of random scenes, over all channels."""
    pixels = random_pictures(count, seed=10**6)
    return encode(model, pixels).std().item()


def reconstruct(
    model: AutoencoderKL, pixels: Float[Tensor, "b 3 64 64"]
) -> Float[Tensor, "b 3 64 64"]:
    """Encode and decode pictures in the range -1 to 1, without noise."""
    return decode(model, encode(model, pixels))


@torch.no_grad()
def encode(model: Any, pixels: Float[Tensor, "b 3 64 64"]) -> Float[Tensor, "b 4 8 8"]:
    """The means of the unscaled latents of pictures in the range -1 to 1."""
    return torch.cat([model.encode(part).latent_dist.mean for part in pixels.split(64)])


@torch.no_grad()
def decode(model: Any, latents: Float[Tensor, "b 4 8 8"]) -> Float[Tensor, "b 3 64 64"]:
    """Pictures in the range -1 to 1 of unscaled latents."""
    parts = [model.decode(part).sample for part in latents.split(64)]
    return torch.cat(parts).clamp(-1, 1)
