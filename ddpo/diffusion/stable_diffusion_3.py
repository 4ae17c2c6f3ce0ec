"""Stable Diffusion 3 and 3.5: two CLIP text encoders and T5, a flow-matching transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import torch
from diffusers.models.attention_processor import (
    JointAttnProcessor2_0,
    XFormersJointAttnProcessor,
)
from torch import nn

from ddpo.diffusion.family import Conditioning, Guidance, Latents, Timesteps
from ddpo.diffusion.flow import FlowFamily


@final
class StableDiffusion3(FlowFamily):
    """`StableDiffusion3Pipeline`; see `Family`. T5 may be left out, as in plain diffusers."""

    tokenizers = (
        ("tokenizer", "text_encoder"),
        ("tokenizer_2", "text_encoder_2"),
        ("tokenizer_3", "text_encoder_3"),
    )

    attention: ClassVar[Mapping[str, type]] = {
        "native": JointAttnProcessor2_0,
        "xformers": XFormersJointAttnProcessor,
    }
    repeated_blocks = ("JointTransformerBlock",)

    @property
    def guidance(self) -> Guidance:
        """Two branches."""
        return "classifier_free"

    @classmethod
    def default_guidance_scale(cls, network: Mapping[str, Any]) -> float:
        """As published with Flow-GRPO."""
        del network
        return 4.5

    @classmethod
    def default_side(cls, network: Mapping[str, Any]) -> int:
        """The transformer's own."""
        return network["sample_size"]

    @property
    def patch(self) -> int:
        """See `FlowFamily`."""
        return self.network.config.patch_size

    @property
    def latent_channels(self) -> int:
        """See `FlowFamily`."""
        return self.network.config.in_channels

    @property
    def largest_resolution(self) -> int:
        """The side of the table of positions."""
        return self.network.config.pos_embed_max_size * self.resolution_unit

    def unshifted_sigmas(self, num_steps: int) -> None:
        """Left to the scheduler."""
        del num_steps

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """See `Family`."""
        embeddings, _, pooled, _ = self.pipeline.encode_prompt(
            list(prompts),
            None,
            None,
            device=self.device,
            do_classifier_free_guidance=False,
            **self.encoding,
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
        return network(
            hidden_states=latents,
            timestep=timesteps,
            encoder_hidden_states=conditioning["embeddings"],
            pooled_projections=conditioning["pooled"],
            return_dict=False,
        )[0]
