"""Optimizers by name, each from its own library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ddpo.config.schema import TrainConfig
from ddpo.errors import UserError

EIGHT_BIT_BLOCK, EIGHT_BIT_LEAST = 256, 4096
"""Elements that share a scale in bitsandbytes; tensors of fewer than the second keep fp32."""


def build_optimizer(
    config: TrainConfig, parameters: Sequence[nn.Parameter]
) -> torch.optim.Optimizer:
    """The configured optimizer of these parameters.

    AdamW keeps 8 bytes of state a parameter, in 8 bits 2 (tensors of fewer than 4096 elements stay
    in fp32), and Adafactor one fp32 number for each row and each column of a matrix.

    Raises:
        UserError: its library is not installed.
    """
    if config.optimizer == "adafactor":
        return torch.optim.Adafactor(
            parameters, config.learning_rate, weight_decay=config.weight_decay
        )
    settings: dict[str, Any] = {"betas": config.betas, "weight_decay": config.weight_decay}
    if config.optimizer == "adamw":  # one kernel for all parameters
        return torch.optim.AdamW(parameters, config.learning_rate, fused=True, **settings)
    return _adamw_8bit()(parameters, config.learning_rate, **settings)


def empty_state(config: TrainConfig, parameter: Tensor) -> list[Tensor]:
    """Tensors of the size of what AdamW in 8 bits or Adafactor keeps of a parameter."""
    if config.optimizer == "adafactor":
        if parameter.ndim < 2:
            return [torch.empty_like(parameter)]
        return [parameter[..., :1].detach().clone(), parameter[..., :1, :].detach().clone()]
    size = parameter.numel()
    if size < EIGHT_BIT_LEAST:
        return [torch.empty_like(parameter, dtype=torch.float32) for _ in range(2)]
    moments = [torch.empty_like(parameter, dtype=torch.uint8) for _ in range(2)]
    scales = math.ceil(size / EIGHT_BIT_BLOCK)
    return moments + [parameter.new_empty(scales, dtype=torch.float32) for _ in range(2)]


def _adamw_8bit() -> Any:
    try:
        from bitsandbytes.optim import AdamW8bit  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            "train.optimizer: adamw_8bit needs bitsandbytes, which is not installed; "
            "`pip install bitsandbytes`, or take adamw or adafactor"
        ) from error
    return AdamW8bit
