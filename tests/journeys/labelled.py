"""Rewards of pictures that need a column; a column beside the wrong prompt is an error."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rewards import reward


@reward("tint", modality="image", columns=("reference",))
def tint(images: Tensor, prompts: list[str], reference: list[dict[str, Any]]) -> Tensor:
    """Mean of the channel that the reference names."""
    for prompt, of in zip(prompts, reference, strict=True):
        if of["caption"] not in prompt:
            raise ValueError(f"{of} came with {prompt!r}")
    channels = torch.tensor([of["channel"] for of in reference])
    return images.mean((2, 3)).cpu()[torch.arange(len(prompts)), channels]


@reward("lead", modality="image", columns=("reference",), group=True)
def lead(images: Tensor, prompts: list[str], reference: list[dict[str, Any]]) -> Tensor:
    """The same above its mean over the samples of the prompt."""
    values = tint(images, prompts, reference)
    for prompt in set(prompts):
        rows = torch.tensor([other == prompt for other in prompts])
        values[rows] -= values[rows].mean()
    return values
