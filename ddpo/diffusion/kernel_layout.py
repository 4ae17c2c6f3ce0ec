"""How the kernels of a network's convolutions lie in memory."""

from __future__ import annotations

import torch

from ddpo.diffusion.family import Family
from ddpo.errors import UserError


def lay_channels_last(family: Family) -> None:
    """Put the channels of a pixel side by side in each kernel of the network (NHWC), in place.

    Names, shapes and values of the parameters stay as they are. What such a convolution makes lies
    likewise, so feature maps stay so between a U-Net's attention layers.

    Raises:
        UserError: the network is a transformer.
    """
    if not family.convolves:
        raise UserError(
            f"policy.channels_last: true is for U-Nets, and {type(family.network).__name__} is a "
            f"transformer; use policy.channels_last: false"
        )
    family.network.to(memory_format=torch.channels_last)
