"""Stable Diffusion 1.x and 2.x: one CLIP text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import nn

from ddpo.diffusion.family import Conditioning, Latents, Timesteps
from ddpo.diffusion.unet import UNetFamily


@final
class StableDiffusion(UNetFamily):
    """`StableDiffusionPipeline`; see `Family`."""

    tokenizers = (("tokenizer", "text_encoder"),)

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """See `Family`."""
        embeddings, _ = self.pipeline.encode_prompt(
            list(prompts), self.pipeline.text_encoder.device, 1, do_classifier_free_guidance=False
        )
        return {"embeddings": embeddings}

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
        return network(
            latents,
            timesteps,
            encoder_hidden_states=conditioning["embeddings"],
            return_dict=False,
        )[0]
