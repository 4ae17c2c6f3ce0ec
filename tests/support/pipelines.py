"""Pipelines of every family, of the true architecture with random weights and few channels: images
of 16 pixels, latents of 8.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)

from tests.support.model_parts import (
    tiny_autoencoder,
    tiny_clip_encoder,
    tiny_t5_encoder,
    tiny_t5_tokenizer,
    tiny_tokenizer,
)

NOISE_LEVELS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
FLOW_AUTOENCODER = {
    "channels": 4,
    "shift_factor": 0.06,
    "scaling_factor": 1.5,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}


def tiny_stable_diffusion(folder: Path, prediction_type: str = "epsilon") -> Path:
    """Save a pipeline shaped like SD 1.5 (or, with v_prediction, 2.1)."""
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer(folder / "tokenizer")
    text_encoder = tiny_clip_encoder(tokenizer)
    unet = _tiny_unet(cross_attention_dim=16)
    vae = tiny_autoencoder()
    scheduler = DDIMScheduler(
        **NOISE_LEVELS,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,  # pyright: ignore[reportArgumentType]
        feature_extractor=None,  # pyright: ignore[reportArgumentType]
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)
    return folder


def tiny_stable_diffusion_xl(folder: Path) -> Path:
    """Save a pipeline shaped like SDXL base."""
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer(folder / "tokenizer")
    pipeline = StableDiffusionXLPipeline(
        vae=tiny_autoencoder(),
        text_encoder=tiny_clip_encoder(tokenizer),  # pyright: ignore[reportArgumentType]
        text_encoder_2=tiny_clip_encoder(tokenizer, projected=True),  # pyright: ignore[reportArgumentType]
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=_tiny_unet(
            cross_attention_dim=32,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 16,
        ),
        scheduler=EulerDiscreteScheduler(
            **NOISE_LEVELS, steps_offset=1, timestep_spacing="leading"
        ),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )
    pipeline.save_pretrained(folder)
    return folder


def tiny_stable_diffusion_3(folder: Path, *, t5: bool = True) -> Path:
    """Save a pipeline shaped like SD3, with its third text encoder or without."""
    torch.manual_seed(0)
    tokenizer, t5_tokenizer = tiny_tokenizer(folder / "tokenizer"), tiny_t5_tokenizer()
    transformer = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=32,
        caption_projection_dim=16,
        pooled_projection_dim=32,
        out_channels=4,
        pos_embed_max_size=12,
    )
    pipeline = StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=tiny_autoencoder(**FLOW_AUTOENCODER),
        text_encoder=tiny_clip_encoder(tokenizer, projected=True),  # pyright: ignore[reportArgumentType]
        tokenizer=tokenizer,
        text_encoder_2=tiny_clip_encoder(tokenizer, projected=True),  # pyright: ignore[reportArgumentType]
        tokenizer_2=tokenizer,
        text_encoder_3=tiny_t5_encoder(t5_tokenizer, width=32) if t5 else None,  # pyright: ignore[reportArgumentType]
        tokenizer_3=t5_tokenizer if t5 else None,  # pyright: ignore[reportArgumentType]
    )
    pipeline.save_pretrained(folder)
    return folder


def tiny_flux(folder: Path, *, schnell: bool = False) -> Path:
    """Save a pipeline shaped like FLUX.1-dev, or -schnell."""
    torch.manual_seed(0)
    tokenizer, t5_tokenizer = tiny_tokenizer(folder / "tokenizer"), tiny_t5_tokenizer()
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=16,
        guidance_embeds=not schnell,
        axes_dims_rope=(4, 6, 6),
    )
    shift: dict[str, Any] = {"use_dynamic_shifting": True, "shift": 3.0}
    pipeline = FluxPipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(**({"shift": 1.0} if schnell else shift)),
        vae=tiny_autoencoder(**FLOW_AUTOENCODER),
        text_encoder=tiny_clip_encoder(tokenizer),  # pyright: ignore[reportArgumentType]
        tokenizer=tokenizer,
        text_encoder_2=tiny_t5_encoder(t5_tokenizer, width=32),
        tokenizer_2=t5_tokenizer,  # pyright: ignore[reportArgumentType]
    )
    pipeline.save_pretrained(folder)
    return folder


def tiny_flux_schnell(folder: Path) -> Path:
    """See `tiny_flux`."""
    return tiny_flux(folder, schnell=True)


def tiny_stable_diffusion_2(folder: Path) -> Path:
    """See `tiny_stable_diffusion`."""
    return tiny_stable_diffusion(folder, prediction_type="v_prediction")


PIPELINES: dict[str, Callable[[Path], Path]] = {
    "sd15": tiny_stable_diffusion,
    "sd21": tiny_stable_diffusion_2,
    "sdxl": tiny_stable_diffusion_xl,
    "sd3": tiny_stable_diffusion_3,
    "flux-dev": tiny_flux,
    "flux-schnell": tiny_flux_schnell,
}
"""Every family that can be trained, and what saves a tiny one."""


def _tiny_unet(**options: Any) -> UNet2DConditionModel:
    """A U-Net of two levels, with attention at the upper one."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=4,
        **options,
    )
