"""What differs between image models: a family says how prompts become conditioning, how its network
is called, and how its latents are shaped. Everything else is shared.

`docs/adding-a-family.md` says how to add one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from accelerate import init_empty_weights
from jaxtyping import Float, Num
from torch import Tensor, nn

from ddpo.diffusion.offloading import borrowed
from ddpo.diffusion.schedule import Schedule

DECODE_PIXELS = 1024**2
"""Decoded at once, at least one image: bounds the memory of the autoencoder's activations."""

Conditioning = Mapping[str, Tensor]
"""What prompts are to the network: tensors `[B, ...]` by names that only the family knows."""

Latents = Float[Tensor, "b c h w"]
Timesteps = Num[Tensor, " b"]

Guidance = Literal["classifier_free", "embedded", "none"]
"""Two branches that are combined; a number that the network is told; a model distilled to do
without."""


class Family(ABC):
    """A diffusers pipeline, seen through what the chain needs of it. Everything in it is frozen.

    Latents are `[B, c, h, w]` in every family: what else a network wants is made inside `predict`.
    Subclasses are final: they fill in what is abstract, and override nothing.

    Attributes:
        network_name: the pipeline's part that is trained, `unet` or `transformer`.
        tokenizers: names of the pipeline's tokenizers, each with that of its text encoder.
        samplers: transitions that the model can take, the default first.
        reads_t5: whether a prompt's length can be chosen.
        lora_targets: layers that get an adapter where the configuration names none.
        attention: processors of the network by the name of their back end; none where the network
            asks diffusers' dispatcher, which knows names by itself.
        repeated_blocks: class names of the blocks that the network repeats.
        convolves: whether the network is made of convolutions, too, and not of blocks alone.
        tiny_vae: a small decoder for pictures that are only scored, where there is one.
    """

    network_name: ClassVar[str]
    tokenizers: ClassVar[tuple[tuple[str, str], ...]]
    samplers: ClassVar[tuple[str, ...]]
    lora_targets: ClassVar[tuple[str, ...]]
    reads_t5: ClassVar[bool]
    attention: ClassVar[Mapping[str, type]]
    repeated_blocks: ClassVar[tuple[str, ...]]
    convolves: ClassVar[bool] = False

    def __init__(self, pipeline: Any, max_sequence_length: int | None = None):
        """Freeze a loaded pipeline.

        Args:
            pipeline: of the class that this family is for.
            max_sequence_length: tokens that T5 reads; the pipeline's default when None.
        """
        self.pipeline = pipeline
        self.tiny_vae: nn.Module | None = None
        self.offloaded = False
        self.encoding = {"max_sequence_length": max_sequence_length} if max_sequence_length else {}
        pipeline.set_progress_bar_config(disable=True)
        for part in pipeline.components.values():
            if isinstance(part, nn.Module):
                part.requires_grad_(False)
                part.eval()

    @property
    @abstractmethod
    def guidance(self) -> Guidance:
        """How the model is guided."""

    @classmethod
    @abstractmethod
    def default_guidance_scale(cls, network: Mapping[str, Any]) -> float:
        """Scale of guidance, where nobody gives one, of a network of this configuration."""

    @classmethod
    @abstractmethod
    def default_side(cls, network: Mapping[str, Any]) -> int:
        """Latents a side, where nobody gives a resolution, of a network of this configuration."""

    @property
    @abstractmethod
    def resolution_unit(self) -> int:
        """Pixels that a resolution must be a multiple of."""

    @property
    def upcasts_autoencoder(self) -> bool:
        """Whether the plain pipeline decodes in fp32 because the autoencoder overflows in fp16."""
        return False

    @property
    @abstractmethod
    def largest_resolution(self) -> int | None:
        """Most pixels a side that the network can place; None where it does not mind."""

    @abstractmethod
    def latent_shape(self, resolution: int | None) -> tuple[int, int, int]:
        """Shape of a sample's latents at `resolution` pixels a side; at the model's own if None."""

    @abstractmethod
    def schedule(
        self, sampler: str, num_steps: int, eta: float, shape: tuple[int, int, int]
    ) -> Schedule:
        """The steps of a chain over latents of this shape.

        Raises:
            UserError: the model's scheduler cannot space that many.
        """

    @abstractmethod
    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """Conditioning of prompts, without gradients."""

    @abstractmethod
    def predict(
        self,
        network: nn.Module,
        latents: Latents,
        timesteps: Timesteps,
        conditioning: Conditioning,
        guidance_scale: float,
    ) -> Latents:
        """One pass of the network, called past no wrapper. The scale is for embedded guidance."""

    def unconditional(self) -> Conditioning:
        """Conditioning `[1, ...]` of the branch without a prompt: that of the empty prompt, or
        zeros where the pipeline says so, as SDXL's base does.
        """
        empty = self.embed([""])
        if not self.pipeline.config.get("force_zeros_for_empty_prompt"):
            return empty
        return {name: torch.zeros_like(values) for name, values in empty.items()}

    @property
    def network(self) -> Any:
        """The part that is trained."""
        return getattr(self.pipeline, self.network_name)

    @property
    def guidance_scale(self) -> float:
        """Scale of guidance where the configuration gives none."""
        return self.default_guidance_scale(self.network.config)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    @property
    def text_encoders(self) -> list[nn.Module]:
        """Those that the pipeline has."""
        encoders = (getattr(self.pipeline, encoder) for _, encoder in self.tokenizers)
        return [encoder for encoder in encoders if encoder is not None]

    def to(self, device: torch.device | str, *, offload: bool = False) -> None:
        """Move all parts to a device; with `offload` only the network, and the others while they
        are in use.
        """
        self.offloaded = offload
        (self.network if offload else self.pipeline).to(device)
        if self.tiny_vae is not None and not offload:
            self.tiny_vae.to(device)

    def in_use(self, parts: Sequence[nn.Module]) -> AbstractContextManager[None]:
        """Inside, these parts are where the network is."""
        return borrowed(parts, self.device) if self.offloaded else nullcontext()

    def save_pretrained(self, folder: Path, weights: Mapping[str, Tensor]) -> None:
        """Write the pipeline with these weights of its network, all of them.

        They go into a network as the pipeline came with it: that in use may be compiled, or lie in
        pieces on several processes.
        """
        buffers = dict(self.network.named_buffers())
        with init_empty_weights():
            plain = self.network.from_config(self.network.config)
        persistent = {k: buffers[k] for k in plain.state_dict().keys() & buffers.keys()}
        plain.load_state_dict({**persistent, **weights}, assign=True)
        used = self.network
        setattr(self.pipeline, self.network_name, plain)
        try:
            self.pipeline.save_pretrained(folder)
        finally:
            setattr(self.pipeline, self.network_name, used)

    @torch.no_grad()
    def decode(
        self, latents: Latents, *, to_score: bool = False
    ) -> Float[Tensor, "b 3 height width"]:
        """Images in [0, 1], fp32; by the small decoder if they are only scored."""
        vae: Any = self.tiny_vae if to_score and self.tiny_vae else self.pipeline.vae
        scaled = unscaled(latents, vae.config).to(vae.dtype)
        pixels = latents.shape[2] * latents.shape[3] * self.pipeline.vae_scale_factor**2
        batches = scaled.split(max(1, DECODE_PIXELS // pixels))
        with self.in_use([vae]):
            parts = [vae.decode(part, return_dict=False)[0] for part in batches]
        return (torch.cat(parts).float() / 2 + 0.5).clamp(0, 1)


def unscaled(latents: Latents, config: Any) -> Latents:
    """Latents as the autoencoder knows them: its factor, shift, and mean and std by channel taken
    off.
    """
    spread, mean = (config.get(name) for name in ("latents_std", "latents_mean"))
    by_channel = [torch.tensor(v).view(1, -1, 1, 1).to(latents) for v in (spread, mean) if v]
    if len(by_channel) == 2:
        return latents * by_channel[0] / config.scaling_factor + by_channel[1]
    return latents / config.scaling_factor + (config.get("shift_factor") or 0.0)
