"""From a configuration to its policy: the only place that asks what kind it is."""

from __future__ import annotations

import torch

from ddpo.config.schema import Config
from ddpo.trajectory import Policy

AUTOCAST_DTYPES = {"no": None, "fp16": torch.float16, "bf16": torch.bfloat16}


def build_policy(config: Config, device: torch.device, mixed_precision: str) -> Policy:
    """Load the model that is to be trained.

    Raises:
        UserError: it cannot be loaded.
    """
    from ddpo.diffusion.policy import build_diffusion_policy

    return build_diffusion_policy(config, device, AUTOCAST_DTYPES[mixed_precision])
