"""Agreement of an image with its prompt, measured by a CLIP: Radford et al., 2021."""

from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from rewards.errors import RewardError
from rewards.image.clip_loading import (
    OPENAI_LICENCE,
    OPENAI_WEIGHTS,
    declare_gradients,
    load_clip,
    refuse_offloaded_gradients,
)
from rewards.network import Precision
from rewards.registry import reward

CACHED_PROMPTS = 10_000
COMBINE = {"mean": torch.mean, "min": torch.amin}


@reward(
    "clip_alignment",
    modality="image",
    range=(-1.0, 1.0),
    unit="cosine",
    differentiable=True,
    licence=OPENAI_LICENCE,
    weights=(OPENAI_WEIGHTS,),
    refine=declare_gradients,
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
        templates: sentences with `{}` where the prompt goes, such as "a photo of {}". The
            embeddings of several are averaged and scaled to length 1 again: section 3.1.4.
        separator: what divides a prompt into statements, such as "; "; by default, it is one.
        combine: whether a prompt of several statements counts as the "mean" of their cosines, or
            as the "min", the statement that the image shows least.
        precision: of the network's weights and arithmetic.
        offload: keep the network on the CPU while it is not in use.
    """

    def __init__(
        self,
        model: str = "ViT-L-14",
        pretrained: str = "openai",
        batch_size: Annotated[int, Field(ge=1)] = 64,
        differentiable: bool = False,
        templates: Annotated[tuple[str, ...], Field(min_length=1)] = ("{}",),
        separator: Annotated[str, Field(min_length=1)] | None = None,
        combine: Literal["mean", "min"] = "mean",
        precision: Precision = "fp32",
        offload: bool = False,
    ) -> None:
        refuse_offloaded_gradients("clip_alignment", differentiable=differentiable, offload=offload)
        _check_templates(templates)
        self.clip = load_clip(model, pretrained, precision, offload=offload)
        self.batch_size = batch_size
        self.differentiable = differentiable
        self.templates = templates
        self.separator = separator
        self.combine = combine
        # On the CPU, whatever the device: the images of a later call may be on another one.
        self._embeddings: dict[str, Tensor] = {}

    def __call__(
        self, images: Float[Tensor, "b 3 h w"], prompts: Sequence[str]
    ) -> Float[Tensor, " b"]:
        """Cosines in [-1, 1]."""
        if not len(images):
            return torch.zeros(0, device=images.device)
        groups = [self._statements(prompt) for prompt in prompts]
        counts = [len(group) for group in groups]
        with (
            self.clip.network.on(images.device),
            torch.set_grad_enabled(self.differentiable and torch.is_grad_enabled()),
        ):
            seen = self.clip.embed_images(images, self.batch_size)
            read = self._embed_statements([*chain.from_iterable(groups)], images.device)
        repeats = torch.tensor(counts, device=images.device)
        cosines = (seen.repeat_interleave(repeats, dim=0) * read).sum(dim=1).clamp(-1, 1)
        return torch.stack([COMBINE[self.combine](part) for part in cosines.split(counts)])

    def _statements(self, prompt: str) -> list[str]:
        if self.separator is None:
            return [prompt]
        parts = [part.strip() for part in prompt.split(self.separator)]
        return [part for part in parts if part] or [prompt]

    @torch.no_grad()
    def _embed_statements(self, statements: Sequence[str], device: torch.device) -> Tensor:
        distinct = dict.fromkeys(statements)
        missing = [text for text in distinct if text not in self._embeddings]
        if len(self._embeddings) + len(missing) > CACHED_PROMPTS:
            self._embeddings.clear()
            missing = list(distinct)
        for start in range(0, len(missing), self.batch_size):
            texts = missing[start : start + self.batch_size]
            embedded = self._embed_in_templates(texts, device).cpu()
            self._embeddings.update(zip(texts, embedded, strict=True))
        return torch.stack([self._embeddings[text] for text in statements]).to(device)

    def _embed_in_templates(self, texts: Sequence[str], device: torch.device) -> Tensor:
        filled = [template.replace("{}", text) for text in texts for template in self.templates]
        embedded = self.clip.embed_texts(filled, self.batch_size, device)
        return normalize(embedded.unflatten(0, (len(texts), len(self.templates))).mean(dim=1))


def _check_templates(templates: Sequence[str]) -> None:
    for template in templates:
        if "{}" not in template:
            raise RewardError(
                f"reward 'clip_alignment': the template {template!r} has no place for the prompt; "
                "write {} where it goes, as in 'a photo of {}'"
            )
