"""From a configuration to its policy: the only place that asks what kind it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from ddpo.config.algorithms import NftConfig
from ddpo.config.schema import Config
from ddpo.dtypes import AUTOCAST_DTYPES
from ddpo.trajectory import Policy

if TYPE_CHECKING:
    from ddpo.diffusion.family import Family


def build_policy(
    config: Config,
    device: torch.device,
    mixed_precision: str,
    load: Callable[..., Family] | None = None,
) -> Policy:
    """Load the model that is to be trained; a diffusion model with `load_family` or another loader
    like it.

    Raises:
        UserError: it cannot be loaded, or not trained by this algorithm.
    """
    autocast = AUTOCAST_DTYPES[mixed_precision]
    if config.policy.kind == "text":
        from ddpo.text.building import build_token_policy

        return build_token_policy(config, device, autocast)
    from ddpo.diffusion.building import build_diffusion_policy
    from ddpo.diffusion.forward_process import ForwardProcessPolicy
    from ddpo.diffusion.loading import load_family
    from ddpo.diffusion.old_policy import OldPolicy

    policy = build_diffusion_policy(config, device, autocast, load or load_family)
    algorithm = config.algorithm
    if not algorithm.forward_process:
        return policy
    old = None
    if isinstance(algorithm, NftConfig):
        old = OldPolicy(policy, algorithm.old_decay, algorithm.old_decay_growth)
    return ForwardProcessPolicy(policy, config.policy.trained_share, old)
