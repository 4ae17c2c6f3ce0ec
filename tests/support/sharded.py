"""FSDP2 on processes without a GPU: torch can do that, and accelerate does not ask for it."""

from __future__ import annotations

import os
from typing import Any

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType


def sharded(version: int = 2, efficient_loading: bool = False) -> None:
    """A hook: what accelerate starts from here on is FSDP, as its configuration file would say."""
    os.environ |= {
        "ACCELERATE_USE_FSDP": "true",
        "FSDP_VERSION": str(version),
        "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
        "FSDP_RESHARD_AFTER_FORWARD": "true" if version == 2 else "FULL_SHARD",
        "FSDP_CPU_RAM_EFFICIENT_LOADING": str(efficient_loading).lower(),
    }
    start = AcceleratorState.__init__

    def start_sharded(self: AcceleratorState, *arguments: Any, **options: Any) -> None:
        start(self, *arguments, **options)
        if (plugin := options.get("fsdp_plugin")) is not None:
            self.distributed_type = PartialState().distributed_type = DistributedType.FSDP
            self.fsdp_plugin = plugin
            if self.mixed_precision != "no":
                plugin.set_mixed_precision(self.mixed_precision)

    AcceleratorState.__init__ = start_sharded
