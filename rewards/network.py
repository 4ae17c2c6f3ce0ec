"""The frozen model inside a reward: loaded once, moved to its input, put away when told."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import nn

Precision = Literal["fp32", "fp16", "bf16"]

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Network:
    """A model for inference: in evaluation mode, frozen, with weights of the given precision.

    Args:
        module: the model; it is changed in place.
        precision: of its weights, and so of its arithmetic; inputs must be cast to `dtype`.
        offload: go back to the CPU after each use, so that other models have the memory.
    """

    def __init__(
        self, module: nn.Module, precision: Precision = "fp32", *, offload: bool = False
    ) -> None:
        self.dtype = DTYPES[precision]
        self._module = module.eval().requires_grad_(False).to(self.dtype)
        self._offload = offload

    @contextmanager
    def on(self, device: torch.device) -> Iterator[Any]:
        """The model, on `device` while the context lasts."""
        self._module.to(device)
        try:
            yield self._module
        finally:
            if self._offload:
                self._module.to("cpu")
