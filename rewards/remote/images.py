"""The images of a request: one `.npy` of a batch, or PNG files of one size."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from rewards.image import png
from rewards.remote import npy
from rewards.remote.npy import TooLarge


def decode(files: Sequence[bytes], max_samples: int, max_pixels: int) -> Float[Tensor, "b 3 h w"]:
    """The batch in [0, 1]; what the files state of themselves is checked before they are decoded.

    Raises:
        TooLarge: of PNG files, which may be a thousand times as large when decoded.
        ValueError: a file is neither, broken, or of another size than the first.
    """
    if len(files) == 1 and files[0].startswith(npy.MAGIC):
        return npy.decode(files[0], max_samples)
    if len(files) > max_samples:
        raise TooLarge(f"{len(files)} samples; the limit of a request is {max_samples}")
    if not files:
        raise ValueError(
            "there are no images: for an empty batch, send a .npy of shape [0, 3, H, W]"
        )
    for row, file in enumerate(files):
        if not file.startswith(png.SIGNATURE):
            raise ValueError(f"image {row} is not a PNG; samples are one .npy, or one PNG each")
    sizes = [png.size(file) for file in files]
    if len(set(sizes)) > 1:
        raise ValueError(f"the images have {len(set(sizes))} sizes: send one size a request")
    pixels = sum(width * height for width, height in sizes)
    if pixels > max_pixels:
        raise TooLarge(f"images of {pixels} pixels in all; the limit of a request is {max_pixels}")
    return torch.stack([png.decode(file) for file in files])
