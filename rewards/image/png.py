"""Images as PNG files: 8 bits a channel, so that a value moves by at most 1/510."""

import struct
from io import BytesIO

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from rewards.image.eight_bit import eight_bit

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode(image: Float[Tensor, "3 h w"]) -> bytes:
    """The file of an image in [0, 1]; values are rounded to 256 steps."""
    file = BytesIO()
    Image.fromarray(eight_bit(image)).save(file, "PNG")
    return file.getvalue()


def size(data: bytes) -> tuple[int, int]:
    """Width and height that the file states, without decoding it.

    Raises:
        ValueError: it is not a PNG.
    """
    if not data.startswith(SIGNATURE) or data[12:16] != b"IHDR" or len(data) < 24:
        raise ValueError("it is not a PNG file")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def decode(data: bytes) -> Float[Tensor, "3 h w"]:
    """The image, float32 in [0, 1]. Its `size` is for the caller to check first.

    Raises:
        ValueError: it is broken, or not 8-bit RGB.
    """
    try:
        with Image.open(BytesIO(data), formats=["PNG"]) as file:
            file.load()
            mode, array = file.mode, np.array(file)
    # Pillow answers broken files with a dozen kinds of error; all mean the same here.
    except Exception as error:
        raise ValueError(f"the PNG cannot be read ({type(error).__name__})") from error
    if mode != "RGB":
        raise ValueError(f"the PNG is of mode {mode}: send 8-bit RGB")
    return torch.from_numpy(array).permute(2, 0, 1).contiguous().float() / 255
