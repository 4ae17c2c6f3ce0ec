"""Agreement of an image with its prompt, measured by a CLIP: Radford et al., 2021."""

from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from rewards.errors import RewardError
from rewards.image.clip_loading import OPENAI_LICENCE, OPENAI_WEIGHTS, load_clip
from rewards.image.gradients import declare_gradients, gradients_if, refuse_offloaded_gradients
from rewards.network import Precision
from rewards.prompt_cache import PromptCache
from rewards.registry import reward

COMBINE = {"mean": torch.mean, "min": torch.amin}


@reward(
    "clip_alignment",
    modality="image",
    needs_prompt=True,
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

    Raises:
        RewardError: the CLIP cannot be loaded, a template has no place for the prompt, or both
            `differentiable` and `offload` are on.
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
        self.clip = load_clip(
            model, pretrained, precision, offload=offload, reward="clip_alignment"
        )
        self.batch_size = batch_size
        self.differentiable = differentiable
        self.templates = templates
        self.separator = separator
        self.combine = combine
        self.cache = PromptCache(batch_size)

    def __call__(
        self, images: Float[Tensor, "b 3 h w"], prompts: Sequence[str]
    ) -> Float[Tensor, " b"]:
        """Cosines in [-1, 1]."""
        if not len(images):
            return torch.zeros(0, device=images.device)
        groups = [self._statements(prompt) for prompt in prompts]
        counts = [len(group) for group in groups]
        embed = partial(self._embed_in_templates, device=images.device)
        with self.clip.network.on(images.device), gradients_if(self.differentiable):
            seen = self.clip.embed_images(images, self.batch_size)
            read = self.cache([*chain.from_iterable(groups)], embed, images.device)
        repeats = torch.tensor(counts, device=images.device)
        cosines = (seen.repeat_interleave(repeats, dim=0) * read).sum(dim=1).clamp(-1, 1)
        return torch.stack([COMBINE[self.combine](part) for part in cosines.split(counts)])

    def _statements(self, prompt: str) -> list[str]:
        if self.separator is None:
            return [prompt]
        parts = [part.strip() for part in prompt.split(self.separator)]
        return [part for part in parts if part] or [prompt]

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
