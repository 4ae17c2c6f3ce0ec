"""Tensors on their way to an accelerator, without anybody waiting for them."""

from __future__ import annotations

import torch
from torch import Tensor


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device, as soon as the device comes to it.

    From pageable memory a copy to a GPU waits until the GPU has nothing left to do, so that its
    queue runs empty in every step.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
