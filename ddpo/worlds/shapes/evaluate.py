"""How well the shipped weights do: the figures of the model card."""

import itertools
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from jaxtyping import Float, UInt8
from torch import Tensor

from ddpo.worlds.shapes.clip import load_clip
from ddpo.worlds.shapes.negatives import ALTERATIONS, altered
from ddpo.worlds.shapes.preferences import draw_pairs, properties, taste
from ddpo.worlds.shapes.scenes import (
    Claim,
    Scene,
    claim_of,
    claims,
    heldout_captions,
    render,
    scene_for,
)
from ddpo.worlds.shapes.stage import as_tensor
from ddpo.worlds.shapes.train_autoencoder import reconstruct
from ddpo.worlds.shapes.verifier import matches


def random_scenes(count: int, seed: int, held_out: bool = False) -> list[Scene]:
    """Scenes from one side of the split."""
    rng = np.random.default_rng([seed, 3])
    stream = itertools.islice(claims(seed, held_out), count)
    return [scene_for(claim, rng) for claim in stream]


def full_caption(scene: Scene) -> str:
    """All that can be said of a scene: both sizes, and the position."""
    return claim_of(scene, sizes=(True, True), position=True).caption()


def true_drawings(stated: Iterable[Claim], rng: np.random.Generator) -> Float[Tensor, "b 3 64 64"]:
    """A true drawing of each claim, as rewards see pictures."""
    return as_tensor(np.stack([render(scene_for(claim, rng)) for claim in stated]))


def generate(
    pipeline: Any,
    captions: list[str],
    seed: int = 0,
    steps: int = 20,
    guidance_scale: float = 3.0,
    **options: Any,
) -> UInt8[np.ndarray, "b 64 64 3"]:
    """One picture for each caption, 64 at a time; `options` go to the pipeline."""
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(seed)
    pictures = [
        pipeline(
            captions[start : start + 64],
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            **(options or {"eta": 1.0}),
            generator=generator,
            output_type="np",
        ).images
        for start in range(0, len(captions), 64)
    ]
    return (np.concatenate(pictures) * 255).round().astype(np.uint8)


def accuracy(pictures: np.ndarray, captions: list[str]) -> float:
    """The part of the pictures that match their captions."""
    pairs = zip(pictures, captions, strict=True)
    return float(np.mean([matches(picture, caption) for picture, caption in pairs]))


def heldout_accuracy(pipeline: Any, count: int, seed: int = 0, **options: Any) -> float:
    """The part of held-out captions that a pipeline draws right; `options` as for `generate`."""
    captions = heldout_captions(count, seed)
    return accuracy(generate(pipeline, captions, seed, **options), captions)


def clean_accuracy(count: int, seed: int = 11) -> float:
    """The part of drawn scenes of which the verifier confirms the full caption."""
    scenes = random_scenes(count, seed)
    return accuracy(np.stack([render(s) for s in scenes]), [full_caption(s) for s in scenes])


def reconstruction_accuracy(vae: AutoencoderKL, count: int, seed: int = 11) -> float:
    """The same after the autoencoder."""
    scenes = random_scenes(count, seed)
    pixels = as_tensor(np.stack([render(scene) for scene in scenes])) * 2 - 1
    pictures = (reconstruct(vae, pixels) + 1) * 127.5
    rounded = pictures.round().byte().permute(0, 2, 3, 1).numpy()
    return accuracy(rounded, [full_caption(scene) for scene in scenes])


@torch.no_grad()
def clip_accuracy(
    folder: Path | None, vae: AutoencoderKL | None, count: int, seed: int = 13
) -> dict[str, float]:
    """How often CLIP prefers a scene's caption to one with an attribute changed, by attribute.

    Args:
        folder: The CLIP; the embedded one by default.
        vae: Show reconstructions by this autoencoder instead of clean scenes.
        count: Held-out scenes; each attribute that the caption mentions is changed once.
        seed: Draws the scenes and the changes.
    """
    model, preprocess, tokenize = load_clip(folder)
    rng = np.random.default_rng([seed, 5])
    stated = list(itertools.islice(claims(seed, held_out=True), count))
    pixels = true_drawings(stated, rng)
    if vae is not None:
        pixels = (reconstruct(vae, pixels * 2 - 1) + 1) / 2
    images = F.normalize(model.encode_image(preprocess(pixels)), dim=-1)

    def likeness(rows: list[int], captions: list[str]) -> Tensor:
        texts = F.normalize(model.encode_text(tokenize(captions)), dim=-1)
        return (images[rows] * texts).sum(-1)

    result = {}
    for attribute in ALTERATIONS:
        wrong = {i: altered(claim, attribute, rng) for i, claim in enumerate(stated)}
        pairs = [(i, other) for i, other in wrong.items() if other is not None]
        rows = [i for i, _ in pairs]
        right = likeness(rows, [stated[i].caption() for i in rows])
        margin = right - likeness(rows, [other.caption() for _, other in pairs])
        result[attribute] = (margin > 0).float().mean().item()
    return result


def taste_figures(
    scores: Float[np.ndarray, "captions pictures"],
    pictures: UInt8[np.ndarray, "n 64 64 3"],
    pairs: int = 20_000,
    seed: int = 17,
) -> dict[str, float]:
    """How an aesthetic head judges some pictures of each caption.

    Args:
        scores: By the head.
        pictures: In the order of the flattened scores.
        pairs: Pairs to draw, of which ties are left out.
        seed: Draws the pairs.

    Returns:
        The mean and standard deviation of the scores; the part of the pairs that the head orders
        as the taste does, over all captions and within one; the correlation of the score with the
        taste and with each property, likewise (`within` marks deviations from the mean of the
        caption); and each property's slope in a least-squares fit of the score by all of them, in
        standard deviations.
    """
    tastes = np.array([taste(picture) for picture in pictures]).reshape(scores.shape)
    measured = {"taste": tastes}
    rows = [asdict(properties(picture)) for picture in pictures]
    names = list(rows[0])
    for name in names:
        measured[name] = np.array([row[name] for row in rows]).reshape(scores.shape)
    result = {"mean": float(scores.mean()), "std": float(scores.std())}
    for label, same_caption in (("pairs", False), ("pairs within", True)):
        drawn = draw_pairs(tastes, pairs, np.random.default_rng(seed), same_caption)
        better, worse = scores.ravel()[drawn].T
        result[label] = float((better > worse).mean())
    for name, values in measured.items():
        result[name] = _correlation(scores, values)
        result[f"{name} within"] = _correlation(_centred(scores), _centred(values))
    causes = np.stack([_standardised(measured[name]) for name in names], axis=1)
    slopes = np.linalg.lstsq(causes, _standardised(scores), rcond=None)[0]
    return result | {f"{name} slope": float(s) for name, s in zip(names, slopes, strict=True)}


def _standardised(values: np.ndarray) -> np.ndarray:
    return ((values - values.mean()) / values.std()).ravel()


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def _centred(values: np.ndarray) -> np.ndarray:
    """Deviations from the mean of each row."""
    return values - values.mean(axis=1, keepdims=True)
