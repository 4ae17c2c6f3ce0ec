"""Image batches as `.npy` files, the array format of NumPy, without pickle: exact and fast."""

import math
from io import BytesIO
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.lib import format as npy
from torch import Tensor

MAGIC = b"\x93NUMPY"


class TooLarge(ValueError):
    """More images, or more pixels, than a request may hold."""


def encode(images: Float[Tensor, "b 3 h w"]) -> bytes:
    """The file of a batch: float16 as it is, any other type as float32."""
    kept = images.detach().cpu()
    array = (kept if kept.dtype == torch.float16 else kept.float()).contiguous().numpy()
    file = BytesIO()
    npy.write_array(file, array, allow_pickle=False)
    return file.getvalue()


def decode(data: bytes, max_samples: int) -> Float[Tensor, "b 3 h w"]:
    """The batch: float16 or float32 `[B, 3, H, W]` as it is; uint8 `[B, H, W, 3]` divided by 255.

    Raises:
        TooLarge: it states more than `max_samples`.
        ValueError: it is broken, its header does not fit its length, or it holds another type or
            shape.
    """
    shape, fortran, dtype, start = _header(data)
    if shape and shape[0] > max_samples:
        raise TooLarge(f"{shape[0]} samples; the limit of a request is {max_samples}")
    kinds = {np.dtype(np.float16): 1, np.dtype(np.float32): 1, np.dtype(np.uint8): 3}
    channels = kinds.get(dtype)
    if channels is None:
        raise ValueError(f"the .npy holds {dtype}: send float16, float32 or uint8")
    if len(shape) != 4 or shape[channels] != 3:
        wanted = "[B, 3, H, W]" if channels == 1 else "[B, H, W, 3]"
        raise ValueError(f"the .npy of {dtype} has shape {list(shape)}, not {wanted}")
    if math.prod(shape) * dtype.itemsize != len(data) - start:
        stated = f"shape {list(shape)} of {dtype}"
        raise ValueError(f"the .npy states {stated} but holds {len(data) - start} bytes")
    flat = np.frombuffer(data, dtype, offset=start)
    array = np.array(flat.reshape(shape, order="F" if fortran else "C"), order="C")
    images = torch.from_numpy(array)
    return images if channels == 1 else images.permute(0, 3, 1, 2).contiguous().float() / 255


def _header(data: bytes) -> tuple[tuple[int, ...], bool, Any, int]:
    """Shape, whether in Fortran order, type, and where the numbers start."""
    file = BytesIO(data)
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(file)
    # The header is a Python literal of a stranger's; whatever stops its parser means the same.
    except Exception as error:
        raise ValueError(
            f"the header of the .npy cannot be read ({type(error).__name__})"
        ) from error
    if any(length < 0 for length in shape):
        raise ValueError(f"the .npy has shape {list(shape)}")
    return shape, fortran, dtype, file.tell()
