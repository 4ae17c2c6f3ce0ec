"""A model from its configuration files alone: its weights have a size, a dtype and a device, and no
content, and so has everything that is computed with them (torch's fake tensors).
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from ddpo.config.diffusion_policy import PrecisionConfig
from ddpo.diffusion.family import Family
from ddpo.diffusion.loading import FP32, INDEX, family_of, pipeline_from
from ddpo.diffusion.precision import part_dtypes

MODE = FakeTensorMode(allow_non_fake_inputs=True)
"""What all tensors without content belong to, so that they can meet. It is never entered: small
tensors of the chain, which are made of no weights, stay real."""


def load_weightless(
    folder: Path,
    model: str,
    max_sequence_length: int | None = None,
    precision: PrecisionConfig = FP32,
) -> Family:
    """As `load_family`, from a folder, without reading or holding a single weight.

    Raises:
        UserError: see `load_family`.
    """
    index = json.loads((folder / INDEX).read_text())
    dtypes = part_dtypes(precision)
    parts = {
        name: _part(kind, folder / name, dtypes.get(name, dtypes["default"]))
        for name, kind in index.items()
        if name != "safety_checker" and _is_network(kind)
    }
    return family_of(pipeline_from(model, folder, precision, **parts), model, max_sequence_length)


def empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor without content."""
    return FakeTensor(MODE, torch.empty(*shape, dtype=dtype, device="meta"), device)


def take_content(network: nn.Module) -> None:
    """Make the weights that have content be without it, as those of fresh adapters."""

    def taken(weight: Tensor) -> Tensor:
        known = isinstance(weight, FakeTensor)
        return weight if known else empty(weight.shape, weight.dtype, weight.device)

    _replace_weights(network, taken)


def _is_network(kind: Any) -> bool:
    """Whether an entry of a pipeline's index names a class of networks."""
    if not isinstance(kind, list) or kind[0] not in ("diffusers", "transformers"):
        return False
    return issubclass(getattr(importlib.import_module(kind[0]), kind[1]), nn.Module)


def _part(kind: Sequence[str], folder: Path, dtype: torch.dtype) -> nn.Module:
    """A network of a pipeline, on the CPU, in the dtypes in which it would be loaded."""
    cls = getattr(importlib.import_module(kind[0]), kind[1])
    with torch.device("meta"):
        if kind[0] == "diffusers":
            network = cls.from_config(cls.load_config(folder))
        else:
            network = cls(cls.config_class.from_pretrained(folder))
    wide: set[int] = set()
    if dtype == torch.float16:
        names = network._keep_in_fp32_modules or ()
        held = (m for path, m in network.named_modules() if path.split(".")[-1] in names)
        wide = {id(weight) for module in held for weight in module.parameters()}

    def without_content(weight: Tensor) -> Tensor:
        narrow = weight.is_floating_point() and id(weight) not in wide
        return empty(weight.shape, dtype if narrow else weight.dtype, torch.device("cpu"))

    _replace_weights(network, without_content)
    network._apply = lambda fn, recurse=True: _replace_weights(network, fn)
    return network


def _replace_weights(network: nn.Module, new: Callable[[Tensor], Tensor]) -> nn.Module:
    """Put `new(weight)` in the place of each weight and buffer; what is shared stays shared.

    `nn.Module.to` would swap what is inside parameters, which torch refuses for fake ones.
    """
    done: dict[int, tuple[Tensor, Tensor]] = {}
    for module in network.modules():
        kinds: Any = (module._parameters, module._buffers)
        for weights in kinds:
            for name, weight in weights.items():
                if weight is None:
                    continue
                if id(weight) not in done:
                    done[id(weight)] = (weight, _like(weight, new))
                weights[name] = done[id(weight)][1]
    return network


def _like(weight: Tensor, new: Callable[[Tensor], Tensor]) -> Tensor:
    """`new(weight)`, a parameter if the weight is one."""
    with torch.no_grad():
        made = new(weight)
    if made is weight or not isinstance(weight, nn.Parameter):
        return made
    return nn.Parameter(made.detach(), requires_grad=weight.requires_grad)
