"""Agreement of an image with its prompt, measured by a CLIP: Radford et al., 2021."""

from collections.abc import Sequence
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from rewards.image.clip_loading import load_clip
from rewards.registry import reward

CACHED_PROMPTS = 10_000


@reward(
    "clip_alignment",
    modality="image",
    range=(-1.0, 1.0),
    unit="cosine",
    differentiable=True,
    licence="that of the weights; MIT for OpenAI's",
)
class ClipAlignment:
    """Cosine of the angle between the CLIP embeddings of an image and of its prompt.

    The model is loaded once, when the reward is made, and follows the images to their device.

    Args:
        model: an open_clip architecture, a folder, `hf-hub:owner/name`, or an installed model such
            as `shapes`.
        pretrained: tag or file with the weights of an open_clip architecture; not used otherwise.
        batch_size: images, or prompts, in one pass of the network; it does not change the numbers.
        differentiable: let gradients flow from the number to the image.
    """

    def __init__(
        self,
        model: str = "ViT-L-14",
        pretrained: str = "openai",
        batch_size: Annotated[int, Field(ge=1)] = 64,
        differentiable: bool = False,
    ) -> None:
        self.clip = load_clip(model, pretrained)
        self.batch_size = batch_size
        self.differentiable = differentiable
        self._embeddings: dict[str, Tensor] = {}

    def __call__(
        self, images: Float[Tensor, "b 3 h w"], prompts: Sequence[str]
    ) -> Float[Tensor, " b"]:
        """Cosines in [-1, 1]."""
        self.clip.model.to(images.device)
        with torch.set_grad_enabled(self.differentiable and torch.is_grad_enabled()):
            image_embeddings = torch.cat(
                [self._embed(part) for part in images.split(self.batch_size)]
            )
            return (image_embeddings * self._embed_prompts(prompts, images.device)).sum(dim=1)

    def _embed(self, images: Tensor) -> Tensor:
        # Bicubic resizing overshoots; an image file cannot.
        resized = self.clip.resize(images.float()).clamp(0, 1)
        return self.clip.model.encode_image(self.clip.normalise(resized), normalize=True)

    @torch.no_grad()
    def _embed_prompts(self, prompts: Sequence[str], device: torch.device) -> Tensor:
        distinct = list(dict.fromkeys(prompts))
        if len(self._embeddings) + len(distinct) > CACHED_PROMPTS:
            self._embeddings.clear()
        missing = [prompt for prompt in distinct if prompt not in self._embeddings]
        for start in range(0, len(missing), self.batch_size):
            texts = missing[start : start + self.batch_size]
            tokens = self.clip.tokenizer(texts).to(device)
            embedded = self.clip.model.encode_text(tokens, normalize=True)
            self._embeddings.update(zip(texts, embedded, strict=True))
        return torch.stack([self._embeddings[prompt] for prompt in prompts]).to(device)
