"""How well images agree with their prompts, for networks that embed both in one space."""

from collections.abc import Sequence
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from rewards.image.gradients import gradients_if
from rewards.network import Network, Precision
from rewards.prompt_cache import PromptCache


class Towers(Protocol):
    """What a module offers to be used here; embeddings may have any length."""

    def see(self, images: Tensor) -> Tensor:
        """Embeddings `[B, width]` of images `[B, 3, H, W]` in [0, 1]."""
        ...

    def read(self, prompts: list[str]) -> Tensor:
        """Embeddings `[B, width]` of prompts."""
        ...


class Agreement:
    """Cosine of the angle between the embeddings of an image and of its prompt.

    Args:
        towers: a module that is also `Towers`; it is frozen.
        batch_size: images, or prompts, in one pass of the network.
        precision: of the network's weights.
        offload: keep the network on the CPU between calls.
        differentiable: let gradients flow from the cosine to the image.
    """

    def __init__(
        self,
        towers: nn.Module,
        *,
        batch_size: int,
        precision: Precision = "fp32",
        offload: bool = False,
        differentiable: bool = False,
    ) -> None:
        self.network = Network(towers, precision, offload=offload)
        self.batch_size = batch_size
        self.differentiable = differentiable
        self.cache = PromptCache(batch_size)

    def __call__(
        self, images: Float[Tensor, "b 3 h w"], prompts: Sequence[str]
    ) -> Float[Tensor, " b"]:
        """Cosines in [-1, 1]."""
        if not len(images):
            return torch.zeros(0, device=images.device)
        with self.network.on(images.device) as towers, gradients_if(self.differentiable):
            parts = images.split(self.batch_size)
            seen = torch.cat([towers.see(part).float() for part in parts])
            read = self.cache(prompts, towers.read, images.device)
            cosines = (normalize(seen, dim=1) * normalize(read, dim=1)).sum(dim=1)
            return cosines.clamp(-1, 1)
