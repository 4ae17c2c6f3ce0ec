"""From a configuration to its policy: the only place that asks what kind it is."""

from __future__ import annotations

import torch

from ddpo.config.schema import FORWARD_PROCESS, Config, NftConfig
from ddpo.trajectory import Policy

AUTOCAST_DTYPES = {"no": None, "fp16": torch.float16, "bf16": torch.bfloat16}


def build_policy(config: Config, device: torch.device, mixed_precision: str) -> Policy:
    """Load the model that is to be trained.

    Raises:
        UserError: it cannot be loaded, or not trained by this algorithm.
    """
    from ddpo.diffusion.forward_process import ForwardProcessPolicy
    from ddpo.diffusion.old_policy import OldPolicy
    from ddpo.diffusion.policy import build_diffusion_policy

    policy = build_diffusion_policy(config, device, AUTOCAST_DTYPES[mixed_precision])
    algorithm = config.algorithm
    if not isinstance(algorithm, FORWARD_PROCESS):
        return policy
    old = None
    if isinstance(algorithm, NftConfig):
        old = OldPolicy(policy, algorithm.old_decay, algorithm.old_decay_growth)
    return ForwardProcessPolicy(policy, config.policy.trained_share, old)
