"""Small models of random weights in the file formats of PickScore, HPS v2.1 and ImageReward."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.support.model_parts import tiny_tokenizer

# Real heads are 64 wide, and widths and depths differ between image and text.
BLIP_VISION = {"width": 192, "layers": 2, "hidden": 48, "patch": 8, "image": 32}
BLIP_TEXT = {"width": 128, "layers": 2, "hidden": 40, "positions": 48}
BLIP_HEAD = (128, 24, 12, 8, 4, 1)
HEAD_LAYERS = (0, 2, 4, 6, 7)
WORDS = ["a", "red", "blue", "green", "circle", "square", "star", "two", "stars", "left", "of"]

TINY_HPS = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}


def tiny_pickscore(folder: Path) -> Path:
    """A CLIP of transformers, its tokenizer and its image processor, all in one folder."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    tokenizer = tiny_tokenizer(folder)
    tower: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    tower["num_attention_heads"] = 2
    config = CLIPConfig(
        text_config=tower
        | {
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 16,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config=tower | {"image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    model = _stirred(CLIPModel(config))
    model.save_pretrained(folder)
    CLIPImageProcessor(
        size={"shortest_edge": 32},
        crop_size={"height": 32, "width": 32},
        image_mean=[0.5, 0.4, 0.3],
        image_std=[0.2, 0.3, 0.4],
    ).save_pretrained(folder)
    return folder


def tiny_hps(file: Path) -> Path:
    """Weights in half precision within a training checkpoint, for the architecture `TINY_HPS`."""
    from open_clip import CLIP

    state = _stirred(CLIP(**copy.deepcopy(TINY_HPS))).state_dict()
    torch.save({"state_dict": {name: tensor.half() for name, tensor in state.items()}}, file)
    return file


def tiny_image_reward(folder: Path) -> tuple[Path, Path]:
    """`ImageReward.pt` with the published names, and a folder with the tokenizer of a BERT."""
    words = bert_tokenizer(folder / "bert", WORDS)
    torch.save(image_reward_state(words + 2), folder / "ImageReward.pt")
    return folder / "ImageReward.pt", folder / "bert"


def bert_tokenizer(folder: Path, words: list[str]) -> int:
    """The tokenizer of an uncased BERT that knows `words` and single letters; how many tokens."""
    from transformers import BertTokenizer

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = [*dict.fromkeys([*special, *words, *letters, *(f"##{c}" for c in letters)])]
    BertTokenizer(vocab={token: i for i, token in enumerate(tokens)}).save_pretrained(folder)
    return len(tokens)


def image_reward_state(vocabulary: int) -> dict[str, Tensor]:
    """Random tensors under the names of the published file, some of which nothing needs."""
    shapes = _vision_shapes() | _text_shapes(vocabulary) | _head_shapes()
    shapes |= {
        "blip.vision_proj.weight": (16, BLIP_VISION["width"]),
        "blip.vision_proj.bias": (16,),
    }
    generator = torch.Generator().manual_seed(3)
    state = {name: _drawn(name, shape, generator) for name, shape in shapes.items()}
    positions = torch.arange(BLIP_TEXT["positions"]).expand(1, -1)
    return state | {"blip.text_encoder.embeddings.position_ids": positions}


def _vision_shapes() -> dict[str, tuple[int, ...]]:
    width, hidden, patch = BLIP_VISION["width"], BLIP_VISION["hidden"], BLIP_VISION["patch"]
    shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, (BLIP_VISION["image"] // patch) ** 2 + 1, width),
        "patch_embed.proj.weight": (width, 3, patch, patch),
        "patch_embed.proj.bias": (width,),
        **_norm("norm", width),
    }
    for layer in range(BLIP_VISION["layers"]):
        block = f"blocks.{layer}"
        shapes |= _norm(f"{block}.norm1", width) | _norm(f"{block}.norm2", width)
        shapes |= _linear(f"{block}.attn.qkv", width, 3 * width)
        shapes |= _linear(f"{block}.attn.proj", width, width)
        shapes |= _linear(f"{block}.mlp.fc1", width, hidden)
        shapes |= _linear(f"{block}.mlp.fc2", hidden, width)
    return {f"blip.visual_encoder.{name}": shape for name, shape in shapes.items()}


def _text_shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    width, hidden = BLIP_TEXT["width"], BLIP_TEXT["hidden"]
    shapes = {
        "embeddings.word_embeddings.weight": (vocabulary, width),
        "embeddings.position_embeddings.weight": (BLIP_TEXT["positions"], width),
        **_norm("embeddings.LayerNorm", width),
    }
    for layer in range(BLIP_TEXT["layers"]):
        block = f"encoder.layer.{layer}"
        for kind, seen in (("attention", width), ("crossattention", BLIP_VISION["width"])):
            shapes |= _linear(f"{block}.{kind}.self.query", width, width)
            shapes |= _linear(f"{block}.{kind}.self.key", seen, width)
            shapes |= _linear(f"{block}.{kind}.self.value", seen, width)
            shapes |= _linear(f"{block}.{kind}.output.dense", width, width)
            shapes |= _norm(f"{block}.{kind}.output.LayerNorm", width)
        shapes |= _linear(f"{block}.intermediate.dense", width, hidden)
        shapes |= _linear(f"{block}.output.dense", hidden, width)
        shapes |= _norm(f"{block}.output.LayerNorm", width)
    return {f"blip.text_encoder.{name}": shape for name, shape in shapes.items()}


def _head_shapes() -> dict[str, tuple[int, ...]]:
    shapes = {}
    for layer, wide, narrow in zip(HEAD_LAYERS, BLIP_HEAD, BLIP_HEAD[1:], strict=False):
        shapes |= _linear(f"mlp.layers.{layer}", wide, narrow)
    return shapes


def _linear(name: str, wide: int, narrow: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (narrow, wide), f"{name}.bias": (narrow,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _drawn(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """As large as lets every tensor count: outputs of a layer of about the size of its inputs."""
    noise = torch.randn(shape, generator=generator)
    if "norm" in name.lower() and name.endswith("weight"):
        return 1 + 0.2 * noise
    if len(shape) == 1:
        return 0.2 * noise
    return noise if "embed" in name or "token" in name else noise / shape[1] ** 0.5


def _stirred(module: Any) -> Any:
    """The module with larger random weights, so that images, and prompts, differ clearly."""
    generator = torch.Generator().manual_seed(2)
    for name, weight in module.named_parameters():
        if weight.ndim > 1:
            weight.data = _drawn(name, tuple(weight.shape), generator)
    return module
