"""From a configuration to a policy over the denoising chain: the model is loaded, checked, and made
ready for what is trained.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

from ddpo.config.diffusion_policy import denoising
from ddpo.config.schema import Config
from ddpo.diffusion.attention import set_attention
from ddpo.diffusion.chain import heldout_chain, training_chain
from ddpo.diffusion.compilation import compile_blocks
from ddpo.diffusion.family import Family
from ddpo.diffusion.kernel_layout import lay_channels_last
from ddpo.diffusion.loading import load_family
from ddpo.diffusion.policy import DiffusionPolicy
from ddpo.diffusion.precision import check_precision, part_dtypes
from ddpo.diffusion.step_choice import StepChoice
from ddpo.diffusion.tiny_autoencoder import load_tiny_autoencoder
from ddpo.dtypes import autocast_context
from ddpo.lora import add_lora


def build_diffusion_policy(
    config: Config,
    device: torch.device,
    autocast: torch.dtype | None,
    load: Callable[..., Family] = load_family,
) -> DiffusionPolicy:
    """Load the model that a configuration names, and make ready what is trained.

    Raises:
        UserError: the model cannot be loaded or cannot run the chain, the LoRA targets match
            nothing, no step of the chain has noise, or a dtype, an attention back end, a layout or
            compilation is not for this model or this machine.
    """
    asked, algorithm = denoising(config), config.algorithm
    family = load(asked.model, asked.max_sequence_length, asked.precision)
    check_precision(asked.precision, family, autocast)
    if asked.tiny_vae is not None:
        dtype = part_dtypes(asked.precision)["vae"]
        family.tiny_vae = load_tiny_autoencoder(asked.tiny_vae, family, dtype)
    family.to(device, offload=asked.offload)
    if asked.vae_tiling:
        family.pipeline.vae.enable_tiling()
    trained = training_chain(config, family)
    heldout = heldout_chain(config, family, trained)
    if asked.attention is not None:
        passes = autocast_context(device, autocast)
        set_attention(family.network, asked.attention, family.attention, passes)
    if asked.channels_last:
        lay_channels_last(family)
    reference = _make_trainable(config, family)
    if config.train.gradient_checkpointing:
        family.network.enable_gradient_checkpointing()
    if asked.compile:
        for network in (family.network, reference):
            if network is not None:
                compile_blocks(network, family.repeated_blocks, device)
    choice = StepChoice(asked.window, asked.trained_share)
    return DiffusionPolicy(
        family,
        trained,
        heldout,
        choice=None if algorithm.forward_process else choice,
        reference=reference,
        uses_lora=config.lora is not None,
        autocast=autocast,
        keep_means=algorithm.needs_means,
        compiled=asked.compile,
        shared_noise=asked.shared_noise,
    )


def _make_trainable(config: Config, family: Family) -> nn.Module | None:
    """Add adapters or thaw all weights; the frozen copy to compare these with, where one is."""
    if config.lora is not None:
        add_lora(family.network, config.lora, family.lora_targets)
        return None
    reference = copy.deepcopy(family.network) if config.algorithm.kl_coef > 0 else None
    family.network.requires_grad_(True)
    return reference
