"""FLUX under the names of its first release, where queries, keys and values are one layer.

Adapters of layers that are fused there become one adapter of their summed ranks: a block of `up`
for each, zeros elsewhere, so that nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ddpo.errors import UserError
from ddpo.export.base_model import BaseModel
from ddpo.export.lora_file import Layer

MLP_RATIO = 4
DOUBLE, SINGLE = "transformer_blocks", "single_transformer_blocks"
BLOCK = re.compile(rf"({DOUBLE}|{SINGLE})\.(\d+)\.(.+)", re.ASCII)

FUSED: dict[tuple[str, str], Sequence[str]] = {
    (DOUBLE, "img_attn.qkv"): ("attn.to_q", "attn.to_k", "attn.to_v"),
    (DOUBLE, "txt_attn.qkv"): ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    (SINGLE, "linear1"): ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
}
"""One layer of the first release, and the layers that diffusers splits it into, in order."""

RENAMED: dict[tuple[str, str], str] = {
    (DOUBLE, "attn.to_out.0"): "img_attn.proj",
    (DOUBLE, "attn.to_add_out"): "txt_attn.proj",
    (DOUBLE, "ff.net.0.proj"): "img_mlp.0",
    (DOUBLE, "ff.net.2"): "img_mlp.2",
    (DOUBLE, "ff_context.net.0.proj"): "txt_mlp.0",
    (DOUBLE, "ff_context.net.2"): "txt_mlp.2",
    (SINGLE, "proj_out"): "linear2",
}
BLOCK_NAMES = {DOUBLE: "double_blocks", SINGLE: "single_blocks"}


def flux_layers(layers: Mapping[str, Layer], base: BaseModel) -> dict[str, Layer]:
    """Layers by the names of FLUX's first release.

    Raises:
        UserError: a layer has no name there that could be checked.
    """
    width = base.network["num_attention_heads"] * base.network["attention_head_dim"]
    renamed: dict[str, Layer] = {}
    fused: dict[tuple[str, str, str], dict[str, Layer]] = {}
    for name, layer in layers.items():
        kind, number, part = _split(name)
        whole = next((new for (k, new), of in FUSED.items() if k == kind and part in of), None)
        if whole is not None:
            fused.setdefault((kind, number, whole), {})[part] = layer
        else:
            renamed[f"{BLOCK_NAMES[kind]}.{number}.{RENAMED[kind, part]}"] = layer
    for (kind, number, whole), parts in fused.items():
        order = FUSED[kind, whole]
        sizes = {part: width * MLP_RATIO if part == "proj_mlp" else width for part in order}
        renamed[f"{BLOCK_NAMES[kind]}.{number}.{whole}"] = fuse(parts, sizes)
    return renamed


def fuse(parts: Mapping[str, Layer], sizes: Mapping[str, int]) -> Layer:
    """One adapter for layers that stand above each other; a part without one is not changed.

    Args:
        parts: adapters of some of the layers, all of one rank.
        sizes: outputs of each layer, in order.
    """
    like = next(iter(parts.values()))
    rank = len(like.down)
    downs: list[Tensor] = []
    ups: list[Tensor] = []
    for part, size in sizes.items():
        adapter = parts.get(part)
        downs.append(torch.zeros_like(like.down) if adapter is None else adapter.down)
        ups.append(like.up.new_zeros(size, rank) if adapter is None else adapter.up)
    return Layer(torch.cat(downs), torch.block_diag(*ups))


def _split(name: str) -> tuple[str, str, str]:
    match = BLOCK.fullmatch(name)
    known = {(kind, part) for (kind, _), parts in FUSED.items() for part in parts} | set(RENAMED)
    if match is None or (match[1], match[3]) not in known:
        raise UserError(
            f"--format: kohya has no checked name for layer {name} of FluxPipeline; leave it out "
            f"of lora.target_modules, or use --format folded or merged"
        )
    return match[1], match[2], match[3]
