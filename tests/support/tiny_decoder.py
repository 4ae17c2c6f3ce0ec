"""A small decoder of the true architecture with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderTiny


def save_tiny_decoder(folder: Path, *, channels: int = 4, doublings: int = 1) -> Path:
    """Save one that makes pictures of so many times twice the side."""
    torch.manual_seed(5)
    widths, blocks = (8,) * (doublings + 1), (1,) * (doublings + 1)
    AutoencoderTiny(
        latent_channels=channels,
        encoder_block_out_channels=widths,
        decoder_block_out_channels=widths,
        num_encoder_blocks=blocks,
        num_decoder_blocks=blocks,
        upsampling_scaling_factor=2,
    ).save_pretrained(folder)
    return folder
