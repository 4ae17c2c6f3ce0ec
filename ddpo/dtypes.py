"""Dtypes by their names in a configuration, and autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
AUTOCAST_DTYPES = {"no": None, "fp16": torch.float16, "bf16": torch.bfloat16}


def autocast_context(
    device: torch.device, dtype: torch.dtype | None
) -> AbstractContextManager[object]:
    """Under which network passes are made; none for the dtype of the weights."""
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)
