"""Lists of texts; numbers are NumPy arrays."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np


def problem(samples: Any) -> str:
    """See `Modality`."""
    return malformed(samples)


def malformed(samples: Any) -> str:
    """See `Modality`."""
    if isinstance(samples, str) or not isinstance(samples, Sequence):
        return f"scores a list of texts, not a {type(samples).__name__}"
    strange = next((type(s).__name__ for s in samples if not isinstance(s, str)), "")
    return f"scores a list of texts, but one is a {strange}" if strange else ""


def unusable(samples: Sequence[str]) -> dict[int, str]:
    """See `Modality`. Any text can be scored."""
    return {}


def take(samples: Sequence[str], rows: Sequence[int]) -> list[str]:
    """See `Modality`."""
    return [samples[row] for row in rows]


def digests(samples: Sequence[str]) -> list[bytes]:
    """See `Modality`."""
    return [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in samples]


def numbers(result: Any, *, keep_graph: bool) -> np.ndarray:
    """See `Modality`. A tensor, of a reward with a model, is copied to an array."""
    if hasattr(result, "detach"):  # a tensor, without importing its library
        result = result.detach().cpu()
        result = result if result.is_complex() else result.float()  # arrays know no bf16
    values = np.asarray(result)
    if values.dtype.kind not in "biuf" or np.iscomplexobj(values):
        raise TypeError(f"{values.dtype} is not a real number")
    return values.astype(np.float32)


def missing(samples: Sequence[str]) -> np.ndarray:
    """See `Modality`."""
    return np.full(len(samples), np.nan, np.float32)


def place(numbers: np.ndarray, rows: Sequence[int], scores: np.ndarray) -> np.ndarray:
    """See `Modality`."""
    numbers[list(rows)] = scores
    return numbers


def array(numbers: np.ndarray) -> np.ndarray:
    """See `Modality`."""
    return numbers


def without_infinities(numbers: np.ndarray) -> tuple[np.ndarray, dict[int, float]]:
    """See `Modality`."""
    finite = np.isfinite(numbers)
    strange = {int(row): float(numbers[row]) for row in np.flatnonzero(~finite)}
    return np.where(finite, numbers, np.float32(np.nan)), strange
