"""Stable Diffusion XL: two CLIP text encoders, a pooled one, the picture's size and crop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import nn

from ddpo.diffusion.family import Conditioning, Latents, Timesteps
from ddpo.diffusion.unet import UNetFamily


@final
class StableDiffusionXL(UNetFamily):
    """`StableDiffusionXLPipeline`; see `Family`. Pictures count as whole: never scaled, never
    cropped.
    """

    tokenizers = (("tokenizer", "text_encoder"), ("tokenizer_2", "text_encoder_2"))

    @property
    def upcasts_autoencoder(self) -> bool:
        """Unless it was made for fp16, and says so."""
        return self.pipeline.vae.config.force_upcast

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """See `Family`."""
        embeddings, _, pooled, _ = self.pipeline.encode_prompt(
            list(prompts), device=self.device, do_classifier_free_guidance=False
        )
        return {"embeddings": embeddings, "pooled": pooled}

    def predict(
        self,
        network: nn.Module,
        latents: Latents,
        timesteps: Timesteps,
        conditioning: Conditioning,
        guidance_scale: float,
    ) -> Latents:
        """See `Family`."""
        del guidance_scale
        height, width = (side * self.resolution_unit for side in latents.shape[2:])
        size_and_crop = latents.new_tensor([height, width, 0, 0, height, width])
        added = {
            "text_embeds": conditioning["pooled"],
            "time_ids": size_and_crop.expand(len(latents), -1),
        }
        return network(
            latents,
            timesteps,
            encoder_hidden_states=conditioning["embeddings"],
            added_cond_kwargs=added,
            return_dict=False,
        )[0]
