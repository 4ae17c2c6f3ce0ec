"""The network of ImageReward, made of transformers' BLIP, from the names of its published weights.

An image is read by a vision transformer, the prompt by a BERT that attends to the image; linear
layers turn the first token's vector into a number (Xu et al., 2023).
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import BlipTextConfig, BlipTextModel, BlipVisionConfig, BlipVisionModel

from rewards.errors import RewardError

Module = TypeVar("Module", bound=nn.Module)

# Shapes do not show it: in BERT and in all vision transformers of BLIP, a head is 64 wide.
HEAD_WIDTH = 64

# transformers calls a LayerNorm's precision differently from the networks that were trained.
VISION_EPSILON, TEXT_EPSILON = 1e-6, 1e-12

# Published names to those of transformers; the text encoder has the same names in both.
VISION_NAMES = (
    (r"^cls_token$", "embeddings.class_embedding"),
    (r"^pos_embed$", "embeddings.position_embedding"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embedding."),
    (r"^norm\.", "post_layernorm."),
    (r"^blocks\.", "encoder.layers."),
    (r"\.attn\.proj\.", ".self_attn.projection."),
    (r"\.attn\.qkv\.", ".self_attn.qkv."),
    (r"\.norm([12])\.", r".layer_norm\1."),
)


class BlipScorer(nn.Module):
    """A number for each image and its prompt.

    Args:
        vision: a `BlipVisionModel`; calls of transformers' classes have no exact types.
        text: a `BlipTextModel` that attends to what `vision` gives.
        head: from a vector of `text` to one number.

    Attributes:
        image_size: side in pixels of the square images that it reads.
        vocabulary: number of tokens that it knows.
    """

    def __init__(self, vision: Any, text: Any, head: nn.Module) -> None:
        super().__init__()
        self.vision = vision
        self.text = text
        self.head = head
        self.image_size: int = vision.config.image_size
        self.vocabulary: int = text.config.vocab_size

    def forward(
        self,
        pixels: Float[Tensor, "b 3 size size"],
        tokens: Int[Tensor, "b length"],
        mask: Int[Tensor, "b length"],
    ) -> Float[Tensor, " b"]:
        """Numbers of any size. `mask` is 1 at a token and 0 at padding."""
        seen = self.vision(pixel_values=pixels).last_hidden_state
        read = self.text(input_ids=tokens, attention_mask=mask, encoder_hidden_states=seen)
        return self.head(read.last_hidden_state[:, 0]).squeeze(1)


def load_blip_scorer(state: Mapping[str, Tensor], *, where: str) -> BlipScorer:
    """The network with weights of the published names; its sizes are those of the tensors.

    Args:
        state: `blip.visual_encoder.…`, `blip.text_encoder.…`, `mlp.layers.…`; others are not used.
        where: reward and file, the beginning of an error message.

    Raises:
        RewardError: a tensor is missing, unknown, or does not fit the others.
    """
    try:
        vision = _vision(_part(state, "blip.visual_encoder."))
        text = _text(_part(state, "blip.text_encoder."), vision.config.hidden_size)
        return BlipScorer(vision, text, _head(_part(state, "mlp.layers.")))
    except KeyError as error:
        raise RewardError(f"{where} are not of ImageReward: they lack a tensor …{error}") from error
    except RuntimeError as error:
        problems = " ".join(str(error).split())[:300]
        raise RewardError(f"{where} are not of ImageReward: {problems}") from error


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): tensor for k, tensor in state.items() if k.startswith(prefix)}


def _vision(state: dict[str, Tensor]) -> BlipVisionModel:
    _, positions, width = state["pos_embed"].shape
    patch = state["patch_embed.proj.weight"].shape[-1]
    config = BlipVisionConfig(
        hidden_size=width,
        intermediate_size=len(state["blocks.0.mlp.fc1.weight"]),
        num_hidden_layers=_count(state, r"^blocks\.\d+\.norm1\.weight$"),
        num_attention_heads=width // HEAD_WIDTH,
        image_size=math.isqrt(positions - 1) * patch,
        patch_size=patch,
        layer_norm_eps=VISION_EPSILON,
    )
    renamed = {_renamed(name): tensor for name, tensor in state.items()}
    return _filled(lambda: BlipVisionModel(config), renamed)


def _text(state: dict[str, Tensor], seen_width: int) -> BlipTextModel:
    positions, width = state["embeddings.position_embeddings.weight"].shape
    config = BlipTextConfig(
        vocab_size=len(state["embeddings.word_embeddings.weight"]),
        hidden_size=width,
        encoder_hidden_size=seen_width,
        intermediate_size=len(state["encoder.layer.0.intermediate.dense.weight"]),
        num_hidden_layers=_count(state, r"^encoder\.layer\.\d+\.intermediate\.dense\.weight$"),
        num_attention_heads=width // HEAD_WIDTH,
        max_position_embeddings=positions,
        layer_norm_eps=TEXT_EPSILON,
        bos_token_id=None,
        sep_token_id=None,
    )
    state.pop("embeddings.position_ids", None)  # 0, 1, 2, …
    model: Any = _filled(lambda: BlipTextModel(config, add_pooling_layer=False), state)
    model.embeddings.position_ids = torch.arange(positions).expand(1, -1)
    return model


def _head(state: dict[str, Tensor]) -> nn.Sequential:
    """Linear layers one after another; their numbers have gaps where dropout was."""
    numbers = sorted({int(name.split(".")[0]) for name in state})
    shapes = [state[f"{number}.weight"].shape for number in numbers or [0]]
    layers = {
        f"{i}.{part}": state[f"{number}.{part}"]
        for i, number in enumerate(numbers)
        for part in ("weight", "bias")
    }
    return _filled(lambda: nn.Sequential(*(nn.Linear(wide, out) for out, wide in shapes)), layers)


def _filled(make: Callable[[], Module], state: dict[str, Tensor]) -> Module:
    """A module with the tensors of `state`; no time and no random numbers go to others."""
    with torch.device("meta"):
        module = make()
    module.load_state_dict(state, assign=True)
    return module


def _renamed(name: str) -> str:
    for pattern, new in VISION_NAMES:
        name = re.sub(pattern, new, name)
    return name


def _count(state: dict[str, Tensor], pattern: str) -> int:
    return sum(bool(re.search(pattern, name)) for name in state)
