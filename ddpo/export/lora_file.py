"""A run's LoRA as diffusers saved it: read with its alpha, named, and with the alpha folded in."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from diffusers.loaders.lora_base import LORA_ADAPTER_METADATA_KEY, LORA_WEIGHT_NAME_SAFE
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ddpo.errors import UserError

DOWN, UP = ".lora_A.weight", ".lora_B.weight"


@dataclass(frozen=True)
class Layer:
    """The adapter of one layer: it adds `alpha / rank * up @ down` to the layer's weight."""

    down: Float[Tensor, "rank ..."]
    up: Float[Tensor, "outputs ..."]


@dataclass(frozen=True)
class Lora:
    """All adapters of a network.

    Attributes:
        network: the part of the pipeline that they belong to, `unet` or `transformer`.
        layers: by the layer's name in that network.
        alpha: of every layer.
    """

    network: str
    layers: Mapping[str, Layer]
    alpha: float

    @property
    def rank(self) -> int:
        """Of every layer."""
        return len(next(iter(self.layers.values())).down)


def read_lora(final: Path, network: str) -> Lora:
    """Read the LoRA in a run's `final/`.

    Raises:
        UserError: the file is missing, damaged, or has lost its record of alpha.
    """
    path = final / LORA_WEIGHT_NAME_SAFE
    tensors, metadata = _read(path)
    described = json.loads(metadata.get(LORA_ADAPTER_METADATA_KEY, "{}"))
    alpha = described.get(f"{network}.lora_alpha")
    if alpha is None:
        raise UserError(f"{path} does not say its alpha, so its strength is not known")
    prefix = f"{network}."
    names = [name.removeprefix(prefix).removesuffix(DOWN) for name in tensors if DOWN in name]
    layers = {
        name: Layer(tensors[f"{prefix}{name}{DOWN}"], tensors[f"{prefix}{name}{UP}"])
        for name in names
    }
    return Lora(network, layers, float(alpha))


def name_base_model(final: Path, model: str) -> None:
    """Add to the metadata of a LoRA that was just saved which base model it belongs to."""
    path = final / LORA_WEIGHT_NAME_SAFE
    tensors, metadata = _read(path)
    write_tensors(path, tensors, metadata | {"base_model": model})


def folded(lora: Lora) -> dict[str, Tensor]:
    """The LoRA under diffusers' names with alpha inside the weights: for who reads no metadata."""
    scale = lora.alpha / lora.rank
    tensors = {}
    for name, layer in lora.layers.items():
        tensors[f"{lora.network}.{name}{DOWN}"] = layer.down
        tensors[f"{lora.network}.{name}{UP}"] = layer.up * scale
    return tensors


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file, whole or not at all.

    Raises:
        OSError: it could not be written; what was there has not changed.
    """
    aside = path.with_name(f".{path.name}.tmp")
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    try:
        save_file(whole, aside, metadata={"format": "pt", **metadata})
        os.replace(aside, path)
    except SafetensorError as error:  # how that library reports a full disk
        raise OSError(str(error)) from error
    finally:
        aside.unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
