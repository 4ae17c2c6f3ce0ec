"""Images `[B, 3, H, W]` in [0, 1] for a check."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

SIZE = 64


def ordinary(count: int) -> Float[Tensor, "b 3 64 64"]:
    """See `Samples`; smooth images and noise in turn."""
    generator = torch.Generator().manual_seed(0)
    images = smooth(count, generator)
    noise = torch.rand(count, 3, SIZE, SIZE, generator=generator)
    images[1::2] = noise[1::2]
    return images


def smooth(count: int, generator: torch.Generator) -> Float[Tensor, "b 3 64 64"]:
    """Images in [0, 1] without edges, whatever the generator gives."""
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    return interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")


def odd() -> dict[str, Tensor]:
    """See `Samples`."""
    generator = torch.Generator().manual_seed(0)
    large = interpolate(smooth(1, generator), size=(2048, 2048), mode="bilinear")
    return {
        "a black image": torch.zeros(1, 3, SIZE, SIZE),
        "a white image": torch.ones(1, 3, SIZE, SIZE),
        "a gray image": torch.full((1, 3, SIZE, SIZE), 0.5),
        "an image of 1×1": torch.full((1, 3, 1, 1), 0.5),
        "an image of 7×200": torch.rand(1, 3, 7, 200, generator=generator),
        "an image of 2048×2048": large,
    }
