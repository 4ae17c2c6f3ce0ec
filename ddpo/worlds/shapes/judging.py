"""Pictures judged by their captions: the computation behind the reward `shapes_accuracy`."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ddpo.worlds.shapes.scenes import Claim, parse
from ddpo.worlds.shapes.verifier import assertions, read
from ddpo.worlds.shapes.words import BACKGROUNDS, COLOURS, IMAGE_SIZE, SHAPES
from rewards import Explained
from rewards.image.eight_bit import eight_bit

UNDERSTOOD = (
    "one reads like 'a red circle left of a small blue square on a black background', with the "
    f"shapes {', '.join(SHAPES)}, the colours {', '.join(COLOURS)}, the backgrounds "
    f"{', '.join(BACKGROUNDS)}"
)


def judge(images: Float[Tensor, "b 3 h w"], prompts: Sequence[str], *, partial: bool) -> Explained:
    """1 or 0 for each picture, or the fraction of its caption's statements that hold; NaN where it
    cannot be judged, with the reason.
    """
    values, reasons = torch.full((len(images),), torch.nan), {}
    height, width = images.shape[-2:]
    if (height, width) != (IMAGE_SIZE, IMAGE_SIZE):
        reason = f"the picture is {width}x{height} pixels, not {IMAGE_SIZE}x{IMAGE_SIZE}"
        return Explained(values, dict.fromkeys(range(len(images)), reason))
    for row, (picture, prompt) in enumerate(zip(eight_bit(images), prompts, strict=True)):
        try:
            values[row] = _judge(picture, parse(prompt), partial)
        except ValueError:
            reasons[row] = f"the caption {prompt!r} is not understood; {UNDERSTOOD}"
    return Explained(values, reasons)


def _judge(picture: np.ndarray, claim: Claim, partial: bool) -> float:
    held = assertions(read(picture), claim)
    return float(np.mean(held)) if partial else float(all(held))
