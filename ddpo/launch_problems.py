"""What accelerate's configuration asks for and a run cannot have, with the remedy."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from accelerate import Accelerator
from accelerate.utils import DistributedType
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from ddpo.config.algorithms import NftConfig
from ddpo.config.schema import Config
from ddpo.errors import UserError


def check_launch(config: Config, accelerator: Accelerator) -> None:
    """Refuse it, in one line.

    Raises:
        UserError: there is such a thing.
    """
    kind = accelerator.distributed_type
    find = PROBLEMS.get(kind, _nothing_divided)
    if problem := find(accelerator) or (_both(config, accelerator) if kind in PROBLEMS else None):
        raise UserError(f"accelerate's configuration: {problem}")


def keep_text_encoders_whole() -> None:
    """From here on transformers neither divides what it loads, as it would where ZeRO-3 is in
    force, nor leaves it empty on all processes but one, as FSDP's efficient loading has it: only
    the network that is trained is divided, by accelerate.
    """
    unset_hf_deepspeed_config()
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"


def _nothing_divided(accelerator: Accelerator) -> str | None:
    """FSDP or DeepSpeed that was asked for and is not there."""
    for name in ("FSDP", "DEEPSPEED"):
        if os.environ.get(f"ACCELERATE_USE_{name}", "false").lower() == "true":
            return f"{name} needs a GPU for each process, and accelerate found none"
    return None


def _fsdp(accelerator: Accelerator) -> str | None:
    return None if accelerator.is_fsdp2 else "fsdp_version: 1 is not supported; set fsdp_version: 2"


def _deepspeed(accelerator: Accelerator) -> str | None:
    plugin: Any = accelerator.deepspeed_plugin
    zero: Mapping[str, Any] = plugin.deepspeed_config["zero_optimization"]
    if plugin.zero_stage not in (2, 3):
        return f"zero_stage: {plugin.zero_stage} is not supported; set zero_stage: 2 or 3"
    for part in ("optimizer", "param"):
        if (device := zero.get(f"offload_{part}", {}).get("device", "none")) != "none":
            return (
                f"offload_{part}_device: {device} is not supported; set none, or use FSDP with "
                f"fsdp_offload_params: true"
            )
    for key in ("optimizer", "scheduler"):
        if key in plugin.deepspeed_config:
            return f"{key}: is in DeepSpeed's file and in train: here; remove it from the file"
    return None


def _megatron(accelerator: Accelerator) -> str:
    return "Megatron-LM is not supported; use FSDP with fsdp_version: 2"


def _both(config: Config, accelerator: Accelerator) -> str | None:
    """What neither FSDP nor DeepSpeed can have."""
    name = "FSDP" if accelerator.distributed_type == DistributedType.FSDP else "DeepSpeed"
    train = config.train
    if accelerator.mixed_precision == "fp16":
        return f"mixed_precision: fp16 is not supported with {name}; take bf16"
    if train.optimizer != "adamw":
        return f"{name} cannot divide the state of train.optimizer: {train.optimizer}; take adamw"
    if config.policy.channels_last:
        return f"policy.channels_last: true is not supported with {name}; take false"
    if name == "FSDP":
        return None
    if train.ema_decay:
        return f"train.ema_decay: {train.ema_decay:g} needs FSDP or the whole network everywhere"
    if isinstance(config.algorithm, NftConfig):
        return "algorithm.kind: nft needs FSDP or the whole network everywhere"
    return None


PROBLEMS: Mapping[DistributedType, Callable[[Accelerator], str | None]] = {
    DistributedType.FSDP: _fsdp,
    DistributedType.DEEPSPEED: _deepspeed,
    DistributedType.MEGATRON_LM: _megatron,
}
"""By what divides the network."""
