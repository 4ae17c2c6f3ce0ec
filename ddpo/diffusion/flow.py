"""What the families of flow-matching transformers share: the schedule, and one of three SDEs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import cast

from ddpo.diffusion.family import Family
from ddpo.diffusion.flow_schedule import FLOW_SAMPLERS, FlowSampler, FlowSchedule


class FlowFamily(Family):
    """A family whose network is a flow-matching transformer; see `Family`."""

    network_name = "transformer"
    samplers = FLOW_SAMPLERS
    reads_t5 = True
    lora_targets = (
        *("attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0"),
        *("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj", "attn.to_add_out"),
    )

    @property
    @abstractmethod
    def patch(self) -> int:
        """Side of the square of latents that is one token."""

    @property
    @abstractmethod
    def latent_channels(self) -> int:
        """Channels of the autoencoder's latents."""

    @abstractmethod
    def unshifted_sigmas(self, num_steps: int) -> Sequence[float] | None:
        """Noise levels before the shift; None where the plain pipeline leaves them to the
        scheduler.
        """

    @property
    def resolution_unit(self) -> int:
        """The autoencoder's factor times the side of a patch."""
        return self.pipeline.vae_scale_factor * self.patch

    def latent_shape(self, resolution: int | None) -> tuple[int, int, int]:
        """See `Family`."""
        factor, own = self.pipeline.vae_scale_factor, self.default_side(self.network.config)
        side = resolution // factor if resolution else own
        return (self.latent_channels, side, side)

    def schedule(
        self, sampler: str, num_steps: int, eta: float, shape: tuple[int, int, int]
    ) -> FlowSchedule:
        """See `Family`."""
        return FlowSchedule.from_scheduler(
            self.pipeline.scheduler,
            num_steps,
            eta,
            cast(FlowSampler, sampler),
            tokens=(shape[1] // self.patch) * (shape[2] // self.patch),
            sigmas=self.unshifted_sigmas(num_steps),
        )
