"""Parts of a pipeline that wait on the CPU while nothing needs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

CPU = torch.device("cpu")


@contextmanager
def borrowed(parts: Sequence[nn.Module], device: torch.device) -> Iterator[None]:
    """Inside, the parts are on a device; afterwards they are back on the CPU, whatever happened."""
    try:
        for part in parts:
            part.to(device)
        yield
    finally:
        for part in parts:
            part.to(CPU)
