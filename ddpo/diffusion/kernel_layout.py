"""How the kernels of a network's convolutions lie in memory."""

from __future__ import annotations

import torch
from torch import nn

from ddpo.errors import UserError


def lay_channels_last(network: nn.Module) -> None:
    """Put the channels of a pixel side by side in each kernel (NHWC), in place.

    Names, shapes and values of the parameters stay as they are. What such a convolution makes lies
    likewise, so a U-Net's pictures stay so between its attention layers.

    Raises:
        UserError: the network cuts its input into patches, and convolves nothing else.
    """
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    if len(convolutions) < 2:
        raise UserError(
            f"policy.channels_last: true is for U-Nets, and this {type(network).__name__} is a "
            f"transformer; use policy.channels_last: false"
        )
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
