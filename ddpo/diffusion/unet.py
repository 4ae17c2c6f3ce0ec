"""What the two U-Net families share: DDIM over discrete noise levels, two branches of guidance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from diffusers import DDIMScheduler
from diffusers.models.attention_processor import (
    AttnProcessor,
    AttnProcessor2_0,
    XFormersAttnProcessor,
)

from ddpo.diffusion.ddim_schedule import DdimSchedule
from ddpo.diffusion.family import Family, Guidance


class UNetFamily(Family):
    """A family whose network is a U-Net; see `Family`."""

    network_name = "unet"
    samplers = ("ddim",)
    reads_t5 = False
    lora_targets = ("to_q", "to_k", "to_v", "to_out.0")
    attention: ClassVar[Mapping[str, type]] = {
        "native": AttnProcessor2_0,
        "eager": AttnProcessor,
        "xformers": XFormersAttnProcessor,
    }
    repeated_blocks = ("BasicTransformerBlock",)
    convolves = True

    def __init__(self, pipeline: Any, max_sequence_length: int | None = None):
        """Freeze a loaded pipeline, and give it the DDIM scheduler of its own noise schedule."""
        super().__init__(pipeline, max_sequence_length)
        pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)

    @property
    def guidance(self) -> Guidance:
        """Two branches."""
        return "classifier_free"

    @classmethod
    def default_guidance_scale(cls, network: Mapping[str, Any]) -> float:
        """As published with DDPO."""
        del network
        return 5.0

    @classmethod
    def default_side(cls, network: Mapping[str, Any]) -> int:
        """The U-Net's own."""
        return network["sample_size"]

    @property
    def resolution_unit(self) -> int:
        """The autoencoder's factor."""
        return self.pipeline.vae_scale_factor

    @property
    def largest_resolution(self) -> None:
        """A U-Net takes any."""
        return None

    def latent_shape(self, resolution: int | None) -> tuple[int, int, int]:
        """See `Family`."""
        config = self.network.config
        side = resolution // self.resolution_unit if resolution else self.default_side(config)
        return (config.in_channels, side, side)

    def schedule(
        self, sampler: str, num_steps: int, eta: float, shape: tuple[int, int, int]
    ) -> DdimSchedule:
        """See `Family`; the same for every shape."""
        del sampler, shape  # there is one sampler
        return DdimSchedule.from_scheduler(self.pipeline.scheduler, num_steps, eta)
