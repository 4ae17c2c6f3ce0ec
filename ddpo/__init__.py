"""Reinforcement learning for generative models: fine-tune them towards any reward you can write.

from ddpo import load_config, train

run = train(load_config("configs/ddpo_shapes_compressibility.yaml"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddpo.config.reading import load_config
    from ddpo.gallery import write_gallery
    from ddpo.sampling import sample
    from ddpo.training import train
    from ddpo.trajectory import Policy, Trajectory

__all__ = ["Policy", "Trajectory", "load_config", "sample", "train", "write_gallery"]

_HOMES = {
    "load_config": "ddpo.config.reading",
    "train": "ddpo.training",
    "sample": "ddpo.sampling",
    "write_gallery": "ddpo.gallery",
    "Trajectory": "ddpo.trajectory",
    "Policy": "ddpo.trajectory",
}


def __getattr__(name: str) -> Any:
    """Import public names when they are used: `import ddpo` alone is instant."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ddpo' has no attribute {name!r}")
