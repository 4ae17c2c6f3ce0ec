"""Low-rank adapters: added, switched off for the reference policy, described for saving."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig as PeftLoraConfig
from torch import nn
from transformers.pytorch_utils import Conv1D

from ddpo.config.schema import LoraConfig
from ddpo.errors import UserError


def add_lora(
    network: Any,
    config: LoraConfig,
    default_targets: Sequence[str],
    task_type: str | None = None,
) -> None:
    """Add trainable adapters to a model of diffusers or transformers and freeze the rest. Adapters
    are kept in fp32.

    Args:
        network: the model.
        config: rank, alpha and targets.
        default_targets: layers that get an adapter where the configuration names none.
        task_type: what peft is to take the model for when it loads the adapter.

    Raises:
        UserError: no layer bears any of the target names.
    """
    targets = list(config.target_modules or default_targets)
    adapter = PeftLoraConfig(
        r=config.rank,
        lora_alpha=config.alpha if config.alpha is not None else config.rank,  # pyright: ignore[reportArgumentType]
        init_lora_weights="gaussian",
        target_modules=targets,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in network.modules()),  # GPT-2
        task_type=task_type,
    )
    try:
        network.add_adapter(adapter)
    except ValueError as error:
        raise UserError(
            f"lora.target_modules: no layer of the model matches {', '.join(targets)}"
        ) from error
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float32)


@contextmanager
def adapters_off(network: nn.Module) -> Iterator[None]:
    """The network as it was before training."""
    adapted: Any = network
    adapted.disable_adapters()
    try:
        yield
    finally:
        adapted.enable_adapters()
