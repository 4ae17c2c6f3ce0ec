"""How different the images of one prompt are from each other: a guard against collapse.

The mean distance between pairs of samples of one input is the measure of Zhu et al., 2017
(BicycleGAN, section 5.2), with a CLIP (Radford et al., 2021) or pixels instead of their network.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from rewards.definition import Definition
from rewards.image.clip_loading import OPENAI_LICENCE, OPENAI_WEIGHTS, load_clip
from rewards.image.gradients import declare_gradients, gradients_if, refuse_offloaded_gradients
from rewards.network import Precision
from rewards.registry import reward

PIXELS = 32


def _refine(made: "Diversity", definition: Definition) -> Definition:
    """Pixels have another range and unit than embeddings, and need no weights."""
    definition = declare_gradients(made, definition)
    if made.embedding == "clip":
        return definition
    return replace(
        definition, range=(0.0, 1.0), unit="mean absolute difference", licence="", weights=()
    )


@reward(
    "diversity",
    modality="image",
    range=(0.0, 2.0),
    unit="1 - cosine",
    differentiable=True,
    group=True,
    licence=OPENAI_LICENCE,
    weights=(OPENAI_WEIGHTS,),
    refine=_refine,
)
class Diversity:
    """Mean distance of an image from the other images of its prompt.

    The mean over a prompt's images is the mean distance of all its pairs. An image alone with its
    prompt has no number (NaN).

    Args:
        embedding: "clip" for one minus the cosine of CLIP embeddings, in [0, 2]; "pixels" for the
            mean absolute difference of the images reduced to 32×32 pixels, in [0, 1], which needs
            no model. (A cosine of pixels is undefined where an image is black.)
        model: as for `clip_alignment`; not used for "pixels".
        pretrained: as for `clip_alignment`; not used for "pixels".
        batch_size: images in one pass of the network; it does not change the numbers.
        precision: of the network's weights and arithmetic.
        offload: keep the network on the CPU while it is not in use.
        differentiable: let gradients flow from the number to the images.

    Raises:
        RewardError: the CLIP cannot be loaded, or both `differentiable` and `offload` are on.
    """

    def __init__(
        self,
        embedding: Literal["clip", "pixels"] = "clip",
        model: str = "ViT-L-14",
        pretrained: str = "openai",
        batch_size: Annotated[int, Field(ge=1)] = 64,
        precision: Precision = "fp32",
        offload: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_offloaded_gradients("diversity", differentiable=differentiable, offload=offload)
        self.embedding = embedding
        self.batch_size = batch_size
        self.differentiable = differentiable
        if embedding == "clip":
            self.clip = load_clip(model, pretrained, precision, offload=offload, reward="diversity")

    def __call__(
        self, images: Float[Tensor, "b 3 h w"], prompts: Sequence[str]
    ) -> Float[Tensor, " b"]:
        """Mean distances, in [0, 2] for "clip" and [0, 1] for "pixels"; NaN for an image alone."""
        with gradients_if(self.differentiable):
            distances = self._pixels(images) if self.embedding == "pixels" else self._clip(images)
            return mean_distance_to_others(distances, prompts)

    def _clip(self, images: Tensor) -> Tensor:
        with self.clip.network.on(images.device):
            embeddings = self.clip.embed_images(images, self.batch_size)
        return (1 - embeddings @ embeddings.T).clamp(0, 2)

    def _pixels(self, images: Tensor) -> Tensor:
        small = adaptive_avg_pool2d(images.float().clamp(0, 1), PIXELS).flatten(1)
        return torch.cdist(small, small, p=1) / (3 * PIXELS**2)


def mean_distance_to_others(
    distances: Float[Tensor, "b b"], groups: Sequence[str]
) -> Float[Tensor, " b"]:
    """Mean of each row over the other members of its group; NaN for a group of one."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    member = torch.tensor([numbers[group] for group in groups], device=distances.device)
    others = (member[:, None] == member).fill_diagonal_(False)
    count = others.sum(dim=1)
    means = torch.where(others, distances, 0).sum(dim=1) / count.clamp(min=1)
    return torch.where(count > 0, means, torch.nan)
