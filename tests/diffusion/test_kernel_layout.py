"""Convolutions whose kernels lie with the channels of a pixel side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ddpo.diffusion.building import build_diffusion_policy
from ddpo.errors import UserError
from ddpo.randomness import RowGenerator
from ddpo.sharding import placed_like
from tests.support.policies import configured

Models = Callable[[str], Path]

CPU = torch.device("cpu")
ROWS = RowGenerator(seed=0, iteration=1, rows=((0, 0), (1, 0)))


def built(models: Models, name: str, *, channels_last: bool) -> Any:
    """A policy of a family, all of whose weights are trained, with a reference."""
    options = {"resolution": 16, "num_steps": 2, "channels_last": channels_last}
    return build_diffusion_policy(configured(models(name), lora=False, **options), CPU, None)


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_a_u_net_computes_the_same(models: Models, name: str) -> None:
    plain, laid = (built(models, name, channels_last=last) for last in (False, True))
    for network in (laid.network, laid.reference_network):
        kernels = [p for p in network.parameters() if p.ndim == 4 and p.shape[-1] > 1]
        assert kernels
        assert all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
        assert not any(p.is_contiguous() for p in kernels)
    for (key, value), (other, same) in zip(
        plain.network.named_parameters(), laid.network.named_parameters(), strict=True
    ):
        assert key == other
        assert torch.equal(value, same)
    one, two = (policy.sample(["a cat", "a dog"], ROWS) for policy in (plain, laid))
    torch.testing.assert_close(two.log_probs, one.log_probs, rtol=0, atol=1e-5)
    torch.testing.assert_close(two.outputs, one.outputs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["sd3", "flux-dev"])
def test_a_transformer_is_refused(models: Models, name: str) -> None:
    with pytest.raises(UserError, match=r"^policy.channels_last: true is for U-Nets, .* false$"):
        built(models, name, channels_last=True)


def test_what_is_loaded_lies_as_what_it_replaces() -> None:
    like = torch.zeros(2, 3, 4, 5, dtype=torch.float64).to(memory_format=torch.channels_last)
    numbers = torch.arange(120.0).reshape(2, 3, 4, 5)
    placed = placed_like(numbers, like)
    assert placed.stride() == like.stride() == (60, 1, 15, 3)
    assert placed.dtype == torch.float64
    assert torch.equal(placed, numbers.double())
