"""The world's own reward: is the picture what the caption says?"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ddpo.worlds.shapes.scenes import Claim, parse
from ddpo.worlds.shapes.verifier import assertions, read
from rewards import reward


@reward(
    "shapes_accuracy",
    modality="image",
    range=(0.0, 1.0),
    unit="fraction of captions satisfied",
    deterministic=True,
    differentiable=False,
)
class ShapesAccuracy:
    """1 where the picture shows all that the caption states, 0 where it does not.

    A prompt outside the grammar of the shapes world cannot be judged: its reward is NaN.

    Args:
        partial: Give the fraction of the caption's statements that hold, in [0, 1], instead.
    """

    def __init__(self, partial: bool = False) -> None:
        self.partial = partial

    def __call__(
        self, images: Float[Tensor, "b 3 64 64"], prompts: list[str]
    ) -> Float[Tensor, " b"]:
        """Judge each picture, with pixels in [0, 1], by its own caption."""
        pixels = (images.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)
        pictures = pixels.permute(0, 2, 3, 1).cpu().numpy()
        pairs = zip(pictures, prompts, strict=True)
        return torch.tensor([self._judge(picture, prompt) for picture, prompt in pairs])

    def _judge(self, picture: np.ndarray, prompt: str) -> float:
        try:
            claim: Claim = parse(prompt)
        except ValueError:
            return float("nan")
        held = assertions(read(picture), claim)
        return float(np.mean(held)) if self.partial else float(all(held))
