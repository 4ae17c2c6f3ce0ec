"""Optimizers by name, each from its own library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ddpo.config.schema import TrainConfig
from ddpo.errors import UserError


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
    adamw: Any = torch.optim.AdamW if config.optimizer == "adamw" else _adamw_8bit()
    return adamw(
        parameters, config.learning_rate, betas=config.betas, weight_decay=config.weight_decay
    )


def _adamw_8bit() -> Any:
    try:
        from bitsandbytes.optim import AdamW8bit  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            "train.optimizer: adamw_8bit needs bitsandbytes, which is not installed; "
            "`pip install bitsandbytes`, or take adamw or adafactor"
        ) from error
    return AdamW8bit
