"""FLUX.1: a CLIP text encoder's pooled embedding and T5, latents packed two by two, guidance that
the network is told (dev) or that was distilled away (schnell).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ddpo.diffusion.family import Conditioning, Guidance, Latents, Timesteps
from ddpo.diffusion.flow import FlowFamily

PATCH = 2
"""Side of the square of latents that is one token."""


@final
class Flux(FlowFamily):
    """`FluxPipeline`; see `Family`."""

    tokenizers = (("tokenizer", "text_encoder"), ("tokenizer_2", "text_encoder_2"))
    attention: ClassVar[Mapping[str, type]] = {}
    repeated_blocks = ("FluxTransformerBlock", "FluxSingleTransformerBlock")

    @property
    def guidance(self) -> Guidance:
        """Embedded in dev, none in schnell."""
        return "embedded" if self.network.config.guidance_embeds else "none"

    @classmethod
    def default_guidance_scale(cls, network: Mapping[str, Any]) -> float:
        """As published with DanceGRPO; schnell is told nothing."""
        return 3.5 if network["guidance_embeds"] else 1.0

    @classmethod
    def default_side(cls, network: Mapping[str, Any]) -> int:
        """The plain pipeline's; no file holds it."""
        del network
        return 128

    @property
    def patch(self) -> int:
        """See `FlowFamily`."""
        return PATCH

    @property
    def latent_channels(self) -> int:
        """Those of a token, over the latents in it."""
        return self.network.config.in_channels // PATCH**2

    @property
    def largest_resolution(self) -> None:
        """Positions are rotations: any."""
        return None

    def unshifted_sigmas(self, num_steps: int) -> list[float]:
        """Even from 1 to 1/T."""
        return np.linspace(1.0, 1 / num_steps, num_steps).tolist()

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """See `Family`."""
        embeddings, pooled, _ = self.pipeline.encode_prompt(
            list(prompts), device=self.device, **self.encoding
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
        told = latents.new_full((len(latents),), guidance_scale, dtype=torch.float32)
        output = network(
            hidden_states=packed(latents),
            timestep=timesteps / 1000,
            guidance=told if self.guidance == "embedded" else None,
            pooled_projections=conditioning["pooled"],
            encoder_hidden_states=conditioning["embeddings"],
            txt_ids=latents.new_zeros(conditioning["embeddings"].shape[1], 3),
            img_ids=positions(latents),
            return_dict=False,
        )[0]
        return unpacked(output, latents.shape)


def packed(latents: Latents) -> Float[Tensor, "b tokens channels"]:
    """Two by two latents as one token, row by row."""
    rows, channels, height, width = latents.shape
    patches = latents.reshape(rows, channels, height // PATCH, PATCH, width // PATCH, PATCH)
    return patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def unpacked(tokens: Float[Tensor, "b tokens channels"], shape: Sequence[int]) -> Latents:
    """The inverse of `packed`."""
    rows, channels, height, width = shape
    patches = tokens.reshape(rows, height // PATCH, width // PATCH, channels, PATCH, PATCH)
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(rows, channels, height, width)


def positions(latents: Latents) -> Float[Tensor, "tokens 3"]:
    """Row and column of each token, behind a 0."""
    sides = (side // PATCH for side in latents.shape[2:])
    rows, columns = (torch.arange(side, device=latents.device) for side in sides)
    grid = torch.cartesian_prod(rows, columns)
    return torch.nn.functional.pad(grid, (1, 0)).to(latents)
