"""Pictures judged by their captions: the computation behind the reward `shapes_accuracy`."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ddpo.worlds.shapes.scenes import Claim, parse
from ddpo.worlds.shapes.verifier import assertions, read
from ddpo.worlds.shapes.words import IMAGE_SIZE


def judge(
    images: Float[Tensor, "b 3 h w"], prompts: Sequence[str], *, partial: bool
) -> Float[Tensor, " b"]:
    """1 or 0 for each picture, or the fraction of its caption's statements that hold; NaN where it
    cannot be judged.
    """
    if images.shape[-2:] != (IMAGE_SIZE, IMAGE_SIZE):
        return torch.full((len(images),), torch.nan)
    pixels = (images.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)
    pictures = pixels.permute(0, 2, 3, 1).cpu().numpy()
    pairs = zip(pictures, prompts, strict=True)
    return torch.tensor([_judge(picture, prompt, partial) for picture, prompt in pairs])


def _judge(picture: np.ndarray, prompt: str, partial: bool) -> float:
    try:
        claim: Claim = parse(prompt)
    except ValueError:
        return float("nan")
    held = assertions(read(picture), claim)
    return float(np.mean(held)) if partial else float(all(held))
