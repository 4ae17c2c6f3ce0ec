"""Finding and loading CLIP models through open_clip, for every reward that needs one.

A model is named in one of four ways:

- an open_clip architecture with a tag of pretrained weights: `ViT-L-14`, `openai`;
- a folder with `open_clip_config.json`, weights, tokenizer files (`local-dir:` may precede it);
- a repository on the hub: `hf-hub:owner/name`;
- the name of an installed model: an entry point of the group `ddpo.clip_models`, a function without
  arguments that returns such a folder.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

import open_clip
from open_clip.tokenizer import HFTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor, nn
from torchvision.transforms import Compose

from rewards.errors import RewardError, did_you_mean, one_line

ENTRY_POINT_GROUP = "ddpo.clip_models"


@dataclass(frozen=True)
class Clip:
    """A frozen CLIP with what it needs: its tokenizer, and its preprocessing of image batches.

    `resize` and `normalise` take and return `[B, 3, H, W]`; between them, pixels are in [0, 1].
    """

    model: Any  # open_clip's model classes share no type
    tokenizer: Callable[[list[str]], Tensor]
    resize: Callable[[Tensor], Tensor]
    normalise: Callable[[Tensor], Tensor]


def load_clip(model: str, pretrained: str) -> Clip:
    """Load a CLIP for inference, in float32 on the CPU, with its parameters frozen.

    `pretrained` counts only when `model` is an open_clip architecture.

    Raises:
        RewardError: the model is unknown, has no weights, or cannot be reached.
    """
    source = resolve(model)
    if ":" not in source:
        _check_tag(source, pretrained)
    try:
        network, tokenizer = _load(source, pretrained)
    # open_clip, the hub's client and the file formats have no common error; all mean the same here.
    except Exception as error:
        raise RewardError(
            f"cannot load the CLIP model '{model}'{_with(source, pretrained)}: {one_line(error)}. "
            "Without a network, give a folder that holds it, or an installed model: "
            f"{', '.join(_installed()) or 'none'}"
        ) from error
    _check_tokenizer(network, tokenizer, model)
    wanted = PreprocessCfg(**network.visual.preprocess_cfg)
    transform = cast(Compose, image_transform_v2(wanted, is_train=False))
    *resize, normalise = transform.transforms
    network.eval().requires_grad_(False)
    return Clip(network, tokenizer, Compose(resize), normalise)


def resolve(model: str) -> str:
    """The name open_clip knows: an architecture, `local-dir:folder`, or `hf-hub:owner/name`.

    Raises:
        RewardError: nothing has that name, or an installed model cannot be found.
    """
    if model.startswith(("local-dir:", "hf-hub:")):
        return model
    for point in entry_points(group=ENTRY_POINT_GROUP, name=model):
        try:
            return f"local-dir:{point.load()()}"
        # The entry point is foreign code.
        except Exception as error:
            message = f"the installed CLIP model '{model}' ({point.value}): {one_line(error)}"
            raise RewardError(message) from error
    if Path(model).is_dir():
        return f"local-dir:{model}"
    known = [*open_clip.list_models(), *_installed()]
    if model not in open_clip.list_models():
        hint = did_you_mean(model, known)
        raise RewardError(f"no CLIP model, and no folder, is called '{model}'{hint}")
    return model


def _load(source: str, pretrained: str) -> tuple[Any, Callable[[list[str]], Tensor]]:
    tag = open_clip.get_pretrained_cfg(source, pretrained)
    network = open_clip.create_model(
        source,
        pretrained if ":" not in source else None,
        # open_clip only warns when the tag's weights were trained with another activation.
        force_quick_gelu=tag.get("quick_gelu", False),
        # Otherwise missing weights mean random ones.
        require_pretrained=True,
    )
    return network, open_clip.get_tokenizer(source)


def _check_tag(architecture: str, pretrained: str) -> None:
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if pretrained not in tags and not Path(pretrained).is_file():
        hint = did_you_mean(pretrained, tags) or "."
        raise RewardError(
            f"the CLIP model '{architecture}' has no pretrained weights '{pretrained}'{hint} "
            f"Known: {', '.join(tags) or 'none'}, or the path of a file"
        )


def _check_tokenizer(network: nn.Module, tokenizer: object, model: str) -> None:
    """A tokenizer whose files are missing may load as one of two tokens, without an error."""
    if not isinstance(tokenizer, HFTokenizer):
        return
    size = len(tokenizer.tokenizer)
    rows = max(part.num_embeddings for part in network.modules() if isinstance(part, nn.Embedding))
    if not rows / 2 < size <= rows:
        raise RewardError(
            f"the CLIP model '{model}' embeds {rows} tokens but its tokenizer has {size}: "
            "its tokenizer files are missing or belong to another model"
        )


def _with(source: str, pretrained: str) -> str:
    return "" if ":" in source else f" with weights '{pretrained}'"


def _installed() -> list[str]:
    return sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP))
