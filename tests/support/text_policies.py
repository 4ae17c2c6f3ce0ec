"""Policies of tiny language models, ready to sample and to be scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ddpo.config.reading import decode_config
from ddpo.config.schema import Config
from ddpo.text.building import build_token_policy
from ddpo.text.policy import TokenPolicy


def configured(
    model: Path,
    lora: Any = False,
    algorithm: Any = None,
    evaluation: Any = None,
    train: Any = None,
    **policy: Any,
) -> Config:
    """A configuration of completions of eight letters at most."""
    tree: dict[str, Any] = {
        "name": "run",
        "policy": {"kind": "text", "model": str(model), "max_length": 8} | policy,
        "prompts": {"set": "animals"},
        "rewards": {"length": 1},
        "algorithm": algorithm or {"kind": "ppo"},
        "train": {"iterations": 1, "samples_per_iteration": 4} | (train or {}),
        "evaluation": evaluation or {},
    }
    if lora:
        tree["lora"] = {"rank": 4, "alpha": 8} if lora is True else lora
    return decode_config(tree)


def built(model: Path, dtype: torch.dtype = torch.float32, **options: Any) -> TokenPolicy:
    """The policy of such a configuration, on the CPU."""
    torch.manual_seed(0)
    policy = build_token_policy(configured(model, **options), torch.device("cpu"), None)
    for network in filter(None, (policy.network, policy.reference_network)):
        network.to(dtype)
    return policy


def disturb(policy: TokenPolicy) -> None:
    """Move what is trained, as an update would."""
    torch.manual_seed(1)
    state = policy.trained_state()
    policy.load_trained_state({k: v + 0.05 * torch.randn_like(v) for k, v in state.items()})
