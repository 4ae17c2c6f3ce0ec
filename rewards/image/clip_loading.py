"""Finding, loading and asking CLIP models through open_clip, for every reward that needs one.

A model is named in one of four ways:

- an open_clip architecture with a tag of pretrained weights: `ViT-L-14`, `openai`;
- a folder with `open_clip_config.json`, weights, tokenizer files (`local-dir:` may precede it);
- a repository on the hub: `hf-hub:owner/name`;
- the name of an installed model: an entry point of the group `ddpo.clip_models`, a function without
  arguments that returns such a folder.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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

from rewards.definition import Weights
from rewards.errors import RewardError, did_you_mean
from rewards.network import Network, Precision
from rewards.pretrained import tokenizer_problem
from rewards.weights import find_installed, installed_names, why_not_had

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
    model: str,
    pretrained: str,
    precision: Precision = "fp32",
    *,
    offload: bool = False,
    reward: str,
) -> Clip:
    """Load a CLIP for inference, on the CPU, with its parameters frozen.

    `pretrained` counts only when `model` is an open_clip architecture; `reward` is the name of the
    reward, for the messages.

    Raises:
        RewardError: the model is unknown, has no weights, or cannot be reached.
    """
    where = f"reward '{reward}'"
    source = _resolve(model, where)
    if ":" not in source:
        _check_tag(source, pretrained, where)
    try:
        module, tokenizer = _load(source, pretrained)
    # open_clip, the hub's client and the file formats have no common error; all mean the same here.
    except Exception as error:
        raise RewardError(
            f"{where}: cannot load the CLIP model '{model}'{_with(source, pretrained)} "
            f"({why_not_had(error)}); give model= a folder that holds it, or an installed model: "
            f"{', '.join(installed_names(ENTRY_POINT_GROUP)) or 'none'}"
        ) from error
    _check_tokenizer(module, tokenizer, model, where)
    resize, normalise = _preprocessing(module)
    width = _width(module, tokenizer)
    network = Network(module, precision, offload=offload)
    return Clip(module, tokenizer, resize, normalise, width, network)


def _resolve(model: str, where: str) -> str:
    """The name open_clip knows: an architecture, `local-dir:folder`, or `hf-hub:owner/name`."""
    if model.startswith(("local-dir:", "hf-hub:")):
        return model
    if folder := find_installed(ENTRY_POINT_GROUP, model, "CLIP model"):
        return f"local-dir:{folder}"
    if Path(model).is_dir():
        return f"local-dir:{model}"
    if model not in open_clip.list_models():
        hint = did_you_mean(model, [*open_clip.list_models(), *installed_names(ENTRY_POINT_GROUP)])
        raise RewardError(f"{where}: model='{model}' is no CLIP model, and no folder{hint}")
    return model


def _load(source: str, pretrained: str) -> tuple[Any, Callable[[list[str]], Tensor]]:
    tag = open_clip.get_pretrained_cfg(source, pretrained)
    # Weights are random before they are loaded.
    with torch.random.fork_rng(devices=[]), _errors_are_raised():
        network = open_clip.create_model(
            source,
            pretrained if ":" not in source else None,
            # open_clip only warns when the tag's weights were trained with another activation.
            force_quick_gelu=tag.get("quick_gelu", False),
            # Otherwise missing weights mean random ones.
            require_pretrained=True,
        )
    return network, open_clip.get_tokenizer(source)


@contextmanager
def _errors_are_raised() -> Iterator[None]:
    """open_clip logs an error to the root logger before it raises it: once is enough."""
    root = logging.getLogger()
    root.addFilter(_below_error)
    try:
        yield
    finally:
        root.removeFilter(_below_error)


def _below_error(record: logging.LogRecord) -> bool:
    return record.levelno < logging.ERROR


def _check_tag(architecture: str, pretrained: str, where: str) -> None:
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if pretrained not in tags and not Path(pretrained).is_file():
        hint = did_you_mean(pretrained, tags) or "."
        raise RewardError(
            f"{where}: the CLIP model '{architecture}' has no pretrained weights '{pretrained}'"
            f"{hint} "
            f"Known: {', '.join(tags) or 'none'}, or the path of a file"
        )


def _check_tokenizer(network: nn.Module, tokenizer: object, model: str, where: str) -> None:
    """Only tokenizers of transformers are files that may be missing; open_clip brings its own."""
    if not isinstance(tokenizer, HFTokenizer):
        return
    rows = max(part.num_embeddings for part in network.modules() if isinstance(part, nn.Embedding))
    if problem := tokenizer_problem(tokenizer.tokenizer, rows, model):
        raise RewardError(f"{where}: {problem}")


def _preprocessing(module: Any) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """What open_clip does to an image, on batches: all steps but the last, and the last."""
    wanted = PreprocessCfg(**module.visual.preprocess_cfg)
    transform = cast(Compose, image_transform_v2(wanted, is_train=False))
    *resize, normalise = transform.transforms
    return Compose(resize), normalise


def _with(source: str, pretrained: str) -> str:
    return "" if ":" in source else f" with weights '{pretrained}'"


@torch.no_grad()
def _width(module: Any, tokenizer: Callable[[list[str]], Tensor]) -> int:
    # The model classes keep the number in different places; a text is cheaper than an image.
    return module.eval().encode_text(tokenizer([""])).shape[1]
