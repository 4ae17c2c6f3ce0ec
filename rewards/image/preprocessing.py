"""Resizing batches of images for networks that want squares; gradients flow through."""

from jaxtyping import Float
from torch import Tensor
from torchvision.transforms.functional import InterpolationMode, pad, resize


def resize_shorter_side(
    images: Float[Tensor, "b 3 h w"], size: int
) -> Float[Tensor, "b 3 new_h new_w"]:
    """The images with a shorter side of `size` pixels, in float32, within [0, 1]."""
    resized = resize(images.float(), [size], InterpolationMode.BICUBIC, antialias=True)
    # Bicubic resizing overshoots; an image file, which the networks learned from, cannot.
    return resized.clamp(0, 1)


def resize_and_pad(
    images: Float[Tensor, "b 3 h w"], size: int
) -> Float[Tensor, "b 3 {size} {size}"]:
    """The whole images within squares of `size` pixels, centred on black, in float32.

    Edges may leave [0, 1] a little: bicubic resizing overshoots.
    """
    height, width = images.shape[2:]
    scale = size / max(height, width)
    new = [max(1, round(side * scale)) for side in (height, width)]
    resized = resize(images.float(), new, InterpolationMode.BICUBIC, antialias=True)
    top, left = (size - new[0]) // 2, (size - new[1]) // 2
    return pad(resized, [left, top, size - new[1] - left, size - new[0] - top])
