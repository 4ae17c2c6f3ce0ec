"""Images as files have them: 8 bits a channel, channels last."""

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor


def eight_bit(images: Float[Tensor, "*b 3 h w"]) -> UInt8[np.ndarray, "*b h w 3"]:
    """Pixels in [0, 1] as the nearest of 256 values, halves to the even one; others are clamped.

    The arithmetic is NumPy's, which takes one thread, so that callers can give an image a thread.
    """
    pixels = images.detach().cpu().float().numpy()
    with np.errstate(invalid="ignore"):  # NaN has no byte; a broken picture is kept all the same
        values = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(values, -3, -1))
