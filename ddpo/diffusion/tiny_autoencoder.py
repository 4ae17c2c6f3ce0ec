"""A small decoder that stands in for the autoencoder's wherever pictures are made to be scored."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from diffusers import AutoencoderTiny

from ddpo.config.diffusion_policy import TinyVaeConfig
from ddpo.diffusion.family import Family
from ddpo.errors import UserError


def load_tiny_autoencoder(
    config: TinyVaeConfig, family: Family, dtype: torch.dtype
) -> AutoencoderTiny:
    """Load and freeze it.

    Raises:
        UserError: it cannot be loaded, or decodes other latents than this family's.
    """
    model = config.model
    where = f"policy.tiny_vae.model: {model}"
    if not Path(model).is_dir() and (model.startswith((".", "/", "~")) or model.count("/") != 1):
        raise UserError(f"{where} is neither a folder nor a hub id such as madebyollin/taesd")
    try:
        with warnings.catch_warnings():  # diffusers passes the hub an argument that it has dropped
            warnings.filterwarnings("ignore", "The `local_dir_use_symlinks`", UserWarning)
            tiny = AutoencoderTiny.from_pretrained(model, dtype=dtype)
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{where} cannot be loaded: {reason}") from error
    vae = family.pipeline.vae
    own = tiny.config["latent_channels"], 2 ** (len(tiny.config["decoder_block_out_channels"]) - 1)
    asked = vae.config["latent_channels"], family.pipeline.vae_scale_factor
    if own != asked:
        raise UserError(
            f"{where} makes {own[1]} times the side of {own[0]} channels, and this model's latents "
            f"have {asked[0]} and need {asked[1]} times"
        )
    return tiny.requires_grad_(False).eval()
