"""The Stable Diffusion 1.x and 2.x family: one CLIP text encoder, a U-Net, scaled latents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from jaxtyping import Float, Int
from torch import Tensor, nn

DECODE_BATCH = 16
"""Latents decoded at once: bounds the memory of the VAE's activations."""

Conditioning = Float[Tensor, "b tokens width"]


class StableDiffusion:
    """How this family turns prompts into conditioning, calls its network, and decodes latents."""

    pipeline_class = StableDiffusionPipeline

    def __init__(self, pipeline: StableDiffusionPipeline):
        """Wrap a loaded pipeline; its scheduler is replaced by the DDIM scheduler of the same
        configuration.
        """
        self.pipeline: Any = pipeline
        pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
        pipeline.set_progress_bar_config(disable=True)
        for module in (pipeline.vae, pipeline.text_encoder, pipeline.unet):
            module.requires_grad_(False)
            module.eval()

    @property
    def scheduler(self) -> DDIMScheduler:
        """The DDIM scheduler of the model's own noise schedule."""
        return self.pipeline.scheduler

    @property
    def network(self) -> nn.Module:
        """The U-Net."""
        return self.pipeline.unet

    def to(self, device: torch.device | str) -> StableDiffusion:
        """Move all parts to a device."""
        self.pipeline.to(device)
        return self

    @property
    def pixels_per_latent(self) -> int:
        """Pixels along the side of one latent."""
        return self.pipeline.vae_scale_factor

    def latent_shape(self, resolution: int | None) -> tuple[int, int, int]:
        """Shape of one sample's latents at `resolution` pixels a side; at the model's own if
        None.
        """
        config = self.pipeline.unet.config
        side = resolution // self.pixels_per_latent if resolution else config.sample_size
        return (config.in_channels, side, side)

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """The text encoder's embeddings of prompts."""
        embeddings, _ = self.pipeline.encode_prompt(
            list(prompts), self.pipeline.text_encoder.device, 1, do_classifier_free_guidance=False
        )
        return embeddings

    @staticmethod
    def predict(
        network: nn.Module,
        latents: Float[Tensor, "b c h w"],
        timesteps: Int[Tensor, " b"],
        conditioning: Conditioning,
    ) -> Float[Tensor, "b c h w"]:
        """One pass of the network, called past no wrapper."""
        return network(latents, timesteps, encoder_hidden_states=conditioning, return_dict=False)[0]

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 3 height width"]:
        """Images in [0, 1], fp32."""
        vae = self.pipeline.vae
        scaled = (latents / vae.config.scaling_factor).to(vae.dtype)
        parts = [vae.decode(part, return_dict=False)[0] for part in scaled.split(DECODE_BATCH)]
        return (torch.cat(parts).float() / 2 + 0.5).clamp(0, 1)
