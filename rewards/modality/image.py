"""Images `[B, 3, H, W]` float in [0, 1]; numbers are tensors on the images' device."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Decoders overshoot [0, 1] by rounding; a batch in [-1, 1] or [0, 255] is a mistake.
PIXEL_TOLERANCE = 0.01


def malformed(samples: Any) -> str:
    """See `Modality`."""
    if not isinstance(samples, Tensor) or samples.ndim != 4 or samples.shape[1] != 3:
        shape = list(samples.shape) if isinstance(samples, Tensor) else type(samples).__name__
        return f"scores images [B, 3, H, W], not {shape}"
    if not samples.is_floating_point():
        return f"scores floating-point images in [0, 1], not {samples.dtype}"
    if 0 in samples.shape[2:]:
        return f"scores images with pixels, not {list(samples.shape)}"
    return ""


def problem(samples: Any) -> str:
    """See `Modality`."""
    if complaint := malformed(samples):
        return complaint
    low, high, finite = _bounds(samples)
    if finite.any():
        lowest, highest = low[finite].min().item(), high[finite].max().item()
        if lowest < -PIXEL_TOLERANCE or highest > 1 + PIXEL_TOLERANCE:
            return f"scores images in [0, 1], not in [{lowest:.3g}, {highest:.3g}]"
    return ""


def unusable(samples: Tensor) -> dict[int, str]:
    """See `Modality`. A diverged model must not earn a number for an image that is not finite."""
    _, _, finite = _bounds(samples)
    return dict.fromkeys((~finite).nonzero().flatten().tolist(), "the image is not finite")


def take(samples: Tensor, rows: Sequence[int]) -> Tensor:
    """See `Modality`."""
    return samples[list(rows)]


def digests(samples: Tensor) -> list[bytes]:
    """See `Modality`. Images that differ in type or size differ."""
    kind = f"{samples.dtype} {list(samples.shape[1:])}".encode()
    pixels = samples.detach().cpu().contiguous().view(torch.uint8).flatten(1).numpy()
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing lets other threads run
        hashed = list(pool.map(lambda row: hashlib.sha256(row).digest(), pixels))
    return [hashlib.sha256(kind + one).digest() for one in hashed]


def numbers(result: Any, *, keep_graph: bool) -> Tensor:
    """See `Modality`."""
    values = torch.as_tensor(result)
    if values.is_complex():
        raise TypeError(f"{values.dtype} is not a real number")
    return values.float() if keep_graph else values.detach().float()


def missing(samples: Tensor) -> Tensor:
    """See `Modality`."""
    return torch.full((len(samples),), torch.nan, device=samples.device)


def place(numbers: Tensor, rows: Sequence[int], scores: Tensor) -> Tensor:
    """See `Modality`. The graph of `scores` is kept."""
    index = torch.tensor(list(rows), device=numbers.device)
    return numbers.index_copy(0, index, scores.to(numbers.device))


def array(numbers: Tensor) -> np.ndarray:
    """See `Modality`."""
    return numbers.detach().cpu().numpy()


def without_infinities(numbers: Tensor) -> tuple[Tensor, dict[int, float]]:
    """See `Modality`."""
    finite = numbers.isfinite()
    rows = (~finite).nonzero().flatten().tolist()
    return torch.where(finite, numbers, torch.nan), {row: numbers[row].item() for row in rows}


def _bounds(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The lowest and highest value of each image, and whether all its values are finite."""
    if not len(images):
        empty = images.new_zeros(0)
        return empty, empty, empty.isfinite()
    low, high = images.detach().flatten(1).aminmax(dim=1)
    return low, high, low.isfinite() & high.isfinite()
