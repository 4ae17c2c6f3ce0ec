"""How small, or how large, an image is as a JPEG file: Black et al., 2023 (DDPO), section 5.1.

Sizes are in kB of 1000 bytes, at JPEG quality 95 unless said, as in the published results.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import inf
from tempfile import TemporaryFile
from typing import Annotated

import torch
from jaxtyping import Float
from PIL import Image
from pydantic import Field
from torch import Tensor

from rewards.image.eight_bit import eight_bit
from rewards.registry import reward

Quality = Annotated[int, Field(ge=1, le=100)]


@reward("jpeg_compressibility", modality="image", range=(-inf, 0.0), unit="kB", direction="lower")
def jpeg_compressibility(
    images: Float[Tensor, "b 3 h w"], prompts: Sequence[str], *, quality: Quality = 95
) -> Float[Tensor, " b"]:
    """Minus the size of the image as a JPEG file: smooth images score high."""
    return -jpeg_kilobytes(images, quality)


@reward("jpeg_incompressibility", modality="image", range=(0.0, inf), unit="kB")
def jpeg_incompressibility(
    images: Float[Tensor, "b 3 h w"], prompts: Sequence[str], *, quality: Quality = 95
) -> Float[Tensor, " b"]:
    """The size of the image as a JPEG file: detailed images score high."""
    return jpeg_kilobytes(images, quality)


def jpeg_kilobytes(images: Float[Tensor, "b 3 h w"], quality: int) -> Float[Tensor, " b"]:
    """The size in kB (1000 bytes) of each image, encoded by Pillow at `quality` from 1 to 100."""
    copies = images.detach().cpu().float()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        sizes = list(pool.map(partial(jpeg_bytes, quality=quality), copies))
    return torch.tensor(sizes, dtype=torch.float32) / 1000


def jpeg_bytes(image: Float[Tensor, "3 h w"], quality: int) -> int:
    """The size in bytes of one image with pixels in [0, 1] as a file."""
    # Pillow lets other threads run while it encodes to a real file, not while it fills a buffer.
    with TemporaryFile() as file:
        Image.fromarray(eight_bit(image)).save(file, "JPEG", quality=quality)
        return file.tell()
