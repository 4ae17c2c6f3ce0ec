"""Adapters sit where each family has its attention, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.support.pipelines import PIPELINES
from tests.support.policies import built


@pytest.mark.parametrize("name", PIPELINES)
def test_every_default_target_of_a_family_matches_layers(
    name: str, models: Callable[[str], Path]
) -> None:
    policy = built(models(name), guidance_scale=None, resolution=16)
    targets = policy.family.lora_targets
    modules = dict(policy.network.named_modules())
    adapted = [path.removesuffix(".lora_A") for path in modules if path.endswith(".lora_A")]
    found = {t: sum(path.endswith(f".{t}") for path in adapted) for t in targets}
    assert all(found.values()), found
    assert sum(found.values()) == len(adapted)
    assert all("attn" in path for path in adapted)
    trained = policy.trained_state().values()
    assert len(trained) == 2 * len(adapted)
    assert {parameter.dtype for parameter in trained} == {torch.float32}
