"""Finding, loading and asking CLIP models through open_clip, for every reward that needs one.

A model is named in one of four ways:

- an open_clip architecture with a tag of pretrained weights: `ViT-L-14`, `openai`;
- a folder with `open_clip_config.json`, weights, tokenizer files (`local-dir:` may precede it);
- a repository on the hub: `hf-hub:owner/name`;
- the name of an installed model: an entry point of the group `ddpo.clip_models`, a function without
  arguments that returns such a folder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import open_clip
import torch
from jaxtyping import Float
from open_clip.tokenizer import HFTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor, nn
from torch.nn.functional import normalize
from torchvision.transforms import Compose

from rewards.definition import Definition, Weights
from rewards.errors import RewardError, did_you_mean, one_line
from rewards.network import Network, Precision
from rewards.weights import find_installed, installed_names

ENTRY_POINT_GROUP = "ddpo.clip_models"

# What open_clip downloads for `ViT-L-14`, `openai`: a copy of OpenAI's weights in another format,
# which it does not verify; so OpenAI's checksum is not this file's, and there is none to state.
OPENAI_WEIGHTS = Weights(
    "hf-hub:timm/vit_large_patch14_clip_224.openai/open_clip_model.safetensors"
)
OPENAI_LICENCE = "that of the weights; MIT for OpenAI's"


@dataclass(frozen=True)
class Clip:
    """A frozen CLIP with what it needs: its tokenizer, and its preprocessing of image batches.

    Embed inside `with clip.network.on(device):`, which puts the model there.

    Attributes:
        model: the module of `network`.
        tokenizer: texts to token numbers.
        resize, normalise: take and return `[B, 3, H, W]`; between them, pixels are in [0, 1].
        width: numbers in an embedding.
        network: moves the model.
    """

    model: Any  # open_clip's model classes share no type
    tokenizer: Callable[[list[str]], Tensor]
    resize: Callable[[Tensor], Tensor]
    normalise: Callable[[Tensor], Tensor]
    width: int
    network: Network

    def embed_images(
        self, images: Float[Tensor, "b 3 h w"], batch_size: int
    ) -> Float[Tensor, "b width"]:
        """Embeddings of length 1, in float32, of images in [0, 1] of any size."""
        if not len(images):
            return torch.zeros(0, self.width, device=images.device)
        return torch.cat([self._embed_images(part) for part in images.split(batch_size)])

    def embed_texts(
        self, texts: Sequence[str], batch_size: int, device: torch.device
    ) -> Float[Tensor, "b width"]:
        """Embeddings of length 1, in float32."""
        embedded = [torch.zeros(0, self.width, device=device)]
        for start in range(0, len(texts), batch_size):
            tokens = self.tokenizer(list(texts[start : start + batch_size])).to(device)
            embedded.append(normalize(self.model.encode_text(tokens).float()))
        return torch.cat(embedded)

    def _embed_images(self, images: Tensor) -> Tensor:
        # Bicubic resizing overshoots; an image file cannot.
        pixels = self.resize(images.float()).clamp(0, 1)
        seen = self.model.encode_image(self.normalise(pixels).to(self.network.dtype))
        return normalize(seen.float())


def load_clip(
    model: str, pretrained: str, precision: Precision = "fp32", *, offload: bool = False
) -> Clip:
    """Load a CLIP for inference, on the CPU, with its parameters frozen.

    `pretrained` counts only when `model` is an open_clip architecture.

    Raises:
        RewardError: the model is unknown, has no weights, or cannot be reached.
    """
    source = resolve(model)
    if ":" not in source:
        _check_tag(source, pretrained)
    try:
        module, tokenizer = _load(source, pretrained)
    # open_clip, the hub's client and the file formats have no common error; all mean the same here.
    except Exception as error:
        raise RewardError(
            f"cannot load the CLIP model '{model}'{_with(source, pretrained)}: {one_line(error)}. "
            "Without a network, give a folder that holds it, or an installed model: "
            f"{', '.join(installed_names(ENTRY_POINT_GROUP)) or 'none'}"
        ) from error
    _check_tokenizer(module, tokenizer, model)
    wanted = PreprocessCfg(**module.visual.preprocess_cfg)
    transform = cast(Compose, image_transform_v2(wanted, is_train=False))
    *resize, normalise = transform.transforms
    width = _width(module, tokenizer)
    network = Network(module, precision, offload=offload)
    return Clip(module, tokenizer, Compose(resize), normalise, width, network)


def resolve(model: str) -> str:
    """The name open_clip knows: an architecture, `local-dir:folder`, or `hf-hub:owner/name`.

    Raises:
        RewardError: nothing has that name, or an installed model cannot be found.
    """
    if model.startswith(("local-dir:", "hf-hub:")):
        return model
    if folder := find_installed(ENTRY_POINT_GROUP, model, "CLIP model"):
        return f"local-dir:{folder}"
    if Path(model).is_dir():
        return f"local-dir:{model}"
    if model not in open_clip.list_models():
        hint = did_you_mean(model, [*open_clip.list_models(), *installed_names(ENTRY_POINT_GROUP)])
        raise RewardError(f"no CLIP model, and no folder, is called '{model}'{hint}")
    return model


def refuse_offloaded_gradients(reward: str, *, differentiable: bool, offload: bool) -> None:
    """A backward pass needs the model where the forward pass had it.

    Raises:
        RewardError: both options are on.
    """
    if differentiable and offload:
        raise RewardError(
            f"reward '{reward}': differentiable=True needs offload=False, because the gradient "
            "passes through the network after the reward has returned"
        )


def declare_gradients(made: Any, definition: Definition) -> Definition:
    """A `refine` for rewards that let gradients flow only if asked to."""
    return replace(definition, differentiable=made.differentiable)


def _load(source: str, pretrained: str) -> tuple[Any, Callable[[list[str]], Tensor]]:
    tag = open_clip.get_pretrained_cfg(source, pretrained)
    with torch.random.fork_rng(devices=[]):  # weights are random before they are loaded
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


@torch.no_grad()
def _width(module: Any, tokenizer: Callable[[list[str]], Tensor]) -> int:
    # The model classes keep the number in different places; a text is cheaper than an image.
    return module.eval().encode_text(tokenizer([""])).shape[1]
