"""Stage four of the recipe: an aesthetic head on the tiny CLIP, fitted to the world's taste.

It is the head of the reward `aesthetic`: linear layers without activations on a normalised image
embedding. So its score is linear in the embedding, and it can only like what the CLIP has noticed.
"""

from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, StableDiffusionPipeline
from jaxtyping import Float, UInt8
from safetensors.torch import load_file
from torch import Tensor, nn

from ddpo.worlds.shapes.clip import load_clip
from ddpo.worlds.shapes.evaluate import generate
from ddpo.worlds.shapes.preferences import draw_pairs, taste
from ddpo.worlds.shapes.scenes import heldout_captions, parse, render, scene_for, training_captions
from ddpo.worlds.shapes.stage import as_tensor, save_whole
from ddpo.worlds.shapes.train_autoencoder import reconstruct
from rewards.image.aesthetic import AestheticHead

WIDTHS = (128, 64, 32, 16)  # of the hidden layers; LAION's are 1024, 128, 64 and 16
PICTURES = 4  # of each caption and kind
STEPS = 5  # of sampling, without guidance
TRAINING_SEED, MEASURING_SEED = 31, 32
BATCH_PAIRS = 512  # drawn a step and kind
SCORE_MEAN, SCORE_STD = 5.0, 1.25  # over the training pictures that the pipeline drew

Pictures = UInt8[np.ndarray, "n 64 64 3"]


@torch.no_grad()
def embed(pictures: Pictures, clip: Path | None = None) -> Float[Tensor, "n d"]:
    """Normalised embeddings by a CLIP of the recipe, the embedded one by default."""
    model, preprocess, _ = load_clip(clip)
    parts = as_tensor(pictures).split(256)
    return torch.cat([model.encode_image(preprocess(part), normalize=True) for part in parts])


@torch.no_grad()
def score(
    head: AestheticHead, pictures: Pictures, clip: Path | None = None
) -> Float[np.ndarray, "captions pictures"]:
    """A head's scores of `PICTURES` pictures of each caption."""
    return head.eval()(embed(pictures, clip)).numpy().reshape(-1, PICTURES)


def scene_pictures(vae: AutoencoderKL, captions: list[str], seed: int) -> Pictures:
    """A random scene for each caption, after the autoencoder."""
    rng = np.random.default_rng([seed, 6])
    scenes = np.stack([render(scene_for(parse(caption), rng)) for caption in captions])
    pixels = (reconstruct(vae, as_tensor(scenes) * 2 - 1) + 1) * 127.5
    return pixels.round().byte().permute(0, 2, 3, 1).numpy()


def drawn_pictures(pipeline: StableDiffusionPipeline, captions: list[str], seed: int) -> Pictures:
    """What the pipeline draws for each caption, as in reinforcement learning."""
    return generate(pipeline, captions, seed, steps=STEPS, guidance_scale=1.0)


def held_out_pictures(
    vae: AutoencoderKL, pipeline: StableDiffusionPipeline, captions: int
) -> dict[str, Pictures]:
    """Pictures of held-out captions to measure a head on: `PICTURES` of each in succession."""
    asked = _repeated(heldout_captions(captions, MEASURING_SEED))
    return {
        "scenes": scene_pictures(vae, asked, MEASURING_SEED),
        "drawn": drawn_pictures(pipeline, asked, MEASURING_SEED),
    }


def preference_loss(better: Float[Tensor, " b"], worse: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """Mean negative log-likelihood that the better one is preferred (Bradley and Terry, 1952)."""
    return -F.logsigmoid(better - worse).mean()


@torch.no_grad()
def scale_scores(head: AestheticHead, embeddings: Float[Tensor, "n d"]) -> None:
    """Give the scores of some embeddings the mean and spread promised, by the last layer alone.

    A comparison fixes neither; no order of two scores changes.
    """
    head.eval()
    scores, last = head(embeddings), cast(nn.Linear, head.layers[-1])
    factor = SCORE_STD / scores.std()
    last.weight *= factor
    last.bias.sub_(scores.mean()).mul_(factor).add_(SCORE_MEAN)


def train(
    folder: Path,
    clip: Path,
    vae: AutoencoderKL,
    pipeline: StableDiffusionPipeline,
    captions: int = 384,
    steps: int = 800,
    peak_rate: float = 2e-3,
) -> Path:
    """Fit a head to pairs of scenes and of drawn pictures, and write the folder `aesthetic/`.

    The pictures, which take nearly all of the time, are kept in a file, so that a killed stage goes
    on from them. The fit itself takes seconds: it counts steps, not minutes, and the same pictures
    give the same head.

    Args:
        folder: Receives the pictures and the result.
        clip: The folder of the trained CLIP.
        vae: The trained autoencoder.
        pipeline: The trained pipeline.
        captions: Training captions; there are `PICTURES` of each and kind.
        steps: Optimizer steps.
        peak_rate: Learning rate at the first step; it falls to 0 along a cosine.

    Returns:
        The folder, with the file `head.safetensors`.
    """
    kinds = training_pictures(folder / "tasted.safetensors", vae, pipeline, captions)
    embeddings = [embed(pictures, clip) for pictures in kinds]
    tastes = [np.array([*map(taste, kind)]).reshape(-1, PICTURES) for kind in kinds]
    head = fit(embeddings, tastes, steps, peak_rate)
    scale_scores(head, embeddings[-1])
    result = folder / "aesthetic"
    result.mkdir(parents=True, exist_ok=True)
    save_whole(head.state_dict(), result / "head.safetensors")
    return result


def training_pictures(
    path: Path, vae: AutoencoderKL, pipeline: StableDiffusionPipeline, captions: int
) -> list[Pictures]:
    """Scenes, then drawn pictures, of training captions: made and kept in a file, or read of it."""
    if not path.exists():
        asked = _repeated(training_captions(captions, TRAINING_SEED))
        made = {
            "scenes": scene_pictures(vae, asked, TRAINING_SEED),
            "drawn": drawn_pictures(pipeline, asked, TRAINING_SEED),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        save_whole({kind: torch.from_numpy(pictures) for kind, pictures in made.items()}, path)
    stored = load_file(path)
    return [stored["scenes"].numpy(), stored["drawn"].numpy()]


def fit(
    embeddings: list[Float[Tensor, "n d"]],
    tastes: list[Float[np.ndarray, "captions pictures"]],
    steps: int,
    peak_rate: float,
) -> AestheticHead:
    """A head that ranks pictures by their taste, for each kind within and across captions.

    Args:
        embeddings: Of the pictures, for each kind.
        tastes: Of the same pictures, grouped by caption.
        steps: Optimizer steps.
        peak_rate: Learning rate at the first step.
    """
    torch.manual_seed(0)
    rng = np.random.default_rng([TRAINING_SEED, 7])
    head = AestheticHead([embeddings[0].shape[1], *WIDTHS, 1])
    optimizer = torch.optim.AdamW(head.parameters(), lr=peak_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        losses = []
        for kind, same_caption in np.ndindex(len(embeddings), 2):
            pairs = draw_pairs(tastes[kind], BATCH_PAIRS, rng, bool(same_caption))
            better, worse = (head(embeddings[kind][side]) for side in torch.from_numpy(pairs).T)
            losses.append(preference_loss(better, worse))
        optimizer.zero_grad(set_to_none=True)
        torch.stack(losses).mean().backward()
        optimizer.step()
        schedule.step()
    return head


def _repeated(captions: list[str]) -> list[str]:
    return [caption for caption in captions for _ in range(PICTURES)]
