"""A LoRA under the names that ComfyUI, the web UIs and kohya-ss's scripts look for.

Stable Diffusion 1.x and 2.x keep diffusers' names, SDXL and FLUX take those of their first release.
`alpha` stands beside each pair of matrices; `convert_state_dict_to_kohya` in diffusers would write
the rank there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ddpo.errors import UserError
from ddpo.export.base_model import BaseModel
from ddpo.export.kohya_flux import flux_layers
from ddpo.export.lora_file import Layer, Lora

PREFIX = "lora_unet_"
U_NET_ATTENTION = re.compile(
    r"(?:(down|up)_blocks\.(\d+)|mid_block)\.attentions\.(\d+)\.(.+)", re.ASCII
)

Layers = Mapping[str, Layer]


def kohya_tensors(lora: Lora, base: BaseModel) -> dict[str, Tensor]:
    """`lora_unet_….lora_down.weight`, `….lora_up.weight` and `….alpha` of every layer.

    Raises:
        UserError: this family's names, or a layer's, could not be checked by loading the file.
    """
    rename = LAYOUTS.get(base.pipeline)
    if rename is None:
        raise UserError(
            f"--format: kohya is not offered for {base.pipeline}: diffusers does not load that "
            f"layout, so it could not be checked; ComfyUI reads --format folded"
        )
    tensors: dict[str, Tensor] = {}
    for name, layer in rename(lora.layers, base).items():
        flat = PREFIX + name.replace(".", "_")
        rank = len(layer.down)  # of fused layers a multiple: alpha grows with it
        tensors[f"{flat}.lora_down.weight"] = layer.down
        tensors[f"{flat}.lora_up.weight"] = layer.up
        tensors[f"{flat}.alpha"] = torch.tensor(lora.alpha * rank / lora.rank)
    return tensors


def _as_in_diffusers(layers: Layers, base: BaseModel) -> dict[str, Layer]:
    for name in layers:
        _attention(name, base)
    return dict(layers)


def _as_in_sdxl(layers: Layers, base: BaseModel) -> dict[str, Layer]:
    """Blocks are counted through, with the resnets and attentions of a level in one block each."""
    return {_block(name, base): layer for name, layer in layers.items()}


def _block(name: str, base: BaseModel) -> str:
    side, level, position, rest = _attention(name, base).groups()
    if side is None:
        return f"middle_block.1.{rest}"
    index = int(level) * (base.network["layers_per_block"] + 1) + int(position)
    return (
        f"input_blocks.{index + 1}.1.{rest}"
        if side == "down"
        else f"output_blocks.{index}.1.{rest}"
    )


def _attention(name: str, base: BaseModel) -> re.Match[str]:
    match = U_NET_ATTENTION.fullmatch(name)
    if match is None:
        raise UserError(
            f"--format: kohya has no checked name for layer {name} of {base.pipeline}; train "
            f"attention layers only (lora.target_modules), or use --format folded or merged"
        )
    return match


LAYOUTS: dict[str, Callable[[Layers, BaseModel], dict[str, Layer]]] = {
    "StableDiffusionPipeline": _as_in_diffusers,
    "StableDiffusionXLPipeline": _as_in_sdxl,
    "FluxPipeline": flux_layers,
}
"""Pipelines whose layout a test checks by loading, and how their layers are named."""
