"""Stage two of the recipe: a U-Net and its text encoder, trained together on stored latents."""

from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from jaxtyping import Float, Int
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ddpo.worlds.shapes.evaluate import heldout_accuracy
from ddpo.worlds.shapes.scenes import claims, render, scene_for
from ddpo.worlds.shapes.stage import Stage, as_tensor, save_whole
from ddpo.worlds.shapes.tokenizer import CONTEXT_LENGTH, make_tokenizer
from ddpo.worlds.shapes.train_autoencoder import encode

EMA_DECAY = 0.998
DROP_CAPTION = 0.1  # for classifier-free guidance
TEXT_WIDTH = 96
TERMINAL_SIGNAL = 1e-5  # ᾱ of the last training step


def new_unet() -> UNet2DConditionModel:
    """An untrained U-Net over 4x8x8 latents, with attention at 8x8 and in the middle."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(64, 80),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,  # diffusers reads it as the number of heads
        norm_num_groups=16,
    )


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained text encoder with the vocabulary of a tokenizer."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT_LENGTH,
            bos_token_id=cast(int, tokenizer.bos_token_id),
            eos_token_id=cast(int, tokenizer.eos_token_id),
            pad_token_id=cast(int, tokenizer.pad_token_id),
        )
    )


def new_scheduler() -> DDIMScheduler:
    """v-prediction that starts from all but pure noise, in the betas of a plain DDIM scheduler.

    The betas are Stable Diffusion's, rescaled as for zero terminal SNR (Lin et al. 2024, algorithm
    1) but to a last signal of `TERMINAL_SIGNAL`: at 0 itself, rounding turns some of diffusers'
    own steps with eta = 1 into the root of a negative number.
    """
    plain: Any = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    roots = plain.alphas_cumprod.double().sqrt()
    first, last, final = roots[0], roots[-1], TERMINAL_SIGNAL**0.5
    signal = (final + (roots - last) * (first - final) / (first - last)) ** 2
    betas = 1 - signal / torch.cat([torch.ones(1).double(), signal[:-1]])
    return DDIMScheduler(
        trained_betas=betas.tolist(),
        clip_sample=False,
        prediction_type="v_prediction",
        steps_offset=1,
        timestep_spacing="trailing",
    )


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


def v_loss(
    unet: UNet2DConditionModel,
    scheduler: Any,
    latents: Float[Tensor, "b c h w"],
    embeddings: Float[Tensor, "b tokens d"],
) -> Float[Tensor, ""]:
    """Mean squared error of v = √ᾱ·ε − √(1−ᾱ)·x at random timesteps (Salimans and Ho, 2022)."""
    noise = torch.randn_like(latents)
    timesteps = torch.randint(len(scheduler.betas), (len(latents),))
    noisy = scheduler.add_noise(latents, noise, timesteps)
    predicted = unet(noisy, timesteps, embeddings).sample
    return F.mse_loss(predicted, scheduler.get_velocity(latents, noise, timesteps))


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, step: int) -> None:
    """Move averaged weights towards the current ones, faster in the first steps."""
    decay = min(EMA_DECAY, (1 + step) / (10 + step))
    for mean, value in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)


def assemble(
    vae: AutoencoderKL,
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
) -> StableDiffusionPipeline:
    """The four trained parts as a plain Stable Diffusion pipeline."""
    make: Any = StableDiffusionPipeline  # its annotations want a scheduler enum and a checker
    return make(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def train(
    folder: Path,
    vae: AutoencoderKL,
    minutes: float,
    stop_at: float = 0.55,
    evaluate_every: float = 3.0,
    pool_size: int = 32_768,
    batch_size: int = 128,
    peak_rate: float = 2e-3,
) -> StableDiffusionPipeline:
    """Train until so many minutes are spent or enough held-out captions come out right.

    Args:
        folder: Receives the latents, the checkpoints, and the pipeline at each evaluation.
        vae: The trained autoencoder.
        minutes: Wall-clock time, counted over all the starts of this stage.
        stop_at: Part of 64 held-out captions at which to stop, so that reinforcement learning
            has something left to improve.
        evaluate_every: Minutes of training between two evaluations.
        pool_size: Number of training scenes.
        batch_size: Latents a step.
        peak_rate: Learning rate after the warm-up.

    Returns:
        The pipeline with averaged weights, also saved as `pipeline/` in the folder.
    """
    torch.manual_seed(0)
    tokenizer, scheduler = make_tokenizer(), new_scheduler()
    unet, text_encoder = new_unet(), new_text_encoder(tokenizer)
    averages = {"unet": deepcopy(unet), "text": deepcopy(text_encoder)}
    parameters = [*unet.parameters(), *text_encoder.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=peak_rate, weight_decay=1e-3)
    modules = {"unet": unet, "text": text_encoder}
    modules |= {f"average_{name}": module for name, module in averages.items()}
    stage = Stage(folder, "unet", modules, optimizer, minutes, peak_rate)
    pool = latent_pool(vae, tokenizer, pool_size, folder / "latents.safetensors")
    pipeline = assemble(vae, averages["unet"], averages["text"], tokenizer)
    empty = token_ids(tokenizer, [""])
    evaluated = stage.seconds
    for step in stage.steps():
        rows = torch.randint(len(pool["latents"]), (batch_size,))
        tokens = torch.where(torch.rand(batch_size, 1) < DROP_CAPTION, empty, pool["tokens"][rows])
        embeddings = text_encoder(tokens).last_hidden_state
        stage.update(v_loss(unet, scheduler, pool["latents"][rows], embeddings))
        update_average(averages["unet"], unet, step)
        update_average(averages["text"], text_encoder, step)
        if stage.seconds - evaluated > evaluate_every * 60:
            evaluated = stage.seconds
            accuracy = heldout_accuracy(pipeline, count=64)
            stage.report(f"{accuracy:.3f} of 64 held-out captions, loss {stage.average_loss:.4f}")
            pipeline.save_pretrained(folder / "pipeline")
            if accuracy >= stop_at:
                stage.stop()
    pipeline.save_pretrained(folder / "pipeline")
    return pipeline
