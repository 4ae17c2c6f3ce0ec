"""Policies of tiny models, ready to sample and to be scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ddpo.config.reading import decode_config
from ddpo.config.schema import Config
from ddpo.diffusion.building import build_diffusion_policy
from ddpo.diffusion.policy import DiffusionPolicy


def configured(
    model: Path, lora: bool = True, kl_coef: float = 0.1, evaluation: Any = None, **policy: Any
) -> Config:
    """A configuration of four guided steps."""
    chain = {"kind": "diffusion", "model": str(model), "num_steps": 4, "guidance_scale": 3.0}
    tree: dict[str, Any] = {
        "name": "run",
        "policy": chain | policy,
        "prompts": {"set": "animals"},
        "rewards": {"jpeg_compressibility": 1},
        "algorithm": {"kind": "ddpo", "kl_coef": kl_coef},
        "train": {"iterations": 1, "samples_per_iteration": 4},
        "evaluation": evaluation or {},
    }
    return decode_config(tree | ({"lora": {"rank": 2, "alpha": 4}} if lora else {}))


def built(model: Path, **options: Any) -> DiffusionPolicy:
    """The policy of such a configuration, on the CPU."""
    torch.manual_seed(0)
    return build_diffusion_policy(configured(model, **options), torch.device("cpu"), None)


def disturb(policy: DiffusionPolicy) -> None:
    """Move what is trained, as an update would."""
    torch.manual_seed(1)
    state = policy.trained_state()
    policy.load_trained_state({k: v + 0.02 * torch.randn_like(v) for k, v in state.items()})
