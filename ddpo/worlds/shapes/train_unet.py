"""Stage two of the recipe: a U-Net and its text encoder, trained together on stored latents."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from ddpo.worlds.shapes import text_to_image
from ddpo.worlds.shapes.text_to_image import Plan, text_config
from ddpo.worlds.shapes.tokenizer import make_tokenizer

PLAN = Plan(minutes=25.0, evaluate_every=3.0, peak_rate=2e-3, betas=(0.9, 0.999))
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
    """An untrained text encoder."""
    return CLIPTextModel(text_config(tokenizer, TEXT_WIDTH, layers=2))


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


def train(folder: Path, vae: AutoencoderKL, plan: Plan = PLAN) -> StableDiffusionPipeline:
    """Train the pipeline around an autoencoder; see `text_to_image.train`."""
    torch.manual_seed(0)
    tokenizer, scheduler = make_tokenizer(), new_scheduler()
    unet, text_encoder = new_unet(), new_text_encoder(tokenizer)

    def loss(latents: Tensor, tokens: Tensor) -> Tensor:
        return v_loss(unet, scheduler, latents, text_encoder(tokens).last_hidden_state)

    return text_to_image.train(
        folder,
        "unet",
        {"unet": unet, "text": text_encoder},
        loss,
        lambda averages: assemble(vae, averages["unet"], averages["text"], tokenizer),
        vae,
        tokenizer,
        plan,
    )
