"""Optimizers by name: what they keep, and that it can be saved."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
import torch
from torch import nn

from ddpo.config.schema import TrainConfig
from ddpo.errors import UserError
from ddpo.optimizers import build_optimizer
from ddpo.state import _flat_optimizer, _nested_optimizer


def config(name: Any) -> TrainConfig:
    return TrainConfig(iterations=1, samples_per_iteration=8, optimizer=name, learning_rate=1e-2)


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in [(64, 80), (7,)]]


def steps(optimizer: torch.optim.Optimizer, own: list[nn.Parameter], count: int) -> None:
    for number in range(count):
        for parameter in own:
            parameter.grad = torch.sin(parameter.detach() + number)
        optimizer.step()


@pytest.mark.parametrize("name", ["adamw", "adafactor", "adamw_8bit"])
def test_what_is_saved_continues_to_the_bit(name: str) -> None:
    if name == "adamw_8bit":
        pytest.importorskip("bitsandbytes")
    whole, resumed = parameters(), parameters()
    optimizer = build_optimizer(config(name), whole)
    steps(optimizer, whole, 3)
    tensors, rest = _flat_optimizer(optimizer.state_dict())
    saved = {key: tensor.clone() for key, tensor in tensors.items()}
    other = build_optimizer(config(name), resumed)
    other.load_state_dict(_nested_optimizer(saved, json.loads(json.dumps(rest))))
    for parameter, reached in zip(resumed, whole, strict=True):
        parameter.data.copy_(reached.data)
    steps(optimizer, whole, 2)
    steps(other, resumed, 2)
    assert all(torch.equal(a, b) for a, b in zip(resumed, whole, strict=True))
    assert not torch.equal(whole[0], parameters()[0])


def test_nested_states_and_numbers_come_back() -> None:
    tensor = torch.arange(3)
    state = {"state": {0: {"step": 5, "quantised": {"first": tensor}}}, "param_groups": [{"lr": 1}]}
    tensors, rest = _flat_optimizer(state)
    assert list(tensors) == ["0.quantised.first"]
    assert rest == {"groups": [{"lr": 1}], "numbers": {"0.step": 5}}
    assert _nested_optimizer(tensors, rest) == state


def test_the_state_is_as_large_as_said() -> None:
    own = parameters()
    sizes = {}
    for name in ("adamw", "adafactor"):
        optimizer = build_optimizer(config(name), own)
        steps(optimizer, own, 1)
        tensors, _ = _flat_optimizer(optimizer.state_dict())
        sizes[name] = sum(tensor.numel() for tensor in tensors.values()) - len(own)  # the step
    assert sizes == {"adamw": 2 * (64 * 80 + 7), "adafactor": 64 + 80 + 7}


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(UserError, match=r"train\.optimizer: adamw_8bit .* `pip install bitsand"):
        build_optimizer(config("adamw_8bit"), parameters())
