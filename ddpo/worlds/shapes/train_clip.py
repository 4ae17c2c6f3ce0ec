"""Stage three of the recipe: a tiny CLIP, through open_clip, that notices every attribute.

A batch holds either groups of scenes that differ in one attribute, so that only attention to all of
them tells the captions apart; or pictures that the pipeline drew, with captions of what they turned
out to show, against what they were asked to show. Pictures are noisy but never blurred: a CLIP that
forgives blur rewards soft shapes.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, StableDiffusionPipeline
from jaxtyping import Float, Int
from safetensors.torch import load_file
from torch import Tensor

from ddpo.worlds.shapes.clip import load_clip
from ddpo.worlds.shapes.drawn import draw_pool
from ddpo.worlds.shapes.negatives import ALTERATIONS, altered
from ddpo.worlds.shapes.scenes import Claim, claims, render, scene_for
from ddpo.worlds.shapes.stage import Stage, as_tensor, save_whole
from ddpo.worlds.shapes.tokenizer import CONTEXT_LENGTH, make_tokenizer
from ddpo.worlds.shapes.train_autoencoder import decode, encode
from ddpo.worlds.shapes.words import IMAGE_SIZE

GROUP = 4  # a claim and three alterations of it
WORN_GROUPS = 2048
LATENT_NOISE = 0.2  # at most, in standard deviations of the latents
PIXEL_NOISE = 0.05  # at most
DRAWN_GROUPS = 3000
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


def draw_claims(count: int, seed: int) -> list[Claim]:
    """Groups of claims, one after the other."""
    rng = np.random.default_rng([seed, 4])
    stream = claims(seed)
    return [claim for _ in range(count) for claim in draw_group(next(stream), rng)]


def draw_groups(count: int, seed: int) -> tuple[list[Claim], np.ndarray]:
    """Groups of claims, and a clean picture of each."""
    drawn = draw_claims(count, seed)
    rng = np.random.default_rng([seed, 5])
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


def noisy(pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Add noise, to each picture a random amount."""
    amount = PIXEL_NOISE * torch.rand(len(pictures), 1, 1, 1)
    return pictures + amount * torch.randn_like(pictures)


def contrastive_loss(
    images: Float[Tensor, "b d"],
    texts: Float[Tensor, "n d"],
    scale: Float[Tensor, ""],
    captions: list[str],
) -> Float[Tensor, ""]:
    """Cross-entropy of each picture among the captions, and the reverse (Radford et al., 2021).

    Args:
        images: Embeddings of pictures.
        texts: Embeddings of captions: those of the pictures, then more that fit none of them.
        scale: Factor of the cosine similarity.
        captions: As many as texts; equal ones are no negatives of each other.
    """
    count = len(images)
    numbers = {caption: number for number, caption in enumerate(captions)}
    identity = torch.tensor([numbers[caption] for caption in captions])
    equal = identity[:count, None] == identity
    own = torch.arange(count)
    equal[own, own] = False
    logits = (scale * images @ texts.T).masked_fill(equal, -torch.inf)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits[:, :count].T, own)) / 2


def train(
    folder: Path,
    vae: AutoencoderKL,
    pipeline: StableDiffusionPipeline,
    minutes: float,
    groups: int = 32,
    peak_rate: float = 1.5e-3,
) -> Path:
    """Train for so many minutes and write the folder `clip/`.

    Args:
        folder: Receives the worn and the drawn pictures, the checkpoints, and the result.
        vae: The trained autoencoder.
        pipeline: The trained pipeline, whose pictures half the steps take.
        minutes: Wall-clock time, counted over all the starts of this stage.
        groups: Groups of four scenes a step; a step takes clean, worn or drawn ones.
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
    asked = draw_claims(DRAWN_GROUPS, seed=2 * 10**7)
    drawn = draw_pool(pipeline, asked, folder / "drawn.safetensors")
    for step in stage.steps():
        others: list[str] = []
        if step % 2:
            rows = torch.randint(len(drawn.shown), (groups * GROUP,)).tolist()
            pixels = drawn.pictures[rows].float() / 255
            captions = [drawn.shown[row] for row in rows]
            others = sorted({drawn.asked[row] for row in rows} - set(captions))
        elif step % 4:
            rows = worn_rows(groups)
            pixels = worn_pictures[rows].float() / 255
            captions = [worn_claims[row].caption() for row in rows]
        else:
            claimed, pictures = draw_groups(groups, seed=step)
            pixels, captions = as_tensor(pictures), [claim.caption() for claim in claimed]
        captions += others
        images, texts, scale = model((noisy(pixels) - MEAN[0]) / STD[0], tokenizer(captions))
        stage.update(contrastive_loss(images, texts, scale, captions))
    save_whole(model.state_dict(), result / "open_clip_model.safetensors")
    load_clip(result)
    return result


def worn_rows(groups: int) -> Int[Tensor, " b"]:
    """The rows of random groups of the worn pool."""
    starts = torch.randint(WORN_GROUPS, (groups, 1)) * GROUP
    return (starts + torch.arange(GROUP)).flatten()
