"""What the trainings of a text-to-image model share: the shape of its text encoder, and the loop
that trains both together on stored latents, with averaged weights and held-out captions.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKL
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTokenizer

from ddpo.worlds.shapes.captioned_latents import latent_pool, token_ids
from ddpo.worlds.shapes.evaluate import heldout_accuracy
from ddpo.worlds.shapes.stage import Stage
from ddpo.worlds.shapes.tokenizer import CONTEXT_LENGTH

EMA_DECAY = 0.998
DROP_CAPTION = 0.1  # for classifier-free guidance

Loss = Callable[[Float[Tensor, "b c h w"], Int[Tensor, "b tokens"]], Float[Tensor, ""]]
"""Of latents and the tokens of their captions."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a model is trained.

    Attributes:
        minutes: wall-clock time, counted over all the starts.
        stop_at: part of 64 held-out captions at which to stop, so that reinforcement learning has
            something left to improve.
        evaluate_every: minutes of training between two evaluations.
        pool_size: number of training scenes.
        batch_size: latents a step.
        peak_rate: learning rate after the warm-up.
        betas: of AdamW.
    """

    minutes: float
    evaluate_every: float
    peak_rate: float
    betas: tuple[float, float]
    stop_at: float = 0.55
    pool_size: int = 32_768
    batch_size: int = 128


def text_config(tokenizer: CLIPTokenizer, width: int, layers: int) -> CLIPTextConfig:
    """A text encoder's, with the vocabulary of a tokenizer."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT_LENGTH,
        bos_token_id=cast(int, tokenizer.bos_token_id),
        eos_token_id=cast(int, tokenizer.eos_token_id),
        pad_token_id=cast(int, tokenizer.pad_token_id),
    )


def train(
    folder: Path,
    name: str,
    models: Mapping[str, nn.Module],
    loss: Loss,
    assemble: Callable[[Mapping[str, Any]], Any],
    vae: AutoencoderKL,
    tokenizer: CLIPTokenizer,
    plan: Plan,
    **evaluation: Any,
) -> Any:
    """Train until the minutes are spent or enough held-out captions come out right.

    Args:
        folder: receives the latents, the checkpoint, and the pipeline at each evaluation.
        name: of the checkpoint.
        models: what is trained, each by its name in the checkpoint.
        loss: of a batch, under these models.
        assemble: the pipeline of their averages, by the same names.
        vae: the trained autoencoder.
        tokenizer: of the captions.
        plan: how long, and with what.
        evaluation: options of the pipeline when it draws held-out captions.

    Returns:
        The pipeline with averaged weights, also saved as `pipeline/` in the folder.
    """
    averages = {key: deepcopy(model) for key, model in models.items()}
    parameters = [p for model in models.values() for p in model.parameters()]
    rate, betas = plan.peak_rate, plan.betas
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=1e-3, betas=betas)
    saved = {**models, **{f"average_{key}": average for key, average in averages.items()}}
    stage = Stage(folder, name, saved, optimizer, plan.minutes, rate)
    pool = latent_pool(vae, tokenizer, plan.pool_size, folder / "latents.safetensors")
    pipeline = assemble(averages)
    empty = token_ids(tokenizer, [""])
    evaluated = stage.seconds
    for step in stage.steps():
        rows = torch.randint(len(pool["latents"]), (plan.batch_size,))
        dropped = torch.rand(plan.batch_size, 1) < DROP_CAPTION
        tokens = torch.where(dropped, empty, pool["tokens"][rows])
        stage.update(loss(pool["latents"][rows], tokens))
        for key, model in models.items():
            update_average(averages[key], model, step)
        if stage.seconds - evaluated > plan.evaluate_every * 60:
            evaluated = stage.seconds
            right = heldout_accuracy(pipeline, count=64, **evaluation)
            stage.report(f"{right:.3f} of 64 held-out captions, loss {stage.average_loss:.4f}")
            pipeline.save_pretrained(folder / "pipeline")
            if right >= plan.stop_at:
                stage.stop()
    pipeline.save_pretrained(folder / "pipeline")
    return pipeline


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, step: int) -> None:
    """Move averaged weights towards the current ones, faster in the first steps."""
    decay = min(EMA_DECAY, (1 + step) / (10 + step))
    for mean, value in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
