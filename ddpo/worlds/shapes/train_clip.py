"""Stage two of the recipe: a tiny CLIP, through open_clip, that notices every attribute.

Each batch holds groups of scenes that differ in one attribute, so that only attention to all of
them tells the captions apart. Half the pictures are worn: decoded from noisy latents, blurred or
noisy, because a reward meets generated pictures and not clean ones.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from jaxtyping import Float, Int
from safetensors.torch import load_file
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from ddpo.worlds.shapes.clip import load_clip
from ddpo.worlds.shapes.negatives import ALTERATIONS, altered
from ddpo.worlds.shapes.scenes import Claim, claims, render, scene_for
from ddpo.worlds.shapes.stage import Stage, as_tensor, save_whole
from ddpo.worlds.shapes.tokenizer import CONTEXT_LENGTH, make_tokenizer
from ddpo.worlds.shapes.train_autoencoder import decode, encode
from ddpo.worlds.shapes.words import IMAGE_SIZE

GROUP = 4  # a claim and three alterations of it
WORN_GROUPS = 2048
LATENT_NOISE = 0.6  # at most, in standard deviations of the latents
EMPHASIS = {"shape": 6, "size": 4, "relation": 2, "position": 2}  # what is learned last
_DRAWN_FROM = [name for name in ALTERATIONS for _ in range(EMPHASIS.get(name, 1))]
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


def model_config(vocab_size: int) -> dict[str, Any]:
    """The configuration in open_clip's own format."""
    return {
        "embed_dim": 64,
        "vision_cfg": {
            "image_size": IMAGE_SIZE,
            "layers": 4,
            "width": 96,
            "patch_size": 8,
            "head_width": 32,
            "mlp_ratio": 2.0,
        },
        "text_cfg": {
            "context_length": CONTEXT_LENGTH,
            "vocab_size": vocab_size,
            "hf_tokenizer_name": "tokenizer",  # any name: open_clip then takes the folder itself
            "width": 96,
            "heads": 3,
            "layers": 2,
            "mlp_ratio": 2.0,
        },
    }


def save_untrained(folder: Path) -> None:
    """Write the folder that open_clip's `local-dir:` reads, all but the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(folder)
    preprocess = {"size": IMAGE_SIZE, "mode": "RGB", "mean": MEAN, "std": STD}
    config = {"model_cfg": model_config(len(tokenizer)), "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")


def draw_group(claim: Claim, rng: np.random.Generator) -> list[Claim]:
    """A claim and alterations of it that are no held-out combinations."""
    group = [claim]
    while len(group) < GROUP:
        other = altered(claim, str(rng.choice(_DRAWN_FROM)), rng)
        if other is not None and not other.held_out and other not in group:
            group.append(other)
    return group


def draw_groups(count: int, seed: int) -> tuple[list[Claim], np.ndarray]:
    """Groups of claims in a row, and a clean picture of each."""
    rng = np.random.default_rng([seed, 4])
    stream = claims(seed)
    drawn = [claim for _ in range(count) for claim in draw_group(next(stream), rng)]
    return drawn, np.stack([render(scene_for(claim, rng)) for claim in drawn])


def worn_pool(vae: AutoencoderKL, path: Path, seed: int = 10**7) -> tuple[list[Claim], Tensor]:
    """Groups whose pictures were decoded from noisy latents, kept in a file as bytes."""
    drawn, clean = draw_groups(WORN_GROUPS, seed)
    if not path.exists():
        generator = torch.Generator().manual_seed(seed)
        worn = []
        for part in as_tensor(clean).split(64):
            latents = encode(vae, part * 2 - 1)
            amount = LATENT_NOISE * torch.rand(len(part), 1, 1, 1, generator=generator)
            noise = torch.randn(latents.shape, generator=generator) / vae.config["scaling_factor"]
            decoded = decode(vae, latents + amount * noise)
            worn.append(((decoded + 1) * 127.5).round().byte())
        save_whole({"pictures": torch.cat(worn)}, path)
    return drawn, load_file(path)["pictures"]


def wear(pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Blur a third of the pictures, and add noise to another third."""
    choice = torch.rand(len(pictures), 1, 1, 1)
    blurred = gaussian_blur(pictures, [5, 5], [float(torch.rand(()) + 0.3)])
    noisy = pictures + 0.1 * torch.rand(len(pictures), 1, 1, 1) * torch.randn_like(pictures)
    return torch.where(choice < 1 / 3, blurred, torch.where(choice > 2 / 3, noisy, pictures))


def contrastive_loss(
    images: Float[Tensor, "b d"], texts: Float[Tensor, "b d"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Cross-entropy of each picture among the captions, and the reverse (Radford et al., 2021)."""
    logits = scale * images @ texts.T
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def train(
    folder: Path,
    vae: AutoencoderKL,
    minutes: float,
    groups: int = 32,
    peak_rate: float = 1.5e-3,
) -> Path:
    """Train for so many minutes and write the folder `clip/`.

    Args:
        folder: Receives the worn pictures, the checkpoints, and the result.
        vae: The trained autoencoder.
        minutes: Wall-clock time, counted over all the starts of this stage.
        groups: Groups of four scenes a step; every other step takes worn ones.
        peak_rate: Learning rate after the warm-up.

    Returns:
        The folder, as `load_clip` reads it.
    """
    torch.manual_seed(0)
    result = folder / "clip"
    save_untrained(result)
    model = open_clip.create_model(f"local-dir:{result}", require_pretrained=False)
    tokenizer = open_clip.get_tokenizer(f"local-dir:{result}")
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak_rate, weight_decay=0.02)
    stage = Stage(folder, "clip", {"model": model}, optimizer, minutes, peak_rate)
    worn_claims, worn_pictures = worn_pool(vae, folder / "worn.safetensors")
    for step in stage.steps():
        if step % 2:
            rows = worn_rows(groups)
            drawn, pixels = [worn_claims[row] for row in rows], worn_pictures[rows].float() / 255
        else:
            drawn, pictures = draw_groups(groups, seed=step)
            pixels = as_tensor(pictures)
        tokens = tokenizer([claim.caption() for claim in drawn])
        images, texts, scale = model((wear(pixels) - MEAN[0]) / STD[0], tokens)
        stage.update(contrastive_loss(images, texts, scale))
    save_whole(model.state_dict(), result / "open_clip_model.safetensors")
    load_clip(result)
    return result


def worn_rows(groups: int) -> Int[Tensor, " b"]:
    """The rows of random groups of the worn pool."""
    starts = torch.randint(WORN_GROUPS, (groups, 1)) * GROUP
    return (starts + torch.arange(GROUP)).flatten()
